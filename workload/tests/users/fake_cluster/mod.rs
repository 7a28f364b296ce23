//! A whole chat cluster in one lock: correct, in memory, and rude on demand.
//!
//! It knows nothing of nodes, queues and disks. It stands in for the cluster where the behaviour of
//! its clients is tested, over the real WebSocket and HTTP stack. `owners` decides, this file talks.

mod bulk;
mod owners;

pub use bulk::{Export, PARTITIONS};

use bytes::Bytes;
use fakes::Memory;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use link::http_server::{HttpOptions, serve_http};
use owners::{Outgoing, State};
use ports::{Machine, Shutdown};
use protocol::codec::Codec;
use protocol::frames::subprotocol;
use protocol::frames::trunk::{ClientBatch, ClientTrunk, ServerTrunk};
use protocol::{ClientFrame, ConversationId, SessionId, UserId};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role};

/// The cluster; clones are the same one.
#[derive(Clone)]
pub struct FakeCluster {
    state: Arc<Mutex<State>>,
    machine: Machine,
}

impl FakeCluster {
    /// Serves at these addresses, until the runtime ends.
    pub async fn start(memory: &Memory, gateways: &[String], faults: bool) -> Self {
        let tokens_live = Duration::from_hours(1);
        let state = State { faults, tokens_live, ..State::default() };
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

    /// Loses a conversation with everything in it.
    pub fn lose(&self, conversation: ConversationId) {
        self.state().conversations.remove(&conversation);
    }

    /// Gives a conversation an entry beyond its first members: one of them leaves.
    pub fn use_up(&self, conversation: ConversationId) {
        let mut state = self.state();
        let member =
            *state.conversations[&conversation].members.keys().next().expect("it has some");
        state.change_member(conversation, member, false);
    }

    /// Lets messages wait for an owner, until somebody has looked so often.
    pub fn wait_for_looks(&self, looks: u64) {
        self.state().waiting = Some(looks);
    }

    /// From now on nobody says how much waits.
    pub fn hide_queues(&self) {
        self.state().hides_queues = true;
    }

    /// From now on tokens are honoured for so long.
    pub fn tokens_live(&self, lifetime: Duration) {
        self.state().tokens_live = lifetime;
    }

    /// How often entries were read while messages waited, and how many still wait.
    pub fn read_early(&self) -> (u64, u64) {
        let state = self.state();
        (state.read_early, state.waiting.unwrap_or(0))
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
            (&Method::POST, ["oauth2", "token"]) => self.token(&body),
            (&Method::POST, ["oauth2", "users", id, "revoke"]) => {
                let mut state = self.state();
                let last = state.tokens;
                state.revoked.insert(UserId(number(id)), last);
                json!({ "user": number(id), "epoch": 1 })
            }
            (&Method::POST, ["oauth2", "revoke"]) => {
                let token = field(&body, "token").expect("it names one");
                let (_, token) = token.split_once('.').expect("it is one of ours");
                self.state().logged_out.insert(number(token));
                json!({})
            }
            (&Method::POST, ["v1", "conversations:batch"]) => self.create(&body),
            (method, ["v1", "conversations", id, "members", user]) => {
                self.change(number(id), UserId(number(user)), *method == Method::PUT)
            }
            (&Method::GET, ["v1", "partitions", number, "export"]) => {
                return self.export(number, head.uri.query().unwrap_or(""));
            }
            (&Method::GET, ["v1", "dead-letters"]) => json!({ "dead_letters": [] }),
            (&Method::GET, ["v1", "queues"]) => self.queues(),
            (&Method::GET, ["v1", "partitions"]) => {
                json!({ "partitions": [], "total": PARTITIONS })
            }
            _ => Value::Null,
        };
        let mut response = Response::new(Full::from(document.to_string()));
        if document.is_null() {
            *response.status_mut() = StatusCode::NOT_FOUND;
        }
        response
    }

    fn change(&self, id: u64, user: UserId, add: bool) -> Value {
        let sequence = self.state().change_member(ConversationId(id), user, add);
        json!({ "sequence": sequence })
    }

    fn queues(&self) -> Value {
        let mut state = self.state();
        if state.hides_queues {
            return Value::Null;
        }
        let Some(waiting) = &mut state.waiting else { return json!({ "queues": [] }) };
        let found = *waiting;
        *waiting = found.saturating_sub(1);
        json!({ "queues": [
            { "queue": "dead", "messages": 7 },
            { "queue": "inbound-2", "messages": found },
        ] })
    }

    /// An access token names its user and has a number; the number alone is its refresh token.
    fn token(&self, form: &[u8]) -> Value {
        let mut state = self.state();
        state.tokens += 1;
        let number = state.tokens;
        let refreshed = field(form, "refresh_token");
        let user = refreshed.as_ref().and_then(|token| token.split_once('.')).map(|of| of.0.into());
        let user = user.or(field(form, "username")).unwrap_or_else(|| "service".to_owned());
        json!({
            "access_token": format!("{user}.{number}"),
            "refresh_token": format!("{user}.{number}"),
            "expires_in": state.tokens_live.as_secs(),
        })
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
                    let ended = frame.is_err();
                    let frame = frame.map(|frame| Bytes::from(Codec::Binary.encode_server(&frame)));
                    let message = match (trunk, frame) {
                        (false, Err(0)) => break,
                        (false, Err(code)) => {
                            let close = CloseFrame { code: code.into(), reason: "".into() };
                            let _ = socket.close(Some(close)).await;
                            break;
                        }
                        (false, Ok(frame)) => frame,
                        (true, frame) => {
                            let item = match frame {
                                Ok(frame) => ServerTrunk::Frame { slot, frame },
                                Err(code) => ServerTrunk::Closed { slot, code },
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

/// A field of a form.
fn field(form: &[u8], name: &str) -> Option<String> {
    let form = String::from_utf8_lossy(form);
    let pair = form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    pair.map(str::to_owned)
}
