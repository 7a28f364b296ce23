//! The unanswered actions of one conversation, in the order in which the user made them.
//!
//! # How the order of a sender is kept
//!
//! A sender's ids must rise with the sequence in each conversation. Actions are pipelined: up to
//! `window` of them are on the wire before the first is answered. The client's share of the promise:
//!
//! 1. What is on the wire is always a *prefix* of the outbox. After a lost connection, a missing answer
//!    or a retryable rejection, sending starts again at the earliest unanswered action.
//! 2. After such a disturbance one action alone is a probe; each acceptance doubles the window again.
//!    So a cluster that refuses everything for a while is asked once and not eight times.
//! 3. An action stays until it is accepted or finally rejected, under one id.
//!
//! A gateway's share: per session and conversation it passes actions on without holes. Once it has
//! refused one with a retryable reason, it refuses every higher id too, until that one comes again; or, if
//! an earlier copy of it is decided after all, the first that was refused behind it.
//!
//! Then each connection, old or new, hands the owner a hole-free run of the outbox that begins at an
//! action which was unanswered when the connection began. In any interleaving of such runs the first
//! copy of an action comes before the first copy of a later one, and an owner ignores all but first
//! copies. So it is harmless that an old connection's copy is overtaken by a new connection's later
//! action: the new connection carried the earlier action before, and the late copy is a duplicate.

use super::Settings;
use super::output::{Action, Event, Output};
use protocol::{ClientMessageId, ConversationId};
use std::collections::VecDeque;

/// Doublings of the answer timeout at most: eight times as long.
const PATIENCE_MAX: u8 = 3;

#[derive(Debug)]
pub struct ConversationOutbox {
    pub conversation: ConversationId,
    queue: VecDeque<Unanswered>,
    /// How many at the front of the queue are on the wire of this connection.
    in_flight: u32,
    /// How many may be.
    window: u16,
    /// How often the answer timeout was doubled.
    patience: u8,
    /// Nothing is sent before.
    hold_until_ms: u64,
    /// When the front counts as lost.
    answer_by_ms: u64,
}

#[derive(Debug)]
struct Unanswered {
    action: Action,
    was_sent: bool,
}

impl ConversationOutbox {
    pub fn new(conversation: ConversationId, settings: &Settings) -> Self {
        Self {
            conversation,
            queue: VecDeque::new(),
            in_flight: 0,
            window: settings.window,
            patience: 0,
            hold_until_ms: 0,
            answer_by_ms: 0,
        }
    }

    pub fn push(&mut self, action: Action) {
        self.queue.push_back(Unanswered { action, was_sent: false });
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn ids(&self) -> impl Iterator<Item = ClientMessageId> {
        self.queue.iter().map(|unanswered| unanswered.action.id)
    }

    /// Sends what may be sent now.
    pub fn fill(&mut self, now_ms: u64, settings: &Settings, out: &mut Vec<Output>) {
        let (in_flight, waiting) = (self.in_flight as usize, self.queue.len());
        assert!(in_flight <= waiting, "{in_flight} of {waiting} actions are on the wire");
        let (window, widest) = (self.window, settings.window);
        assert!((1..=widest).contains(&window), "a window of {window}, of at most {widest}");
        if now_ms < self.hold_until_ms {
            return;
        }
        while self.in_flight < u32::from(self.window) {
            let Some(next) = self.queue.get_mut(self.in_flight as usize) else { return };
            if self.in_flight == 0 {
                self.answer_by_ms = now_ms + (settings.answer_timeout_ms << self.patience);
            }
            self.in_flight += 1;
            if std::mem::replace(&mut next.was_sent, true) {
                let (conversation, id) = (self.conversation, next.action.id);
                out.push(Output::Event(Event::Resent { conversation, id }));
            }
            out.push(Output::Frame(next.action.frame()));
        }
    }

    /// The owner has decided on an action; whether that was waited for.
    pub fn decided(&mut self, id: ClientMessageId, now_ms: u64, settings: &Settings) -> bool {
        let Some(at) = self.position(id) else { return false };
        self.queue.remove(at);
        if (at as u32) < self.in_flight {
            self.in_flight -= 1;
        }
        self.window = self.window.saturating_mul(2).min(settings.window);
        // What waits before it goes on waiting: its answer may be lost.
        if at == 0 {
            self.patience = 0;
            self.answer_by_ms = now_ms + settings.answer_timeout_ms;
        }
        true
    }

    /// An action was refused for now: it and what follows it are sent again, from `until_ms` on.
    pub fn hold(&mut self, id: ClientMessageId, until_ms: u64) -> bool {
        let Some(at) = self.position(id) else { return false };
        // The refusal of a copy that is no longer waited for changes nothing but the time.
        self.hold_until_ms = self.hold_until_ms.max(until_ms);
        if (at as u32) < self.in_flight {
            self.in_flight = at as u32;
            self.window = 1;
        }
        true
    }

    /// The connection is gone, and with it every answer that was under way.
    pub fn disconnected(&mut self) {
        self.in_flight = 0;
        self.window = 1;
        self.patience = 0;
    }

    /// Goes back to the front if its answer is overdue.
    pub fn give_up_waiting(&mut self, now_ms: u64) {
        if self.in_flight > 0 && now_ms >= self.answer_by_ms {
            self.in_flight = 0;
            self.window = 1;
            self.patience = (self.patience + 1).min(PATIENCE_MAX);
        }
    }

    /// When this outbox wants to be looked at, while the session is open.
    pub fn due_ms(&self) -> u64 {
        if self.in_flight > 0 { self.answer_by_ms } else { self.hold_until_ms }
    }

    fn position(&self, id: ClientMessageId) -> Option<usize> {
        self.queue.iter().position(|unanswered| unanswered.action.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ActionKind;
    use protocol::{ClientFrame, Sequence};

    const NOW: u64 = 1_000;

    fn outbox_of(ids: std::ops::RangeInclusive<u64>) -> (ConversationOutbox, Settings) {
        let settings = Settings { window: 4, ..Settings::default() };
        let mut outbox = ConversationOutbox::new(ConversationId(1), &settings);
        for id in ids {
            let kind = ActionKind::Delete { target: Sequence(1) };
            let id = ClientMessageId(id);
            outbox.push(Action { conversation: ConversationId(1), id, kind });
        }
        (outbox, settings)
    }

    /// The ids that go out now.
    fn sent(outbox: &mut ConversationOutbox, settings: &Settings, now_ms: u64) -> Vec<u64> {
        let mut out = Vec::new();
        outbox.fill(now_ms, settings, &mut out);
        out.iter()
            .filter_map(|output| match output {
                Output::Frame(ClientFrame::Delete(delete)) => Some(delete.client_message_id.0),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn the_window_bounds_what_is_on_the_wire() {
        let (mut outbox, settings) = outbox_of(1..=6);
        assert_eq!(sent(&mut outbox, &settings, NOW), [1, 2, 3, 4]);
        assert!(outbox.decided(ClientMessageId(2), NOW, &settings));
        assert_eq!(sent(&mut outbox, &settings, NOW), [5]);
    }

    #[test]
    fn a_refused_action_holds_back_everything_behind_it() {
        let (mut outbox, settings) = outbox_of(1..=6);
        assert_eq!(sent(&mut outbox, &settings, NOW), [1, 2, 3, 4]);
        assert!(outbox.hold(ClientMessageId(2), NOW + 100));
        assert!(outbox.hold(ClientMessageId(3), NOW + 100));
        outbox.decided(ClientMessageId(1), NOW, &settings);
        assert_eq!(sent(&mut outbox, &settings, NOW + 99), [0_u64; 0]);
        // The acceptance of 1 opened the probe's window to two.
        assert_eq!(sent(&mut outbox, &settings, NOW + 100), [2, 3]);
        outbox.decided(ClientMessageId(2), NOW + 101, &settings);
        assert_eq!(sent(&mut outbox, &settings, NOW + 101), [4, 5, 6]);
    }

    #[test]
    fn a_lost_connection_starts_again_at_the_front_with_a_probe() {
        let (mut outbox, settings) = outbox_of(1..=6);
        sent(&mut outbox, &settings, NOW);
        outbox.disconnected();
        assert_eq!(sent(&mut outbox, &settings, NOW), [1]);
        outbox.decided(ClientMessageId(1), NOW, &settings);
        assert_eq!(sent(&mut outbox, &settings, NOW), [2, 3]);
    }

    #[test]
    fn a_missing_answer_is_asked_for_again_with_growing_patience() {
        let (mut outbox, settings) = outbox_of(1..=2);
        sent(&mut outbox, &settings, NOW);
        let mut now_ms = NOW;
        for doublings in [0, 1, 2, 3, 3] {
            let due_ms = now_ms + (settings.answer_timeout_ms << doublings);
            assert_eq!(outbox.due_ms(), due_ms);
            outbox.give_up_waiting(due_ms - 1);
            assert_eq!(sent(&mut outbox, &settings, due_ms - 1), [0_u64; 0]);
            outbox.give_up_waiting(due_ms);
            assert_eq!(sent(&mut outbox, &settings, due_ms), [1]);
            now_ms = due_ms;
        }
    }
}
