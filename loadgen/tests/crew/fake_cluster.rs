//! A whole chat cluster in one lock: correct, in memory, and rude on demand.
//!
//! It knows nothing of nodes, queues and disks. It stands in for the cluster where the behaviour of
//! its clients is tested, over the real WebSocket and HTTP stack.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use link::http_server::{HttpOptions, serve_http};
use link::memory::Memory;
use ports::{Machine, Shutdown};
use protocol::codec::Codec;
use protocol::frames::client::Hello;
use protocol::frames::server::{Accepted, Attached, Detached, Page, Receipts, Rejected, Welcome};
use protocol::frames::subprotocol;
use protocol::frames::trunk::{ClientBatch, ClientTrunk, ServerTrunk};
use protocol::{
    ClientFrame, ClientMessageId, Content, ConversationId, Entry, Epoch, GatewayId, Incarnation,
    NodeNumber, RejectReason, Sequence, ServerFrame, SessionId, UserId,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role};

/// The cluster; clones are the same one.
#[derive(Clone)]
pub struct FakeCluster {
    state: Arc<Mutex<State>>,
    machine: Machine,
}

/// To a connection: a frame for a slot, or the end of the slot's session.
type Outgoing = (u32, Option<ServerFrame>);

#[derive(Default)]
struct State {
    conversations: BTreeMap<ConversationId, Conversation>,
    known: BTreeMap<(UserId, ClientMessageId), Accepted>,
    sessions: BTreeMap<SessionId, Session>,
    next_session: u64,
    faults: bool,
    sends: u64,
}

#[derive(Default)]
struct Conversation {
    entries: Vec<Entry>,
    /// Joined and left, again and again.
    members: BTreeMap<UserId, Vec<(Sequence, Option<Sequence>)>>,
    cursors: BTreeMap<UserId, (Sequence, Sequence)>,
}

struct Session {
    user: UserId,
    slot: u32,
    outgoing: mpsc::UnboundedSender<Outgoing>,
    held: BTreeMap<ConversationId, ClientMessageId>,
}

impl Conversation {
    fn head(&self) -> Sequence {
        Sequence(self.entries.len() as u64)
    }

    fn is_member(&self, user: UserId) -> bool {
        self.latest(user).is_some_and(|(_, left)| left.is_none())
    }

    fn latest(&self, user: UserId) -> Option<(Sequence, Option<Sequence>)> {
        self.members.get(&user)?.last().copied()
    }

    fn visible(&self, user: UserId, after: Sequence) -> impl Iterator<Item = &Entry> {
        let intervals = self.members.get(&user).map_or(&[][..], Vec::as_slice);
        self.entries.iter().filter(move |entry| {
            let within = |(joined, left): &(Sequence, Option<Sequence>)| {
                entry.sequence >= *joined && left.is_none_or(|left| entry.sequence < left)
            };
            entry.sequence > after && intervals.iter().any(within)
        })
    }
}

impl FakeCluster {
    /// Serves at these addresses, until the runtime ends.
    pub async fn start(memory: &Memory, gateways: &[String], faults: bool) -> Self {
        let state = State { faults, ..State::default() };
        let cluster =
            Self { state: Arc::new(Mutex::new(state)), machine: memory.machine("cluster") };
        for gateway in gateways {
            let listener = cluster.machine.network.bind(gateway).await.expect("it is free");
            let (theirs, machine) = (cluster.clone(), cluster.machine.clone());
            let service = tower::service_fn(move |request| {
                let cluster = theirs.clone();
                async move { Ok::<_, Infallible>(cluster.answer(request).await) }
            });
            cluster.machine.spawn("gateway", async move {
                let (_trigger, shutdown) = Shutdown::new();
                serve_http(&machine, listener, service, HttpOptions::default(), shutdown)
                    .await
                    .expect("the listener stands");
            });
        }
        cluster
    }

    /// No more faults.
    pub fn calm(&self) {
        self.state().faults = false;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if request.uri().path() == "/v1/ws" {
            return self.upgrade(request);
        }
        let (head, body) = request.into_parts();
        let body = body.collect().await.expect("it comes whole").to_bytes();
        let path: Vec<&str> = head.uri.path().split('/').skip(1).collect();
        let document = match (&head.method, path.as_slice()) {
            (&Method::POST, ["oauth2", "token"]) => token(&body),
            (&Method::PUT, ["v1", "conversations", id]) => self.create(number(id), &body),
            (method, ["v1", "conversations", id, "members", user]) => {
                self.change(number(id), UserId(number(user)), *method == Method::PUT)
            }
            (&Method::GET, ["v1", "conversations", id, "entries"]) => {
                let query = head.uri.query().unwrap_or("");
                let after = query.split('&').find_map(|pair| pair.strip_prefix("after="));
                self.entries(number(id), number(after.unwrap_or("0")))
            }
            (&Method::GET, ["v1", "conversations", id, "receipts"]) => self.receipts(number(id)),
            (&Method::GET, ["v1", "dead-letters"]) => json!({ "dead_letters": [] }),
            (&Method::GET, ["v1", "queues"]) => json!({ "queues": [] }),
            (&Method::GET, ["v1", "partitions"]) => json!({ "partitions": [] }),
            _ => Value::Null,
        };
        let mut response = Response::new(Full::from(document.to_string()));
        if document.is_null() {
            *response.status_mut() = StatusCode::NOT_FOUND;
        }
        response
    }

    fn create(&self, id: u64, body: &[u8]) -> Value {
        let new: Value = serde_json::from_slice(body).expect("it is JSON");
        let members: Vec<UserId> =
            serde_json::from_value(new["members"].clone()).expect("they are users");
        let mut state = self.state();
        for user in members {
            if !state.conversations.entry(ConversationId(id)).or_default().is_member(user) {
                state.change_member(ConversationId(id), user, true);
            }
        }
        let members: Vec<Value> = state.conversations[&ConversationId(id)]
            .members
            .iter()
            .filter_map(|(user, intervals)| Some((user, intervals.last()?)))
            .map(|(user, (joined, left))| json!({ "user": user, "joined": joined, "left": left }))
            .collect();
        json!({ "id": id, "members": members })
    }

    fn change(&self, id: u64, user: UserId, add: bool) -> Value {
        let sequence = self.state().change_member(ConversationId(id), user, add);
        json!({ "sequence": sequence })
    }

    fn entries(&self, id: u64, after: u64) -> Value {
        let state = self.state();
        let conversation = &state.conversations[&ConversationId(id)];
        let entries: Vec<&Entry> =
            conversation.entries.iter().skip(after as usize).take(50).collect();
        json!({ "entries": entries, "first": 1, "head": conversation.head() })
    }

    fn receipts(&self, id: u64) -> Value {
        let state = self.state();
        let cursors = &state.conversations[&ConversationId(id)].cursors;
        let receipts: Vec<Value> = cursors
            .iter()
            .map(|(user, (delivered, read))| {
                json!({ "user": user, "delivered": delivered, "read": read })
            })
            .collect();
        json!({ "receipts": receipts })
    }

    fn upgrade(&self, mut request: Request<Incoming>) -> Response<Full<Bytes>> {
        let headers = request.headers();
        let key = headers[header::SEC_WEBSOCKET_KEY].as_bytes();
        let protocol = headers[header::SEC_WEBSOCKET_PROTOCOL].clone();
        let response = Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header(header::CONNECTION, "upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_ACCEPT, derive_accept_key(key))
            .header(header::SEC_WEBSOCKET_PROTOCOL, &protocol)
            .body(Full::default())
            .expect("its parts are valid");
        let cluster = self.clone();
        let upgrade = hyper::upgrade::on(&mut request);
        self.machine.spawn("connection", async move {
            let Ok(upgraded) = upgrade.await else { return };
            let io = TokioIo::new(upgraded);
            let socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
            let trunk = protocol.as_bytes() == subprotocol::TRUNK.as_bytes();
            cluster.serve(socket, trunk).await;
        });
        response
    }

    async fn serve<S>(&self, mut socket: WebSocketStream<S>, trunk: bool)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let (outgoing, mut to_send) = mpsc::unbounded_channel::<Outgoing>();
        let mut slots: BTreeMap<u32, SessionId> = BTreeMap::new();
        loop {
            tokio::select! {
                biased;
                message = socket.next() => {
                    let Some(Ok(Message::Binary(bytes))) = message else { break };
                    let batch: ClientBatch = if trunk {
                        postcard::from_bytes(&bytes).expect("it is a batch")
                    } else {
                        vec![ClientTrunk::Frame { slot: 0, frame: bytes }]
                    };
                    for item in batch {
                        self.take(item, &mut slots, &outgoing);
                    }
                }
                Some((slot, frame)) = to_send.recv() => {
                    let ended = frame.is_none();
                    let frame = frame.map(|frame| Bytes::from(Codec::Binary.encode_server(&frame)));
                    let message = match (trunk, frame) {
                        (false, None) => break,
                        (false, Some(frame)) => frame,
                        (true, frame) => {
                            let item = match frame {
                                Some(frame) => ServerTrunk::Frame { slot, frame },
                                None => ServerTrunk::Closed { slot, code: 0 },
                            };
                            postcard::to_stdvec(&vec![item]).expect("lengths are known").into()
                        }
                    };
                    if ended {
                        slots.remove(&slot);
                    }
                    if socket.send(Message::Binary(message)).await.is_err() {
                        break;
                    }
                }
            }
        }
        let mut state = self.state();
        for session in slots.values() {
            state.sessions.remove(session);
        }
    }

    fn take(
        &self,
        item: ClientTrunk,
        slots: &mut BTreeMap<u32, SessionId>,
        outgoing: &mpsc::UnboundedSender<Outgoing>,
    ) {
        match item {
            ClientTrunk::Frame { slot, frame } => {
                let frame = Codec::Binary.decode_client(&frame).expect("clients speak well");
                match (slots.get(&slot), frame) {
                    (None, ClientFrame::Hello(hello)) => {
                        let session = self.state().hello(&hello, slot, outgoing.clone());
                        slots.insert(slot, session);
                    }
                    // The session was ended while this was on its way.
                    (None, _) => {}
                    (Some(session), frame) => self.state().frame(*session, frame),
                }
            }
            ClientTrunk::Close { slot } => {
                if let Some(session) = slots.remove(&slot) {
                    self.state().sessions.remove(&session);
                }
            }
            // The frames of the sessions keep the connection alive in these tests.
            ClientTrunk::Alive | ClientTrunk::Open { .. } => {}
        }
    }
}

fn number(text: &str) -> u64 {
    text.parse().expect("it is a number")
}

/// The access token of a user is the user's number.
fn token(form: &[u8]) -> Value {
    let form = String::from_utf8_lossy(form);
    let user = form.split('&').find_map(|pair| pair.strip_prefix("username="));
    json!({ "access_token": user.unwrap_or("service"), "expires_in": 3_600 })
}

impl State {
    fn hello(
        &mut self,
        hello: &Hello,
        slot: u32,
        outgoing: mpsc::UnboundedSender<Outgoing>,
    ) -> SessionId {
        let (user, device) = (UserId(number(&hello.token)), hello.device);
        self.next_session += 1;
        let id = SessionId(self.next_session);
        let session = Session { user, slot, outgoing, held: BTreeMap::new() };
        self.sessions.insert(id, session);
        self.say(
            id,
            ServerFrame::Welcome(Welcome {
                session: id,
                user,
                device,
                gateway: GatewayId(1),
                incarnation: Incarnation(1),
                heartbeat_ms: 5_000,
                idle_timeout_ms: 12_500,
                conversations: 0,
            }),
        );
        let own: Vec<ConversationId> = self
            .conversations
            .iter()
            .filter(|(_, c)| c.is_member(user))
            .map(|(id, _)| *id)
            .collect();
        for conversation in own {
            let named = hello.cursors.iter().find(|cursor| cursor.conversation == conversation);
            self.attach(id, conversation, named.map(|cursor| cursor.sequence));
        }
        id
    }

    fn attach(&self, id: SessionId, conversation: ConversationId, after: Option<Sequence>) {
        let user = self.sessions[&id].user;
        let log = &self.conversations[&conversation];
        let (joined, _) = log.latest(user).expect("only members attach");
        let head = log.head();
        let from = after.unwrap_or(head).max(Sequence(joined.0 - 1));
        self.say(id, ServerFrame::Attached(Attached { conversation, from, head }));
        for entry in log.visible(user, from) {
            self.say(id, ServerFrame::Entry(entry.clone()));
        }
    }

    fn frame(&mut self, id: SessionId, frame: ClientFrame) {
        match frame {
            ClientFrame::Send(send) => {
                let content = Content::Message { body: send.body, reply_to: send.reply_to };
                self.sequence(id, send.conversation, send.client_message_id, content);
            }
            ClientFrame::Edit(edit) => {
                let content = Content::Edit { target: edit.target, body: edit.body };
                self.sequence(id, edit.conversation, edit.client_message_id, content);
            }
            ClientFrame::Delete(delete) => {
                let content = Content::Delete { target: delete.target };
                self.sequence(id, delete.conversation, delete.client_message_id, content);
            }
            ClientFrame::Receipt(receipt) => {
                let Some(session) = self.sessions.get(&id) else { return };
                let user = session.user;
                let log = self.conversations.get_mut(&receipt.conversation).expect("it exists");
                let (delivered, read) = log.cursors.entry(user).or_default();
                *delivered = receipt.delivered.max(*delivered);
                *read = receipt.read.max(*read);
                let receipts = Receipts {
                    conversation: receipt.conversation,
                    user,
                    delivered: *delivered,
                    read: *read,
                };
                self.tell(receipt.conversation, Some(user), &ServerFrame::Receipts(receipts));
            }
            ClientFrame::Backlog(backlog) => {
                let Some(session) = self.sessions.get(&id) else { return };
                let log = &self.conversations[&backlog.conversation];
                let entries = log.visible(session.user, backlog.after);
                let entries = entries.take(backlog.limit as usize).cloned().collect();
                let (request, conversation) = (backlog.request, backlog.conversation);
                let (first, head) = (Sequence(1), log.head());
                self.say(
                    id,
                    ServerFrame::Page(Page { request, conversation, entries, first, head }),
                );
            }
            ClientFrame::Ping(nonce) => self.say(id, ServerFrame::Pong(nonce)),
            ClientFrame::Hello(_) | ClientFrame::Typing(_) | ClientFrame::Pong(_) => {}
        }
    }

    fn sequence(
        &mut self,
        id: SessionId,
        conversation: ConversationId,
        message: ClientMessageId,
        content: Content,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let user = session.user;
        self.sends += 1;
        let rude = self.faults && self.sends.is_multiple_of(13);
        if session.held.get(&conversation) == Some(&message) {
            session.held.remove(&conversation);
        }
        if rude || session.held.contains_key(&conversation) {
            session.held.entry(conversation).or_insert(message);
            return self.reject(id, conversation, message, RejectReason::Unavailable, 300);
        }
        if !self.conversations[&conversation].is_member(user) {
            return self.reject(id, conversation, message, RejectReason::NotMember, 0);
        }
        let known = self.known.get(&(user, message)).copied();
        let accepted = known.unwrap_or_else(|| {
            let sequence = self.append(conversation, user, message, content);
            Accepted {
                client_message_id: message,
                conversation,
                sequence,
                epoch: Epoch(1),
                owner: NodeNumber(1),
            }
        });
        self.known.insert((user, message), accepted);
        if self.faults && self.sends.is_multiple_of(17) {
            // Durable, but the connection is lost before the answer.
            let session = self.sessions.remove(&id).expect("it was there");
            let _ = session.outgoing.send((session.slot, None));
            return;
        }
        self.say(id, ServerFrame::Accepted(accepted));
    }

    fn reject(
        &self,
        id: SessionId,
        conversation: ConversationId,
        client_message_id: ClientMessageId,
        reason: RejectReason,
        retry_after_ms: u32,
    ) {
        let rejected = Rejected { client_message_id, conversation, reason, retry_after_ms };
        self.say(id, ServerFrame::Rejected(rejected));
    }

    fn change_member(&mut self, id: ConversationId, user: UserId, add: bool) -> Sequence {
        let log = &self.conversations[&id];
        if log.is_member(user) == add {
            let (joined, left) = log.latest(user).unwrap_or_default();
            return left.unwrap_or(joined);
        }
        if add {
            // The member sees its own join.
            let joined = log.head().next();
            let log = self.conversations.get_mut(&id).expect("it exists");
            log.members.entry(user).or_default().push((joined, None));
            let sessions: Vec<SessionId> = self.of_user(user).collect();
            for session in sessions {
                self.attach(session, id, Some(Sequence(joined.0 - 1)));
            }
            self.append(id, user, ClientMessageId(0), Content::Join { user })
        } else {
            let left = log.head().next();
            let log = self.conversations.get_mut(&id).expect("it exists");
            let interval = log.members.get_mut(&user).and_then(|intervals| intervals.last_mut());
            interval.expect("members have joined").1 = Some(left);
            let sequence = self.append(id, user, ClientMessageId(0), Content::Leave { user });
            for session in self.of_user(user) {
                self.say(session, ServerFrame::Detached(Detached { conversation: id }));
            }
            sequence
        }
    }

    fn of_user(&self, user: UserId) -> impl Iterator<Item = SessionId> {
        self.sessions.iter().filter(move |(_, s)| s.user == user).map(|(id, _)| *id)
    }

    fn append(
        &mut self,
        conversation: ConversationId,
        author: UserId,
        client_message_id: ClientMessageId,
        content: Content,
    ) -> Sequence {
        let log = self.conversations.get_mut(&conversation).expect("it exists");
        let sequence = log.head().next();
        let entry = Entry {
            conversation,
            sequence,
            epoch: Epoch(1),
            owner: NodeNumber(1),
            author,
            client_message_id,
            at_ms: 0,
            content,
        };
        log.entries.push(entry.clone());
        self.tell(conversation, None, &ServerFrame::Entry(entry));
        sequence
    }

    /// Tells the members that have a session, but not `except`.
    fn tell(&self, conversation: ConversationId, except: Option<UserId>, frame: &ServerFrame) {
        let log = &self.conversations[&conversation];
        for session in self.sessions.values() {
            if log.is_member(session.user) && Some(session.user) != except {
                let _ = session.outgoing.send((session.slot, Some(frame.clone())));
            }
        }
    }

    fn say(&self, id: SessionId, frame: ServerFrame) {
        if let Some(session) = self.sessions.get(&id) {
            let _ = session.outgoing.send((session.slot, Some(frame)));
        }
    }
}
