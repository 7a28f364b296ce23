//! A device whose user comes and goes.

use super::Device;
use crate::users::visitor::Move;
use client::Outbound;
use protocol::frames::client::plain_text;
use protocol::{Content, Entry};
use std::time::Duration;
use tokio::time::Instant;
use verify::history::event::{Phase, What};

/// Those who are away when the load begins leave within so long.
const LEAVE_OVER: Duration = Duration::from_secs(1);

impl Device {
    /// The load begins: those who are not there at first leave.
    pub(super) fn visits_begin(&mut self, began: Instant) {
        let Some(visitor) = &mut self.visitor else { return };
        let plan = &self.users.plan;
        let (user, device) = (self.who.user, self.who.device);
        visitor.comes_back(began + plan.comes_back(user, device));
        if plan.is_away_at_first(user, device) {
            let part = plan.device_seed("leaves", user, device) as f64 / u64::MAX as f64;
            visitor.goes(began + LEAVE_OVER.mul_f64(part));
        }
    }

    pub(super) fn come(&mut self, out: &mut Outbound) {
        if self.visitor.as_mut().is_some_and(|visitor| visitor.comes()) {
            self.take_up(out);
        }
    }

    pub(super) fn go(&mut self) {
        if let Some(visitor) = &mut self.visitor {
            visitor.goes(Instant::now());
        }
    }

    /// Does what the person behind it wants by now.
    pub(super) fn visit(&mut self, now: Instant, out: &mut Outbound) {
        while let Some(visitor) = &mut self.visitor {
            let session = self.client.session();
            let may_go = session.is_open() && session.unanswered().next().is_none();
            match visitor.next(now, may_go) {
                None => return,
                Some(Move::PutAway) => {
                    self.client.act(out, |session, _, out| session.put_away(out));
                }
                Some(Move::TakeUp) => self.take_up(out),
                Some(Move::Reply(conversation, sequence, size, since)) => {
                    let phase = *self.users.phase.borrow();
                    if self.state.is_left(conversation) || phase >= Phase::Settle {
                        continue;
                    }
                    let late_us = now.saturating_duration_since(since).as_micros() as u64;
                    let intended_us = self.users.recorder.now_us().saturating_sub(late_us);
                    let parent = (Some(sequence), plain_text());
                    self.send((conversation, size), intended_us, parent, out);
                }
            }
        }
    }

    /// A message may bring a reply.
    pub(super) fn think_of(&mut self, entry: &Entry) {
        let Some(visitor) = &mut self.visitor else { return };
        if entry.author == self.who.user || !matches!(entry.content, Content::Message { .. }) {
            return;
        }
        let to = (entry.conversation, entry.sequence);
        if let Some((after, size)) = self.users.plan.reply((self.who.user, self.who.device), to) {
            visitor.will_reply(Instant::now() + after, to, size);
        }
    }

    fn take_up(&mut self, out: &mut Outbound) {
        self.record(What::Back { device: self.who });
        self.client.act(out, |session, _, out| session.take_up(out));
    }
}
