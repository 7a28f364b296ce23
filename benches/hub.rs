//! The heart of the gateway, without sockets: an entry to all sessions of its conversation, and a
//! `send` on its way to the owner.

use benches::cpu_time::{self, CpuTime};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use gateway::Mailbox;
use gateway::core::outbound::Taken;
use gateway::core::{Call, Hub, HubConfig, TokenTime};
use ports::{Claims, Scopes, TokenError};
use protocol::codec::Codec;
use protocol::frames::client::{Hello, Send, plain_text};
use protocol::frames::server::Accepted;
use protocol::limits::GatewayLimits;
use protocol::records::ToGateway;
use protocol::store_calls::{AttachedAt, AttachedItem, UserConversation};
use protocol::{
    ClientFrame, ClientMessageId, Content, ConversationId, Design, DeviceId, Entry, Epoch,
    GatewayId, Incarnation, NodeNumber, Sequence, SessionId, UserId,
};
use std::sync::Arc;
use std::task::{Context, Waker};

const CONVERSATION: ConversationId = ConversationId(1);
const BODY: &str = "shall we meet at the corner at seven? I shall be a little late, as always";

fn main() {
    let mut criterion = cpu_time::criterion();
    fan_out(&mut criterion);
    send(&mut criterion);
    silence(&mut criterion);
    criterion.final_summary();
}

/// One live entry into the mailboxes of all sessions (half of them in JSON) and out of them again.
fn fan_out(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("hub/fan out");
    for sessions in [2, 100, 1_000] {
        let mut fixture = Fixture::new(sessions);
        group.throughput(Throughput::Elements(sessions));
        group.bench_function(BenchmarkId::from_parameter(sessions), |bencher| {
            let mut next = fixture.head;
            let entries = || {
                next = next.next();
                ToGateway::Entry(entry(next))
            };
            let deliver = |entry| {
                fixture.hub.delivery(entry);
                let frames: u64 = fixture.sessions.iter().map(Member::take_all).sum();
                assert_eq!(frames, sessions, "every session gets the entry");
            };
            bencher.iter_batched(entries, deliver, BatchSize::SmallInput);
            fixture.head = next;
        });
    }
}

/// From a decoded frame to the record for the broker, its confirm, and the owner's answer.
fn send(criterion: &mut Criterion<CpuTime>) {
    let mut fixture = Fixture::new(2);
    let mut message = 0;
    let mut group = criterion.benchmark_group("hub");
    group.throughput(Throughput::Elements(1));
    group.bench_function("send", |bencher| {
        bencher.iter(|| {
            message += 1;
            fixture.send(ClientMessageId(message));
        });
    });
}

/// A second in which nobody says anything: what everybody who is there costs.
fn silence(criterion: &mut Criterion<CpuTime>) {
    const SESSIONS: u64 = 18_000;
    let mut fixture = Fixture::of(&HubConfig { heartbeat_ms: 1 << 40, ..config() }, SESSIONS);
    let mut now_ms = 0;
    let mut group = criterion.benchmark_group("hub/silence");
    group.throughput(Throughput::Elements(SESSIONS));
    group.bench_function(BenchmarkId::from_parameter(SESSIONS), |bencher| {
        bencher.iter(|| {
            for _ in 0..10 {
                now_ms += 100;
                fixture.tick(now_ms);
            }
        });
    });
}

/// A gateway whose sessions are members of one conversation.
struct Fixture {
    hub: Hub<Arc<Mailbox>>,
    sessions: Vec<Member>,
    head: Sequence,
}

struct Member {
    session: SessionId,
    mailbox: Arc<Mailbox>,
}

impl Member {
    /// Takes what waits, as a connection does when it is woken; how many frames it was.
    fn take_all(&self) -> u64 {
        let context = Context::from_waker(Waker::noop());
        let mut frames = 0;
        while let Taken::Frame(_) = self.mailbox.take(&context) {
            frames += 1;
        }
        frames
    }
}

impl Fixture {
    fn new(sessions: u64) -> Self {
        Self::of(&config(), sessions)
    }

    fn of(config: &HubConfig, sessions: u64) -> Self {
        let hub = Hub::new(*config);
        let mut fixture = Self { hub, sessions: Vec::new(), head: Sequence(sessions) };
        for user in 1..=sessions {
            fixture.connect(user);
        }
        fixture.answer_calls();
        for member in &fixture.sessions {
            assert_eq!(member.take_all(), 2, "welcome and attached");
        }
        fixture
    }

    fn connect(&mut self, user: u64) {
        let mailbox = Mailbox::new();
        let codec = if user.is_multiple_of(2) { Codec::Json } else { Codec::Binary };
        let opened = self.hub.open(codec, Arc::clone(&mailbox), false);
        let session = opened.expect("there is room");
        let token = user.to_string();
        let claims = Ok(claims(UserId(user)));
        let hello = Hello {
            token: token.into(),
            device: DeviceId(1),
            cursors: Vec::new(),
            presence: false,
            more: false,
        };
        self.hub.hello(session, hello, claims);
        self.sessions.push(Member { session, mailbox });
    }

    /// Answers as an owner does, until nothing is asked any more.
    fn answer_calls(&mut self) {
        while self.hub.has_calls() {
            for call in self.hub.take_calls() {
                match call {
                    Call::OfUsers(call) => {
                        let of = |user: &UserId| UserConversation {
                            user: *user,
                            conversation: CONVERSATION,
                            joined: Sequence(user.0),
                        };
                        let found = call.users.iter().map(of).collect();
                        self.hub.looked_up(&call, Ok(found));
                    }
                    Call::Attach(call) => {
                        let at = AttachedAt {
                            from: self.head,
                            head: self.head,
                            entries: Vec::new(),
                            epoch: Epoch(1),
                        };
                        let items = call.items();
                        let answers = items.iter().map(|item| AttachedItem {
                            conversation: item.conversation,
                            user: item.user,
                            outcome: Ok(at.clone()),
                        });
                        let answers = answers.collect();
                        self.hub.attached(call, answers);
                    }
                    other => panic!("nobody asked for {other:?}"),
                }
            }
        }
    }

    /// As the shell does.
    fn tick(&mut self, now_ms: u64) {
        self.hub.at(now_ms);
        for session in self.hub.tick(TokenTime { wall_ms: now_ms, revision: 0 }) {
            let token = still_valid(self.hub.claims(session), now_ms);
            assert_eq!(token, Ok(()), "it runs for ever");
        }
    }

    fn send(&mut self, message: ClientMessageId) {
        let from = self.sessions[0].session;
        // A thousand sends a second, and a look at the timers every hundred, as in a busy gateway.
        self.hub.at(message.0);
        if message.0.is_multiple_of(100) {
            self.hub.tick(TokenTime::default());
        }
        let send = Send {
            conversation: CONVERSATION,
            client_message_id: message,
            body: BODY.to_owned(),
            reply_to: None,
            format: plain_text(),
        };
        // As the shell does: tokens have a benchmark of their own.
        let token = still_valid(self.hub.claims(from), message.0);
        self.hub.frame(from, ClientFrame::Send(send), token);
        let calls = self.hub.take_calls();
        let [Call::Publish(call)] = calls.as_slice() else { panic!("one publication: {calls:?}") };
        self.hub.published(call.of, Ok(()));
        let accepted = Accepted {
            client_message_id: message,
            conversation: CONVERSATION,
            sequence: Sequence(message.0),
            epoch: Epoch(1),
            owner: NodeNumber(1),
        };
        self.hub.delivery(ToGateway::Accepted(from, accepted));
        assert_eq!(self.sessions[0].take_all(), 1, "accepted");
    }
}

fn config() -> HubConfig {
    HubConfig {
        gateway: GatewayId(1),
        incarnation: Incarnation(1),
        partitions: 16,
        design: Design::default(),
        // Nobody pings here; heartbeats are not what is measured.
        heartbeat_ms: 0,
        idle_timeout_ms: 0,
        limits: GatewayLimits {
            rate_per_second: 1_000_000,
            rate_burst: 1_000_000,
            ..GatewayLimits::default()
        },
    }
}

fn entry(sequence: Sequence) -> Entry {
    Entry {
        conversation: CONVERSATION,
        sequence,
        epoch: Epoch(1),
        owner: NodeNumber(1),
        author: UserId(1),
        client_message_id: ClientMessageId(sequence.0),
        at_ms: 0,
        content: Content::Message { body: BODY.to_owned(), reply_to: None },
    }
}

fn claims(user: UserId) -> Claims {
    Claims {
        login: None,
        user: Some(user),
        scopes: Scopes::of(["chat"]),
        expires_ms: u64::MAX,
        revocation_epoch: 0,
        signer: None,
    }
}

fn still_valid(claims: Option<&Claims>, now_ms: u64) -> Result<(), TokenError> {
    let expires_ms = claims.map_or(u64::MAX, |claims| claims.expires_ms);
    if now_ms < expires_ms { Ok(()) } else { Err(TokenError::Expired) }
}
