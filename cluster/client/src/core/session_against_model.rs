//! Sessions against a model of the cluster that loses connections, answers and patience at any point.

use super::{AccessToken, Action, ActionKind, Event, Output, Session, Settings};
use proptest::prelude::*;
use protocol::frames::client::Nonce;
use protocol::frames::server::{Accepted, Attached, Rejected, Welcome};
use protocol::{
    ClientFrame, ClientMessageId, Content, ConversationId, DeviceId, Entry, Epoch, GatewayId,
    Incarnation, NodeNumber, RejectReason, Sequence, ServerFrame, SessionId, UserId,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

const CONVERSATIONS: u64 = 2;
const IDLE_TIMEOUT_MS: u64 = 12_500;
/// Twice the idle timeout and a little: so long may a client go on without learning of a refusal, and
/// so long may the last frame that it sent in ignorance be under way.
const HOLD_MS: u64 = 2 * IDLE_TIMEOUT_MS + 1;

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Step {
    Submit(u64),
    /// The newest connection's gateway takes the next frame.
    Take,
    /// It takes the next frame and refuses it for now.
    Refuse,
    /// It takes the next frame, which is sequenced, but the answer is lost.
    TakeWithoutAnswer,
    /// A frame on some earlier connection arrives late.
    TakeLate(usize),
    /// The next frame of the server arrives.
    Deliver,
    Lose,
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..=CONVERSATIONS).prop_map(Step::Submit),
        8 => Just(Step::Take),
        2 => Just(Step::Refuse),
        1 => Just(Step::TakeWithoutAnswer),
        3 => (0_usize..4).prop_map(Step::TakeLate),
        8 => Just(Step::Deliver),
        1 => Just(Step::Lose),
        3 => (1_u64..6_000).prop_map(Step::Pass),
    ]
}

/// One connection with its gateway, which passes on without holes.
#[derive(Default)]
struct Connection {
    /// With the time when each was sent.
    to_server: VecDeque<(u64, ClientFrame)>,
    to_client: VecDeque<ServerFrame>,
    dead: bool,
    /// What was refused, and until when each holds back what comes behind it: a second copy of
    /// something that was answered meanwhile will never come again.
    held: BTreeMap<(ConversationId, ClientMessageId), u64>,
}

struct World {
    session: Session,
    now_ms: u64,
    next_id: u64,
    connect_at_ms: Option<u64>,
    connection: Option<Connection>,
    earlier: Vec<Connection>,
    /// The owners: ids in the order of their sequences.
    log: BTreeMap<ConversationId, Vec<ClientMessageId>>,
    submitted: Vec<(ConversationId, ClientMessageId)>,
    accepted: BTreeMap<(ConversationId, ClientMessageId), Sequence>,
    shown: BTreeMap<ConversationId, Vec<Sequence>>,
    out: Vec<Output>,
}

impl World {
    fn new(seed: u64) -> Self {
        let settings = Settings { window: 4, ..Settings::default() };
        Self {
            session: Session::new(Arc::new(settings), DeviceId(1), seed),
            now_ms: 1,
            next_id: 1,
            connect_at_ms: Some(1),
            connection: None,
            earlier: Vec::new(),
            log: (1..=CONVERSATIONS).map(|id| (ConversationId(id), Vec::new())).collect(),
            submitted: Vec::new(),
            accepted: BTreeMap::new(),
            shown: BTreeMap::new(),
            out: Vec::new(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Submit(conversation) => {
                let (conversation, id) =
                    (ConversationId(conversation), ClientMessageId(self.next_id));
                self.next_id += 1;
                self.submitted.push((conversation, id));
                let kind = ActionKind::Send { body: "x".into(), reply_to: None, format: 1 };
                let action = Action { conversation, id, kind };
                self.session.submit(self.now_ms, action, &mut self.out).expect("it has room");
            }
            Step::Take => self.take(true, false),
            Step::Refuse => self.take(true, true),
            Step::TakeWithoutAnswer => self.take(false, false),
            Step::TakeLate(which) => {
                if !self.earlier.is_empty() {
                    let which = which % self.earlier.len();
                    let mut late = std::mem::take(&mut self.earlier[which]);
                    self.serve(&mut late, false, false);
                    self.earlier[which] = late;
                }
            }
            Step::Deliver => {
                let frame = self.connection.as_mut().and_then(|c| c.to_client.pop_front());
                if let Some(frame) = frame {
                    self.session.frame(self.now_ms, frame, &mut self.out);
                }
            }
            Step::Lose => {
                if let Some(connection) = self.connection.take() {
                    self.earlier.push(connection);
                    self.session.disconnected(self.now_ms, 0, &mut self.out);
                }
            }
            Step::Pass(ms) => self.now_ms += ms,
        }
        self.heal();
    }

    /// Does what the driver would do.
    fn heal(&mut self) {
        loop {
            if self.session.due_ms().is_some_and(|due_ms| due_ms <= self.now_ms) {
                self.session.tick(self.now_ms, &mut self.out);
            }
            if self.connect_at_ms.is_some_and(|at_ms| at_ms <= self.now_ms) {
                self.connect_at_ms = None;
                self.connection = Some(Connection::default());
                self.session.connected(self.now_ms, access("token"), &mut self.out);
            }
            if self.out.is_empty() {
                return;
            }
            for output in std::mem::take(&mut self.out) {
                self.output(output);
            }
        }
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Frame(frame) => {
                self.connection
                    .as_mut()
                    .expect("frames need one")
                    .to_server
                    .push_back((self.now_ms, frame));
            }
            Output::Disconnect => self.earlier.extend(self.connection.take()),
            Output::Renew => panic!("its tokens last"),
            Output::ConnectAfter { delay_ms, .. } => {
                self.connect_at_ms = Some(self.now_ms + delay_ms);
            }
            Output::Event(Event::Accepted(accepted)) => {
                let key = (accepted.conversation, accepted.client_message_id);
                let before = self.accepted.insert(key, accepted.sequence);
                assert!(before.is_none_or(|sequence| sequence == accepted.sequence));
            }
            Output::Event(Event::Shown(entry)) => {
                self.shown.entry(entry.conversation).or_default().push(entry.sequence);
            }
            Output::Event(_) => {}
        }
    }

    fn take(&mut self, answer: bool, refuse: bool) {
        if let Some(mut connection) = self.connection.take() {
            self.serve(&mut connection, answer, refuse);
            self.connection = Some(connection);
        }
    }

    /// A gateway and the owners, in one step.
    fn serve(&mut self, connection: &mut Connection, answer: bool, refuse: bool) {
        let Some((sent_ms, frame)) = connection.to_server.pop_front() else { return };
        if self.now_ms > sent_ms + IDLE_TIMEOUT_MS {
            // Both ends have given up a connection that was stalled for so long.
            connection.dead = true;
        }
        if connection.dead {
            return;
        }
        match frame {
            ClientFrame::Hello(hello) => {
                connection.to_client.push_back(ServerFrame::Welcome(welcome()));
                for cursor in &hello.cursors {
                    let log = &self.log[&cursor.conversation];
                    let (conversation, from) = (cursor.conversation, cursor.sequence);
                    let head = Sequence(log.len() as u64);
                    let attached = Attached { conversation, from, head };
                    connection.to_client.push_back(ServerFrame::Attached(attached));
                    for sequence in from.0 + 1..=head.0 {
                        let entry = entry(conversation, sequence, log[sequence as usize - 1]);
                        connection.to_client.push_back(entry);
                    }
                }
            }
            ClientFrame::Send(send) => {
                let (conversation, id) = (send.conversation, send.client_message_id);
                connection.held.retain(|_, until_ms| *until_ms > self.now_ms);
                let before = (conversation, ClientMessageId(0))..(conversation, id);
                if refuse || connection.held.range(before).next().is_some() {
                    connection.held.insert((conversation, id), self.now_ms + HOLD_MS);
                    connection.to_client.push_back(ServerFrame::Rejected(Rejected {
                        client_message_id: id,
                        conversation,
                        reason: RejectReason::Unavailable,
                        retry_after_ms: 300,
                    }));
                    return;
                }
                connection.held.remove(&(conversation, id));
                let log = self.log.get_mut(&conversation).expect("it exists");
                let at = log.iter().position(|known| *known == id).unwrap_or_else(|| {
                    log.push(id);
                    connection.to_client.push_back(entry(conversation, log.len() as u64, id));
                    log.len() - 1
                });
                if answer {
                    connection.to_client.push_back(ServerFrame::Accepted(Accepted {
                        client_message_id: id,
                        conversation,
                        sequence: Sequence(at as u64 + 1),
                        epoch: Epoch(1),
                        owner: NodeNumber(1),
                    }));
                }
            }
            ClientFrame::Ping(Nonce { nonce }) => {
                connection.to_client.push_back(ServerFrame::Pong(Nonce { nonce }));
            }
            _ => {}
        }
    }

    /// No more faults: everything must be answered within a bounded time.
    fn calm(&mut self) {
        for _ in 0..2_000 {
            for _ in 0..20 {
                self.step(Step::Take);
                self.step(Step::Deliver);
            }
            for which in 0..self.earlier.len() {
                self.step(Step::TakeLate(which));
            }
            if self.session.unanswered().next().is_none() {
                return;
            }
            self.step(Step::Pass(500));
        }
        panic!("unanswered: {:?}", self.session.unanswered().collect::<Vec<_>>());
    }
}

/// A token that lasts.
pub fn access(token: &str) -> AccessToken {
    AccessToken { token: token.into(), renew_in_ms: None }
}

pub fn welcome() -> Welcome {
    Welcome {
        session: SessionId(1),
        user: UserId(1),
        device: DeviceId(1),
        gateway: GatewayId(1),
        incarnation: Incarnation(1),
        heartbeat_ms: 5_000,
        idle_timeout_ms: 12_500,
        conversations: 0,
    }
}

pub fn entry(conversation: ConversationId, sequence: u64, id: ClientMessageId) -> ServerFrame {
    ServerFrame::Entry(Entry {
        conversation,
        sequence: Sequence(sequence),
        epoch: Epoch(1),
        owner: NodeNumber(1),
        author: UserId(1),
        client_message_id: id,
        at_ms: 0,
        content: Content::Message { body: "x".into(), reply_to: None },
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_action_is_accepted_once_and_in_order(
        seed: u64, steps in proptest::collection::vec(step(), 0..300),
    ) {
        let mut world = World::new(seed);
        world.heal();
        for step in steps {
            world.step(step);
        }
        world.calm();
        for (conversation, log) in &world.log {
            let submitted: Vec<_> = world
                .submitted
                .iter()
                .filter(|(at, _)| at == conversation)
                .map(|(_, id)| *id)
                .collect();
            prop_assert_eq!(log, &submitted, "conversation {}", conversation);
        }
        prop_assert_eq!(world.accepted.len(), world.submitted.len());
        for shown in world.shown.values() {
            prop_assert!(shown.windows(2).all(|pair| pair[0] < pair[1]), "{shown:?}");
        }
    }
}
