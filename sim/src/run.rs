//! One run: a thread of its own for its phases, and somebody who follows it from outside.

use crate::hooks::NotSimulated;
use crate::journal::{Journal, OWN_BUG, Sink, TraceSink};
use crate::machine::path::Path;
use crate::machine::pulse::Pulse;
use crate::phases::Phases;
use crate::stall::{self, Stall};
use crate::{hooks, panics};
use ports::panics::Panicked;
use scenarios::Scenario;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use verify::history::event::Phase;
use verify::history::path::{Message, PathStep};
use workload::{Plan, Recording};

/// The stack of a simulating thread: debug builds have large frames.
const STACK: usize = 64 * 1024 * 1024;

/// What to run.
#[derive(Clone, Debug)]
pub struct SimulatedRun {
    /// The scenario.
    pub scenario: Arc<Scenario>,
    /// Decides every packet, crash, clock and random choice.
    pub seed: u64,
    /// Faults and operations of another run, instead of those that the seed draws.
    pub replay: Option<Arc<Recording>>,
    /// Messages that are followed through the nodes ([`Ended::path`]).
    pub follow: Vec<Message>,
    /// Who has asked the run to end where it is, if somebody has.
    pub asked_to_end: Arc<OnceLock<&'static str>>,
}

impl SimulatedRun {
    /// A run of its own.
    pub fn new(scenario: Arc<Scenario>, seed: u64) -> Self {
        Self { scenario, seed, replay: None, follow: Vec::new(), asked_to_end: Arc::default() }
    }

    /// What its users do.
    pub fn plan(&self) -> Plan {
        let plan = Plan::new(&self.scenario, self.seed);
        match &self.replay {
            Some(recorded) => plan.replaying(recorded.operations.as_slice().into()),
            None => plan,
        }
    }
}

/// How far a run has got.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// The phase.
    pub phase: Phase,
    /// Simulated time so far.
    pub simulated: Duration,
    /// Simulated time of the whole run, about.
    pub total: Duration,
    /// Events so far.
    pub events: u64,
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ended {
    /// Simulated time.
    pub simulated: Duration,
    /// Why the run says less than it should: processes that failed, phases that did not end.
    pub doubts: Vec<String>,
    /// What a reader should know, and that makes nothing doubtful.
    pub notes: Vec<String>,
    /// The steps of the messages that were followed.
    pub path: Vec<PathStep>,
    /// What the nodes have counted, all of them together: the names of `docs/running.md`.
    pub counters: BTreeMap<&'static str, u64>,
}

/// A run under way.
pub struct Run {
    progress: mpsc::Receiver<Progress>,
    thread: JoinHandle<Ended>,
    journal: Journal,
    pulse: Pulse,
}

/// Runs a scenario on a thread of its own, in which everything is simulated. Events go to `sink`, on
/// that thread.
///
/// With `traces`, what each host did in each step comes as lines in between.
pub fn run(
    wanted: SimulatedRun,
    sink: Sink,
    traces: Option<TraceSink>,
) -> Result<Run, NotSimulated> {
    hooks::check()?;
    let (sender, progress) = mpsc::channel();
    let path = Path::of(&wanted.follow);
    let journal = Journal::following(wanted.scenario.users.count, sink, path);
    let pulse = Pulse::new(traces.is_some());
    let (theirs, beats) = (journal.clone(), pulse.clone());
    let thread = std::thread::Builder::new().name("simulation".to_owned()).stack_size(STACK);
    let thread = thread
        .spawn(move || {
            hooks::enter(protocol::mix::derive(wanted.seed, "hooks"));
            panics::enter();
            let ended = simulate(&wanted, &theirs, (beats, traces), &sender);
            hooks::leave();
            ended
        })
        .expect("the operating system has a thread for us");
    Ok(Run { progress, thread, journal, pulse })
}

impl Run {
    /// Shows the progress of the run until its end. The thread of a run that stands still ends with
    /// the process.
    pub fn follow(self, show: impl FnMut(Progress)) -> Ended {
        let Self { progress, thread, journal, pulse } = self;
        let Some(stall) = stall::follow(&progress, &pulse, stall::PATIENCE, show) else {
            return thread.join().unwrap_or_else(|_| Ended {
                doubts: vec!["the simulation thread has died".to_owned()],
                ..Ended::default()
            });
        };
        let mut ended =
            Ended { simulated: stall.reached, notes: journal.notes(), ..Ended::default() };
        ended.doubts.extend(tell_stall(&journal, stall));
        ended
    }
}

/// Records what can be said of a run that stands still; the doubts that remain.
fn tell_stall(journal: &Journal, stall: Stall) -> Vec<String> {
    let after = format!("{:.1} simulated s", stall.reached.as_secs_f64());
    let (why, doubt) = match stall.moment.running {
        Some(host) if stall.stuck => {
            let message = format!("it hangs: one of its tasks stopped yielding after {after}");
            journal.broke(&host, &Panicked { message, place: "unknown".to_owned() });
            (format!("{} hangs", host.name), None)
        }
        _ => {
            let why = format!("the simulation stopped making progress after {after}");
            let doubt = format!("{why}, {OWN_BUG}");
            (why, Some(doubt))
        }
    };
    journal.end(&why);
    doubt.into_iter().chain(journal.failures()).collect()
}

fn simulate(
    wanted: &SimulatedRun,
    journal: &Journal,
    pulse: (Pulse, Option<TraceSink>),
    progress: &mpsc::Sender<Progress>,
) -> Ended {
    let told = panics::caught(|| {
        let mut phases = Phases::new(wanted, journal.clone(), pulse, progress.clone());
        phases.tell();
        let ended = (phases.elapsed(), phases.counters());
        if journal.broken().is_some() {
            // A process that died of a panic runs no destructors, which would find half a mutation.
            std::mem::forget(phases);
        }
        ended
    });
    match told {
        Ok((simulated, counters)) => {
            let path = journal.path().steps();
            Ended { simulated, doubts: journal.failures(), notes: journal.notes(), path, counters }
        }
        Err(Panicked { message, place }) => Ended {
            doubts: vec![format!("the simulator panicked, {OWN_BUG}: {message} ({place})")],
            ..Ended::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::pulse::Host;
    use std::sync::Mutex;
    use verify::history::What;

    /// The events of a run in which this happens to a host while the conversations are made.
    fn run_in_which(breaks: &Host, panicked: &Panicked) -> (Vec<What>, Ended) {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/safety/smoke.toml");
        let text = std::fs::read_to_string(file).unwrap();
        let scenario = scenarios::parse(&text, file, &[]).unwrap();
        let events = Arc::new(Mutex::new(Vec::new()));
        let sink = events.clone();
        let sink: Sink = Box::new(move |event| sink.lock().unwrap().push(event.is.clone()));
        let journal = Journal::new(scenario.users.count, sink);
        let (progress, _receiver) = mpsc::channel();
        panics::enter();
        journal.broke(breaks, panicked);
        let wanted = SimulatedRun::new(Arc::new(scenario), 1);
        let ended = simulate(&wanted, &journal, (Pulse::default(), None), &progress);
        let events = events.lock().unwrap().clone();
        (events, ended)
    }

    fn panicked() -> Panicked {
        Panicked { message: "odd: 3".to_owned(), place: "a.rs:1:2".to_owned() }
    }

    #[test]
    fn a_run_ends_cleanly_when_a_node_panics() {
        let node: Arc<str> = "store-1".into();
        let (events, ended) =
            run_in_which(&Host { name: node.clone(), is_node: true }, &panicked());
        assert_eq!(ended.doubts, [""; 0], "it is the cluster's fault");
        let told = What::NodePanicked {
            node: node.clone(),
            message: "odd: 3".into(),
            place: "a.rs:1:2".into(),
        };
        assert!(events.contains(&told), "{events:?}");
        assert!(events.contains(&What::NodeStarted { node }), "{events:?}");
        assert!(events.contains(&What::Stopped { why: "store-1 panicked".into() }), "{events:?}");
        assert!(events.contains(&What::Phase(Phase::End)), "{events:?}");
        assert!(!events.contains(&What::Phase(Phase::WarmUp)), "{events:?}");
    }

    #[test]
    fn what_the_users_do_wrong_is_no_fault_of_the_cluster() {
        let users = Host { name: "clients-1".into(), is_node: false };
        let (events, ended) = run_in_which(&users, &panicked());
        let [doubt] = &ended.doubts[..] else { panic!("{ended:?}") };
        assert!(doubt.starts_with("clients-1 panicked, which is a bug in Fracas"), "{doubt}");
        assert!(!events.iter().any(|event| matches!(event, What::NodePanicked { .. })));
    }

    #[test]
    fn a_node_that_hangs_is_told_and_a_run_that_only_stands_still_is_in_doubt() {
        let events = Arc::new(Mutex::new(Vec::new()));
        let sink = events.clone();
        let journal =
            Journal::new(1, Box::new(move |event| sink.lock().unwrap().push(event.is.clone())));
        let mut stall = Stall { reached: Duration::from_secs(7), ..Stall::default() };
        let doubts = tell_stall(&journal, stall.clone());
        let [doubt] = &doubts[..] else { panic!("{doubts:?}") };
        assert!(
            doubt.starts_with("the simulation stopped making progress after 7.0 simulated s"),
            "{doubt}"
        );
        stall.stuck = true;
        stall.moment.running = Some(Host { name: "store-1".into(), is_node: true });
        events.lock().unwrap().clear();
        assert_eq!(tell_stall(&journal, stall), [""; 0]);
        let events = events.lock().unwrap();
        let [What::NodePanicked { message, .. }, What::Stopped { .. }, What::Phase(Phase::End)] =
            &events[..]
        else {
            panic!("{events:?}")
        };
        assert!(message.starts_with("it hangs"), "{message}");
    }
}
