//! What clients say, and what is wrong with it.

use super::Hub;
use crate::core::outbound::Outlet;
use crate::core::sends::{Sent, named, refuse};
use crate::core::sessions::State;
use ports::{Claims, TokenError};
use protocol::codec::DecodeError;
use protocol::design::Tokens;
use protocol::frames::client::{Hello, Receipt};
use protocol::frames::server::{ErrorCode, Renewed};
use protocol::store_calls::ReceiptItem;
use protocol::{ClientFrame, CloseCode, RejectReason, ServerFrame, SessionId, UserId, limits};

impl<O: Outlet> Hub<O> {
    /// A session's connection is gone, without a word or with one.
    pub fn gone(&mut self, id: SessionId) {
        self.forget(id);
        self.out.outlets.remove(id);
    }

    /// Something came from a session's connection that is no frame (a WebSocket ping or pong). It counts
    /// like one.
    pub fn heard(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        session.heard_ms = self.out.now_ms;
        if session.quota.take(self.out.now_ms, &self.config.limits).is_err() {
            self.strike(id);
            self.conclude();
        }
    }

    /// What a session's token says, if it is to be looked at again and again.
    pub fn claims(&self, id: SessionId) -> Option<&Claims> {
        match self.config.design.tokens {
            Tokens::HelloOnly => None,
            Tokens::Always => self.sessions.get(id)?.claims.as_deref(),
        }
    }

    /// Whether a `hello` is worth a look at its token: it is the first frame of a session, and in bounds.
    pub fn awaits_hello(&mut self, id: SessionId, hello: &Hello) -> bool {
        self.out.counts.frames_in += 1;
        let Some(session) = self.sessions.get(id) else { return false };
        let breach = if session.state != State::Greeting {
            CloseCode::OutOfOrder
        } else if hello.cursors.len() > limits::MAX_CURSORS {
            CloseCode::TooBig
        } else {
            return true;
        };
        self.breach(id, breach);
        false
    }

    /// The first frame of a session that awaits it, with what its token says.
    pub fn hello(&mut self, id: SessionId, hello: Hello, claims: Result<Claims, TokenError>) {
        if let Err(code) = self.greet(id, hello, claims) {
            self.close(id, code);
        }
        self.conclude();
    }

    fn greet(
        &mut self,
        id: SessionId,
        hello: Hello,
        claims: Result<Claims, TokenError>,
    ) -> Result<(), CloseCode> {
        let Some(session) = self.sessions.get_mut(id) else { return Ok(()) };
        debug_assert_eq!(session.state, State::Greeting, "`awaits_hello` was asked");
        let claims = claims.map_err(|error| match error {
            TokenError::NotReady => CloseCode::Unavailable,
            TokenError::Invalid | TokenError::Expired | TokenError::Revoked => {
                CloseCode::Unauthenticated
            }
        })?;
        let user = chatting(&claims).ok_or(CloseCode::Unauthenticated)?;
        session.heard_ms = self.out.now_ms;
        session.state = State::Lookup;
        session.user = user;
        session.device = hello.device;
        session.presence = hello.presence;
        session.claims = Some(Box::new(claims));
        self.strangers.leave(id);
        let most = self.config.limits.user_sessions.into();
        for earlier in self.sessions.greeted(id, (user, hello.device), most) {
            self.close(earlier, CloseCode::Replaced);
        }
        self.handshakes.begin(self.out.now_ms, id, hello.cursors, hello.more);
        Ok(())
    }

    /// Whether a `renew` is worth a look at its token: not before `hello`, and not too often.
    pub fn may_renew(&mut self, id: SessionId) -> bool {
        if self.admit(id, None).is_none() {
            self.conclude();
            return false;
        }
        let now_ms = self.out.now_ms;
        let within = self.sessions.get_mut(id).map(|session| session.quota.renew(now_ms));
        if within == Some(false) {
            let detail = "renew: too often; this one was dropped".to_owned();
            self.out.complain(id, ErrorCode::Unavailable, detail);
            self.conclude();
        }
        within == Some(true)
    }

    /// A session goes on with another token of its user. `wall_ms`: the time by which tokens run out.
    pub fn renew(&mut self, id: SessionId, claims: Result<Claims, TokenError>, wall_ms: u64) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        match claims {
            Ok(claims) if chatting(&claims) == Some(session.user) => {
                let expires_in_ms = claims.expires_ms.saturating_sub(wall_ms);
                session.claims = Some(Box::new(claims));
                self.look_soon(id);
                self.out.say(id, ServerFrame::Renewed(Renewed { expires_in_ms }));
            }
            Ok(_) => {
                let detail = "renew: not a token for this user with the scope chat".to_owned();
                self.out.complain(id, ErrorCode::BadValue, detail);
            }
            Err(error) => {
                let code = match error {
                    TokenError::NotReady => ErrorCode::Unavailable,
                    TokenError::Invalid | TokenError::Expired | TokenError::Revoked => {
                        ErrorCode::BadValue
                    }
                };
                self.out.complain(id, code, format!("renew: {error}"));
            }
        }
        self.conclude();
    }

    /// A frame other than `hello` and `renew`, which have their own methods. `token`: whether the session's is still
    /// honoured; matters to what is published only.
    pub fn frame(&mut self, id: SessionId, frame: ClientFrame, token: Result<(), TokenError>) {
        let Some(user) = self.admit(id, Some(&frame)) else { return self.conclude() };
        match frame {
            ClientFrame::Hello(_) | ClientFrame::Renew(_) => {
                unreachable!("what carries a token has its own method")
            }
            ClientFrame::Send(_) | ClientFrame::Edit(_) | ClientFrame::Delete(_) => {
                self.send(id, user, frame, token);
            }
            ClientFrame::Receipt(receipt) => self.receipt(id, receipt),
            ClientFrame::Typing(typing) => {
                let conversation = typing.conversation;
                if self.streams.reader(id, conversation).is_some() {
                    self.ephemeral.typing(&mut self.out, conversation, user);
                } else {
                    let detail = format!("typing: conversation {conversation} is not attached");
                    self.out.complain(id, ErrorCode::NotAttached, detail);
                }
            }
            ClientFrame::Cursors(more) => {
                if let Err(code) = self.handshakes.go_on(id, more) {
                    self.close(id, code);
                }
            }
            ClientFrame::Backlog(asked) => self.backlogs.ask(&mut self.out, id, user, asked),
            ClientFrame::Ping(nonce) => self.out.say(id, ServerFrame::Pong(nonce)),
            ClientFrame::Pong(nonce) => {
                if self.sessions.get(id).is_some_and(|s| s.is_latest_ping(nonce.nonce)) {
                    self.streams.ponged(id);
                }
            }
        }
        self.conclude();
    }

    /// Bytes that are no frame.
    pub fn undecodable(&mut self, id: SessionId, error: &DecodeError) {
        match error {
            DecodeError::UnknownFrame(kind) => {
                if self.admit(id, None).is_some() {
                    let mut kind: String = kind.chars().take(64).collect();
                    kind.insert_str(0, "unknown frame: ");
                    self.out.complain(id, ErrorCode::UnknownFrame, kind);
                }
            }
            DecodeError::Malformed(_) => self.close(id, CloseCode::Malformed),
        }
        self.conclude();
    }

    /// A client's mistake below the level of frames, or its goodbye.
    pub fn breach(&mut self, id: SessionId, code: CloseCode) {
        self.close(id, code);
        self.conclude();
    }

    /// Whose frame (`None`: of an unknown kind) it is, if it may be looked at: after hello, and not too
    /// often.
    fn admit(&mut self, id: SessionId, frame: Option<&ClientFrame>) -> Option<UserId> {
        self.out.counts.frames_in += 1;
        let session = self.sessions.get_mut(id)?;
        session.heard_ms = self.out.now_ms;
        let within = session.quota.take(self.out.now_ms, &self.config.limits);
        if session.state == State::Greeting {
            self.close(id, CloseCode::OutOfOrder);
            return None;
        }
        let user = session.user;
        let Err(retry_after_ms) = within else { return Some(user) };
        self.strike(id);
        if let Some(key) = frame.and_then(named) {
            self.look_soon(id);
            self.sends.refuse_for_now(&mut self.out, id, key, retry_after_ms);
            return None;
        }
        let dropped = "too many frames per second; this one was dropped";
        let detail = match frame {
            // It has kept the session alive, and its sender will ping again.
            Some(ClientFrame::Ping(_) | ClientFrame::Pong(_)) => return None,
            Some(ClientFrame::Backlog(asked)) => format!("backlog {}: {dropped}", asked.request),
            _ => dropped.to_owned(),
        };
        self.out.complain(id, ErrorCode::Unavailable, detail);
        None
    }

    /// A frame was refused because there are too many; whether the session survived.
    fn strike(&mut self, id: SessionId) -> bool {
        let Some(session) = self.sessions.get_mut(id) else { return false };
        let survives = session.quota.strike(&self.config.limits);
        if !survives {
            self.close(id, CloseCode::RateLimited);
        }
        survives
    }

    fn send(
        &mut self,
        id: SessionId,
        user: UserId,
        frame: ClientFrame,
        token: Result<(), TokenError>,
    ) {
        let Some(key) = named(&frame) else { return };
        if is_refused(token) {
            refuse(&mut self.out, id, key, RejectReason::Unauthorised, 0);
            return self.close(id, CloseCode::Unauthenticated);
        }
        self.look_soon(id);
        match self.sends.send(&mut self.out, id, user, frame) {
            Sent::Taken => {
                if let Some(session) = self.sessions.get_mut(id) {
                    session.quota.forgive();
                }
            }
            Sent::TooMany(wait_ms) => {
                if self.strike(id) {
                    self.sends.refuse_for_now(&mut self.out, id, key, wait_ms);
                }
            }
            Sent::Handled => {}
        }
    }

    /// A session's token was looked at again, and is perhaps no longer honoured.
    pub fn token_failed(&mut self, id: SessionId, token: Result<(), TokenError>) {
        if is_refused(token) {
            self.close(id, CloseCode::Unauthenticated);
        }
        self.conclude();
    }

    fn receipt(&mut self, id: SessionId, receipt: Receipt) {
        match self.streams.reported(id, receipt) {
            Ok(user) => {
                let Receipt { conversation, delivered, read } = receipt;
                let item = ReceiptItem { conversation, user, delivered, read };
                self.ephemeral.receipt(&mut self.out, item);
            }
            Err(notice) => self.out.say(id, ServerFrame::Error(notice)),
        }
    }
}

/// The user who may chat with a token.
fn chatting(claims: &Claims) -> Option<UserId> {
    claims.user.filter(|_| claims.has("chat"))
}

/// Whether a token is certainly not honoured.
const fn is_refused(token: Result<(), TokenError>) -> bool {
    match token {
        Ok(()) | Err(TokenError::NotReady) => false,
        Err(TokenError::Invalid | TokenError::Expired | TokenError::Revoked) => true,
    }
}
