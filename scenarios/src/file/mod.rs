//! The sections of a scenario file, and how each becomes its validated type.
//!
//! A section checks what concerns it alone, and takes as arguments what it must fit to.

pub mod cluster;
pub mod expect;
pub mod fault;
pub mod journeys;
pub mod load;
pub mod network;
pub mod phases;
pub mod random_faults;
pub mod targets;
pub mod timing;
pub mod tries;
pub mod users;
pub mod visits;

use crate::scenario::{ClusterShape, Scenario};
use protocol::limits::{CLIENT_HEARTBEAT, client_idle_timeout};
use settings::mistake::Mistakes;
use settings::section;
use settings::section::by_default;
use settings::value::design::Choices;
use std::time::Duration;

section! {
    /// What a scenario file holds.
    File {
        /// The scenario's name; without it, the name of the file.
        name: Option<String> = None,
        /// The question that the run answers.
        question: String,
        /// What a reader learns.
        lesson: String,
        /// How many nodes of each role.
        cluster: cluster::Cluster = by_default(),
        /// Design choices; each defaults to the sound option.
        design: Choices = Choices::default(),
        /// Who uses the cluster.
        users: users::Users,
        /// What the users do.
        load: load::Load,
        /// Users of the REST interface, beside the others. Only in real runs.
        journeys: Option<journeys::Journeys> = None,
        /// The simulated network in the absence of faults.
        network: network::Network = by_default(),
        /// How long each phase takes, apart from the load.
        phases: phases::Phases = by_default(),
        /// Scheduled faults.
        fault: Vec<fault::Fault> = Vec::new(),
        /// Random faults, by seed.
        random_faults: Option<random_faults::RandomFaults> = None,
        /// The expected result.
        expect: expect::Expect = by_default(),
        /// What is worth trying, and what it brings.
        r#try: Vec<tries::Try> = Vec::new(),
    }
}

impl File {
    /// How long a session on a dead connection counts as there, if there are faults that can make one and
    /// the heartbeat is slower than usual.
    fn given_up_after(&self, cluster: Option<&ClusterShape>) -> Option<Duration> {
        let scheduled = self.fault.get().is_some_and(|faults| !faults.is_empty());
        let random = matches!(self.random_faults.get(), Some(Some(_)));
        let slow = cluster.filter(|cluster| cluster.heartbeat > CLIENT_HEARTBEAT)?;
        (scheduled || random).then(|| client_idle_timeout(slow.heartbeat))
    }

    /// Checks every section, alone and against the others. `None` if there was any mistake.
    pub fn validated(&self, file_stem: &str, mistakes: &mut Mistakes) -> Option<Scenario> {
        // Every section is looked at before the first `?`, so that all mistakes are found.
        let cluster = self.cluster.get().and_then(|section| section.validated(mistakes));
        let users = self.users.get().and_then(|section| section.validated(mistakes));
        let load = self.load.get().and_then(|section| section.validated(users.as_ref(), mistakes));
        let journeys = match self.journeys.get() {
            Some(Some(section)) => section.validated(users.as_ref(), mistakes).map(Some),
            Some(None) => Some(None),
            None => None,
        };
        let network = self.network.get().and_then(|section| section.validated(mistakes));
        let phases = self.phases.get().and_then(|section| section.validated(mistakes));
        let surroundings = fault::Surroundings {
            cluster: cluster.as_ref(),
            users: users.as_ref(),
            load: load.as_ref(),
        };
        let faults: Vec<Option<_>> = self
            .fault
            .get()
            .unwrap_or_default()
            .iter()
            .map(|fault| fault.validated(&surroundings, mistakes))
            .collect();
        let random_faults = match self.random_faults.get() {
            Some(Some(section)) => {
                section.validated(cluster.as_ref(), load.as_ref(), mistakes).map(Some)
            }
            Some(None) => Some(None),
            None => None,
        };
        let tries = self.r#try.get().unwrap_or_default();
        let tries: Vec<Option<_>> = tries.iter().map(|one| one.validated(mistakes)).collect();
        let expectation = self.expect.get();
        let expect = expectation.as_ref().and_then(|section| section.validated(mistakes));
        let crowd = self.users.get();
        let in_time = phases.as_ref().is_some_and(|phases| {
            let users = crowd.as_ref().zip(users.as_ref());
            let given_up_after = self.given_up_after(cluster.as_ref());
            let expect = expectation.as_ref().zip(expect.as_ref());
            let revokes = load.as_ref().is_some_and(|load| load.mix.revoke > 0.0);
            timing::fits(phases, users, (given_up_after, revokes), expect, mistakes)
        });
        let brings = expect::Brings {
            steady: load.as_ref().is_none_or(crate::scenario::Load::has_one_rate)
                && self.fault.get().is_none_or(|faults| faults.is_empty())
                && !matches!(self.random_faults.get(), Some(Some(_))),
            requests: !matches!(self.journeys.get(), Some(None)),
        };
        let goes = expectation.is_none_or(|section| section.goes_with(brings, mistakes));
        (in_time && goes).then_some(())?;
        Some(Scenario {
            name: self.name.get()?.unwrap_or_else(|| file_stem.to_owned()),
            question: self.question.get()?,
            lesson: self.lesson.get()?,
            tries: tries.into_iter().collect::<Option<_>>()?,
            cluster: cluster?,
            design: self.design.get()?.0,
            users: users?,
            load: load?,
            journeys: journeys?,
            network: network?,
            faults: faults.into_iter().collect::<Option<_>>()?,
            random_faults: random_faults?,
            expect: expect?,
            phases: phases?,
        })
    }
}
