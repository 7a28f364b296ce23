//! Measures a run from its events, as they come.
//!
//! **Latency counts from the intended time**, the moment at which the open-loop schedule wanted the
//! operation, never from the moment at which it was really sent. A generator that is held up by the
//! very stall it should measure would otherwise leave the worst values out: "coordinated omission"
//! (Gil Tene, "How NOT to Measure Latency", Strange Loop 2015; HdrHistogram's documentation).
//! Operations that are accepted or shown much later than intended, because a fault, a reconnect or
//! a slow reader was in between, count in full. Only a device that had no session at all yet when
//! an operation was intended, or whose user joined (again) after that, has no latency for it
//! (`Totals::caught_up`): nobody owed it the message then; nor does one that its user had put away (`back`).
//! Operations that were never answered count
//! with the time that they waited.
//!
//! Nothing is sampled: every operation and every delivery is recorded, as long as fewer than
//! `window::REMEMBERED` operations come between an operation and its last delivery; what is beyond
//! that is counted in `Totals::untimed`. Memory is bounded, whatever the length of the run.

mod blocks;
mod faults;
pub(crate) mod latencies;
pub(crate) mod latency;
mod levels;
mod members;
pub(crate) mod operation;
mod processes;
mod recorder;
mod recovery;
mod requests;
mod seconds;
mod unmeetable;
mod window;

use crate::live::{Live, LiveLatencies};
use crate::measured::{Measured, PhaseMark, SECOND_US, Steady, Totals};
use faults::Faults;
use latencies::{Finished, Latencies};
use latency::Distribution;
use levels::Levels;
use members::Members;
use operation::Operation;
use processes::Processes;
use protocol::ClientMessageId;
use scenarios::scenario::Thresholds;
use seconds::Seconds;
use std::io;
pub use unmeetable::Planned;
use unmeetable::{Unmeetable, Value};
use verify::history::event::{Device, Engine, Event, Header, Phase, Said, Seen, What};
use window::{Acceptance, Due, Window};

/// Phases that are noted; a run has seven.
const PHASES_MAX: usize = 32;

/// Measures a run; feed it every event, in order.
pub struct Measurements {
    window: Window,
    latencies: Latencies,
    lateness: Distribution,
    seconds: Seconds,
    faults: Faults,
    /// By slot.
    presence: Vec<Presence>,
    connected: u32,
    members: Members,
    levels: Levels,
    processes: Processes,
    unmeetable: Unmeetable,
    is_of_one_rate: bool,
    phases: Vec<PhaseMark>,
    totals: Totals,
    /// Conversations of which the final read is over.
    read_back: u64,
    now: u64,
}

/// Whether a device is connected, and since when it takes part.
#[derive(Clone, Copy)]
struct Presence {
    since_us: u64,
    connected: bool,
}

impl Measurements {
    /// Ready for the first event.
    pub fn new(header: &Header) -> Self {
        Self::with_window(header, window::REMEMBERED)
    }

    fn with_window(header: &Header, remembered_max: usize) -> Self {
        let window = Window::new(header, remembered_max);
        let absent = Presence { since_us: u64::MAX, connected: false };
        Self {
            presence: vec![absent; window.slots()],
            window,
            latencies: Latencies::new(),
            lateness: Distribution::new(),
            seconds: Seconds::new(),
            faults: Faults::new(header.engine),
            connected: 0,
            members: Members::default(),
            levels: Levels::new(header.engine == Engine::Real),
            processes: Processes::default(),
            unmeetable: Unmeetable::default(),
            is_of_one_rate: false,
            phases: Vec::new(),
            totals: Totals::default(),
            read_back: 0,
            now: 0,
        }
    }

    /// Writes all latencies, second by second, to a log (see `latency_log`).
    #[must_use]
    pub fn logged_to(mut self, out: Box<dyn io::Write + Send>) -> Self {
        self.latencies.log_to(out);
        self
    }

    /// Looks for the steady state of a load that comes at one rate.
    #[must_use]
    pub const fn of_one_rate(mut self) -> Self {
        self.is_of_one_rate = true;
        self
    }

    /// Follows whether thresholds can still be met, if they want to end the run early.
    #[must_use]
    pub fn bounded_by(mut self, wanted: &Thresholds, planned: Planned) -> Self {
        self.unmeetable = Unmeetable::of(wanted, planned);
        self
    }

    /// The threshold that cannot be met any more, in a sentence, once it is time to say so.
    pub fn unmeetable(&self) -> Option<&str> {
        self.unmeetable.told(self.now)
    }

    /// How the run stands; the judge has found so many violations.
    pub fn live(&self, violations: u64) -> Live {
        let totals = &self.totals;
        Live {
            phase: self.phases.last().map(|mark| (mark.phase, mark.at_us)),
            now_us: self.now,
            second: self.seconds.last(),
            events: totals.events,
            sent: totals.sent(),
            accepted: totals.accepted,
            delivered: totals.delivered,
            refused: totals.rejected.values().sum(),
            made: totals.members_changed,
            read_back: self.read_back,
            violations,
            faults: self.faults.active(),
            processes: self.processes.now(),
        }
    }

    /// The latencies so far.
    pub fn latencies(&self) -> LiveLatencies {
        LiveLatencies::of(&self.latencies, &self.lateness)
    }

    /// Takes the next event.
    pub fn observe(&mut self, event: &Event) {
        self.totals.events += 1;
        self.now = self.now.max(event.at);
        let faults = &mut self.faults;
        let ended = |at, second: &_| faults.second_ended(at, second);
        self.seconds.advance(self.now, &mut self.latencies, ended);
        match &event.is {
            What::Shown { device, entry } => self.shown(*device, entry),
            What::Sent { device, message, said, intended, .. } => {
                if let Some(operation) = Operation::of(said) {
                    self.window.sent(*device, *message, Due::sent(*intended, self.now), operation);
                }
                self.sent(*said, *intended);
            }
            What::Accepted { device, message, .. } => {
                let acceptance = self.window.accepted(*device, *message);
                self.accepted(&acceptance);
            }
            What::Resent { .. } => {
                self.totals.resent += 1;
                self.seconds.now().resent += 1;
            }
            What::Opened { device, .. } => self.opened(*device),
            What::Back { device } => self.back(*device),
            What::Closed { device, code } => self.closed(*device, *code),
            other => self.observe_rare(other),
        }
    }

    fn observe_rare(&mut self, what: &What) {
        if let What::Unanswered { device, message, .. } = what {
            self.unanswered(*device, *message);
        }
        if let What::MemberAsked { conversation, user, add } = what
            && self.totals.sent() > 0
        {
            self.members.asked((*user, *conversation), *add, self.now);
        }
        let totals = &mut self.totals;
        match what {
            What::ConnectFailed { .. } => totals.connects_failed += 1,
            What::Rejected { reason, .. } => {
                *totals.rejected.entry(word(reason)).or_default() += 1;
                self.seconds.now().rejected += 1;
                self.unmeetable.refused();
            }
            What::Unanswered { .. } => totals.unanswered += 1,
            What::ReadEnded { .. } => totals.pages_read += 1,
            What::ReceiptSent { .. } => totals.receipts_sent += 1,
            What::ReceiptSeen { .. } => totals.receipts_seen += 1,
            What::MemberChanged { .. } => totals.members_changed += 1,
            What::Pushed { taken: true, .. } => totals.pushed += 1,
            What::DeadLetter { .. } => totals.dead_letters += 1,
            What::Shed { what, count, .. } => *totals.shed.entry(word(what)).or_default() += count,
            What::GeneratorLimited { limit, times } => {
                *totals.limits.entry(limit.to_string()).or_default() += times;
            }
            What::Stored { .. } => totals.stored += 1,
            What::StoredAll { .. } => self.read_back += 1,
            What::Owner { .. } => totals.owners += 1,
            What::FaultBegan { fault, kind, target, .. } => {
                totals.faults += 1;
                self.faults.began(self.now, *fault, kind, target);
            }
            What::FaultEnded { fault, effect } => self.faults.ended(self.now, *fault, *effect),
            What::Phase(phase) => self.phase(*phase),
            What::Gauge { node, name, value, limit } => {
                self.levels.seen(self.now, node, name, (*value, *limit));
            }
            What::Requested { request, status, took_us, .. } => {
                let began = self.now.saturating_sub(*took_us);
                let under_fault = self.faults.recovery.is_disturbed(began);
                self.latencies.requests.answered(*request, *status, *took_us, under_fault);
            }
            What::Usage(usage) => self.processes.seen(self.now, usage),
            _ => {}
        }
    }

    fn phase(&mut self, phase: Phase) {
        if phase == Phase::Load {
            self.faults.recovery.load_began();
            self.unmeetable.load_began(self.now);
        }
        if self.phases.len() < PHASES_MAX {
            self.phases.push(PhaseMark { phase, at_us: self.now });
        }
    }

    fn sent(&mut self, said: Said, intended: u64) {
        match said {
            Said::Message { .. } => self.totals.messages += 1,
            Said::Edit { .. } => self.totals.edits += 1,
            Said::Delete { .. } => self.totals.deletes += 1,
            // Joins and leaves are asked for by `MemberAsked`.
            Said::Join { .. } | Said::Leave { .. } => return,
        }
        let late = self.now.saturating_sub(intended);
        self.lateness.record(late);
        self.unmeetable.record(Value::Lateness(late));
        self.seconds.now().sent += 1;
    }

    fn accepted(&mut self, acceptance: &Acceptance) {
        match acceptance {
            Acceptance::Again => {
                self.totals.accepted_again += 1;
                return;
            }
            Acceptance::Unknown => self.totals.untimed += 1,
            Acceptance::First(due, operation) => {
                let took = self.took(*due, *operation);
                self.faults.recovery.accepted(took.us);
                self.unmeetable.record(Value::Accept(took));
                self.totals.clipped += u64::from(self.latencies.accept.record(took));
            }
        }
        self.totals.accepted += 1;
        self.seconds.now().accepted += 1;
    }

    fn unanswered(&mut self, device: Device, message: ClientMessageId) {
        if let Acceptance::First(due, operation) = self.window.accepted(device, message) {
            let waited = self.took(due, operation);
            self.totals.clipped += u64::from(self.latencies.accept.record_unanswered(waited));
        }
    }

    /// What was due then is over now.
    fn took(&self, Due { at_us, late_us }: Due, operation: Operation) -> recorder::Took {
        let under_fault = self.faults.recovery.is_disturbed(at_us);
        recorder::Took { us: self.now.saturating_sub(at_us), late_us, operation, under_fault }
    }

    fn shown(&mut self, device: Device, entry: &Seen) {
        let Some(operation) = Operation::of(&entry.said) else { return };
        let sender = Window::sender(entry.message);
        if entry.author == device.user && sender == u64::from(device.device.0) {
            self.totals.echoed += 1;
            return;
        }
        self.totals.delivered += 1;
        self.seconds.now().delivered += 1;
        let Some(due) = self.window.due(entry.author, entry.message) else {
            self.totals.untimed += 1;
            return;
        };
        let there = self.window.slot(device).map(|slot| self.presence[slot].since_us);
        let member_since = self.members.since(device.user, entry.conversation);
        if there.is_none_or(|since| since.max(member_since) > due.at_us) {
            self.totals.caught_up += 1;
            return;
        }
        let took = self.took(due, operation);
        self.faults.recovery.delivered(took.us);
        self.unmeetable.record(Value::Deliver(took));
        self.totals.clipped += u64::from(self.latencies.deliver.record(took));
    }

    fn opened(&mut self, device: Device) {
        self.totals.opened += 1;
        let Some(slot) = self.window.slot(device) else { return };
        let presence = &mut self.presence[slot];
        presence.since_us = presence.since_us.min(self.now);
        if !presence.connected {
            presence.connected = true;
            self.connected += 1;
            self.totals.connected_max = self.totals.connected_max.max(self.connected.into());
            self.seconds.now().connected = self.connected;
        }
    }

    /// What was said while its user had put it away was not for it to show at once.
    fn back(&mut self, device: Device) {
        if let Some(slot) = self.window.slot(device) {
            self.presence[slot].since_us = self.now;
        }
    }

    fn closed(&mut self, device: Device, code: u16) {
        *self.totals.closed.entry(code).or_default() += 1;
        self.seconds.now().closed += 1;
        let Some(slot) = self.window.slot(device) else { return };
        if self.presence[slot].connected {
            self.presence[slot].connected = false;
            self.connected -= 1;
            self.seconds.now().connected = self.connected;
        }
    }

    /// What was measured; what could not be logged is forgotten.
    pub fn finish(self) -> Measured {
        self.finish_logged().0
    }

    /// What was measured, and whether all latencies were logged.
    pub fn finish_logged(mut self) -> (Measured, io::Result<()>) {
        let faults = &mut self.faults;
        let ended = |at, second: &_| faults.second_ended(at, second);
        let seconds = self.seconds.finish(self.now, &mut self.latencies, ended);
        let unmeetable = self.unmeetable.told(self.now).map(str::to_owned);
        let mut measured = Measured {
            ended_us: self.now,
            lateness: self.lateness.percentiles(),
            seconds,
            phases: self.phases,
            baseline: self.faults.recovery.baseline(),
            faults: self.faults.finish(),
            levels: self.levels.finish(),
            processes: self.processes.finish(),
            unmeetable,
            totals: self.totals,
            ..Measured::default()
        };
        let latencies = self.latencies;
        let division = |second| latencies.accept.division(second);
        measured.steady =
            self.is_of_one_rate.then(|| crate::steady::steady(&measured, division)).flatten();
        let since_us = measured.steady.and_then(Steady::since_us);
        let since = since_us.map(|us| (us / SECOND_US) as usize);
        let Finished { accept, deliver, requests, logged } = latencies.finish(self.now, since);
        (measured.accept, measured.deliver) = (accept, deliver);
        (measured.requests, measured.requests_all) = requests;
        (measured, logged)
    }
}

/// A unit variant's word in a history: `not_member`.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "other".to_owned(),
    }
}

#[cfg(test)]
mod tests;
