//! Many sessions on one WebSocket: batches in, batches out, one task.
//!
//! Each slot has a mailbox of its own, with the limits of any session. Slots take turns in the
//! outgoing batches, so that a flood for one does not hold up the others.

use super::front::Front;
use super::handshake::WebSocket;
use super::mailbox::{Mailbox, Ready};
use super::socket::{Over, breach, close_message};
use crate::core::outbound::Taken;
use crate::core::trunk::decode;
use bytes::Bytes;
use futures_util::{Sink, Stream};
use ports::Claims;
use protocol::codec::Codec;
use protocol::frames::{ClientTrunk, ServerTrunk};
use protocol::{CloseCode, SessionId, limits};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use tokio_tungstenite::tungstenite::Message;

/// Bytes of frames in one outgoing batch (the last frame may go beyond).
const BATCH_BYTES: usize = 128 * 1024;
/// Frames of one slot in a row.
const SLOT_TURN: usize = 16;
/// Messages that are read in one go before other tasks get their turn.
const TURNS: usize = 16;
/// How often a trunk looks at the time.
pub const BEAT: Duration = Duration::from_millis(500);

/// See the module.
pub struct Trunk {
    front: Arc<Front>,
    socket: WebSocket,
    service: Claims,
    ready: Arc<Ready>,
    /// By number.
    slots: BTreeMap<u32, Slot>,
    beat: Interval,
    heard: Instant,
    pinged: Instant,
    /// Items for the connection as a whole, or for slots without a mailbox.
    items: Vec<ServerTrunk>,
    ping: bool,
    closing: Option<(CloseCode, Instant)>,
    closed: bool,
    /// Nothing more can be read; what is to be said still is.
    deaf: bool,
}

/// A session's slot.
struct Slot {
    /// `None`: the session was refused, and the reason is being written.
    session: Option<SessionId>,
    mailbox: Arc<Mailbox>,
}

impl Trunk {
    /// A fresh trunk, without sessions.
    pub fn new(front: Arc<Front>, socket: WebSocket, service: Claims) -> Self {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let now = Instant::now();
        front.trunk_opened();
        Self {
            front,
            socket,
            service,
            ready: Arc::default(),
            slots: BTreeMap::new(),
            beat,
            heard: now,
            pinged: now,
            items: Vec::new(),
            ping: false,
            closing: None,
            closed: false,
            deaf: false,
        }
    }

    /// The session in a slot, if it is still open.
    fn session(&self, slot: u32) -> Option<SessionId> {
        self.slots.get(&slot).and_then(|slot| slot.session)
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Over>> {
        loop {
            let ready = std::task::ready!(Pin::new(&mut self.socket).poll_ready(context));
            ready.map_err(|_| Over)?;
            let message = if std::mem::take(&mut self.ping) {
                Message::Ping(Bytes::new())
            } else {
                let batch = self.next_batch(context);
                match self.closing {
                    _ if !batch.is_empty() => {
                        let bytes = postcard::to_stdvec(&batch).map_err(|_| Over)?;
                        Message::Binary(bytes.into())
                    }
                    Some((code, _)) if !self.closed => {
                        self.closed = true;
                        close_message(code)
                    }
                    _ => {
                        let flushed = Pin::new(&mut self.socket).poll_flush(context);
                        return flushed.map_err(|_| Over);
                    }
                }
            };
            Pin::new(&mut self.socket).start_send(message).map_err(|_| Over)?;
        }
    }

    /// What the slots have, in turns. Nothing goes out behind the close frame.
    fn next_batch(&mut self, context: &Context<'_>) -> Vec<ServerTrunk> {
        if self.closed {
            return Vec::new();
        }
        let mut batch = std::mem::take(&mut self.items);
        let mut bytes = 0;
        while bytes < BATCH_BYTES
            && let Some(number) = self.ready.next(context)
        {
            let Some(slot) = self.slots.get(&number) else { continue };
            let mailbox = slot.mailbox.clone();
            let mut turn = 0;
            loop {
                if turn >= SLOT_TURN || bytes >= BATCH_BYTES {
                    self.ready.announce(number);
                    break;
                }
                match mailbox.take(context) {
                    Taken::Frame(frame) => {
                        turn += 1;
                        bytes += frame.len();
                        batch.push(ServerTrunk::Frame { slot: number, frame });
                    }
                    Taken::End(code) => {
                        self.drop_slot(number);
                        batch.push(ServerTrunk::Closed { slot: number, code: code.code() });
                        break;
                    }
                    Taken::Abandoned => {
                        let code = CloseCode::SlowConsumer.code();
                        self.drop_slot(number);
                        batch.push(ServerTrunk::Closed { slot: number, code });
                        break;
                    }
                    Taken::Empty { hungry: true } => {
                        if let Some(session) = self.session(number) {
                            self.front.with(|hub| hub.room(session));
                        }
                    }
                    Taken::Empty { hungry: false } => break,
                }
            }
        }
        batch
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Over>> {
        if self.deaf {
            return Poll::Pending;
        }
        let received = std::task::ready!(Pin::new(&mut self.socket).poll_next(context));
        if self.closing.is_some() {
            // Only the end of the connection matters now.
            return match received {
                Some(Ok(_)) => Poll::Ready(Ok(())),
                Some(Err(_)) if !self.closed => {
                    self.deaf = true;
                    Poll::Ready(Ok(()))
                }
                Some(Err(_)) | None => Poll::Ready(Err(Over)),
            };
        }
        self.heard = Instant::now();
        match received {
            Some(Ok(Message::Binary(bytes))) => match decode(&bytes) {
                Ok(items) => items.into_iter().for_each(|item| self.receive(item)),
                Err(_) => self.close(CloseCode::Malformed),
            },
            Some(Ok(Message::Text(_))) => self.close(CloseCode::Malformed),
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                let code = breach(&error).ok_or(Over)?;
                self.deaf = true;
                self.close(code);
            }
            None => return Poll::Ready(Err(Over)),
        }
        Poll::Ready(Ok(()))
    }

    fn receive(&mut self, item: ClientTrunk) {
        match item {
            ClientTrunk::Open { slot } => self.open(slot),
            ClientTrunk::Frame { slot, frame } => {
                // A slot that was closed a moment ago: the client has not heard of it yet.
                let Some(session) = self.session(slot) else { return };
                if frame.len() > limits::MAX_FRAME_BYTES {
                    self.front.with(|hub| hub.breach(session, CloseCode::TooBig));
                } else {
                    self.front.received(session, Codec::Binary, &frame);
                }
            }
            ClientTrunk::Close { slot } => self.drop_slot(slot),
            ClientTrunk::Alive => {
                // One answer per batch is enough.
                if !self.items.contains(&ServerTrunk::Alive) {
                    self.items.push(ServerTrunk::Alive);
                }
            }
        }
    }

    /// A session in a slot. Opening a slot that is in use ends the session in it, as if the client
    /// had closed it first.
    fn open(&mut self, number: u32) {
        self.drop_slot(number);
        if self.slots.len() >= limits::MAX_TRUNK_SESSIONS {
            let code = CloseCode::Full.code();
            return self.items.push(ServerTrunk::Closed { slot: number, code });
        }
        let mailbox = Mailbox::on_trunk(self.ready.clone(), number);
        let session = self.front.with(|hub| hub.open(Codec::Binary, mailbox.clone(), true));
        self.slots.insert(number, Slot { session, mailbox });
    }

    fn drop_slot(&mut self, number: u32) {
        if let Some(slot) = self.slots.remove(&number) {
            slot.mailbox.finish();
            if let Some(session) = slot.session {
                self.front.gone(session);
            }
        }
    }

    /// Ends the whole connection: every session on it learns why.
    fn close(&mut self, code: CloseCode) {
        let linger = Duration::from_millis(crate::core::LINGER_MS);
        self.closing = Some((code, Instant::now() + linger));
        for slot in self.slots.values() {
            if let Some(session) = slot.session {
                self.front.with(|hub| hub.breach(session, code));
            }
        }
    }

    /// Time passes: silence, drain, the end of patience.
    fn look_at_time(&mut self) -> Result<(), Over> {
        let now = Instant::now();
        if let Some((_, deadline)) = self.closing {
            return if now >= deadline { Err(Over) } else { Ok(()) };
        }
        let silence = now - self.heard;
        let (heartbeat, timeout) = (self.front.trunk_heartbeat, self.front.trunk_idle_timeout);
        if !timeout.is_zero() && silence >= timeout {
            self.close(CloseCode::IdleTimeout);
        } else if !heartbeat.is_zero() && silence >= heartbeat && now >= self.pinged + heartbeat {
            self.pinged = now;
            self.ping = true;
            self.items.push(ServerTrunk::Alive);
        }
        if self.front.is_revoked(&self.service) {
            self.close(CloseCode::Unauthenticated);
        } else if self.front.is_draining() && self.slots.is_empty() {
            self.close(CloseCode::Draining);
        }
        Ok(())
    }
}

impl Future for Trunk {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        while self.beat.poll_tick(context).is_ready() {
            if self.look_at_time().is_err() {
                return Poll::Ready(());
            }
        }
        let mut read_all = false;
        for _ in 0..TURNS {
            match self.poll_read(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(Over)) => return Poll::Ready(()),
                Poll::Pending => {
                    read_all = true;
                    break;
                }
            }
        }
        if let Poll::Ready(Err(Over)) = self.poll_write(context) {
            return Poll::Ready(());
        }
        if !read_all {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Drop for Trunk {
    fn drop(&mut self) {
        for (_, slot) in std::mem::take(&mut self.slots) {
            slot.mailbox.finish();
            if let Some(session) = slot.session {
                self.front.gone(session);
            }
        }
        self.front.trunk_ended();
    }
}
