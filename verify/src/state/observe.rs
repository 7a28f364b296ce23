//! Takes one event in: updates what is known and returns what the invariants compare with.

use super::devices::OpenSend;
use super::fingerprint::fingerprint;
use super::ledger::{Record, status};
use super::members::Learned;
use super::observation::Observation;
use super::reads::FinishedRead;
use super::{NONE, State, Step, short};
use crate::history::event::{Device, Event, Phase, Said, What};
use crate::history::subject::Subject;
use protocol::{ClientMessageId, ConversationId, RejectReason, UserId};

/// Whether a refusal decides a send for ever. After `unauthorised` it comes again with a new token.
pub(crate) const fn is_final(reason: RejectReason) -> bool {
    reason.is_final() && !matches!(reason, RejectReason::Unauthorised)
}

impl State {
    /// Takes an event in that is in range.
    pub fn observe(&mut self, event: &Event, subject: Subject) -> Step {
        let mut step = self.step(subject);
        match &event.is {
            What::Opened { .. } => self.opened(&step),
            What::Closed { .. } => self.closed(&step),
            What::ConnectFailed { .. } => {
                let now = self.now;
                let device = self.progress(&step);
                device.down_since = device.down_since.or(Some(now));
            }
            What::Attached { from, head, .. } => {
                self.attached(&step, short(*from), short(*head));
            }
            What::Detached { .. } => {
                let now = self.now;
                self.progress(&step);
                let stream = &mut self.pairs.pair_mut(step.pair).stream;
                (stream.session, stream.left, stream.attached_at) = (0, true, now);
            }
            What::Sent { device, conversation, message, said, intended } => {
                self.sent(&mut step, *device, *conversation, *message, said, *intended);
            }
            What::Unanswered { message, .. } => {
                // Before the load has ended it says that the device gave up, or never sent it; where the run ends
                // before its time, that it had no answer by then.
                if self.run.phase < Some(Phase::Settle) && self.run.watched_until.is_none() {
                    step.answered = self.devices[step.device].answer(message.0);
                }
            }
            What::Resent { device, message, .. } => {
                self.resent(&mut step, device.user, *message);
            }
            What::Accepted { device, message, sequence, .. } => {
                self.accepted(&mut step, *device, *message, short(*sequence));
            }
            What::Rejected { device, message, reason, .. } => {
                self.rejected(&mut step, *device, *message, *reason);
            }
            What::Shown { entry, .. } => self.entry(&mut step, entry, Observation::Shown),
            What::Read { request, entry, .. } => {
                self.entry(&mut step, entry, Observation::Read(*request));
            }
            What::Received { entry, .. } => self.entry(&mut step, entry, Observation::Received),
            What::Stored { entry } => self.entry(&mut step, entry, Observation::Stored),
            What::ReadBegan { request, after, .. } => {
                let who = &self.pairs.members[step.who as usize];
                let read = FinishedRead {
                    request: *request,
                    began_at: self.now,
                    conversation: who.conversation,
                    after: short(*after),
                    floor: who.floor,
                    own: who.own,
                    ..FinishedRead::default()
                };
                self.reads.begin(step.device, read);
            }
            What::ReadEnded { request, head, .. } => {
                self.progress(&step);
                step.read = self.reads.end(step.device, *request);
                self.raise_floor(step.who, short(*head));
                if let Some(user) = self.user_of(step.who) {
                    self.raise_log_floor(step.conversation, short(*head), user);
                }
            }
            What::ReadFailed { request, .. } => {
                self.progress(&step);
                step.read = self.reads.end(step.device, *request);
            }
            other => self.observe_rare(&mut step, other),
        }
        step
    }

    /// Events that are few in any run.
    fn observe_rare(&mut self, step: &mut Step, what: &What) {
        let now = self.now;
        match what {
            What::Phase(phase) => self.run.phase(*phase, now),
            What::FaultBegan { fault, kind, target, drawn, .. } => {
                self.run.fault_began(*fault, (kind, target), *drawn, now);
            }
            What::FaultEnded { fault, effect } => self.run.fault_ended(*fault, *effect, now),
            What::MemberAsked { conversation, user, add } => {
                self.is_asked = true;
                if !self.part.has_conversation(*conversation) {
                    return;
                }
                let who = self.pairs.who(user.0 as u32 - 1, conversation.0 as u32 - 1);
                self.pairs.members[who as usize].ask(*add, now);
            }
            What::MemberChanged { conversation, user, add, sequence } => {
                let at = short(*sequence);
                self.logs[step.conversation].answer_change(at, now);
                self.member_changed(*conversation, *user, *add, at, Learned::Answer);
                let who = self.pairs.who(user.0 as u32 - 1, conversation.0 as u32 - 1);
                self.pairs.members[who as usize].answer(*add, &self.run, now);
            }
            What::ReceiptSent { delivered, read, .. } => {
                let [most, most_read] = &mut self.pairs.members[step.who as usize].reported;
                (*most, *most_read) = (short(*delivered).max(*most), short(*read).max(*most_read));
            }
            What::Revoked { user } => self.revoked[user.0 as usize - 1] = now,
            What::Granted { user } => {
                self.revoked[user.0 as usize - 1] = u64::MAX;
                // What waited for the new token may be accepted now.
                for sender in self.devices_of(*user) {
                    self.ledger.forgive(sender);
                }
            }
            What::Pushed { user, sequence, taken, .. } => {
                let who = self.pairs.who(user.0 as u32 - 1, step.conversation as u32);
                if !taken {
                    return;
                }
                let pushed = &mut self.pairs.members[who as usize].pushed;
                step.was_pushed = pushed.contains(short(*sequence));
                pushed.insert(short(*sequence));
            }
            What::GeneratorLimited { limit, times } => self.run.generator_limited(limit, *times),
            What::NodeEnded { node, why } => {
                let at = now as f64 / 1e6;
                self.run.doubt(format!("{node} ended by itself at {at:.3} s: {why}"));
            }
            What::Stopped { why } => self.run.stopped(why, now),
            What::StoredBegan { .. } => {
                let log = &mut self.logs[step.conversation];
                log.read_began.get_or_insert(now);
                log.is_read = true;
            }
            What::Requeued { author, message } => {
                self.mark(step, *author, *message, status::REQUEUED);
            }
            What::DeadLetter { author: Some(author), message: Some(message), .. } => {
                self.mark(step, *author, *message, status::LETTER);
            }
            What::StoredAll { first, head, whole, .. } => {
                let log = &mut self.logs[step.conversation];
                (log.first, log.head) = (short(*first), short(*head));
                log.whole = Some(*whole && log.whole.unwrap_or(true));
                log.is_read = true;
            }
            _ => {}
        }
    }

    /// The slots of an event, and the values before it.
    fn step(&mut self, (device, conversation): Subject) -> Step {
        let mut step = Step { who: NONE, pair: NONE, ..Step::default() };
        if let Some(conversation) = conversation {
            step.conversation = conversation.0 as usize - 1;
        }
        if let Some(device) = device {
            step.device = self.device_slot(device);
            step.progress_at = self.devices[step.device].progress_at;
            step.down_since = self.devices[step.device].down_since;
            if conversation.is_some() {
                step.who = self.pairs.who(device.user.0 as u32 - 1, step.conversation as u32);
                step.pair = self.pairs.pair_of(step.who, device.device.0 - 1);
                step.before = self.pairs.pair(step.pair).stream;
            }
        }
        step
    }

    pub(super) fn progress(&mut self, step: &Step) -> &mut super::devices::DeviceState {
        let device = &mut self.devices[step.device];
        device.progress_at = self.now;
        device
    }

    fn opened(&mut self, step: &Step) {
        let (now, healed) = (self.now, self.run.healed_at);
        self.progress(step).begin(now, healed);
        self.reads.forget(step.device);
    }

    /// Sessions that end after the users were last watched belong to the end of the run, not to it.
    fn closed(&mut self, step: &Step) {
        let (now, healed) = (self.now, self.run.healed_at);
        if self.run.watched_until.is_some() {
            return;
        }
        self.reads.forget(step.device);
        let device = self.progress(step);
        device.end(now, healed);
        device.down_since = Some(device.down_since.unwrap_or(now));
    }

    fn attached(&mut self, step: &Step, from: u32, head: u32) {
        let now = self.now;
        let session = self.progress(step).session;
        let stream = &mut self.pairs.pair_mut(step.pair).stream;
        // Whoever was detached has no cursor any more: the next stream is a first one again.
        if !stream.known || stream.left {
            // What it skips beyond the head is owed to it all the same.
            (stream.known, stream.base) = (true, stream.base.max(from.min(head)));
        }
        stream.last = stream.last.max(from);
        (stream.from, stream.attached_at) = (from, now);
        (stream.session, stream.left) = (session, false);
    }

    fn sent(
        &mut self,
        step: &mut Step,
        device: Device,
        conversation: ConversationId,
        message: ClientMessageId,
        said: &Said,
        intended: u64,
    ) {
        step.fingerprint = fingerprint(device.user, message, said);
        let late = self.is_revoked(device.user, self.now);
        let record = Record {
            id: message.0,
            fingerprint: step.fingerprint,
            conversation: conversation.0 as u32 - 1,
            acked: 0,
            seen: 0,
            status: if late { status::LATE } else { 0 }
                | if matches!(said, Said::Message { .. }) { status::MESSAGE } else { 0 },
        };
        if self.ledger.add(step.device, record) {
            let open = OpenSend {
                id: message.0,
                conversation: conversation.0 as u32 - 1,
                since: self.now,
                intended,
                refused_at: 0,
                told_at: 0,
                moved_at: 0,
                unauthorised: None,
                certain: self.certain(step, said),
            };
            self.devices[step.device].open_sends.push(open);
        } else {
            self.used_twice(step.device, message.0);
        }
        if let Said::Delete { target } = said {
            self.logs[step.conversation].delete(short(*target));
        }
    }

    pub(super) fn used_twice(&mut self, sender: usize, message: u64) {
        let name = self.device_name(sender);
        self.run.doubt(format!("{name} used message id {message} for two sends"));
    }

    /// Whether the user's tokens have been revoked for longer than they may be honoured. While a fault
    /// is active the cluster may not have heard of it.
    pub fn is_revoked(&self, user: UserId, now: u64) -> bool {
        let revoked = self.revoked[user.0 as usize - 1];
        revoked <= now && self.run.calm_for(revoked, now) > self.header.deadlines.revocation_us
    }

    /// A send comes again. Its position in the order was held for some time only.
    fn resent(&mut self, step: &mut Step, user: UserId, message: ClientMessageId) {
        let mut bits = status::RESENT;
        let (now, held_back) = (self.now, self.header.held_back_us());
        if let Some(open) = self.devices[step.device].open_send(message.0) {
            open.unauthorised = None;
            let refused_at = std::mem::take(&mut open.refused_at);
            if refused_at > 0 && now - refused_at > held_back {
                bits |= status::LAPSED;
            }
        }
        self.mark(step, user, message, bits);
    }

    /// Adds to a send's status, and gives its record before that.
    pub(super) fn mark(
        &mut self,
        step: &mut Step,
        user: UserId,
        message: ClientMessageId,
        bits: u32,
    ) {
        let Some(slot) = self.ledger.find(user, message) else {
            step.is_old_send = self.ledger.is_gone(user, message);
            return;
        };
        let record = self.ledger.get_mut(slot);
        step.send = Some((slot, *record));
        record.status |= bits;
    }

    pub(super) fn user_of(&self, who: u32) -> Option<UserId> {
        self.pairs.members.get(who as usize).map(|who| UserId(u64::from(who.user) + 1))
    }

    /// What is learned while the final read is under way cannot be missing in it.
    pub(super) fn raise_log_floor(&mut self, conversation: usize, sequence: u32, user: UserId) {
        if self.read_began(conversation).is_none() {
            self.logs[conversation].raise_floor(sequence, user.0 as u32);
        }
    }

    pub(super) fn raise_floor(&mut self, who: u32, to: u32) {
        let who = &mut self.pairs.members[who as usize];
        who.floor = who.floor.max(to);
    }

    pub(super) fn member_changed(
        &mut self,
        conversation: ConversationId,
        user: UserId,
        add: bool,
        at: u32,
        learned: Learned,
    ) {
        if self.has_user(user) {
            let who = self.pairs.who(user.0 as u32 - 1, conversation.0 as u32 - 1);
            self.pairs.members[who as usize].change(at, add, learned, (self.now, self.is_asked));
        }
    }
}
