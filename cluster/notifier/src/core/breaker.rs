//! The circuit breaker (M. Nygard, Release It!, chapter 5): closed, open, half-open.
//!
//! It judges the provider, not the messages. Permits carry the generation in which they were given:
//! an answer that belongs to an earlier generation says nothing about the provider as it is now.

use std::time::Duration;

/// When the breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Failures in a row that open it, from 1.
    pub failures_to_open: u32,
    /// How long it stays open the first time.
    pub open_for: Duration,
    /// It stays open twice as long after each failed probe, but not longer than this.
    pub open_for_max: Duration,
}

impl Default for BreakerConfig {
    /// Five failures in a row, one second, half a minute: an outage of a minute costs a handful of
    /// probes, and its end is noticed within half a minute.
    fn default() -> Self {
        Self {
            failures_to_open: 5,
            open_for: Duration::from_secs(1),
            open_for_max: Duration::from_secs(30),
        }
    }
}

/// Leave to make one attempt; give it back with `record` or `abandon`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    generation: u64,
}

/// There is no leave now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// When to ask again; `None`: when the probe under way has ended.
    pub until_ms: Option<u64>,
}

/// What an attempt says of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It did its work.
    Well,
    /// It failed to.
    Ill {
        /// For how long it wants to be left alone; zero if it did not say.
        rest: Duration,
    },
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Perhaps the message's: the attempt counts.
    Message,
    /// The provider is known to be ill: the attempt does not count.
    Provider,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until_ms: u64 },
    HalfOpen { probing: bool },
}

/// One provider's breaker.
#[derive(Clone, Debug)]
pub struct Breaker {
    config: BreakerConfig,
    state: State,
    /// Rises with every change of state.
    generation: u64,
    /// For how long it will open next.
    open_for: Duration,
}

impl Breaker {
    /// A closed one.
    pub fn new(config: BreakerConfig) -> Self {
        let state = State::Closed { failures: 0 };
        Self { config, state, generation: 0, open_for: config.open_for }
    }

    /// Whether an attempt may be made now.
    pub fn permit(&mut self, now_ms: u64) -> Result<Permit, Wait> {
        match self.state {
            State::Open { until_ms } if now_ms >= until_ms => {
                self.enter(State::HalfOpen { probing: true });
            }
            State::Open { until_ms } => return Err(Wait { until_ms: Some(until_ms) }),
            State::HalfOpen { probing: true } => return Err(Wait { until_ms: None }),
            State::HalfOpen { probing: false } => self.state = State::HalfOpen { probing: true },
            State::Closed { .. } => {}
        }
        Ok(Permit { generation: self.generation })
    }

    /// An attempt has ended: the provider did its work, or it failed to.
    pub fn record(&mut self, permit: Permit, health: Health, now_ms: u64) -> Blame {
        let (healthy, rest) = match health {
            Health::Well => (true, Duration::ZERO),
            Health::Ill { rest } => (false, rest),
        };
        if permit.generation != self.generation {
            return Blame::Provider;
        }
        match (self.state, healthy) {
            (State::Closed { .. }, true) => self.state = State::Closed { failures: 0 },
            (State::Closed { failures }, false) => {
                if failures + 1 >= self.config.failures_to_open {
                    self.open(now_ms, rest);
                } else {
                    self.state = State::Closed { failures: failures + 1 };
                }
                return Blame::Message;
            }
            (State::HalfOpen { .. }, true) => {
                self.open_for = self.config.open_for;
                self.enter(State::Closed { failures: 0 });
            }
            (State::HalfOpen { .. }, false) => self.open(now_ms, rest),
            // No permit has the generation of an open breaker.
            (State::Open { .. }, _) => {}
        }
        Blame::Provider
    }

    /// An attempt was given up without an answer: it says nothing, and the next one may probe.
    pub fn abandon(&mut self, permit: Permit) {
        if permit.generation == self.generation && matches!(self.state, State::HalfOpen { .. }) {
            self.state = State::HalfOpen { probing: false };
        }
    }

    /// Whether attempts are made freely.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    fn open(&mut self, now_ms: u64, rest: Duration) {
        let until_ms = now_ms.saturating_add(self.open_for.max(rest).as_millis() as u64);
        self.open_for = (self.open_for * 2).min(self.config.open_for_max);
        self.enter(State::Open { until_ms });
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ILL: Health = Health::Ill { rest: Duration::ZERO };

    fn health(well: bool) -> Health {
        if well { Health::Well } else { ILL }
    }

    fn breaker() -> Breaker {
        Breaker::new(BreakerConfig {
            failures_to_open: 3,
            open_for: Duration::from_millis(100),
            open_for_max: Duration::from_millis(400),
        })
    }

    /// A breaker that has just opened, at 0 ms.
    fn open() -> Breaker {
        let mut breaker = breaker();
        for _ in 0..3 {
            let permit = breaker.permit(0).unwrap();
            assert_eq!(breaker.record(permit, ILL, 0), Blame::Message);
        }
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_scattered_ones_do_not() {
        let mut scattered = breaker();
        for n in 0..20 {
            let permit = scattered.permit(0).unwrap();
            scattered.record(permit, health(n % 3 == 2), 0);
        }
        assert!(scattered.is_closed());
        assert_eq!(open().permit(99), Err(Wait { until_ms: Some(100) }));
    }

    #[test]
    fn one_probe_at_a_time_decides() {
        let mut breaker = open();
        let probe = breaker.permit(100).unwrap();
        assert_eq!(breaker.permit(100), Err(Wait { until_ms: None }));
        assert_eq!(breaker.record(probe, Health::Well, 150), Blame::Provider);
        assert!(breaker.is_closed());
        assert!(breaker.permit(150).is_ok() && breaker.permit(150).is_ok());
    }

    #[test]
    fn each_failed_probe_doubles_the_wait_up_to_the_maximum() {
        let mut breaker = open();
        let mut now = 100;
        for wait in [200, 400, 400] {
            let probe = breaker.permit(now).unwrap();
            assert_eq!(breaker.record(probe, ILL, now), Blame::Provider);
            assert_eq!(breaker.permit(now), Err(Wait { until_ms: Some(now + wait) }));
            now += wait;
        }
        let probe = breaker.permit(now).unwrap();
        breaker.record(probe, Health::Well, now);
        for _ in 0..3 {
            let permit = breaker.permit(now).unwrap();
            breaker.record(permit, ILL, now);
        }
        assert_eq!(breaker.permit(now), Err(Wait { until_ms: Some(now + 100) }));
    }

    #[test]
    fn an_answer_from_before_the_opening_changes_nothing() {
        let mut breaker = breaker();
        let early: Vec<_> = (0..5).map(|_| breaker.permit(0).unwrap()).collect();
        let blames: Vec<_> = early.iter().map(|p| breaker.record(*p, ILL, 0)).collect();
        assert_eq!(blames[..3], [Blame::Message; 3]);
        assert_eq!(blames[3..], [Blame::Provider; 2]);
        breaker.record(early[0], Health::Well, 0);
        assert_eq!(breaker.permit(50), Err(Wait { until_ms: Some(100) }));
    }

    #[test]
    fn a_provider_that_asks_for_rest_gets_it() {
        let mut breaker = open();
        let probe = breaker.permit(100).unwrap();
        breaker.record(probe, Health::Ill { rest: Duration::from_secs(9) }, 100);
        assert_eq!(breaker.permit(9_000), Err(Wait { until_ms: Some(9_100) }));
    }

    #[test]
    fn an_abandoned_probe_leaves_its_place() {
        let mut breaker = open();
        let probe = breaker.permit(100).unwrap();
        breaker.abandon(probe);
        assert!(breaker.permit(100).is_ok());
    }

    #[derive(Clone, Debug)]
    enum Step {
        Ask,
        Answer(prop::sample::Index, bool),
        Abandon(prop::sample::Index),
        Wait(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let index = any::<prop::sample::Index>;
        let step = prop_oneof![
            4 => Just(Step::Ask),
            4 => (index(), any::<bool>()).prop_map(|(which, healthy)| Step::Answer(which, healthy)),
            1 => index().prop_map(Step::Abandon),
            1 => (0..300_u64).prop_map(Step::Wait),
        ];
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        /// Whatever happens: a breaker that is not closed has at most one attempt of its generation
        /// under way, refuses to no effect never for ever, and blames at most as many messages per
        /// opening as it takes failures to open.
        #[test]
        fn a_dead_provider_is_not_hammered(steps in steps()) {
            let mut breaker = breaker();
            let (mut now, mut permits) = (0, Vec::<Permit>::new());
            let mut blamed_in_a_row = 0;
            for step in steps {
                match step {
                    Step::Ask => {
                        let free = breaker.is_closed();
                        match breaker.permit(now) {
                            Ok(permit) => {
                                let rivals = permits.iter().filter(|p| p.generation == permit.generation);
                                prop_assert!(free || rivals.count() == 0, "two probes");
                                permits.push(permit);
                            }
                            Err(Wait { until_ms: Some(until) }) => prop_assert!(until > now && until <= now + 400),
                            Err(Wait { until_ms: None }) => {
                                let probe = permits.iter().any(|p| p.generation == breaker.generation);
                                prop_assert!(probe, "waits for a probe that nobody makes");
                            }
                        }
                    }
                    Step::Answer(which, healthy) if !permits.is_empty() => {
                        let permit = permits.swap_remove(which.index(permits.len()));
                        let closed = breaker.is_closed() && permit.generation == breaker.generation;
                        let blame = breaker.record(permit, health(healthy), now);
                        prop_assert_eq!(blame == Blame::Message, closed && !healthy);
                        blamed_in_a_row = match (closed, healthy) {
                            (true, false) => blamed_in_a_row + 1,
                            (true, true) => 0,
                            (false, _) => if breaker.is_closed() { blamed_in_a_row } else { 0 },
                        };
                        prop_assert!(blamed_in_a_row <= 3);
                        if blamed_in_a_row == 3 { prop_assert!(!breaker.is_closed()); blamed_in_a_row = 0; }
                    }
                    Step::Abandon(which) if !permits.is_empty() => {
                        breaker.abandon(permits.swap_remove(which.index(permits.len())));
                    }
                    Step::Wait(ms) => now += ms,
                    Step::Answer(..) | Step::Abandon(_) => {}
                }
            }
        }
    }
}
