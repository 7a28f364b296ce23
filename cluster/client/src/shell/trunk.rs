//! Many sessions on one WebSocket to a gateway, in batched frames; when it is full, on one more.
//!
//! A session that does not take its frames is cut off alone: nobody else on the trunk waits for it.

use super::alarm::Alarm;
use super::handshake::Opened;
use super::inbox::{self, inbox};
use super::socket::{self, PROTOCOL_ERROR, Pump};
use super::wire::{ConnectError, WireEvent};
use bytes::Bytes;
use ports::{BoxFuture, Machine};
use protocol::codec::{Codec, DecodeError};
use protocol::frames::subprotocol;
use protocol::frames::trunk::{ClientBatch, ClientTrunk, ServerBatch, ServerTrunk};
use protocol::{ClientFrame, CloseCode, Secret, limits};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

/// The WebSocket library zeroes this much before every read: more would cost more than it saves.
const READ_BUFFER: usize = 8 * 1024;
/// A batch is closed when it holds this many bytes.
const BATCH_BYTES: usize = limits::MAX_TRUNK_FRAME_BYTES / 4;

/// Gets the access token of the service that opens trunks. Bounded in time.
pub trait ServiceToken: Send + Sync {
    /// A token, to be used at this gateway. `fresh`: the last one was refused.
    fn token(&self, gateway: &str, fresh: bool)
    -> BoxFuture<'static, Result<Secret, ConnectError>>;
}

/// The trunks of one carrier: as many to each gateway as its sessions fill.
pub struct Trunks {
    service: Box<dyn ServiceToken>,
    by_gateway: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<Shared>>>>,
}

#[derive(Default)]
struct Shared {
    trunks: Vec<mpsc::UnboundedSender<Command>>,
    next_slot: u32,
    /// Attempts so far: those who waited for a failed attempt of another session share its failure.
    attempts: u64,
    /// The last token was refused.
    refused: bool,
}

enum Command {
    Open { slot: u32, session: inbox::Sender },
    Frame { slot: u32, frame: Bytes },
    Close { slot: u32 },
}

/// A session's slot.
pub struct TrunkWire {
    slot: u32,
    trunk: mpsc::UnboundedSender<Command>,
    events: inbox::Receiver,
}

impl Trunks {
    pub fn new(service: Box<dyn ServiceToken>) -> Self {
        Self { service, by_gateway: Mutex::default() }
    }

    pub async fn open(&self, machine: &Machine, to: &str) -> Result<TrunkWire, ConnectError> {
        let shared = {
            let mut trunks = self.by_gateway.lock().expect("no holder panics");
            trunks.entry(to.to_owned()).or_default().clone()
        };
        let began = shared.try_lock().map_or(None, |shared| Some(shared.attempts));
        let mut shared = shared.lock().await;
        shared.trunks.retain(|trunk| !trunk.is_closed());
        let trunk = match shared.trunks.iter().find(|trunk| has_room(trunk)).cloned() {
            Some(trunk) => trunk,
            // Somebody else was connecting while we waited, in vain.
            None if began.is_none_or(|began| began != shared.attempts) && shared.attempts > 0 => {
                return Err(ConnectError::NoTrunk { to: to.to_owned() });
            }
            None => {
                shared.attempts += 1;
                let token = self.service.token(to, shared.refused).await?;
                let socket = socket::upgrade(
                    machine,
                    to,
                    subprotocol::TRUNK,
                    Some(token.expose()),
                    (READ_BUFFER, READ_BUFFER),
                );
                let socket = socket.await;
                shared.refused = socket.as_ref().is_err_and(ConnectError::is_unauthorised);
                let socket = socket?;
                let (trunk, commands) = mpsc::unbounded_channel();
                machine.spawn("trunk", Trunk::new(socket, commands).run());
                shared.trunks.push(trunk.clone());
                trunk
            }
        };
        // Slots are never used twice, so a late frame cannot reach a later session.
        shared.next_slot = shared.next_slot.wrapping_add(1);
        let slot = shared.next_slot;
        let (session, events) = inbox();
        if trunk.send(Command::Open { slot, session }).is_err() {
            return Err(ConnectError::NoTrunk { to: to.to_owned() });
        }
        Ok(TrunkWire { slot, trunk, events })
    }
}

/// Whether one more session fits: each holds its trunk, and so does the carrier.
fn has_room(trunk: &mpsc::UnboundedSender<Command>) -> bool {
    trunk.strong_count() <= limits::MAX_TRUNK_SESSIONS
}

impl TrunkWire {
    pub fn send(&mut self, frame: &ClientFrame) {
        let frame = Codec::Binary.encode_client(frame).into();
        // If the trunk is gone, the events end, and that is how the session learns of it.
        let _ = self.trunk.send(Command::Frame { slot: self.slot, frame });
    }

    pub fn poll_next(&mut self, cx: &Context<'_>, reading: bool) -> Poll<WireEvent> {
        if !reading {
            return Poll::Pending;
        }
        self.events.poll_next(cx).map(|event| event.unwrap_or(WireEvent::Closed(0)))
    }
}

impl Drop for TrunkWire {
    fn drop(&mut self) {
        let _ = self.trunk.send(Command::Close { slot: self.slot });
    }
}

/// The task of one trunk.
struct Trunk {
    socket: Pump,
    commands: mpsc::UnboundedReceiver<Command>,
    sessions: BTreeMap<u32, inbox::Sender>,
    heard: Instant,
}

impl Trunk {
    fn new(socket: Opened, commands: mpsc::UnboundedReceiver<Command>) -> Self {
        let socket = Pump::new(socket);
        Self { socket, commands, sessions: BTreeMap::new(), heard: Instant::now() }
    }

    /// Ends with the connection; every session learns of it by the end of its channel.
    async fn run(mut self) {
        let mut alive = tokio::time::interval(limits::CLIENT_HEARTBEAT);
        let mut silence = Alarm::default();
        loop {
            tokio::select! {
                biased;
                payload = poll_fn(|cx| self.socket.poll_next(cx, true)) => {
                    let payload = match payload {
                        Ok(payload) => payload,
                        Err(code) => return self.ends_with(code),
                    };
                    self.heard = Instant::now();
                    if !self.received(&payload) {
                        return self.ends_with(PROTOCOL_ERROR);
                    }
                }
                command = self.commands.recv() => {
                    let Some(first) = command else { return };
                    self.forward(first);
                }
                // With a timer of its own: noticed at a heartbeat, it would be up to one later.
                () = silence.at(Some(self.heard + limits::CLIENT_IDLE_TIMEOUT)) => return,
                _ = alive.tick() => self.write(&vec![ClientTrunk::Alive]),
            }
        }
    }

    /// The sessions hear why, if it is a mistake of either side. What else ends a trunk is its own matter, as its
    /// service's token, or how slowly it is read; for them it is lost.
    fn ends_with(self, code: u16) {
        if CloseCode::blames(code) {
            for session in self.sessions.values() {
                session.send(WireEvent::Closed(code));
            }
        }
    }

    /// Everything that the sessions have said since the last write, in few messages.
    fn forward(&mut self, first: Command) {
        let mut next = Some(first);
        while next.is_some() {
            let (mut batch, mut bytes) = (ClientBatch::new(), 0);
            while let Some(command) = next.take() {
                self.note(command, &mut batch, &mut bytes);
                if bytes < BATCH_BYTES {
                    next = self.commands.try_recv().ok();
                }
            }
            if !batch.is_empty() {
                self.write(&batch);
            }
            next = self.commands.try_recv().ok();
        }
    }

    fn note(&mut self, command: Command, batch: &mut ClientBatch, bytes: &mut usize) {
        match command {
            Command::Open { slot, session } => {
                self.sessions.insert(slot, session);
                batch.push(ClientTrunk::Open { slot });
                let open = self.sessions.len();
                debug_assert!(open <= limits::MAX_TRUNK_SESSIONS, "{open} on one trunk");
            }
            Command::Frame { slot, frame } => {
                if self.sessions.contains_key(&slot) {
                    *bytes += frame.len() + 8;
                    batch.push(ClientTrunk::Frame { slot, frame });
                }
            }
            Command::Close { slot } => {
                if self.sessions.remove(&slot).is_some() {
                    batch.push(ClientTrunk::Close { slot });
                }
            }
        }
    }

    fn write(&mut self, batch: &ClientBatch) {
        let bytes = postcard::to_stdvec(batch).expect("batches have known lengths");
        self.socket.send(Message::Binary(bytes.into()));
    }

    /// Hands out a batch; false if it was none.
    fn received(&mut self, payload: &[u8]) -> bool {
        let Ok(batch) = postcard::from_bytes::<ServerBatch>(payload) else {
            tracing::warn!("malformed trunk batch");
            return false;
        };
        let mut given_up = ClientBatch::new();
        for item in batch {
            let (slot, event) = match &item {
                ServerTrunk::Frame { slot, frame } => match Codec::Binary.decode_server(frame) {
                    Ok(frame) => (*slot, WireEvent::Frame(frame)),
                    // A newer server may say things that are not for us.
                    Err(DecodeError::UnknownFrame(kind)) => {
                        tracing::debug!(kind, "unknown frame on a trunk");
                        continue;
                    }
                    Err(DecodeError::Malformed(error)) => {
                        tracing::warn!(error, slot, "malformed frame on a trunk");
                        (*slot, WireEvent::Closed(PROTOCOL_ERROR))
                    }
                },
                ServerTrunk::Closed { slot, code } => (*slot, WireEvent::Closed(*code)),
                ServerTrunk::Alive => continue,
            };
            let closed = matches!(item, ServerTrunk::Closed { .. });
            let ends = matches!(event, WireEvent::Closed(_));
            let Some(session) = self.sessions.get(&slot) else { continue };
            let taken = session.send(event);
            if (!taken || ends) && !closed {
                given_up.push(ClientTrunk::Close { slot });
            }
            if !taken || ends {
                self.sessions.remove(&slot);
            }
        }
        if !given_up.is_empty() {
            self.write(&given_up);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::SinkExt as _;
    use std::time::Duration;
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::protocol::Role;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
    use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};

    #[test]
    fn a_trunk_has_room_until_its_sessions_fill_it() {
        let (trunk, _commands) = mpsc::unbounded_channel();
        let mut sessions = vec![trunk.clone(); limits::MAX_TRUNK_SESSIONS - 1];
        assert!(has_room(&trunk), "for the last one");
        sessions.push(trunk.clone());
        assert!(!has_room(&trunk), "it is full");
        sessions.pop();
        assert!(has_room(&trunk), "somebody has left");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_trunk_is_given_up_in_time_whenever_it_was_last_heard() {
        for heard_after in [0, 600, 4_999] {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            let ours: Box<dyn ports::Stream> = Box::new(ours);
            let ours = WebSocketStream::from_raw_socket(ours, Role::Client, None).await;
            let mut gateway = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
            let (_sessions, commands) = mpsc::unbounded_channel();
            let gateway = async {
                tokio::time::sleep(Duration::from_millis(heard_after)).await;
                let alive = postcard::to_stdvec(&vec![ServerTrunk::Alive]).unwrap();
                gateway.send(Message::Binary(alive.into())).await.unwrap();
                Instant::now()
            };
            let (heard, ()) = tokio::join!(
                gateway,
                Trunk::new(Opened { socket: ours, is_unread: true }, commands).run()
            );
            assert_eq!(heard.elapsed(), limits::CLIENT_IDLE_TIMEOUT, "{heard_after}");
        }
    }

    /// How the sessions of slots 1 and 2 end if their trunk says this, and is then lost.
    async fn ends(said: Message) -> [Option<WireEvent>; 2] {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let ours: Box<dyn ports::Stream> = Box::new(ours);
        let ours = WebSocketStream::from_raw_socket(ours, Role::Client, None).await;
        let mut gateway = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
        let (sessions, commands) = mpsc::unbounded_channel();
        let events = [1, 2].map(|slot| {
            let (session, events) = inbox();
            sessions
                .send(Command::Open { slot, session })
                .unwrap_or_else(|_| panic!("it is there"));
            events
        });
        let gateway = async {
            gateway.send(said).await.unwrap();
            drop(gateway);
        };
        let mut trunk = Trunk::new(Opened { socket: ours, is_unread: true }, commands);
        // Before anything is read.
        let first = trunk.commands.try_recv().unwrap();
        trunk.forward(first);
        tokio::join!(gateway, trunk.run());
        let next =
            |events: inbox::Receiver| async move { poll_fn(|cx| events.poll_next(cx)).await };
        let [one, two] = events;
        [next(one).await, next(two).await]
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_frame_of_the_protocol_is_no_lost_connection() {
        let batch =
            |items: &ServerBatch| Message::Binary(postcard::to_stdvec(items).unwrap().into());
        let frame = Bytes::from_static(&[0xff; 3]);
        let said = batch(&vec![ServerTrunk::Frame { slot: 2, frame }]);
        let blamed = || Some(WireEvent::Closed(PROTOCOL_ERROR));
        assert_eq!(ends(said).await, [None, blamed()]);
        assert_eq!(ends(Message::Binary(vec![0xff; 20].into())).await, [blamed(), blamed()]);
        let mut raw = Frame::message(vec![0], OpCode::Data(Data::Binary), true);
        raw.header_mut().rsv1 = true;
        assert_eq!(ends(Message::Frame(raw)).await, [blamed(), blamed()]);
        let closed =
            |code: u16| Message::Close(Some(CloseFrame { code: code.into(), reason: "".into() }));
        let told = || Some(WireEvent::Closed(4400));
        assert_eq!(ends(closed(4400)).await, [told(), told()]);
        assert_eq!(ends(closed(4411)).await, [None, None]);
    }
}
