//! A session together with its connection: the loop that an application awaits.

use super::alarm::Alarm;
use super::wire::{ConnectError, Wire, WireEvent};
use crate::core::{AccessToken, Event, Output, Session};
use futures_util::FutureExt;
use ports::BoxFuture;
use std::future::pending;
use std::time::Duration;
use tokio::time::Instant;

/// Frames that are taken in one go before the application gets its turn.
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

/// A session and its connection.
pub struct Client<D> {
    /// The session. Whoever changes it hands the outputs to `apply`.
    session: Session,
    dialer: D,
    link: Link,
    /// Outlives the connection: a refresh token that was sent is spent, whoever hears the answer.
    renewing: Option<Renewing>,
    origin: Instant,
    attempts: u32,
    reading: bool,
    alarm: Alarm,
    outputs: Vec<Output>,
    events: Vec<Event>,
}

enum Link {
    None,
    Waiting { until: Instant, fresh_token: bool },
    Dialling(Dialling),
    Up(Wire),
}

/// What woke a client up.
enum Woken {
    Wire(WireEvent),
    Dialled(Result<(Wire, AccessToken), ConnectError>),
    Renewed(Result<AccessToken, ConnectError>),
    Timer,
}

impl<D: Dialer> Client<D> {
    /// A client that connects as soon as `next` is awaited.
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
            alarm: Alarm::default(),
            outputs: Vec::new(),
            events: Vec::new(),
        }
    }

    /// The session, to look at.
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// Lets the application act on the session: the closure gets the time and the output list.
    pub fn act<T>(&mut self, act: impl FnOnce(&mut Session, u64, &mut Vec<Output>) -> T) -> T {
        let now_ms = self.now_ms();
        let result = act(&mut self.session, now_ms, &mut self.outputs);
        self.apply();
        result
    }

    /// Whether frames are read from the connection. A user who does not read still writes.
    pub const fn set_reading(&mut self, reading: bool) {
        self.reading = reading;
    }

    /// Waits until something happens, and appends the events of it, maybe none. Cancel safe.
    pub async fn next(&mut self, events: &mut Vec<Event>) {
        if self.events.is_empty() {
            let woken = self.wake().await;
            self.woken(woken);
            for _ in 1..BURST {
                let Link::Up(wire) = &mut self.link else { break };
                if !self.reading {
                    break;
                }
                let Some(event) = wire.next(true).now_or_never() else { break };
                self.woken(Woken::Wire(event));
            }
        }
        events.append(&mut self.events);
    }

    /// Ends the session and the connection, and appends the last events.
    pub async fn stop(mut self, events: &mut Vec<Event>) {
        // The wire is taken first: `Disconnect` would drop it without a goodbye.
        let link = std::mem::replace(&mut self.link, Link::None);
        self.act(|session, _, out| session.stop(out));
        events.append(&mut self.events);
        if let Link::Up(wire) = link {
            wire.close().await;
        }
    }

    async fn wake(&mut self) -> Woken {
        let due = match &self.link {
            Link::Waiting { until, .. } => Some(*until),
            _ => self.session.due_ms().map(|due_ms| self.origin + Duration::from_millis(due_ms)),
        };
        let timer = self.alarm.at(due);
        let reading = self.reading;
        let link = async {
            match &mut self.link {
                Link::None | Link::Waiting { .. } => pending().await,
                Link::Dialling(dialling) => Woken::Dialled(dialling.await),
                Link::Up(wire) => Woken::Wire(wire.next(reading).await),
            }
        };
        let renewing = async {
            match &mut self.renewing {
                Some(renewing) => Woken::Renewed(renewing.await),
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            woken = link => woken,
            woken = renewing => woken,
            () = timer => Woken::Timer,
        }
    }

    fn woken(&mut self, woken: Woken) {
        let now_ms = self.now_ms();
        match woken {
            Woken::Wire(WireEvent::Frame(frame)) => {
                self.session.frame(now_ms, frame, &mut self.outputs);
            }
            Woken::Wire(WireEvent::Closed(code)) => {
                self.link = Link::None;
                self.session.disconnected(now_ms, code, &mut self.outputs);
            }
            Woken::Dialled(Ok((wire, access))) => {
                self.link = Link::Up(wire);
                self.session.connected(now_ms, access, &mut self.outputs);
            }
            Woken::Dialled(Err(error)) => {
                tracing::trace!(%error, "no connection");
                self.link = Link::None;
                self.session.connect_failed(&mut self.outputs);
            }
            Woken::Renewed(renewed) => {
                self.renewing = None;
                match renewed {
                    Ok(access) => self.session.renewed(now_ms, access, &mut self.outputs),
                    Err(error) => {
                        tracing::trace!(%error, "no other token");
                        self.session.renewal_failed(now_ms);
                    }
                }
            }
            Woken::Timer => {
                if let Link::Waiting { fresh_token, .. } = self.link {
                    self.link = Link::Dialling(self.dialer.dial(self.attempts, fresh_token));
                    self.attempts = self.attempts.wrapping_add(1);
                } else {
                    if !self.reading {
                        self.session.not_listening(now_ms);
                    }
                    self.session.tick(now_ms, &mut self.outputs);
                }
            }
        }
        self.apply();
    }

    fn apply(&mut self) {
        for output in self.outputs.drain(..) {
            match output {
                Output::Frame(frame) => {
                    if let Link::Up(wire) = &mut self.link {
                        wire.send(&frame);
                    }
                }
                Output::Event(event) => self.events.push(event),
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
