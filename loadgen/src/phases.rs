//! A real run from beginning to end: set up, warm up, load under faults, heal, settle, judge.

mod farewell;
mod led;
mod numbers;
mod own_cluster;
mod progress;
mod rest_users;

use crate::abort::{self, Abort};
use crate::agents::Company;
use crate::faults;
use crate::faults::schedule::{Stage, inflict};
use crate::journal::{Journal, Sink};
use crate::journeys::Driven;
use crate::limits::Limits;
use crate::limits::{health, supply};
use crate::links::{Proxies, Through};
use crate::machine::{client, machine};
use crate::slices::{self, Slices};
use crate::world::Cluster;
use crate::world::process::Departure;
use crate::world::readiness::{reach, reach_any};
use crate::world::usage::Sampler;

use crate::run::{Against, Progress, RealEnded, RealRun};
use ports::{Machine, with_causes};
use protocol::UserId;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use verify::history::What;
use verify::history::event::{Deadlines, Engine, Phase};
use workload::measure::Lateness;
use workload::plan::Plan;
use workload::recorder::Recorder;
use workload::rest::Http;
use workload::targets::Targets;
use workload::{final_reads, header, run_users, set_up};

/// How long conversations may take to be made, and final reads to be done.
const PATIENCE: Duration = Duration::from_mins(5);
/// How long users may take to end.
const GOODBYE: Duration = Duration::from_secs(10);
/// Between two looks at how far the run has got.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Tells the whole phases.
pub async fn tell(run: RealRun, sink: Sink, progress: mpsc::Sender<Progress>) -> RealEnded {
    let (journal, thread) = Journal::new(run.scenario.users.count, sink);
    let began = journal.began();
    let mut ended = match Phases::new(run, journal.clone(), progress) {
        Ok(phases) => phases.run().await,
        Err(error) => {
            let doubts = vec![format!("no threads for the users: {}", with_causes(&error))];
            RealEnded { doubts, ..RealEnded::default() }
        }
    };
    journal.close();
    if tokio::task::block_in_place(|| thread.join()).is_err() {
        ended.doubts.push("the judging thread has died".to_owned());
    }
    ended.wall = began.elapsed();
    ended
}

/// A slice of the users: what it tells at the end, and when it has said goodbye.
struct Users {
    lateness: Receiver<Lateness>,
    gone: Receiver<()>,
}

struct Phases {
    run: RealRun,
    plan: Arc<Plan>,
    slices: Slices,
    machine: Machine,
    /// Reaches whoever is no gateway, always in plaintext.
    plain: Machine,
    http: Arc<Http>,
    journal: Arc<Journal>,
    limits: Arc<Limits>,
    company: Company,
    phase: watch::Sender<Phase>,
    /// What carries the links that faults may hit.
    proxies: Option<Proxies>,
    /// A slice of the users has panicked.
    died: Arc<AtomicBool>,
    /// The users of the REST interface, while they are driven.
    journeys: Option<Driven>,
    ended: RealEnded,
}

impl Phases {
    fn new(
        run: RealRun,
        journal: Arc<Journal>,
        progress: mpsc::Sender<Progress>,
    ) -> io::Result<Self> {
        // Before anything is opened that they would keep open.
        let supply = supply::supply(None);
        let count = slices::of(&run.scenario, &run.against, &supply, run.share());
        let one_table = slices::fit_one_table(&run.scenario, &supply, run.share());
        let slices = Slices::start(count, one_table)?;
        let limits = Arc::default();
        let machine = client("clients", run.seed, &limits, run.way(None, Through::new()));
        let plain = self::machine("others", run.seed, &limits);
        let (phase, phases) = watch::channel(Phase::SetUp);
        let plan = Arc::new(Plan::new(&run.scenario, run.seed));
        let company = Company::new(run.part.clone(), plain.clone(), journal.clone());
        let told =
            progress::report(journal.clone(), company.clone(), plan.clone(), phases, progress);
        machine.spawn("progress", told);
        Ok(Self {
            plan,
            http: Arc::new(Http::new(machine.clone())),
            slices,
            run,
            machine,
            plain,
            journal,
            limits,
            company,
            phase,
            proxies: None,
            died: Arc::default(),
            journeys: None,
            ended: RealEnded::default(),
        })
    }

    async fn run(mut self) -> RealEnded {
        self.enter(Phase::SetUp);
        if let Err(why) = self.expose().await {
            return self.nothing(&why);
        }
        let mut cluster = match self.cluster().await {
            Ok(cluster) => cluster,
            Err(why) => return self.nothing(&why),
        };
        let mut users = Vec::new();
        let (mut stop, mut unmeetable) = (self.run.stop.clone(), self.run.unmeetable.clone());
        let leaves = cluster.as_ref().map(Cluster::leaves);
        let ids = cluster.as_ref().map(Cluster::ids);
        let (limits, journal, plan) =
            (self.limits.clone(), self.journal.clone(), self.plan.clone());
        let data = match &self.run.against {
            Against::Started { data, .. } => Some(data.clone()),
            Against::Given(_) | Against::Joined => None,
        };
        let sampler = Sampler::start(ids.clone(), data.clone(), journal.clone());
        let (company, died) = (self.company.clone(), self.died.clone());
        let phase = self.phase.subscribe();
        let data = data.as_deref();
        let watched = health::until_hopeless(&limits, &journal, &plan, phase, ids, data);
        // Whoever asks and whatever dies, the processes of the cluster stay at hand here.
        let abort = tokio::select! {
            biased;
            who = abort::asked(&mut stop) => Some(Abort::Asked(who)),
            why = abort::asked(&mut unmeetable) => Some(Abort::Unmeetable(why)),
            left = abort::maybe(leaves) => Some(left.into()),
            why = watched => Some(Abort::Failed(why)),
            () = slices::died(died) => Some(Abort::Failed(slices::DIED.to_owned())),
            why = company.lost() => Some(Abort::Failed(why)),
            told = self.tell(&mut cluster, &mut users) => told.err().map(Abort::Failed),
        };
        tokio::task::block_in_place(|| sampler.end());
        if let Some(abort) = &abort {
            let why = abort.why(*self.phase.borrow());
            self.journal.stop(&why);
            self.company.stop(&why).await;
            self.ended.stopped = Some(why);
            if let (Abort::Left(who, Departure::Died), Some(cluster)) = (abort, &mut cluster) {
                cluster.tell_ends(who).await;
            }
        }
        self.dismiss(users).await;
        self.ended.met = self.company.met();
        self.ended.notes.extend(self.limits.note_of_set_up());
        if let Some(cluster) = &mut cluster {
            self.end(cluster, abort.is_some()).await;
        }
        self.ended
    }

    /// Serves the numbers of the run, if somebody wants them.
    async fn expose(&self) -> Result<(), String> {
        let Some(metrics) = self.run.metrics.clone() else { return Ok(()) };
        let (at, journal) = (metrics.at.clone(), self.journal.clone());
        let recorded = move || journal.counts().events.load(Ordering::Relaxed);
        let served = metrics.serve(&self.machine, recorded).await;
        served.map_err(|error| format!("no metrics at {at}: {error}"))
    }

    fn nothing(mut self, why: &str) -> RealEnded {
        self.ended.stopped = Some(why.to_owned());
        self.journal.stop(why);
        self.journal.record(What::Phase(Phase::End));
        self.ended
    }

    async fn tell(
        &mut self,
        cluster: &mut Option<Cluster>,
        users: &mut Vec<Users>,
    ) -> Result<(), String> {
        self.company.meet().await?;
        if self.company.member().is_some() {
            return self.follow(users).await;
        }
        let entrances = self.entrances(cluster.as_mut()).await?;
        let told = if self.run.numbers.is_empty() { &entrances[..1] } else { &self.run.numbers };
        let metrics = cluster.as_ref().map_or(told, |cluster| cluster.metrics()).to_vec();
        let targets = Targets::new(entrances, self.run.credentials.clone());
        let recorder: Arc<dyn Recorder> = self.journal.clone();
        let (machine, plan) = (self.machine.clone(), self.plan.clone());
        timeout(PATIENCE, set_up(machine, plan, targets.clone(), recorder.clone()))
            .await
            .map_err(|_| "the conversations were not created in time".to_owned())?
            .map_err(|error| with_causes(&error))?;
        let gateways = cluster.as_ref().map_or(&*targets.gateways, Cluster::gateways);
        let polling = self.poll_numbers(metrics, gateways);

        self.journeys = self.begin_journeys(&targets);
        self.company.begin(&targets.gateways, self.authority_of_the_run());
        self.enter(Phase::WarmUp);
        *users = self.users(&targets);
        self.warm_up().await;
        let (connected, planned) = (self.connected(), self.plan.sessions());
        if connected < planned {
            let told =
                format!("{connected} of {planned} sessions were connected when the load began");
            self.ended.notes.push(told);
        }
        self.load(cluster.as_mut()).await?;
        self.enter(Phase::Heal);
        sleep(self.run.scenario.phases.heal).await;
        self.enter(Phase::Settle);
        let settled = Instant::now() + self.run.scenario.phases.settle;
        let made = self.end_journeys(settled + GOODBYE).await;
        sleep_until(settled).await;
        polling.iter().for_each(AbortHandle::abort);
        if let Against::Given(gateways) = &self.run.against {
            reach_any(&self.http, gateways).await?;
        }
        self.enter(Phase::Judge);
        let (machine, plan) = (self.machine.clone(), self.plan.clone());
        match timeout(PATIENCE, final_reads(machine, plan, targets, recorder, made)).await {
            Ok(doubts) => self.ended.doubts.extend(doubts),
            Err(_) => self.ended.doubts.push("the final reads did not finish in time".to_owned()),
        }
        Ok(())
    }

    /// Where users come to, as soon as somebody is there.
    async fn entrances(&self, cluster: Option<&mut Cluster>) -> Result<Vec<String>, String> {
        if let Some(cluster) = cluster {
            cluster.start_all(&self.http).await.map_err(|error| with_causes(&error))?;
            return Ok(cluster.entrances().to_vec());
        }
        let Against::Given(gateways) = &self.run.against else { return Ok(Vec::new()) };
        reach(&self.http, gateways).await?;
        Ok(gateways.clone())
    }

    /// Starts the users, in slices.
    fn users(&self, targets: &Targets) -> Vec<Users> {
        let deadlines = self.deadlines();
        let is_local = self.run.against.is_local();
        let share = self.run.share();
        slices::parts(share.of_users(&self.plan), self.slices.len() as u32)
            .zip(share.slices())
            .enumerate()
            .map(|(thread, (slice, number))| {
                let name = format!("clients-{}", number + 1);
                let source = is_local.then(|| slices::source(number));
                let (plan, targets) = (self.plan.clone(), targets.clone());
                let (journal, limits) = (self.journal.clone(), self.limits.clone());
                let host = self.run.scenario.client_host_of(UserId(slice.start.into()));
                let through = self.proxies.as_ref().map(|proxies| proxies.through(&host));
                let way = self.run.way(source, through.unwrap_or_default());
                let machine = client(&name, self.run.seed, &limits, way);
                let (told, lateness) = channel();
                let dies = slices::Dies(self.died.clone());
                let gone = self.slices.run(thread, move |phases| async move {
                    let _tells = dies;
                    let users = run_users(machine, plan, slice, targets, journal, phases);
                    let report = tokio::select! {
                        biased;
                        report = users => report,
                        never = health::feel_lag(&limits, deadlines) => match never {},
                    };
                    // Whoever waited may have lost patience.
                    let _ = told.send(report.lateness);
                    report.goodbye.say().await;
                });
                Users { lateness, gone }
            })
            .collect()
    }

    fn deadlines(&self) -> Deadlines {
        header(&self.run.scenario, self.run.seed, Engine::Real).deadlines
    }

    /// Until everybody is connected, or until the time for it is over.
    async fn warm_up(&self) {
        let deadline = Instant::now() + self.run.scenario.phases.warm_up;
        while self.connected() < self.plan.sessions() && Instant::now() < deadline {
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Sessions of all users, whoever drives them.
    fn connected(&self) -> u64 {
        self.journal.counts().connected() + self.company.reached().0
    }

    async fn load(&mut self, cluster: Option<&mut Cluster>) -> Result<(), String> {
        let (scenario, seed) = (&self.run.scenario, self.run.seed);
        let plan = faults::plan(scenario, seed, self.run.against.reach(self.run.share()));
        self.ended.notes.extend(plan.notes);
        self.ended.doubts.extend(plan.doubt);
        self.enter(Phase::Load);
        let began = Instant::now();
        let surges = async {
            faults::tell_of_users(plan.of_users, began, &self.journal).await;
            Ok(())
        };
        let (scenario, journal) = (&*self.run.scenario, &*self.journal);
        let http = &Http::new(self.plain.clone());
        let inflicted = async {
            let (Some(cluster), Some(proxies)) = (cluster, &self.proxies) else { return Ok(()) };
            let links = proxies.board();
            let stage = Stage { cluster, links, http, scenario, seed, journal };
            inflict(stage, plan.faults, began).await
        };
        // A fault that fails ends the run now, not behind the last surge.
        tokio::try_join!(inflicted, surges)?;
        // The last fault may have ended after the load: then the heal begins with its end.
        sleep_until(began + self.plan.load_for()).await;
        Ok(())
    }

    async fn dismiss(&mut self, users: Vec<Users>) {
        // Users write down what is still unanswered; only then comes the last event.
        self.company.enter(Phase::End);
        self.phase.send_replace(Phase::End);
        self.slices.enter(Phase::End);
        let mut lateness = Lateness::default();
        let deadline = Instant::now() + GOODBYE;
        for users in &users {
            let wrong = match slices::outcome(&users.lateness, deadline).await {
                Ok(theirs) => {
                    lateness.merge(&theirs);
                    continue;
                }
                Err(TryRecvError::Empty) => "a slice of the users did not finish in time",
                Err(TryRecvError::Disconnected) => "a slice of the users failed",
            };
            self.ended.doubts.push(wrong.to_owned());
        }
        // Of a run that ended before its time.
        self.end_journeys(deadline).await;
        self.tell_limits(&lateness);
        self.ended.doubts.extend(self.company.finish(deadline).await);
        // What the cluster makes of the goodbyes, such as pushes to who is away now, is no part of the run.
        self.journal.record(What::Phase(Phase::End));
        for users in users {
            // They have their own patience.
            let _ = slices::outcome(&users.gone, deadline).await;
        }
    }

    /// All that limited the generator, as the judge will hear it.
    fn tell_limits(&mut self, lateness: &Lateness) {
        if let Some(told) = lateness.doubt() {
            self.limits.raise("lateness", lateness.behind());
            self.ended.doubts.push(told);
        }
        let deadlines = self.deadlines();
        let queued = health::note_queued(&self.limits, deadlines, lateness.queued());
        self.ended.notes.extend(queued);
        health::note_lateness(&self.limits, &self.journal, lateness.operations());
        self.limits.tell(&*self.journal, true);
    }

    fn enter(&self, phase: Phase) {
        self.journal.record(What::Phase(phase));
        self.phase.send_replace(phase);
        self.slices.enter(phase);
        self.company.enter(phase);
    }
}
