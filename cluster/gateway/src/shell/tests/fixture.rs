//! A whole gateway over a network in memory, with the model's owner behind it, and clients.

use crate::core::hub_model::claims;
use crate::core::hub_model::world::World;
use crate::{GatewayConfig, serve};
use axum::http::Request;
use bytes::Bytes;
use fakes::Memory;
use futures_util::{SinkExt, StreamExt};
use http_body_util::Full;
use link::http::HttpClient;
use ports::broker::{
    BrokerUnavailable, Brokers, Confirms, ConsumeError, ConsumerLost, DeadLetter, DeadLetters,
    Depths, Fanout, FanoutConsumer, FanoutMessage, GatewayLife, Inbound, InboundConsumer,
    InboundOptions, Job, JobConsumer, Jobs, NewDeadLetter, PublishError, Queue,
};
use ports::{
    BoxFuture, CallError, Claims, Conversations, Scopes, Shutdown, ShutdownTrigger, StoreEvent,
    Stream, TokenError, TokenVerifier,
};
use protocol::codec::Codec;
use protocol::frames::subprotocol;
use protocol::records::{decode, encode};
use protocol::store_calls::{
    AttachItem, AttachedItem, ChangeMember, ConversationInfo, CreateConversation,
    CreatedConversation, DetachItem, ExportPage, ExportPlace, PartitionStatus, PushAdvice, PushRef,
    RangePage, RangeQuery, ReceiptItem, UserConversation,
};
use protocol::{
    ClientFrame, ClientMessageId, Content, ConversationId, GatewayId, Incarnation, Partition,
    Sequence, ServerFrame, UserId,
};
use std::future::ready;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

/// The owner and the broker's queue.
#[derive(Default)]
pub struct Behind {
    pub world: Mutex<World>,
    filled: Notify,
}

/// The port for both.
#[derive(Clone)]
pub struct Port(pub Arc<Behind>);

impl Conversations for Port {
    fn announce(&self, _: GatewayId, _: Incarnation) -> mpsc::UnboundedReceiver<StoreEvent> {
        mpsc::unbounded_channel().1
    }
    fn of_users(
        &self,
        users: Vec<UserId>,
    ) -> BoxFuture<'static, Result<Vec<UserConversation>, CallError>> {
        let world = self.0.world.lock().unwrap();
        let found =
            if world.linked { Ok(world.of_users(&users)) } else { Err(CallError::Unavailable) };
        Box::pin(ready(found))
    }
    fn attach(&self, items: Vec<AttachItem>) -> BoxFuture<'static, Vec<AttachedItem>> {
        let mut world = self.0.world.lock().unwrap();
        let answers = items.iter().map(|item| world.attach(item)).collect();
        Box::pin(ready(answers))
    }
    fn detach(&self, _: Vec<DetachItem>) {}
    fn pushes(&self, _: Vec<PushRef>) -> BoxFuture<'static, Vec<(PushRef, PushAdvice)>> {
        unreachable!("notifiers ask this")
    }
    fn range(&self, query: RangeQuery) -> BoxFuture<'static, Result<RangePage, CallError>> {
        Box::pin(ready(Ok(self.0.world.lock().unwrap().range(&query))))
    }
    fn info(
        &self,
        _: ConversationId,
        _: Option<UserId>,
    ) -> BoxFuture<'static, Result<ConversationInfo, CallError>> {
        Box::pin(ready(Err(CallError::Unavailable)))
    }
    fn create(
        &self,
        requests: Vec<CreateConversation>,
    ) -> BoxFuture<'static, Vec<Result<CreatedConversation, CallError>>> {
        Box::pin(ready(vec![Err(CallError::Unavailable); requests.len()]))
    }
    fn change_member(&self, _: ChangeMember) -> BoxFuture<'static, Result<Sequence, CallError>> {
        Box::pin(ready(Err(CallError::Unavailable)))
    }
    fn receipts(&self, _: Vec<ReceiptItem>) {}
    fn cursors(
        &self,
        _: ConversationId,
        _: Option<UserId>,
    ) -> BoxFuture<'static, Result<Vec<ReceiptItem>, CallError>> {
        Box::pin(ready(Err(CallError::Unavailable)))
    }
    fn export(
        &self,
        _: Partition,
        _: ExportPlace,
    ) -> BoxFuture<'static, Result<ExportPage, CallError>> {
        Box::pin(ready(Err(CallError::Unavailable)))
    }
    fn typing(&self, _: ConversationId, _: UserId) {}
    fn status(&self) -> BoxFuture<'static, Vec<PartitionStatus>> {
        Box::pin(ready(Vec::new()))
    }
}

impl Inbound for Port {
    fn publish(&self, batch: Vec<(Partition, Bytes)>) -> BoxFuture<'static, Confirms> {
        let mut world = self.0.world.lock().unwrap();
        let confirms = batch.iter().map(|(_, message)| {
            world.sequence(decode(message).unwrap());
            Ok(())
        });
        let confirms = confirms.collect();
        self.0.filled.notify_one();
        Box::pin(ready(confirms))
    }
    fn consume(
        &self,
        _: Partition,
        _: InboundOptions,
    ) -> BoxFuture<'static, Result<Box<dyn InboundConsumer>, ConsumeError>> {
        unreachable!("owners consume this")
    }
}

impl Fanout for Port {
    fn publish(&self, _: Vec<FanoutMessage>) -> BoxFuture<'static, Result<(), BrokerUnavailable>> {
        unreachable!("owners publish this")
    }
    fn consume(
        &self,
        _: GatewayLife,
        _: u32,
    ) -> BoxFuture<'static, Result<Box<dyn FanoutConsumer>, BrokerUnavailable>> {
        self.0.world.lock().unwrap().subscribed = true;
        let consumer: Box<dyn FanoutConsumer> = Box::new(Consumer(self.0.clone()));
        Box::pin(ready(Ok(consumer)))
    }
}

impl Jobs for Port {
    fn publish(&self, _: Vec<Job>) -> BoxFuture<'static, Confirms> {
        unreachable!("owners publish these")
    }
    fn consume(
        &self,
        _: u16,
        _: u32,
    ) -> BoxFuture<'static, Result<Box<dyn JobConsumer>, BrokerUnavailable>> {
        unreachable!("notifiers consume these")
    }
}

impl DeadLetters for Port {
    fn put(&self, _: NewDeadLetter) -> BoxFuture<'static, Result<(), PublishError>> {
        unreachable!("owners put these")
    }
    fn list(
        &self,
        _: u64,
        _: u32,
    ) -> BoxFuture<'static, Result<Vec<DeadLetter>, BrokerUnavailable>> {
        Box::pin(ready(Err(BrokerUnavailable)))
    }
    fn requeue(&self, _: u64) -> BoxFuture<'static, Result<bool, BrokerUnavailable>> {
        Box::pin(ready(Err(BrokerUnavailable)))
    }
}

impl Depths for Port {
    fn depths(&self) -> BoxFuture<'static, Result<Vec<(Queue, u64)>, BrokerUnavailable>> {
        Box::pin(ready(Err(BrokerUnavailable)))
    }
}

struct Consumer(Arc<Behind>);

impl FanoutConsumer for Consumer {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Bytes>, ConsumerLost>> {
        Box::pin(async {
            loop {
                let records: Vec<_> = self.0.world.lock().unwrap().queue.drain(..).collect();
                if !records.is_empty() {
                    return Ok(records.iter().map(encode).collect());
                }
                self.0.filled.notified().await;
            }
        })
    }
}

/// Honours every token, and counts; the token is the user's number.
#[derive(Default)]
struct Trusting(Arc<AtomicUsize>);

impl TokenVerifier for Trusting {
    fn verify(&self, token: &str, _now_ms: u64) -> Result<Claims, TokenError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        if token == SERVICE {
            let scopes = Scopes::of(["admin"]);
            return Ok(Claims { user: None, scopes, ..claims(UserId(0)) });
        }
        token.parse().map(|user| claims(UserId(user))).map_err(|_| TokenError::Invalid)
    }

    fn still_valid(&self, _claims: &Claims, _now_ms: u64) -> Result<(), TokenError> {
        Ok(())
    }

    fn revision(&self) -> u64 {
        0
    }
}

/// A running gateway.
pub struct Fixture {
    pub memory: Memory,
    pub world: Arc<Behind>,
    pub shutdown: ShutdownTrigger,
    /// How often a token was verified.
    pub verified: Arc<AtomicUsize>,
    pub ended: tokio::sync::oneshot::Receiver<()>,
}

/// The token of a service.
pub const SERVICE: &str = "service";

const AT: &str = "gateway-1:80";

impl Fixture {
    /// Conversation 7 has members 1 and 2.
    pub async fn open(config: GatewayConfig) -> Self {
        let behind = Arc::new(Behind::default());
        behind.world.lock().unwrap().linked = true;
        for user in [UserId(1), UserId(2)] {
            let mut world = behind.world.lock().unwrap();
            let join = Content::Join { user };
            world.append(ConversationId(7), user, ClientMessageId(0), join);
        }
        let world = behind.clone();
        let memory = Memory::default();
        let machine = memory.machine("gateway-1");
        let listener = machine.network.bind(AT).await.unwrap();
        let (shutdown, requested) = Shutdown::new();
        let (end, ended) = tokio::sync::oneshot::channel();
        let port = Arc::new(Port(behind));
        let (brokers, owners) = (Brokers::one(port.clone()), port);
        let (serving, verified) = (machine.clone(), Arc::default());
        let tokens = Arc::new(Trusting(Arc::clone(&verified)));
        machine.spawn("gateway", async move {
            let metrics = Arc::new(String::new);
            let served =
                serve(serving, listener, config, brokers, owners, tokens, metrics, requested);
            served.await.unwrap();
            let _ = end.send(());
        });
        Self { memory, world, shutdown, verified, ended }
    }

    /// The status of a request without a token.
    pub async fn ask(&self, path: &str) -> u16 {
        let request = Request::get(path).body(Full::default()).unwrap();
        let client = HttpClient::new(self.memory.machine("client"));
        client.exchange(AT, request, Duration::from_secs(9)).await.unwrap().status().as_u16()
    }

    /// A connection.
    pub async fn stream(&self) -> Box<dyn Stream> {
        self.memory.machine("client").network.connect(AT).await.unwrap()
    }

    /// A socket with a subprotocol; the status if it is refused.
    pub async fn connect(&self, protocol: Option<&str>) -> Result<Client, u16> {
        let service = (protocol == Some(subprotocol::TRUNK)).then_some(SERVICE);
        self.connect_with(protocol, service).await
    }

    /// The same with an access token in the request.
    pub async fn connect_with(
        &self,
        protocol: Option<&str>,
        token: Option<&str>,
    ) -> Result<Client, u16> {
        let stream = self.stream().await;
        let mut request = format!("ws://{AT}/v1/ws").into_client_request().unwrap();
        if let Some(protocol) = protocol {
            let name = protocol.parse().unwrap();
            request.headers_mut().insert("sec-websocket-protocol", name);
        }
        if let Some(token) = token {
            let bearer = format!("Bearer {token}").parse().unwrap();
            request.headers_mut().insert("authorization", bearer);
        }
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, _)) => {
                let codec = match protocol {
                    Some(subprotocol::JSON) => Codec::Json,
                    _ => Codec::Binary,
                };
                Ok(Client { socket, codec })
            }
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }
}

/// One socket.
pub struct Client {
    pub socket: WebSocketStream<Box<dyn Stream>>,
    pub codec: Codec,
}

impl Client {
    pub async fn say(&mut self, frame: ClientFrame) {
        let bytes = self.codec.encode_client(&frame);
        let message = match self.codec {
            Codec::Json => Message::text(String::from_utf8(bytes).unwrap()),
            Codec::Binary => Message::binary(bytes),
        };
        self.socket.send(message).await.unwrap();
    }

    /// The next frame, or the close code.
    pub async fn hear(&mut self) -> Result<ServerFrame, u16> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Close(frame))) => return Err(frame.unwrap().code.into()),
                Some(Ok(Message::Text(text))) => {
                    return Ok(Codec::Json.decode_server(text.as_bytes()).unwrap());
                }
                Some(Ok(Message::Binary(bytes))) => {
                    return Ok(Codec::Binary.decode_server(&bytes).unwrap());
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(0),
            }
        }
    }

    /// The close code, whatever comes before.
    pub async fn hear_end(&mut self) -> u16 {
        loop {
            if let Err(code) = self.hear().await {
                return code;
            }
        }
    }
}
