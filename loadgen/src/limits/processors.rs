//! Whether a run gets its turn on the processors, as the scheduler counts it.
//!
//! The generator may wake up in time while the cluster that it started starves behind other work of the
//! machine: what is late then is nobody's fault but the machine's. A system without
//! `/proc/PID/task/TID/schedstat` (Linux, sched-stats) says nothing, and then nothing is found.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// A party (the generator, or the cluster with all its processes) that waits longer than this for each of its
/// turns, in the mean of a second, starves. Measured:
/// with ten thousand messages a second on two processors that also compile, 1 ms and never more than 3;
/// behind 80 busy processes on one processor 8 to 36 ms.
const WAIT: Duration = Duration::from_millis(10);
/// Threads that hardly run say nothing: less waiting than this in a second is an odd turn.
const LEAST: Duration = Duration::from_millis(100);
/// A thread that waits for half of the time, and longer than this for each of its turns, starves as well, however
/// short the turns of the others: what it has to do piles up. Measured behind 14 busy processes on two
/// processors: 5 ms a turn in the mean of a cluster, which came to 3 s for a login, and of the threads
/// that did the work one had waited for 0.9 s and run for 0.02.
const WAIT_AT_WORK: Duration = Duration::from_millis(3);
/// Of the processors' time, in percent: whoever gets more of it waits for itself alone.
const OWN_PERCENT: u64 = 75;

/// What threads have got since they began, in the words of the kernel's sched-stats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    /// Nanoseconds on a processor.
    ran: u64,
    /// Nanoseconds ready to run, and waiting for one.
    waited: u64,
    /// Turns on a processor.
    count: u64,
}

impl Turns {
    fn read(text: &str) -> Option<Self> {
        let mut numbers = text.split_whitespace().map(|number| number.parse().ok());
        let [ran, waited, count] = [numbers.next()??, numbers.next()??, numbers.next()??];
        Some(Self { ran, waited, count })
    }

    fn plus(self, other: Self) -> Self {
        Self {
            ran: self.ran + other.ran,
            waited: self.waited + other.waited,
            count: self.count + other.count,
        }
    }

    const fn since(self, earlier: Self) -> Self {
        Self {
            ran: self.ran.saturating_sub(earlier.ran),
            waited: self.waited.saturating_sub(earlier.waited),
            count: self.count.saturating_sub(earlier.count),
        }
    }

    /// Whether so much was waited in all, and more than so much for each turn.
    fn wait(self, in_all: Duration, each: Duration) -> bool {
        let waited = Duration::from_nanos(self.waited);
        waited >= in_all && waited > each * u32::try_from(self.count).unwrap_or(u32::MAX)
    }
}

/// Whether one of some parties, each with its threads, starved in a time in which so many processors had all
/// of it to give. If the parties had most of that themselves, they waited for each other: that is their
/// own doing.
fn is_starved(parties: &[Vec<Turns>], time: Duration, processors: u32) -> bool {
    let sum = |threads: &Vec<Turns>| threads.iter().copied().fold(Turns::default(), Turns::plus);
    let ran: u64 = parties.iter().map(|threads| sum(threads).ran).sum();
    let supply = (time * processors).as_nanos();
    let is_crowded = u128::from(ran) * 100 < supply * u128::from(OWN_PERCENT);
    let starves = |threads: &Vec<Turns>| {
        sum(threads).wait(LEAST, WAIT)
            || threads.iter().any(|thread| thread.wait(time / 2, WAIT_AT_WORK))
    };
    is_crowded && parties.iter().any(starves)
}

/// Looks at processes again and again.
#[derive(Debug, Default)]
pub struct Watch {
    /// By process and thread; none before the first look.
    threads: Option<Threads>,
}

impl Watch {
    /// Whether one of the parties starved since the last look, so long ago; each is some processes. The first
    /// look says nothing; a process that was not there then has begun since.
    pub fn is_starved(&mut self, parties: &[Vec<u32>], since: Duration) -> bool {
        let before = self.threads.take();
        let now = self.threads.insert(BTreeMap::new());
        let lately: Vec<Vec<Turns>> =
            parties.iter().map(|party| look(party, before.as_ref(), now)).collect();
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let processors = u32::try_from(processors).unwrap_or(u32::MAX);
        before.is_some() && is_starved(&lately, since, processors)
    }
}

type Threads = BTreeMap<(u32, u32), Turns>;

/// What the threads of some processes have got since the look before.
fn look(party: &[u32], before: Option<&Threads>, now: &mut Threads) -> Vec<Turns> {
    let mut lately = Vec::new();
    for &process in party {
        for (thread, turns) in threads(Path::new(&format!("/proc/{process}/task"))) {
            now.insert((process, thread), turns);
            let earlier = before.and_then(|before| before.get(&(process, thread)));
            lately.push(turns.since(earlier.copied().unwrap_or_default()));
        }
    }
    lately
}

/// The threads of a process that are there now.
fn threads(tasks: &Path) -> Vec<(u32, Turns)> {
    let Ok(tasks) = std::fs::read_dir(tasks) else { return Vec::new() };
    tasks
        .flatten()
        .filter_map(|task| {
            let number = task.file_name().to_str()?.parse().ok()?;
            let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            Some((number, Turns::read(&text)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn turns(ran_ms: u64, waited_ms: u64, count: u64) -> Turns {
        Turns { ran: ran_ms * 1_000_000, waited: waited_ms * 1_000_000, count }
    }

    #[test]
    fn who_waits_long_for_each_turn_while_others_run_starves() {
        let starved = |threads: &[Turns]| is_starved(&[threads.to_vec()], SECOND, 2);
        let busy = turns(700, 2_000, 4_000);
        assert!(!starved(&[busy, turns(10, 0, 9)]), "half a millisecond a turn");
        assert!(is_starved(&[vec![busy], vec![turns(40, 8_000, 130)]], SECOND, 2));
        assert!(starved(&[turns(40, 1_001, 100)]));
        assert!(!starved(&[turns(0, 90, 1)]), "an odd turn");
        assert!(!is_starved(&[], SECOND, 2));
    }

    #[test]
    fn a_thread_that_is_never_at_rest_and_gets_next_to_nothing_starves() {
        // As measured: a cluster with 5 ms a turn in all, of which two threads do the work.
        let rest = turns(59, 1_300, 450);
        let starved = |thread| is_starved(&[vec![rest, thread]], SECOND, 2);
        assert!(starved(turns(22, 890, 80)));
        assert!(!starved(turns(22, 490, 80)), "it rested");
        assert!(!starved(turns(300, 890, 900)), "a millisecond a turn");
    }

    #[test]
    fn who_has_the_processors_waits_for_itself() {
        let spins = turns(1_600, 9_000, 300);
        assert!(!is_starved(&[vec![spins], vec![turns(100, 10, 100)]], SECOND, 2));
        assert!(is_starved(&[vec![turns(1_400, 9_000, 300)]], SECOND, 2));
    }

    #[test]
    fn what_the_kernel_counts_is_read() {
        assert_eq!(Turns::read("1500 20 3\n"), Some(Turns { ran: 1_500, waited: 20, count: 3 }));
        assert_eq!(Turns::read("1500 20"), None);
        assert_eq!(Turns::read(""), None);
        assert_eq!(threads(Path::new("/proc/no/such")), []);
    }

    #[test]
    fn only_what_came_since_the_last_look_counts() {
        let mut watch = Watch::default();
        let own = std::process::id();
        assert!(
            !watch.is_starved(&[vec![own]], Duration::ZERO),
            "nothing is known of the time before"
        );
        assert!(!watch.is_starved(&[vec![u32::MAX]], SECOND), "there is no such process");
        let (late, abort) = (turns(9, 8, 7), turns(4, 9, 3));
        assert_eq!(late.since(abort), turns(5, 0, 4));
        assert_eq!(late.plus(abort), turns(13, 17, 10));
    }
}
