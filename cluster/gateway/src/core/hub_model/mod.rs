//! The heart of the gateway against a model: whatever is late, lost, doubled or overtaken, every
//! session gets every entry of its memberships exactly once, in order, and nothing else; and when the
//! surroundings work again, everybody gets everything.

mod arrivals;
mod found;
mod reader;
pub mod world;

use super::calls::Call;
use super::effects::Effects;
use super::outbound::{Outbound, Taken};
use super::{Hub, HubConfig, TokenTime};
use ports::{Claims, Scopes};
use proptest::prelude::*;
use protocol::codec::Codec;
use protocol::frames::client::{Hello, Send, plain_text};
use protocol::limits::GatewayLimits;
use protocol::{
    ClientFrame, ClientMessageId, CloseCode, Content, ConversationId, Design, GatewayId,
    Incarnation, Sequence, ServerFrame, SessionId, UserId,
};
use reader::{Outcome, Reader};
use std::cell::RefCell;
use std::rc::Rc;
use world::{Answer, Mishap, World};

const CONVERSATIONS: u64 = 3;
const USERS: u64 = 4;

/// A session's queue, of which the test reads the other end.
pub type Shared = Rc<RefCell<Outbound>>;

/// A session on its own, for the tests of a part: its effects, its queue and its id.
pub fn one_session(config: &HubConfig) -> (Effects<Shared>, Shared, SessionId) {
    let (mut out, queue) = (Effects::new(config), Shared::default());
    let id = out.outlets.open(Codec::Binary, queue.clone());
    (out, queue, id)
}

/// The frames that wait in a queue.
pub fn heard(queue: &Shared) -> Vec<ServerFrame> {
    let next = || match queue.borrow_mut().take() {
        Taken::Frame(frame) => Some(Codec::Binary.decode_server(&frame).expect("our own frame")),
        _ => None,
    };
    std::iter::from_fn(next).collect()
}

/// What the token of a user says.
pub fn claims(user: UserId) -> Claims {
    Claims {
        user: Some(user),
        scopes: Scopes::of(["chat"]),
        expires_ms: u64::MAX,
        login: None,
        revocation_epoch: 0,
        signer: None,
    }
}

/// A hub for tests.
pub fn config(frames: usize) -> HubConfig {
    HubConfig {
        gateway: GatewayId(1),
        incarnation: Incarnation(1),
        partitions: 4,
        design: Design::default(),
        heartbeat_ms: 400,
        idle_timeout_ms: 0,
        limits: GatewayLimits {
            sessions: 100,
            session_queue_frames: frames,
            rate_per_second: 1_000_000,
            rate_burst: 1_000_000,
            rate_strikes: 10,
            ..GatewayLimits::default()
        },
    }
}

#[derive(Clone, Debug)]
enum Op {
    Connect(usize),
    Disconnect(usize),
    Send(usize, u64),
    Join(u64, u64),
    Leave(u64, u64),
    Execute(u8),
    Answer(usize),
    Event,
    Deliver(u8),
    DeliverTwice,
    DropDeliveries(u8),
    LoseLink,
    Relink,
    LoseQueue,
    Resubscribe,
    Read(usize, u8),
    /// A device answers its pings.
    Pong(usize),
    /// A device reports how far it has got.
    Report(usize),
    Remove(u64),
    Tick(u16),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let readers = 0..(USERS as usize + 1);
    let conversations = 1..=CONVERSATIONS;
    let users = 1..=USERS;
    let op = prop_oneof![
        4 => readers.clone().prop_map(Op::Connect),
        1 => readers.clone().prop_map(Op::Disconnect),
        8 => (readers.clone(), conversations.clone()).prop_map(|(r, c)| Op::Send(r, c)),
        3 => (conversations.clone(), users.clone()).prop_map(|(c, u)| Op::Join(c, u)),
        2 => (conversations.clone(), users).prop_map(|(c, u)| Op::Leave(c, u)),
        12 => (0_u8..20).prop_map(Op::Execute),
        12 => any::<usize>().prop_map(Op::Answer),
        3 => Just(Op::Event),
        8 => (1_u8..6).prop_map(Op::Deliver),
        1 => Just(Op::DeliverTwice),
        1 => (1_u8..4).prop_map(Op::DropDeliveries),
        1 => Just(Op::LoseLink),
        2 => Just(Op::Relink),
        1 => Just(Op::LoseQueue),
        2 => Just(Op::Resubscribe),
        2 => readers.clone().prop_map(Op::Pong),
        2 => readers.clone().prop_map(Op::Report),
        6 => (readers, 1_u8..12).prop_map(|(r, n)| Op::Read(r, n)),
        1 => conversations.prop_map(Op::Remove),
        3 => (1_u16..900).prop_map(Op::Tick),
    ];
    proptest::collection::vec(op, 1..250)
}

struct Model {
    hub: Hub<Shared>,
    world: World,
    readers: Vec<Reader>,
    sent: u64,
}

impl Model {
    fn new(queue_frames: usize) -> Self {
        // User 1 has two devices.
        let readers = (1..=USERS).map(|user| Reader::new(user, 1)).chain([Reader::new(1, 2)]);
        let world = World { subscribed: true, linked: true, ..World::default() };
        let mut model = Self {
            hub: Hub::new(config(queue_frames)),
            world,
            readers: readers.collect(),
            sent: 0,
        };
        for conversation in 1..=CONVERSATIONS {
            for user in 1..=USERS - (conversation - 1) {
                model.join(conversation, user);
            }
        }
        model
    }

    fn join(&mut self, conversation: u64, user: u64) {
        let (conversation, user) = (ConversationId(conversation), UserId(user));
        if self.world.logs.entry(conversation).or_default().joined(user).is_none() {
            self.world.append(conversation, user, ClientMessageId(0), Content::Join { user });
        }
    }

    fn leave(&mut self, conversation: u64, user: u64) {
        let (conversation, user) = (ConversationId(conversation), UserId(user));
        if self.world.logs.entry(conversation).or_default().joined(user).is_some() {
            self.world.append(conversation, user, ClientMessageId(0), Content::Leave { user });
        }
    }

    fn step(&mut self, op: &Op) {
        match *op {
            Op::Connect(reader) => self.connect(reader),
            Op::Disconnect(reader) => self.disconnect(reader),
            Op::Send(reader, conversation) => self.send(reader, conversation),
            Op::Join(conversation, user) => self.join(conversation, user),
            Op::Leave(conversation, user) => self.leave(conversation, user),
            Op::Execute(how) => self.world.execute(match how {
                0 => Mishap::Refused,
                1 => Mishap::AnswerLost,
                2 => Mishap::CallLost,
                19 => Mishap::Later,
                _ => Mishap::None,
            }),
            Op::Answer(which) => self.answer(which),
            Op::Event => {
                if let Some(event) = self.world.events.pop_front() {
                    self.hub.store_event(event);
                }
            }
            Op::Deliver(count) => (0..count).for_each(|_| self.deliver(false)),
            Op::DeliverTwice => self.deliver(true),
            Op::DropDeliveries(count) => {
                for _ in 0..count {
                    self.world.queue.pop_front();
                }
            }
            Op::LoseLink => self.world.lose_link(),
            Op::Relink => self.world.relink(),
            Op::LoseQueue => self.world.lose_queue(),
            Op::Resubscribe => self.resubscribe(),
            Op::Read(reader, count) => {
                for _ in 0..count {
                    self.read(reader);
                }
            }
            Op::Pong(reader) => self.pong(reader),
            Op::Report(reader) => self.report(reader),
            Op::Remove(conversation) => {
                let log = self.world.logs.entry(ConversationId(conversation)).or_default();
                // Retention keeps the newest few.
                log.removed = log.removed.max(log.head().0.saturating_sub(6));
            }
            Op::Tick(ms) => {
                self.world.now_ms += u64::from(ms);
                self.world.tell_heads();
                self.hub.at(self.world.now_ms);
                self.hub.tick(TokenTime::default());
            }
        }
        let calls: Vec<Call> = self.hub.take_calls();
        self.world.calls.extend(calls);
        for item in std::mem::take(&mut self.world.detached) {
            self.check_detached(&item);
        }
    }

    fn connect(&mut self, index: usize) {
        self.disconnect(index);
        let queue = Shared::default();
        let id = self.hub.open(Codec::Binary, queue.clone(), false);
        let reader = &mut self.readers[index];
        let id = id.expect("room for all");
        reader.session = Some((id, queue));
        let token = reader.user.to_string().into();
        let claims = Ok(claims(reader.user));
        let cursors = reader.hello_cursors();
        let hello = Hello { token, device: reader.device, cursors, presence: false, more: false };
        self.hub.hello(id, hello, claims);
    }

    fn disconnect(&mut self, index: usize) {
        if let Some((id, queue)) = &self.readers[index].session {
            queue.borrow_mut().finish();
            self.hub.gone(*id);
        }
        self.readers[index].disconnect();
    }

    fn send(&mut self, index: usize, conversation: u64) {
        let conversation = ConversationId(conversation);
        let reader = &mut self.readers[index];
        let Some((id, _)) = reader.session else { return };
        if !reader.welcomed {
            return;
        }
        self.sent += 1;
        let message = ClientMessageId(self.sent);
        reader.unanswered.insert((conversation, message), self.world.now_ms);
        let body = format!("message {}", self.sent);
        let format = plain_text();
        let send = Send { conversation, client_message_id: message, body, reply_to: None, format };
        self.hub.frame(id, ClientFrame::Send(send), Ok(()));
    }

    fn answer(&mut self, which: usize) {
        if self.world.answers.is_empty() {
            return;
        }
        let answer = self.world.answers.swap_remove(which % self.world.answers.len());
        match answer {
            Answer::LookedUp(call, found) => self.hub.looked_up(&call, found),
            Answer::Attached(call, answers) => self.hub.attached(call, answers),
            Answer::Ranged(call, page) => self.hub.ranged(&call, page),
            Answer::Published(of, confirm) => self.hub.published(of, confirm),
        }
    }

    fn deliver(&mut self, twice: bool) {
        let Some(record) = self.world.queue.pop_front() else { return };
        if twice {
            self.hub.delivery(record.clone());
        }
        self.hub.delivery(record);
    }

    fn resubscribe(&mut self) {
        if !std::mem::replace(&mut self.world.subscribed, true) {
            self.hub.subscribed();
        }
    }

    fn read(&mut self, index: usize) -> Outcome {
        let id = self.readers[index].session.as_ref().map(|(id, _)| *id);
        let outcome = self.readers[index].read(&self.world);
        match outcome {
            Outcome::Hungry => self.hub.room(id.expect("a session")),
            Outcome::Ended(code) => assert!(
                matches!(code, CloseCode::SlowConsumer | CloseCode::Unavailable),
                "closed with {code:?}"
            ),
            Outcome::More | Outcome::Nothing => {}
        }
        outcome
    }

    /// Everything works from now on, for long enough. What is under way arrives in one order or another.
    fn heal(&mut self, first: usize) {
        self.step(&Op::Relink);
        self.step(&Op::Resubscribe);
        for _ in 0..300 {
            for _ in 0..self.world.calls.len() {
                self.step(&Op::Execute(9));
            }
            while !self.world.answers.is_empty() {
                self.step(&Op::Answer(first));
            }
            while !self.world.events.is_empty() {
                self.step(&Op::Event);
            }
            while !self.world.queue.is_empty() {
                self.step(&Op::Deliver(1));
            }
            for index in 0..self.readers.len() {
                while matches!(self.read(index), Outcome::More | Outcome::Hungry) {}
            }
            self.step(&Op::Tick(250));
        }
    }

    /// Everybody who is connected has everything.
    fn check_complete(&self) {
        for reader in self.readers.iter().filter(|reader| reader.session.is_some()) {
            assert!(reader.welcomed, "{:?} was never welcomed", reader.user);
            for (conversation, log) in &self.world.logs {
                let at = reader.streams.get(conversation).copied();
                let due: Option<Sequence> = log.joined(reader.user).map(|_| log.head());
                assert_eq!(at, due, "{:?} in {conversation:?}", reader.user);
            }
            assert!(reader.unanswered.is_empty(), "{:?}", reader.unanswered);
        }
        for (conversation, log) in &self.world.logs {
            let is_here = |user: &UserId| {
                self.readers.iter().any(|it| it.session.is_some() && it.user == *user)
            };
            assert!(log.attached.iter().all(is_here), "{:?} in {conversation:?}", log.attached);
        }
    }
}

fn run(queue_frames: usize, ops: &[Op]) -> Model {
    let mut model = Model::new(queue_frames);
    for op in ops {
        model.step(op);
    }
    model.heal(ops.len());
    model.check_complete();
    model
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn every_session_gets_everything_once_and_in_order(ops in ops()) {
        run(4_096, &ops);
    }

    #[test]
    fn slow_sessions_are_ended_and_nothing_is_skipped(ops in ops()) {
        run(12, &ops);
    }

    #[test]
    fn an_undisturbed_stream_is_complete(sends in proptest::collection::vec((0_usize..5, 1_u64..=3), 1..80)) {
        let mut ops: Vec<Op> = (0..5).map(Op::Connect).collect();
        for (reader, conversation) in sends {
            ops.extend([Op::Execute(9), Op::Answer(0), Op::Read(reader, 9)]);
            ops.extend([Op::Send(reader, conversation), Op::Deliver(3)]);
        }
        let model = run(4_096, &ops);
        // The check saw something: members of conversation 1 are connected and get what is sent.
        let stored: u64 = model.world.logs.values().map(|log| log.head().0).sum();
        let shown: u64 = model.readers.iter().map(|reader| reader.shown).sum();
        prop_assert!(stored == 9 || shown > 0);
    }
}
