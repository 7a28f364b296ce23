//! The faults of a run, carried out at their times: several at once, each on the nodes that it hits.

use crate::faults::{Planned, RealFault};
use crate::journal::Journal;
use crate::links::Board;
use crate::world::layout::CLUSTER;
use crate::world::{Cluster, ClusterError, Starts};
use ports::with_causes;
use protocol::partition::partition_of;
use protocol::{ConversationId, UserId};
use scenarios::CLIENT_HOSTS;
use scenarios::faults::claims::claimed;
use scenarios::faults::target::{Directory, Pair};
use scenarios::faults::{Injection, PlannedFault, flap};
use scenarios::scenario::{FaultKind, Role, Scenario, Target};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use verify::history::What;
use workload::recorder::Recorder;
use workload::rest::Http;

/// What faults are carried out on.
pub struct Stage<'a> {
    /// The nodes.
    pub cluster: &'a mut Cluster,
    /// Their links.
    pub links: &'a Board,
    /// Asks nodes of an engine what they do.
    pub http: &'a Http,
    /// Whose they are.
    pub scenario: &'a Scenario,
    /// Decides what `any` means.
    pub seed: u64,
    /// Where it is told.
    pub journal: &'a Journal,
}

/// A fault that has begun.
struct Active {
    real: RealFault,
    word: &'static str,
    /// Whom it really hit.
    hit: Vec<Arc<str>>,
    links: Hit,
    effect: u64,
}

/// The links that a fault hits.
struct Hit {
    kind: FaultKind,
    pairs: Vec<Pair>,
    begun: Duration,
    /// When they go down, or up again, before it ends.
    next_change: Option<Duration>,
}

impl Hit {
    fn new(kind: FaultKind, pairs: Vec<Pair>, begun: Duration) -> Self {
        let mut hit = Self { kind, pairs, begun, next_change: None };
        hit.find_next_change(begun);
        hit
    }

    fn find_next_change(&mut self, now: Duration) {
        if let FaultKind::Flap { down, up, .. } = self.kind {
            self.next_change = Some(flap::next_change(self.begun, now, down, up));
        }
    }

    fn claim(&self, fault: u32, board: &Board) {
        if let Some((claim, pairs)) = claimed(&self.kind, &self.pairs) {
            board.lay(fault, claim, pairs);
        }
    }

    /// What a flap does meanwhile; how much it has done so far.
    fn change(&mut self, fault: u32, now: Duration, board: &Board) -> u64 {
        let FaultKind::Flap { down, up, .. } = self.kind else { return 0 };
        self.find_next_change(now);
        if flap::is_down(self.begun, now, down, up) {
            self.claim(fault, board);
            return 0;
        }
        board.lift(fault)
    }
}

/// Does all of it. What goes wrong is a reason to end the run: the cluster is not what it should be then.
pub async fn inflict(
    mut stage: Stage<'_>,
    planned: Vec<Planned>,
    load_began: Instant,
) -> Result<(), String> {
    let mut waiting = VecDeque::from(planned);
    let mut active: BTreeMap<(Duration, u32), Active> = BTreeMap::new();
    let mut starts = Starts::new();
    loop {
        let ends = active.keys().next().map(|(ends, _)| *ends);
        let begins = waiting.front().map(|planned| planned.fault.at);
        let changes = active.values().filter_map(|active| active.links.next_change);
        let next = changes.chain(ends).chain(begins).min();
        if next.is_none() && starts.is_empty() {
            return Ok(());
        }
        let at = next.unwrap_or_default();
        tokio::select! {
            biased;
            Some(started) = starts.join_next() => {
                stage.cluster.check_start(started).await.map_err(|error| with_causes(&error))?;
            }
            () = sleep_until(load_began + at), if next.is_some() => {
                while active.keys().next().is_some_and(|(ends, _)| *ends <= at) {
                    let ((_, id), over) = active.pop_first().expect("there is one");
                    stage.end(id, over, &mut starts).await?;
                }
                for ((_, id), Active { links, effect, .. }) in &mut active {
                    if links.next_change.is_some_and(|change| change <= at) {
                        *effect += links.change(*id, at, stage.links);
                    }
                }
                while waiting.front().is_some_and(|planned| planned.fault.at <= at) {
                    let planned = waiting.pop_front().expect("there is one");
                    let key = (planned.fault.at + planned.fault.lasts, planned.fault.id);
                    active.extend(stage.begin(planned).await?.map(|begun| (key, begun)));
                }
                // All that die at one moment are dead before anybody waits for one of them.
                stage.cluster.gone().await;
            }
        }
    }
}

impl Stage<'_> {
    /// Nothing comes of an episode by lot all of whose nodes are down already.
    async fn begin(&mut self, planned: Planned) -> Result<Option<Active>, String> {
        let Planned { fault, real } = planned;
        let (id, word) = (fault.id, fault.kind.word());
        let running = self.cluster.running();
        let leader = self.leader(&fault).await;
        let injection = self.injection(fault, &running, leader.as_ref());
        let is_up = |node: &&Arc<str>| running.contains(node);
        let hit: Vec<Arc<str>> = injection.nodes.iter().filter(is_up).cloned().collect();
        if injection.drawn && hit.is_empty() && injection.links.is_empty() {
            return Ok(None);
        }
        self.journal.record(What::FaultBegan {
            fault: id,
            kind: word.into(),
            target: injection.described(&hit).into(),
            drawn: injection.drawn,
            injected: Some(injection.recorded().into()),
        });
        let links = Hit::new(injection.kind, injection.links, injection.at);
        let effect = match real {
            RealFault::Links => {
                links.claim(id, self.links);
                Ok(0)
            }
            RealFault::Kill => Ok(self.cluster.kill(&hit)),
            // Whoever ends counts at its end.
            RealFault::Drain => {
                self.cluster.ask_to_end(&hit);
                Ok(0)
            }
            RealFault::Pause => self.cluster.pause(&hit, id).await,
        };
        let effect = effect.map_err(|error| failed(id, word, &error))?;
        Ok(Some(Active { real, word, hit, links, effect }))
    }

    async fn end(&mut self, id: u32, over: Active, starts: &mut Starts) -> Result<(), String> {
        let Active { real, word, hit, mut effect, .. } = over;
        if real == RealFault::Pause {
            // One that was waiting for a disk when it was told to stop may have gone on doing so for a while.
            effect = effect.max(self.cluster.standing_still(&hit));
        }
        let ended = match real {
            RealFault::Pause => self.cluster.resume(id).await,
            RealFault::Drain => {
                effect = self.cluster.ended_as_asked(&hit).await;
                Ok(())
            }
            RealFault::Links => {
                effect += self.links.lift(id);
                Ok(())
            }
            RealFault::Kill => Ok(()),
        };
        self.journal.record(What::FaultEnded { fault: id, effect });
        let started = match real {
            RealFault::Kill | RealFault::Drain => self.cluster.start_again(&hit, starts),
            RealFault::Pause | RealFault::Links => Ok(()),
        };
        ended.and(started).map_err(|error| failed(id, word, &error))
    }

    /// The broker that a fault is meant for, if it is meant for what one of them does.
    async fn leader(&mut self, fault: &PlannedFault) -> Option<Arc<str>> {
        let Some(Target::BrokerOf(conversation)) = fault.kind.target() else { return None };
        let partition = partition_of(*conversation, self.scenario.cluster.partitions);
        self.cluster.leader(self.http, partition).await
    }

    /// Whom a fault hits, as in the simulator; all of the cluster where it is one process.
    fn injection(
        &self,
        fault: PlannedFault,
        running: &[Arc<str>],
        leader: Option<&Arc<str>>,
    ) -> Injection {
        let mut hosts: Vec<Arc<str>> = self.cluster.names().cloned().collect();
        if hosts == [CLUSTER.into()] {
            let PlannedFault { id, at, lasts, kind, drawn } = fault;
            return Injection { id, at, lasts, kind, drawn, nodes: hosts, links: Vec::new() };
        }
        let clients = (1..=CLIENT_HOSTS).map(|n| format!("{}-{n}", Role::Clients.word()).into());
        hosts.extend(clients);
        let owner_of = |conversation: ConversationId| self.scenario.first_owner_of(conversation);
        let gateway_of = |user: UserId| -> Option<Arc<str>> {
            self.journal.gateway_of(user).map(|gateway| format!("gateway-{gateway}").into())
        };
        let directory = Directory {
            hosts: &hosts,
            owner_of: &owner_of,
            broker_of: &|_| leader.cloned(),
            gateway_of: &gateway_of,
            client_of: &|user| self.scenario.client_host_of(user),
        };
        directory.injection(fault, self.seed, running)
    }
}

fn failed(id: u32, word: &str, error: &ClusterError) -> String {
    format!("fault {id} ({word}): {}", with_causes(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::tests::{RUNS, World, world};
    use scenarios::faults::claims::Claim;
    use scenarios::scenario::Sides;
    use std::sync::mpsc;

    /// Faults by when they begin and end, in milliseconds, carried out on nodes that do nothing: what the
    /// history has of them, and who has another process afterwards.
    async fn carried_out(
        test: &str,
        faults: Vec<(u64, u64, FaultKind)>,
    ) -> (Vec<String>, Vec<String>) {
        let nodes = ["store-1", "store-2", "broker-1"].map(|name| (name, RUNS));
        carried_out_on(&nodes, test, faults).await
    }

    /// The same on nodes of these scripts.
    async fn carried_out_on(
        nodes: &[(&str, &str)],
        test: &str,
        faults: Vec<(u64, u64, FaultKind)>,
    ) -> (Vec<String>, Vec<String>) {
        let mut world: World = world(test, nodes);
        world.cluster.start_all(&world.http).await.unwrap();
        let before = world.cluster.ids().borrow().clone();
        let planned = faults.into_iter().zip(1..).map(|((at, ends, kind), id)| {
            let [at, ends] = [at, ends].map(Duration::from_millis);
            let real = match kind {
                FaultKind::Pause { .. } => RealFault::Pause,
                FaultKind::Drain { .. } => RealFault::Drain,
                _ => RealFault::Kill,
            };
            let fault = PlannedFault { id, at, lasts: ends.saturating_sub(at), kind, drawn: false };
            Planned { fault, real }
        });
        let (sender, events) = mpsc::channel();
        let sink = Box::new(move |event: &verify::history::Event| {
            sender.send(event.is.clone()).expect("somebody listens");
        });
        let (journal, thread) = Journal::new(1, sink);
        let mut scenario = crate::fixture::scenario(10, 5, 1);
        (scenario.cluster.stores, scenario.cluster.partitions) = (2, 4);
        let cluster = &mut world.cluster;
        let http = &world.http;
        let links = &Board::default();
        let stage = Stage { cluster, links, http, scenario: &scenario, seed: 1, journal: &journal };
        inflict(stage, planned.collect(), Instant::now()).await.unwrap();
        let after = world.cluster.ids().borrow().clone();
        world.cluster.kill_all().await;
        journal.close();
        thread.join().unwrap();
        let told = events.iter().map(|is| match is {
            What::FaultBegan { fault, target, .. } => format!("{fault} {target}"),
            What::FaultEnded { fault, effect } => format!("{fault} ends: {effect}"),
            other => panic!("{other:?}"),
        });
        let anew = after.iter().filter(|process| !before.contains(process));
        (told.collect(), anew.map(|(name, _)| name.to_string()).collect())
    }

    fn node(name: &str) -> Target {
        Target::Node(name.to_owned())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn faults_that_overlap_hit_their_own_nodes_at_their_own_times() {
        let faults = vec![
            (50, 500, FaultKind::Kill { target: node("store-2") }),
            (150, 300, FaultKind::Pause { target: node("broker-1") }),
            (200, 400, FaultKind::Kill { target: node("store-2") }),
        ];
        let (told, anew) = carried_out("overlapping", faults).await;
        let expected = [
            "1 store-2",
            "2 broker-1",
            "3 store-2 (down already)",
            "2 ends: 1",
            "3 ends: 0",
            "1 ends: 1",
        ];
        assert_eq!(told, expected);
        assert_eq!(anew, ["store-2"], "started once, and nobody else");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_does_not_end_when_asked_is_killed_and_does_not_count() {
        let ends = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.02; done";
        let stays = "trap '' TERM; echo ready; while :; do sleep 0.02; done";
        let faults = vec![
            (50, 700, FaultKind::Drain { target: Target::Every(Role::Store) }),
            // It has ended by then: nobody is there to be killed.
            (500, 600, FaultKind::Kill { target: node("store-1") }),
            (750, 1_000, FaultKind::Drain { target: node("broker-1") }),
        ];
        let nodes = [("store-1", ends), ("store-2", stays), ("broker-1", stays)];
        let (told, anew) = carried_out_on(&nodes, "drained", faults).await;
        let expected = [
            "1 store-1, store-2",
            "2 store-1 (down already)",
            "2 ends: 0",
            "1 ends: 1",
            "3 broker-1",
            "3 ends: 0",
        ];
        assert_eq!(told, expected);
        assert_eq!(anew, ["store-1", "store-2", "broker-1"]);
    }

    #[test]
    fn the_links_of_a_flap_go_down_and_up_and_down() {
        let [begun, down, up] = [10, 2, 3].map(Duration::from_secs);
        let between = Sides { from: Vec::new(), to: Vec::new() };
        let pair: Pair = ("store-1".into(), "broker-1".into());
        let (mut hit, board) = (
            Hit::new(FaultKind::Flap { between, down, up }, vec![pair.clone()], begun),
            Board::default(),
        );
        hit.claim(7, &board);
        let mut seen = Vec::new();
        for _ in 0..3 {
            let is_cut = board.writes(&pair).0 == Some(Claim::Cut);
            let at = hit.next_change.expect("it flaps");
            seen.push((is_cut, at.as_secs(), hit.change(7, at, &board)));
        }
        assert_eq!(seen, [(true, 12, 1), (false, 15, 0), (true, 17, 1)], "one write each");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_target_is_found_when_its_fault_begins() {
        let faults = vec![
            (50, 150, FaultKind::PowerLoss { target: Target::Every(Role::Store) }),
            (200, 300, FaultKind::Kill { target: node("store-1") }),
            (210, 300, FaultKind::Kill { target: Target::Any(Role::Store) }),
            (400, 450, FaultKind::Pause { target: Target::GatewayOf(UserId(1)) }),
        ];
        let (told, anew) = carried_out("resolved", faults).await;
        let expected = [
            "1 store-1, store-2",
            "1 ends: 2",
            "2 store-1",
            "3 store-2",
            "2 ends: 1",
            "3 ends: 1",
            "4 nobody",
            "4 ends: 0",
        ];
        assert_eq!(told, expected, "any is one that runs");
        assert_eq!(anew, ["store-1", "store-2"]);
    }
}
