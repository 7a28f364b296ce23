//! What the answer to a send says.

use super::devices::OpenSend;
use super::ledger::status;
use super::observe::is_final;
use super::{State, Step};
use crate::history::event::Device;
use protocol::{ClientMessageId, RejectReason};

impl State {
    pub(super) fn accepted(
        &mut self,
        step: &mut Step,
        device: Device,
        message: ClientMessageId,
        at: u32,
    ) {
        self.progress(step);
        step.sequence = at;
        step.log = self.logs[step.conversation].get(at);
        step.is_compacted = self.logs[step.conversation].is_compacted(at);
        self.mark(step, device.user, message, status::ACCEPTED);
        step.answered = self.end_send(step.device, message);
        if let Some((_, before)) = step.send {
            step.fingerprint = before.fingerprint;
            if before.conversation as usize != step.conversation {
                // It says nothing of the conversation that it names.
                return;
            }
        }
        self.raise_log_floor(step.conversation, at, device.user);
        self.raise_floor(step.who, at);
        let Some((slot, before)) = step.send else { return };
        // A(m, q) is the first answer; another one is a contradiction, which has a claim of its own.
        if [0, at].contains(&before.acked) {
            self.ledger.get_mut(slot).acked = at;
            let log = &mut self.logs[step.conversation];
            log.known_head = log.known_head.max(at);
            if let Some(entry) = log.open_mut(at).filter(|entry| entry.acked == 0) {
                let waited = step.answered.map_or(u64::MAX, |open| self.now - open.since);
                entry.waited_us = u32::try_from(waited).unwrap_or(u32::MAX);
                (entry.acked, entry.known_at) = (before.fingerprint, self.now);
                entry.is_message |= before.is(status::MESSAGE);
                if entry.author == 0 {
                    entry.author = device.user.0 as u32;
                }
            }
            let who = &mut self.pairs.members[step.who as usize];
            who.own = who.own.max(at);
        }
        let devices = self.header.devices_per_user as usize;
        let first = step.device - step.device % devices;
        // Only the first one may come while a read is under way that need not have it.
        for device in (first..first + devices).filter(|_| before.acked == 0) {
            self.reads.accepted(device, step.conversation as u32, at);
        }
    }

    pub(super) fn rejected(
        &mut self,
        step: &mut Step,
        device: Device,
        message: ClientMessageId,
        reason: RejectReason,
    ) {
        self.progress(step);
        if !is_final(reason) {
            self.mark(step, device.user, message, 0);
            let now = self.now;
            let connected = self.devices[step.device].connected_in_all(now);
            let device = &mut self.devices[step.device];
            if let Some(open) = device.open_send(message.0) {
                step.told = Some(*open);
                open.told_at = now;
                if reason == RejectReason::Unauthorised {
                    open.unauthorised = Some((now, connected));
                }
                if open.refused_at == 0 {
                    open.refused_at = now;
                }
                let send = *open;
                device.sent_behind(&send).for_each(|open| open.told_at = now);
            }
            return;
        }
        let mut bits = status::FINAL;
        if reason == RejectReason::DeadLettered {
            bits |= status::DEAD;
        }
        self.mark(step, device.user, message, bits);
        if let Some((slot, before)) = step.send
            && self.excludes(reason, &before)
        {
            self.ledger.get_mut(slot).status |= status::REFUSED;
        }
        step.answered = self.end_send(step.device, message);
    }

    /// A send has its end: what its device holds back behind it may go on.
    fn end_send(&mut self, device: usize, message: ClientMessageId) -> Option<OpenSend> {
        let (now, device) = (self.now, &mut self.devices[device]);
        let ended = device.answer(message.0)?;
        device.sent_behind(&ended).for_each(|open| (open.told_at, open.moved_at) = (now, now));
        Some(ended)
    }
}
