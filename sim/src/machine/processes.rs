//! Which hosts have a process. Where none is, a machine that runs refuses a connect at once (a RST); turmoil keeps it
//! without an answer until one is there again.

use ports::entered;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// The processes of all hosts; clones are the same.
#[derive(Clone, Default)]
pub struct Processes(Arc<Mutex<BTreeMap<Arc<str>, Process>>>);

#[derive(Default)]
struct Process {
    is_gone: bool,
    goes: Arc<Notify>,
}

/// A process that runs until this is dropped.
#[must_use]
pub struct Running {
    host: Arc<str>,
    of: Processes,
}

impl Processes {
    /// The process of a host begins.
    pub fn begins(&self, host: &Arc<str>) -> Running {
        self.of(host, |process| process.is_gone = false);
        Running { host: host.clone(), of: self.clone() }
    }

    /// Whether a host has had a process and has none now.
    pub fn is_gone(&self, host: &Arc<str>) -> bool {
        self.of(host, |process| process.is_gone)
    }

    /// Waits until a host has had a process and has none.
    pub async fn gone(&self, host: &Arc<str>) {
        let goes = self
            .of(host, |process| (!process.is_gone).then(|| process.goes.clone().notified_owned()));
        if let Some(goes) = goes {
            goes.await;
        }
    }

    fn of<T>(&self, host: &Arc<str>, what: impl FnOnce(&mut Process) -> T) -> T {
        what(entered(self.0.lock()).entry(host.clone()).or_default())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let goes = self.of.of(&self.host, |process| {
            process.is_gone = true;
            process.goes.clone()
        });
        goes.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::links::LinkBoard;
    use crate::machine::flow::Flows;
    use crate::machine::network::SimNetwork;
    use crate::machine::trace::Trace;
    use ports::Network;
    use scenarios::faults::claims::{Claim, Latency};
    use std::io;
    use std::time::Duration;
    use tokio::time::{Instant, timeout};

    const MAX: Duration = Duration::from_millis(4);

    /// The network of host `a`.
    fn network() -> SimNetwork {
        SimNetwork {
            host: "a".into(),
            board: LinkBoard::new(Latency { max: MAX, min: Duration::from_millis(1) }, 1),
            processes: Processes::default(),
            flows: Flows::default(),
            trace: Trace::default(),
        }
    }

    /// How host `a` fares that connects to `b`: what it is told, within how long; nothing within a second.
    type Told = Arc<Mutex<Vec<Option<(io::Result<()>, Duration)>>>>;

    /// Both hosts: `b` listens until it is killed, `a` connects when it is told to.
    fn world(network: &SimNetwork) -> (turmoil::Sim<'static>, Arc<Notify>, Told) {
        let mut sim = turmoil::Builder::new()
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(MAX)
            .build();
        let (told, go) = (Told::default(), Arc::new(Notify::new()));
        let at_b = network.clone();
        sim.host("b", move || {
            let (running, network) = (at_b.processes.begins(&"b".into()), at_b.clone());
            async move {
                let _until_it_ends = running;
                let listener = network.bind("0.0.0.0:1").await?;
                loop {
                    listener.accept().await?;
                }
            }
        });
        let (at_a, notes, goes) = (network.clone(), told.clone(), go.clone());
        sim.host("a", move || {
            let (network, told, go) = (at_a.clone(), notes.clone(), goes.clone());
            async move {
                loop {
                    go.notified().await;
                    let began = Instant::now();
                    let ended = timeout(Duration::from_secs(1), network.connect("b:1")).await;
                    let ended = ended.ok().map(|ended| (ended.map(drop), began.elapsed()));
                    entered(told.lock()).push(ended);
                }
            }
        });
        for host in ["a", "b"] {
            network.board.register(sim.lookup(host), host);
        }
        (sim, go, told)
    }

    fn last(sim: &mut turmoil::Sim<'_>, told: &Told) -> Option<(Option<io::ErrorKind>, Duration)> {
        let before = entered(told.lock()).len();
        while entered(told.lock()).len() == before {
            sim.step().unwrap();
        }
        let last = entered(told.lock()).pop().unwrap();
        last.map(|(ended, after)| (ended.err().map(|error| error.kind()), after))
    }

    #[test]
    fn a_machine_without_the_process_refuses_and_a_dark_one_is_silent() {
        let network = network();
        let (mut sim, go, told) = world(&network);
        let round_trip = Duration::from_millis(10);
        sim.step().unwrap();

        go.notify_one();
        assert!(matches!(last(&mut sim, &told), Some((None, after)) if after <= round_trip));

        // The connect is under way when the process dies.
        go.notify_one();
        sim.step().unwrap();
        sim.crash("b");
        for _ in 0..2 {
            let (error, after) = last(&mut sim, &told).expect("an answer");
            assert_eq!(error, Some(io::ErrorKind::ConnectionRefused));
            assert!(after <= round_trip, "{after:?}");
            go.notify_one();
        }
        last(&mut sim, &told);

        sim.bounce("b");
        sim.step().unwrap();
        go.notify_one();
        assert!(matches!(last(&mut sim, &told), Some((None, _))), "it is there again");

        // As the power is lost, and where a refusal is under way and does not arrive.
        for claim in [Claim::Cut, Claim::Hold] {
            go.notify_one();
            sim.step().unwrap();
            let pairs = [("a".into(), "b".into()), ("b".into(), "a".into())];
            network.board.lay(&sim, 1, claim, pairs);
            sim.crash("b");
            assert_eq!(last(&mut sim, &told), None, "no goodbye, no refusal");
            network.board.lift(&sim, 1);
            sim.bounce("b");
            sim.step().unwrap();
        }

        // It is there again before it can refuse.
        sim.crash("b");
        go.notify_one();
        sim.step().unwrap();
        sim.bounce("b");
        assert!(matches!(last(&mut sim, &told), Some((None, after)) if after <= 2 * round_trip));
    }
}
