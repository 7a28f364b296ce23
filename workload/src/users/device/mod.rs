//! One device of one user: acts when it is told to, and records everything that happens to it.

mod happenings;
mod visiting;

use super::device_state::DeviceState;
use super::dialer::UserDialer;
use super::history_read::{Ended, HistoryReads, Next};
use super::receipts::Receipts;
use super::slowness::Slowness;
use super::visitor::Visitor;
use super::{VirtualUsers, accounts, membership, strangers};
use crate::body::{self, Body};
use crate::plan::{Kind, Operation};
use crate::seen;
use client::{Action, ActionKind, Client, Outbound, Polled, Session, Wire};
use protocol::frames::client::plain_text;
use protocol::frames::server::Page;
use protocol::{CloseCode, ConversationId, DeviceId, Sequence, UserId};
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;
use tokio::time::Instant;
use verify::history::event::{self, Phase, Said, What};

/// A format that no owner knows.
const POISON_FORMAT: u16 = 99;
/// Most reads begin at most this far behind the cursor.
const RECENT: u64 = 100;
/// One read in this many begins at the first entry.
const WHOLE_ONE_IN: u64 = 16;
/// Before a device without a session is seen to go dead again.
const VANISH_AGAIN: Duration = Duration::from_millis(100);

pub struct Device {
    users: Arc<VirtualUsers>,
    who: event::Device,
    client: Client<UserDialer>,
    state: DeviceState,
    receipts: Receipts,
    reads: HistoryReads,
    slowness: Option<Box<Slowness>>,
    /// If users come and go.
    visitor: Option<Box<Visitor>>,
    /// When its network is gone without a word.
    vanishes_at: Option<Instant>,
    /// Its connection stays, and nobody reads or answers.
    is_gone: bool,
}

impl Device {
    pub fn new(users: Arc<VirtualUsers>, user: UserId, device: DeviceId) -> Self {
        let seed = users.plan.device_seed("session", user, device);
        let session = Session::new(users.settings.clone(), device, seed);
        let dialer = UserDialer::new(users.clone(), user, device);
        // The first report comes after a part of the period, so that reports are spread.
        let period = users.plan.load().receipts_every;
        let part = users.plan.device_seed("receipts", user, device) as f64 / u64::MAX as f64;
        Self {
            who: event::Device { user, device },
            client: Client::new(session, dialer),
            state: DeviceState::new(device),
            receipts: Receipts::new(Instant::now() + period.mul_f64(part), period),
            reads: HistoryReads::default(),
            slowness: None,
            visitor: users.plan.load().visits.map(|_| Box::new(Visitor::new())),
            vanishes_at: None,
            is_gone: false,
            users,
        }
    }

    /// Lets it go on: its connection, what happens to it, its clock.
    pub fn poll(&mut self, cx: &mut Context<'_>, out: &mut Outbound) -> Polled {
        if self.is_gone {
            return Polled::Pending;
        }
        self.look_at_the_clock(out);
        if self.is_gone {
            return Polled::Pending;
        }
        let mut events = Vec::new();
        loop {
            let polled = self.client.poll(cx, out);
            if out.events.is_empty() {
                return polled;
            }
            std::mem::swap(&mut events, &mut out.events);
            for event in events.drain(..) {
                self.happened(event, out);
            }
            if polled == Polled::Again {
                return polled;
            }
        }
    }

    /// When it wants to be polled, whatever its connection says.
    pub fn due(&self) -> Option<Instant> {
        if self.is_gone {
            return None;
        }
        let slow = self.slowness.as_ref().map(|slowness| slowness.until());
        let moves = self.visitor.as_ref().and_then(|visitor| visitor.due());
        let own = [slow, moves, self.receipts.due_at(), self.vanishes_at, self.client.due()];
        own.into_iter().flatten().min()
    }

    /// Whether it has a session.
    pub const fn is_open(&self) -> bool {
        self.client.session().is_open()
    }

    /// Whether it went dead for good.
    pub const fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// Ends it. This goodbye is no event of the run: what a device is due is judged until its end.
    pub fn stop(self, out: &mut Outbound) -> Option<Wire> {
        if self.is_gone {
            return None;
        }
        self.give_up();
        self.client.stop(out)
    }

    /// Only a session can go dead; whoever has none has it a little later. To the user this is a goodbye:
    /// the session is over, and what was unanswered is given up.
    fn vanish(&mut self) {
        if !self.client.session().is_open() {
            self.vanishes_at = Some(Instant::now() + VANISH_AGAIN);
            return;
        }
        self.is_gone = true;
        self.give_up();
        self.record(What::Closed { device: self.who, code: CloseCode::Normal.code() });
    }

    fn give_up(&self) {
        for (conversation, message) in self.client.session().unanswered() {
            self.record(What::Unanswered { device: self.who, conversation, message });
        }
    }

    fn look_at_the_clock(&mut self, out: &mut Outbound) {
        let now = Instant::now();
        if let Some(slowness) = &mut self.slowness
            && slowness.until() <= now
        {
            slowness.turn();
            self.client.set_reading(slowness.reads());
        }
        if self.receipts.due_at().is_some_and(|at| at <= now) {
            self.receipts.beat(now);
            // The final reads compare the stored cursors with what was reported before them.
            if *self.users.phase.borrow() < Phase::Judge {
                self.report_receipts(out);
            }
        }
        if self.vanishes_at.is_some_and(|at| at <= now) {
            self.vanish();
        }
        self.visit(now, out);
    }

    fn report_receipts(&mut self, out: &mut Outbound) {
        if !self.client.session().is_open() {
            self.receipts.moved();
            return;
        }
        let due: Vec<_> = self
            .client
            .session()
            .cursors()
            .filter_map(|(conversation, cursor)| self.receipts.due(conversation, cursor))
            .collect();
        for receipt in due {
            if self.client.act(out, |session, _, out| session.receipt(receipt, out)) {
                self.receipts.sent(receipt);
                let (conversation, device) = (receipt.conversation, self.who);
                let (delivered, read) = (receipt.delivered, receipt.read);
                self.record(What::ReceiptSent { device, conversation, delivered, read });
            }
        }
    }

    /// Does what the plan wants.
    pub fn operate(&mut self, planned: Operation, intended_us: u64, out: &mut Outbound) {
        let own = self.users.plan.conversations_of(self.who.user);
        let operation = planned.moved(own, |conversation| self.state.is_left(conversation));
        let conversation = operation.conversation;
        let says = (conversation, operation.size);
        match operation.kind {
            Kind::Send => self.send(says, intended_us, (None, plain_text()), out),
            Kind::Poison => self.send(says, intended_us, (None, POISON_FORMAT), out),
            Kind::Reply => {
                let parent = self.state.newest_message(conversation);
                self.send(says, intended_us, (parent, plain_text()), out);
            }
            Kind::Edit | Kind::Delete => {
                let delete = operation.kind == Kind::Delete;
                match self.state.own_message(operation.pick, delete, operation.is_stubborn()) {
                    Some((conversation, target)) => {
                        self.change(operation, intended_us, (conversation, target), out);
                    }
                    None => self.send(says, intended_us, (None, plain_text()), out),
                }
            }
            Kind::ReadHistory => self.read(operation, out),
            Kind::JoinLeave => {
                membership::change(&self.users, conversation, self.who.user);
            }
            Kind::Reconnect => self.client.act(out, |session, _, out| session.reconnect(out)),
            Kind::Typing => {
                self.client.act(out, |session, _, out| session.typing(conversation, out));
            }
            Kind::Revoke => accounts::revoke(&self.users, self.who.user, operation.pick),
            Kind::LogOut => {
                let away_ms = accounts::logged_out_for(operation.pick).as_millis() as u64;
                if self.client.act(out, |session, _, out| session.log_out(away_ms, out)) {
                    accounts::log_out(&self.users, self.who.user, self.who.device);
                }
            }
            Kind::Come => self.come(out),
            Kind::Go => self.go(),
            Kind::Attack => {
                strangers::attack(&self.users, self.who.user, self.who.device, operation.pick);
            }
        }
    }

    /// The load begins, or began before it came; whether that changes anything for it.
    pub fn load_begins(&mut self, began: Instant) -> bool {
        let after = self.users.plan.vanishes(self.who.user);
        self.vanishes_at = after.map(|after| began + after);
        self.visits_begin(began);
        self.vanishes_at.is_some() || self.visitor.is_some()
    }

    /// It reads slowly from now on, if the plan wants it; whether it does.
    pub fn slows_down(&mut self) -> bool {
        if self.slowness.is_none()
            && let Some(slow) = self.users.plan.slow_reader(self.who.user)
        {
            self.slowness = Some(Box::new(Slowness::new(slow)));
            self.client.set_reading(false);
        }
        self.slowness.is_some()
    }

    fn send(
        &mut self,
        (conversation, size): (ConversationId, u32),
        intended_us: u64,
        (parent, format): (Option<Sequence>, u16),
        out: &mut Outbound,
    ) {
        let id = self.state.next_id();
        self.state.asked(id);
        let body = self.text(id, conversation, parent, size);
        let said = Said::Message { hash: body::hash(&body), parent };
        let kind = ActionKind::Send { body, reply_to: parent, format };
        self.submit(Action { conversation, id, kind }, said, intended_us, out);
    }

    fn change(
        &mut self,
        operation: Operation,
        intended_us: u64,
        (conversation, target): (ConversationId, Sequence),
        out: &mut Outbound,
    ) {
        let id = self.state.next_id();
        let (kind, said) = if operation.kind == Kind::Delete {
            (ActionKind::Delete { target }, Said::Delete { target })
        } else {
            let body = self.text(id, conversation, Some(target), operation.size);
            let said = Said::Edit { target, hash: body::hash(&body) };
            (ActionKind::Edit { target, body }, said)
        };
        self.submit(Action { conversation, id, kind }, said, intended_us, out);
    }

    fn text(
        &self,
        counter: protocol::ClientMessageId,
        conversation: ConversationId,
        parent: Option<Sequence>,
        size: u32,
    ) -> String {
        let epoch = self.state.membership(conversation);
        let user = self.who.user;
        Body { user, counter, conversation, parent, epoch }.text(size as usize)
    }

    fn submit(&mut self, action: Action, said: Said, intended: u64, out: &mut Outbound) {
        let (conversation, message) = (action.conversation, action.id);
        // Recorded first: nobody may see the message before it was invoked.
        let device = self.who;
        self.record(What::Sent { device, conversation, message, said, intended });
        let taken =
            self.client.act(out, |session, now_ms, out| session.submit(now_ms, action, out));
        if taken.is_err() {
            // It never left the device. An indefinite outcome is a true, if weak, statement.
            self.record(What::Unanswered { device, conversation, message });
        }
    }

    fn read(&mut self, operation: Operation, out: &mut Outbound) {
        let conversation = operation.conversation;
        let Some(cursor) = self.client.session().cursor(conversation) else { return };
        let after = if operation.pick.is_multiple_of(WHOLE_ONE_IN) {
            Sequence::START
        } else {
            Sequence(cursor.0.saturating_sub(operation.pick / WHOLE_ONE_IN % RECENT))
        };
        if !self.client.session().is_open() {
            return;
        }
        let Some(backlog) = self.reads.begin(conversation, after) else { return };
        let (device, request) = (self.who, backlog.request);
        self.record(What::ReadBegan { device, request, conversation, after });
        self.client.act(out, |session, _, out| session.backlog(backlog, out));
    }

    fn page(&mut self, page: &Page, out: &mut Outbound) {
        let (device, request) = (self.who, page.request);
        match self.reads.page(page) {
            Next::Nothing => {}
            Next::Ask(backlog) => {
                self.read_entries(page);
                self.client.act(out, |session, _, out| session.backlog(backlog, out));
            }
            Next::Ended(Ended { conversation, head, whole, .. }) => {
                self.read_entries(page);
                self.record(What::ReadEnded { device, request, conversation, head, whole });
            }
        }
    }

    fn read_entries(&self, page: &Page) {
        let (device, request) = (self.who, page.request);
        for entry in &page.entries {
            self.record(What::Read { device, request, entry: seen::seen(entry) });
        }
    }

    fn record(&self, what: What) {
        self.users.recorder.record(what);
    }
}
