//! The histories of several generators become one: by time, as the clock of the lead shows it.
//!
//! Phases are told by the lead alone, and its last event comes last. Whoever stops first stops the run,
//! and a history that ends before its time is such a stop: what others saw later is left out, as it would
//! be where one generator saw all of it.

use super::event::{Agent, Event, GENERATOR, MACHINE, Phase, Usage, What};
use super::reader::ReadError;
use super::trips::Trips;
use serde::{Deserialize, Serialize};
use std::iter::Peekable;

/// The clock of an agent's run, compared with the lead's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// What is added to its times, in microseconds, to have the lead's.
    pub offset_us: i64,
    /// By how much that may be wrong.
    pub error_us: u64,
    /// Whether it is the same clock, that of their host.
    pub is_shared: bool,
}

impl Clock {
    /// A time of this agent as the lead's clock shows it; the run begins with the lead.
    pub const fn apply(self, at: u64) -> u64 {
        at.saturating_add_signed(self.offset_us)
    }
}

/// The history of one agent.
pub struct Source<I: Iterator> {
    agent: Agent,
    clock: Clock,
    /// Whether it says itself that it has ended.
    has_ended: bool,
    /// It has nothing more.
    is_over: bool,
    now: u64,
    trips: Trips,
    events: Peekable<I>,
}

impl<I: Iterator<Item = Result<Event, ReadError>>> Source<I> {
    /// Events of an agent with such a clock.
    pub fn new(agent: Agent, clock: Clock, events: I) -> Self {
        let (has_ended, is_over, now) = (false, false, 0);
        let (trips, events) = (Trips::default(), events.peekable());
        Self { agent, clock, has_ended, is_over, now, trips, events }
    }

    /// When its next event is: one that cannot be read is where it stands; nothing if it is over.
    fn due(&mut self) -> Option<u64> {
        if self.is_over {
            return None;
        }
        Some(match self.events.peek() {
            Some(Ok(event)) if is_end(&event.is) && self.agent.number == 0 => u64::MAX,
            Some(Ok(event)) => self.now.max(self.clock.apply(event.at)),
            Some(Err(_)) | None if self.has_ended => u64::MAX - 1,
            Some(Err(_)) | None => self.now,
        })
    }

    /// Its next event, in the clock of the lead.
    fn next(&mut self) -> Option<What> {
        let event = match self.events.next() {
            Some(Ok(event)) => event,
            end => {
                self.is_over = true;
                return (!self.has_ended).then(|| self.torn(end.and_then(Result::err)));
            }
        };
        self.now = self.now.max(self.clock.apply(event.at));
        self.trips.see(&event);
        self.has_ended |= is_end(&event.is);
        Some(match event.is {
            What::Sent { device, conversation, message, said, intended } => {
                let intended = self.clock.apply(intended);
                What::Sent { device, conversation, message, said, intended }
            }
            What::Usage(usage) => What::Usage(self.named(usage)),
            other => other,
        })
    }

    /// What is one's own carries the agent's number; the lead tells of the cluster and its machine.
    fn named(&self, usage: Usage) -> Usage {
        let (number, process) = (self.agent.number, &*usage.process);
        let is_own = process == GENERATOR || process == MACHINE && number > 0;
        let process = if is_own { format!("{process}-{number}").into() } else { usage.process };
        Usage { process, ..usage }
    }

    fn torn(&self, error: Option<ReadError>) -> What {
        let why = error.map_or_else(String::new, |error| format!(": {error}"));
        let agent = self.agent;
        let why = format!("{agent} vanished: its history has no end{why}");
        What::Stopped { why: why.into() }
    }
}

const fn is_end(is: &What) -> bool {
    matches!(is, What::Phase(Phase::End))
}

/// The events of all agents, one after another.
pub struct Merge<I: Iterator> {
    sources: Vec<Source<I>>,
    now: u64,
    has_stopped: bool,
}

impl<I: Iterator<Item = Result<Event, ReadError>>> Merge<I> {
    /// Of these agents, the lead first.
    pub const fn new(sources: Vec<Source<I>>) -> Self {
        Self { sources, now: 0, has_stopped: false }
    }

    /// The quickest answer so far that a user had of the cluster.
    pub fn quickest_us(&self) -> Option<u64> {
        self.sources.iter().filter_map(|source| source.trips.quickest_us()).min()
    }

    /// Whether it is for this source to tell: not if another one does.
    fn is_told_by(&self, at: usize, is: &What) -> bool {
        let Source { agent: Agent { number, .. }, clock, .. } = &self.sources[at];
        match is {
            What::Phase(_) => *number == 0,
            // Of one machine.
            What::Usage(usage) if clock.is_shared && *number > 0 => {
                !usage.process.starts_with(MACHINE)
            }
            What::Stopped { .. } => !self.has_stopped,
            _ => !self.has_stopped || is.follows_a_stop(),
        }
    }
}

impl<I: Iterator<Item = Result<Event, ReadError>>> Iterator for Merge<I> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        loop {
            let due = self.sources.iter_mut().enumerate().filter_map(|(at, source)| {
                let due = source.due()?;
                Some((due, at))
            });
            let (_, at) = due.min()?;
            let Some(is) = self.sources[at].next() else { continue };
            if !self.is_told_by(at, &is) {
                continue;
            }
            self.has_stopped |= matches!(is, What::Stopped { .. });
            self.now = self.now.max(self.sources[at].now);
            return Some(Event { at: self.now, is });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::builder::{Builder, History};
    use crate::{Judge, JudgeOptions, Judgement, Verdict};
    use protocol::UserId;

    const PARTS: u32 = 2;

    /// What one of two agents would have seen: its users, and the lead everything else.
    fn part(history: &History, number: u32, clock: i64) -> Vec<Event> {
        let is_mine = |is: &What| match is.device() {
            Some(device) => device.user.0 % u64::from(PARTS) == u64::from(number),
            None => number == 0 || matches!(is, What::Phase(_)),
        };
        let shown = |at: u64| at.saturating_add_signed(clock);
        let seen = history.events.iter().filter(|event| is_mine(&event.is)).cloned();
        seen.map(|event| {
            let is = match event.is {
                What::Sent { device, conversation, message, said, intended } => {
                    let intended = shown(intended);
                    What::Sent { device, conversation, message, said, intended }
                }
                other => other,
            };
            Event { at: shown(event.at), is }
        })
        .collect()
    }

    fn merged(parts: [(Vec<Event>, i64); 2]) -> Vec<Event> {
        let sources = (0..).zip(parts).map(|(number, (events, offset))| {
            let events = events.into_iter().map(Ok);
            let clock = Clock { offset_us: offset, ..Clock::default() };
            Source::new(Agent { number, of: PARTS }, clock, events)
        });
        Merge::new(sources.collect()).collect()
    }

    fn judged(history: &History, events: &[Event]) -> Judgement {
        let names = crate::CATALOGUE.iter().map(|claim| claim.name.to_owned());
        let options = JudgeOptions { may_be_idle: names.collect(), ..JudgeOptions::default() };
        let mut judge = Judge::new(&history.header, options);
        for event in events {
            judge.observe(event);
        }
        judge.finish()
    }

    fn talk() -> Builder {
        Builder::new(4, 1).group(1, &[1, 2, 3, 4]).connect_all().say(1, 1).say(2, 1).say(3, 1)
    }

    #[test]
    fn what_was_taken_apart_is_whole_again_whatever_the_clocks_show() {
        let history = talk().finish();
        for clock in [0, 40_000_000, -300] {
            let whole = merged([(part(&history, 0, 0), 0), (part(&history, 1, clock), -clock)]);
            let (expected, found) = (judged(&history, &history.events), judged(&history, &whole));
            assert_eq!(found.verdict, Verdict::Valid, "{found:#?}");
            assert_eq!(found, expected);
            assert_eq!(whole.len(), history.events.len());
            assert!(whole.is_sorted_by_key(|event| event.at));
            assert!(whole.iter().any(|event| matches!(event.is, What::Sent { intended, .. } if intended + 1_000 >= event.at)));
        }
    }

    #[test]
    fn a_violation_between_agents_is_found() {
        let history = talk().show(2, 1, 1, 3).show(2, 1, 1, 3).finish();
        let whole = merged([(part(&history, 0, 0), 0), (part(&history, 1, 7), -7)]);
        assert_eq!(judged(&history, &whole).verdict, Verdict::Violated);
    }

    #[test]
    fn a_history_without_an_end_stops_the_run_there() {
        let history = talk().finish();
        let lead = part(&history, 0, 0);
        let theirs: Vec<Event> = part(&history, 1, 0).into_iter().take(9).collect();
        let last = theirs.last().map_or(0, |event| event.at);
        let whole = merged([(lead, 0), (theirs, 0)]);
        let stops: Vec<_> = whole
            .iter()
            .filter_map(|event| match &event.is {
                What::Stopped { why } => Some((event.at, why.to_string())),
                _ => None,
            })
            .collect();
        let told = "agent 1 of 2 vanished: its history has no end".to_owned();
        assert_eq!(stops, [(last, told.clone())]);
        let seen_later =
            whole.iter().filter(|event| event.at > last && event.is.device().is_some());
        assert_eq!(seen_later.count(), 0);
        let judgement = judged(&history, &whole);
        assert_eq!(judgement.verdict, Verdict::Unknown);
        assert!(judgement.doubts[0].contains(&told), "{judgement:#?}");
        assert!(whole.iter().any(|event| event.is == What::Phase(Phase::End)));
    }

    #[test]
    fn the_first_stop_is_the_end_for_everybody() {
        let stop = |at, why: &str| Event { at, is: What::Stopped { why: why.into() } };
        let event = |at, is| Event { at, is };
        let revoked = |user| What::Revoked { user: UserId(user) };
        let end = What::Phase(Phase::End);
        let lead = vec![event(1, revoked(2)), stop(9, "agent 1"), event(10, end.clone())];
        let theirs = vec![event(5, revoked(1)), stop(6, "SIGTERM"), event(30, end.clone())];
        let whole = merged([(lead, 0), (theirs, 0)]);
        let expected =
            [event(1, revoked(2)), event(5, revoked(1)), stop(6, "SIGTERM"), event(10, end)];
        // Time stands where the last event was.
        assert_eq!(whole, expected);
    }
}
