//! A session together with its connection, to be polled by the application.
//!
//! A client has no task, timer or channel: whoever owns many of them keeps their timers together
//! (`due`), and polls those whose connection has something to say.

use super::wire::{ConnectError, Wire, WireEvent};
use crate::core::{AccessToken, Event, Output, Session};
use ports::BoxFuture;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// Frames that are taken in one go before others get their turn.
const BURST: usize = 64;

/// Knows where to connect and with which token.
pub trait Dialer: Send {
    /// A wire and an access token. `attempt` counts from 0 over the whole life of the client: stands
    /// for what a load balancer sees. `fresh_token`: the last token was refused. Bounded in time.
    fn dial(
        &self,
        attempt: u32,
        fresh_token: bool,
    ) -> BoxFuture<'static, Result<(Wire, AccessToken), ConnectError>>;

    /// Another access token for the session, which goes on. Bounded in time.
    fn renew(&self) -> BoxFuture<'static, Result<AccessToken, ConnectError>>;
}

type Dialling = BoxFuture<'static, Result<(Wire, AccessToken), ConnectError>>;
type Renewing = BoxFuture<'static, Result<AccessToken, ConnectError>>;

/// Room for what a session puts out, shared by all clients of an owner: idle clients have none.
#[derive(Debug, Default)]
pub struct Outbound {
    outputs: Vec<Output>,
    /// What happened, in order; the application takes it out.
    pub events: Vec<Event>,
}

/// A session and its connection.
pub struct Client<D> {
    session: Session,
    dialer: D,
    link: Link,
    /// Outlives the connection: a refresh token that was sent is spent, whoever hears the answer.
    renewing: Option<Renewing>,
    origin: Instant,
    attempts: u32,
    reading: bool,
}

enum Link {
    None,
    Waiting { until: Instant, fresh_token: bool },
    Dialling(Dialling),
    Up(Wire),
}

/// Why a poll returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polled {
    /// Nothing more is to be had now; the waker was registered.
    Pending,
    /// There may be more at once: poll again when others had their turn.
    Again,
}

impl<D: Dialer> Client<D> {
    /// A client that connects as soon as it is polled.
    pub fn new(session: Session, dialer: D) -> Self {
        let now = Instant::now();
        Self {
            session,
            dialer,
            link: Link::Waiting { until: now, fresh_token: false },
            renewing: None,
            origin: now,
            attempts: 0,
            reading: true,
        }
    }

    /// The session, to look at.
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// Lets the application act on the session: the closure gets the time and the output list. What it
    /// sends goes out with the next poll.
    pub fn act<T>(
        &mut self,
        out: &mut Outbound,
        act: impl FnOnce(&mut Session, u64, &mut Vec<Output>) -> T,
    ) -> T {
        let now_ms = self.now_ms();
        let result = act(&mut self.session, now_ms, &mut out.outputs);
        self.apply(out);
        result
    }

    /// Whether frames are read from the connection. A user who does not read still writes.
    pub const fn set_reading(&mut self, reading: bool) {
        self.reading = reading;
    }

    /// When it wants to be polled, whatever its connection says.
    pub fn due(&self) -> Option<Instant> {
        match &self.link {
            Link::Waiting { until, .. } => Some(*until),
            _ => self.session.due_ms().map(|due_ms| self.origin + Duration::from_millis(due_ms)),
        }
    }

    /// Writes what is in line, takes what has come, looks at the clock, and appends what happened.
    pub fn poll(&mut self, cx: &mut Context<'_>, out: &mut Outbound) -> Polled {
        self.look_at_the_clock(out);
        for _ in 0..BURST {
            let (linked, renewed) = (self.poll_link(cx, out), self.poll_renewing(cx, out));
            if !linked && !renewed {
                return Polled::Pending;
            }
        }
        Polled::Again
    }

    /// Ends the session and appends the last events; what is left is to say goodbye on the wire.
    pub fn stop(mut self, out: &mut Outbound) -> Option<Wire> {
        // The wire is taken first: `Disconnect` would drop it without a goodbye.
        let link = std::mem::replace(&mut self.link, Link::None);
        self.act(out, |session, _, out| session.stop(out));
        match link {
            Link::Up(wire) => Some(wire),
            _ => None,
        }
    }

    /// Whether the connection, or the attempt to get one, had something to say.
    fn poll_link(&mut self, cx: &mut Context<'_>, out: &mut Outbound) -> bool {
        let (polled, now_ms) = match &mut self.link {
            Link::None | Link::Waiting { .. } => return false,
            Link::Dialling(dialling) => {
                let Poll::Ready(dialled) = dialling.as_mut().poll(cx) else { return false };
                self.dialled(dialled, out);
                return true;
            }
            Link::Up(wire) => (wire.poll_next(cx, self.reading), self.now_ms()),
        };
        match polled {
            Poll::Pending => return false,
            Poll::Ready(WireEvent::Frame(frame)) => {
                self.session.frame(now_ms, frame, &mut out.outputs);
            }
            Poll::Ready(WireEvent::Closed(code)) => {
                self.link = Link::None;
                self.session.disconnected(now_ms, code, &mut out.outputs);
            }
        }
        self.apply(out);
        true
    }

    fn dialled(&mut self, dialled: Result<(Wire, AccessToken), ConnectError>, out: &mut Outbound) {
        match dialled {
            Ok((wire, access)) => {
                self.link = Link::Up(wire);
                self.session.connected(self.now_ms(), access, &mut out.outputs);
            }
            Err(error) => {
                tracing::trace!(%error, "no connection");
                self.link = Link::None;
                self.session.connect_failed(&mut out.outputs);
            }
        }
        self.apply(out);
    }

    fn poll_renewing(&mut self, cx: &mut Context<'_>, out: &mut Outbound) -> bool {
        let Some(renewing) = &mut self.renewing else { return false };
        let Poll::Ready(renewed) = renewing.as_mut().poll(cx) else { return false };
        self.renewing = None;
        let now_ms = self.now_ms();
        match renewed {
            Ok(access) => self.session.renewed(now_ms, access, &mut out.outputs),
            Err(error) => {
                tracing::trace!(%error, "no other token");
                self.session.renewal_failed(now_ms);
            }
        }
        self.apply(out);
        true
    }

    fn look_at_the_clock(&mut self, out: &mut Outbound) {
        if self.due().is_none_or(|due| due > Instant::now()) {
            return;
        }
        if let Link::Waiting { fresh_token, .. } = self.link {
            self.link = Link::Dialling(self.dialer.dial(self.attempts, fresh_token));
            self.attempts = self.attempts.wrapping_add(1);
        } else {
            let now_ms = self.now_ms();
            if !self.reading {
                self.session.not_listening(now_ms);
            }
            self.session.tick(now_ms, &mut out.outputs);
        }
        self.apply(out);
    }

    fn apply(&mut self, out: &mut Outbound) {
        for output in out.outputs.drain(..) {
            match output {
                Output::Frame(frame) => {
                    if let Link::Up(wire) = &mut self.link {
                        wire.send(&frame);
                    }
                }
                Output::Event(event) => out.events.push(event),
                // The answer to an earlier question will do.
                Output::Renew if self.renewing.is_some() => {}
                Output::Renew => self.renewing = Some(self.dialer.renew()),
                Output::Disconnect => self.link = Link::None,
                Output::ConnectAfter { delay_ms, fresh_token } => {
                    let until = Instant::now() + Duration::from_millis(delay_ms);
                    self.link = Link::Waiting { until, fresh_token };
                }
            }
        }
    }

    fn now_ms(&self) -> u64 {
        self.origin.elapsed().as_millis() as u64
    }
}
