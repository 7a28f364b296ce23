//! The hub's decisions one by one: slow sessions, design choices, time, drain; in `ephemeral`,
//! receipts and typing; in `many`, a user of many conversations; in `rates`, what is too much; in `streams`, who gets what; in `tokens`, who may.

mod ephemeral;
mod many;
mod rates;
mod streams;
mod tokens;

use super::calls::{Call, RangeCall, RangePurpose};
use super::hub_model::world::{Answer, Mishap, World};
use super::hub_model::{Shared, claims, config};
use super::outbound::Taken;
use super::strangers::Address;
use super::timers::RETRY_MS;
use super::{Hub, HubConfig, TokenTime};
use ports::broker::PublishError;
use ports::{CallError, Claims, TokenError};
use protocol::codec::Codec;
use protocol::design::{Attach, ClientHeartbeat, SlowSession, Tokens};
use protocol::frames::client::{Hello, Send, plain_text};
use protocol::frames::server::{ErrorCode, Renewed};
use protocol::{
    ClientFrame, ClientMessageId, CloseCode, Content, ConversationId, DeviceId, RejectReason,
    ServerFrame, SessionId, UserId,
};

const CONVERSATION: ConversationId = ConversationId(1);

/// A hub with an owner at hand.
struct Bench {
    hub: Hub<Shared>,
    world: World,
    now_ms: u64,
    /// What the shell finds out about every token, if it is asked to look.
    tokens: Result<(), TokenError>,
}

#[derive(Clone)]
struct Client {
    id: SessionId,
    queue: Shared,
}

impl Bench {
    /// Users 1 and 2 are members.
    fn new(config: HubConfig) -> Self {
        let mut world = World { subscribed: true, linked: true, ..World::default() };
        for user in [UserId(1), UserId(2)] {
            world.append(CONVERSATION, user, ClientMessageId(0), Content::Join { user });
        }
        Self { hub: Hub::new(config), world, now_ms: 0, tokens: Ok(()) }
    }

    fn connect(&mut self, user: u64) -> Client {
        let queue = Shared::default();
        let id = self.hub.open(Codec::Binary, queue.clone(), false).unwrap();
        let (token, cursors) = (user.to_string().into(), Vec::new());
        let claims = Ok(claims(UserId(user)));
        let hello = Hello { token, device: DeviceId(1), cursors, presence: false, more: false };
        self.hub.hello(id, hello, claims);
        self.work();
        Client { id, queue }
    }

    /// Everything that is due happens.
    fn work(&mut self) {
        loop {
            self.world.calls.extend(self.hub.take_calls());
            let answered = self.world.answers.is_empty();
            if answered && self.world.calls.is_empty() && self.world.queue.is_empty() {
                return;
            }
            self.world.execute(Mishap::None);
            for answer in std::mem::take(&mut self.world.answers) {
                match answer {
                    Answer::LookedUp(call, found) => self.hub.looked_up(&call, found),
                    Answer::Attached(call, answers) => self.hub.attached(call, answers),
                    Answer::Ranged(call, page) => self.hub.ranged(&call, page),
                    Answer::Published(of, confirm) => self.hub.published(of, confirm),
                }
            }
            for record in std::mem::take(&mut self.world.queue) {
                self.hub.delivery(record);
            }
        }
    }

    fn pass(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(100) {
            self.now_ms += 100;
            self.tick();
            self.work();
        }
    }

    fn tick(&mut self) {
        self.hub.at(self.now_ms);
        let revision = u64::from(self.tokens.is_err());
        for id in self.hub.tick(TokenTime { wall_ms: 0, revision }) {
            self.hub.token_failed(id, self.token(id));
        }
    }

    fn say(&mut self, from: &Client, frame: ClientFrame) {
        self.hub.frame(from.id, frame, self.token(from.id));
    }

    fn token(&self, id: SessionId) -> Result<(), TokenError> {
        self.hub.claims(id).map_or(Ok(()), |_| self.tokens)
    }

    fn send(&mut self, from: &Client, message: u64) {
        self.say(
            from,
            ClientFrame::Send(Send {
                conversation: CONVERSATION,
                client_message_id: ClientMessageId(message),
                body: format!("message {message}"),
                reply_to: None,
                format: plain_text(),
            }),
        );
    }
}

impl Client {
    fn hear(&self) -> (Vec<ServerFrame>, Option<CloseCode>) {
        let mut frames = Vec::new();
        loop {
            let taken = self.queue.borrow_mut().take();
            match taken {
                Taken::Frame(frame) => frames.push(Codec::Binary.decode_server(&frame).unwrap()),
                Taken::End(code) => return (frames, Some(code)),
                Taken::Abandoned | Taken::Empty { .. } => return (frames, None),
            }
        }
    }

    fn entries(&self) -> Vec<u64> {
        let entry = |frame: &ServerFrame| match frame {
            ServerFrame::Entry(entry) => Some(entry.sequence.0),
            _ => None,
        };
        self.hear().0.iter().filter_map(entry).collect()
    }

    fn errors(&self) -> Vec<(ErrorCode, String)> {
        let error = |frame| match frame {
            ServerFrame::Error(error) => Some((error.code, error.detail)),
            _ => None,
        };
        self.hear().0.into_iter().filter_map(error).collect()
    }

    fn rejections(&self) -> Vec<(u64, RejectReason)> {
        let rejection = |frame: &ServerFrame| match frame {
            ServerFrame::Rejected(r) => Some((r.client_message_id.0, r.reason)),
            _ => None,
        };
        self.hear().0.iter().filter_map(rejection).collect()
    }
}

#[test]
fn a_full_queue_refuses_the_message_and_those_behind_it() {
    let mut bench = Bench::new(config(1_000));
    let client = bench.connect(1);
    client.hear();
    bench.send(&client, 1);
    bench.send(&client, 2);
    let calls = bench.hub.take_calls();
    let [Call::Publish(call)] = calls.as_slice() else { panic!("one at a time: {calls:?}") };
    bench.hub.published(call.of, Err(PublishError::Full));
    let refused = [(1, RejectReason::Unavailable), (2, RejectReason::Unavailable)];
    assert_eq!(client.rejections(), refused);
}

#[test]
fn an_unknown_outcome_is_published_again_and_never_refused() {
    let mut bench = Bench::new(config(1_000));
    let client = bench.connect(1);
    client.hear();
    bench.send(&client, 1);
    let calls = bench.hub.take_calls();
    let [Call::Publish(call)] = calls.as_slice() else { panic!("{calls:?}") };
    bench.hub.published(call.of, Err(PublishError::Unknown));
    assert_eq!(client.hear(), (Vec::new(), None));
    bench.pass(400);
    assert_eq!(client.entries(), [3]);
}

#[test]
fn a_lost_answer_is_asked_for_again() {
    let mut bench = Bench::new(config(1_000));
    let client = bench.connect(1);
    bench.send(&client, 1);
    bench.world.calls.extend(bench.hub.take_calls());
    bench.world.execute(Mishap::None);
    bench.world.lose_queue();
    bench.work();
    bench.world.subscribed = true;
    client.hear();
    bench.hub.subscribed();
    bench.pass(1_100);
    let frames = client.hear().0;
    assert!(frames.iter().any(|frame| matches!(frame, ServerFrame::Accepted(_))), "{frames:?}");
    assert!(frames.iter().any(|frame| matches!(frame, ServerFrame::Entry(_))), "{frames:?}");
}

#[test]
fn each_policy_for_slow_sessions_does_what_it_says() {
    for (policy, code, kept) in [
        (SlowSession::Disconnect, Some(CloseCode::SlowConsumer), 1),
        (SlowSession::Unbounded, None, 30),
        (SlowSession::DropOldest, None, 10),
    ] {
        let mut config = config(10);
        config.design.slow_session = policy;
        let mut bench = Bench::new(config);
        let (slow, sender) = (bench.connect(2), bench.connect(1));
        slow.hear();
        for message in 1..=30 {
            bench.send(&sender, message);
            bench.work();
            sender.hear();
        }
        let (frames, end) = slow.hear();
        assert_eq!((frames.len(), end), (kept, code), "{policy:?}");
        let resync = matches!(frames[0], ServerFrame::Resync(_));
        assert_eq!(resync, policy == SlowSession::Disconnect);
    }
}

#[test]
fn a_backlog_read_first_misses_what_is_sent_before_the_subscription() {
    for (choice, shown) in [(Attach::Atomic, vec![3, 4]), (Attach::BacklogFirst, vec![4])] {
        let mut config = config(1_000);
        config.design.attach = choice;
        let mut bench = Bench::new(config);
        let client = bench.connect(1);
        // Before the next tick, in which the bad choice subscribes.
        let content = Content::Message { body: "between".to_owned(), reply_to: None };
        bench.world.append(CONVERSATION, UserId(2), ClientMessageId(1), content);
        bench.work();
        bench.pass(200);
        let content = Content::Message { body: "after".to_owned(), reply_to: None };
        bench.world.append(CONVERSATION, UserId(2), ClientMessageId(2), content);
        bench.work();
        assert_eq!(client.entries(), shown, "{choice:?}");
    }
}

#[test]
fn an_owner_that_is_away_is_not_asked_without_end() {
    let mut config = config(1_000);
    config.design.attach = Attach::BacklogFirst;
    let mut bench = Bench::new(config);
    let hello = Hello {
        token: "1".into(),
        device: DeviceId(1),
        cursors: Vec::new(),
        presence: false,
        more: false,
    };
    let id = bench.hub.open(Codec::Binary, Shared::default(), false).unwrap();
    bench.hub.hello(id, hello, Ok(claims(UserId(1))));
    // The user's conversations are known, then the owner is away.
    while !bench.world.answers.iter().any(|answer| matches!(answer, Answer::LookedUp(..))) {
        bench.world.calls.extend(bench.hub.take_calls());
        bench.world.execute(Mishap::None);
    }
    for answer in std::mem::take(&mut bench.world.answers) {
        let Answer::LookedUp(call, found) = answer else { panic!("only a lookup was asked for") };
        bench.hub.looked_up(&call, found);
    }
    let first = bench.hub.take_calls();
    let [Call::Range(range)] = first[..] else { panic!("{first:?}") };
    assert_eq!(range.purpose, RangePurpose::CatchUp(id));
    bench.hub.ranged(&range, Err(CallError::Unavailable));
    assert_eq!(bench.hub.take_calls(), [], "it has said so at once, and would say so again");
    bench.now_ms += RETRY_MS;
    bench.tick();
    assert_eq!(bench.hub.take_calls(), first);
}

#[test]
fn without_heartbeats_silence_is_never_noticed() {
    for (choice, end) in
        [(ClientHeartbeat::On, Some(CloseCode::IdleTimeout)), (ClientHeartbeat::Off, None)]
    {
        let mut config = config(1_000);
        (config.heartbeat_ms, config.idle_timeout_ms) = (1_000, 2_500);
        config.design.client_heartbeat = choice;
        let mut bench = Bench::new(config);
        let client = bench.connect(1);
        bench.pass(4_000);
        let (frames, code) = client.hear();
        assert_eq!(code, end, "{choice:?}");
        let pings = frames.iter().filter(|frame| matches!(frame, ServerFrame::Ping(_))).count();
        assert_eq!(pings > 0, choice == ClientHeartbeat::On);
        let ServerFrame::Welcome(welcome) = &frames[0] else { panic!("{frames:?}") };
        assert_eq!(welcome.heartbeat_ms == 0, choice == ClientHeartbeat::Off);
    }
}

#[test]
fn a_drain_is_spread_and_refuses_newcomers() {
    let mut bench = Bench::new(config(1_000));
    let clients = [bench.connect(1), bench.connect(2)];
    for client in &clients {
        client.hear();
    }
    bench.hub.drain(4_000);
    let told = clients.clone().map(|client| match client.hear().0.as_slice() {
        [ServerFrame::Drain(drain)] => drain.reconnect_after_ms,
        other => panic!("{other:?}"),
    });
    assert_eq!(told, [0, 2_000]);
    let late = Shared::default();
    assert_eq!(bench.hub.open(Codec::Json, late.clone(), false), None);
    let late = Client { id: SessionId(0), queue: late };
    assert_eq!(late.hear().1, Some(CloseCode::Draining));
    for client in &clients {
        bench.pass(2_000);
        assert_eq!(client.hear().1, Some(CloseCode::Draining));
        client.queue.borrow_mut().finish();
    }
    late.queue.borrow_mut().finish();
    assert!(bench.hub.is_empty());
}

#[test]
fn a_thousand_users_who_return_at_once_cost_a_few_calls() {
    let mut config = config(1_000);
    config.limits.sessions = 2_000;
    let mut bench = Bench::new(config);
    let mut lookups = 0;
    for user in 1..=1_000_u64 {
        let id = bench.hub.open(Codec::Binary, Shared::default(), false).unwrap();
        let (token, cursors) = (user.to_string().into(), Vec::new());
        let claims = Ok(claims(UserId(user)));
        let hello = Hello { token, device: DeviceId(1), cursors, presence: false, more: false };
        bench.hub.hello(id, hello, claims);
    }
    for call in bench.hub.take_calls() {
        lookups += usize::from(matches!(call, Call::OfUsers(_)));
        assert!(!matches!(&call, Call::Range(RangeCall { purpose: RangePurpose::Repair(_), .. })));
    }
    assert!((1..=4).contains(&lookups), "{lookups}");
}
