//! What the fake cluster knows and decides: logs, members, sessions, and its rudeness.

use super::{Export, number};
use protocol::frames::client::Hello;
use protocol::frames::server::{
    Accepted, Attached, Detached, ErrorCode, ErrorNotice, Page, Receipts, Rejected, Renewed,
    Welcome,
};
use protocol::{
    ClientFrame, ClientMessageId, Content, ConversationId, Entry, Epoch, GatewayId, Incarnation,
    NodeNumber, RejectReason, Secret, Sequence, ServerFrame, SessionId, UserId,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// To a connection: a frame for a slot, or the end of the slot's session with a close code (0: none).
pub type Outgoing = (u32, Result<ServerFrame, u16>);

const UNAUTHENTICATED: u16 = 4401;

#[derive(Default)]
pub struct State {
    pub conversations: BTreeMap<ConversationId, Conversation>,
    pub known: BTreeMap<(UserId, ClientMessageId), Accepted>,
    pub sessions: BTreeMap<SessionId, Session>,
    pub next_session: u64,
    pub faults: bool,
    pub sends: u64,
    pub backlogs: u64,
    /// Messages in an owner's queue, if there are queues; each look at them finds one less.
    pub waiting: Option<u64>,
    /// Nobody says how much waits.
    pub hides_queues: bool,
    /// The number of the last access token.
    pub tokens: u64,
    /// Up to which number the tokens of a user are revoked.
    pub revoked: BTreeMap<UserId, u64>,
    /// Logins that were ended, by the number of their token.
    pub logged_out: BTreeSet<u64>,
    /// How long an access token is honoured.
    pub tokens_live: Duration,
    /// How exports end.
    pub export: Export,
    /// Exports that were asked for.
    pub exports: u64,
    /// What batches are to be refused for now, once each.
    pub unready: BTreeSet<ConversationId>,
    /// Reads of entries while messages waited.
    pub read_early: u64,
}

#[derive(Default)]
pub struct Conversation {
    pub entries: Vec<Entry>,
    /// Joined and left, again and again.
    pub members: BTreeMap<UserId, Vec<(Sequence, Option<Sequence>)>>,
    pub cursors: BTreeMap<UserId, (Sequence, Sequence)>,
}

pub struct Session {
    pub user: UserId,
    pub token: u64,
    /// Since when it has this token.
    pub since: Instant,
    pub slot: u32,
    pub outgoing: mpsc::UnboundedSender<Outgoing>,
    pub held: BTreeMap<ConversationId, ClientMessageId>,
}

impl Conversation {
    pub fn head(&self) -> Sequence {
        Sequence(self.entries.len() as u64)
    }

    /// Whether a change is one of a message that was withdrawn before.
    fn has_withdrawn(&self, content: &Content) -> bool {
        let (Content::Edit { target, .. } | Content::Delete { target }) = content else {
            return false;
        };
        let withdraws =
            |entry: &Entry| matches!(entry.content, Content::Delete { target: t } if t == *target);
        self.entries.iter().any(withdraws)
    }

    pub fn is_member(&self, user: UserId) -> bool {
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

/// The user and the number of a token of ours.
fn parts(token: &Secret) -> (UserId, u64) {
    let (user, token) = token.expose().split_once('.').expect("it is a token of ours");
    (UserId(number(user)), number(token))
}

impl State {
    pub fn hello(
        &mut self,
        hello: &Hello,
        slot: u32,
        outgoing: mpsc::UnboundedSender<Outgoing>,
    ) -> SessionId {
        let ((user, token), device) = (parts(&hello.token), hello.device);
        self.next_session += 1;
        let id = SessionId(self.next_session);
        let since = Instant::now();
        let session = Session { user, token, since, slot, outgoing, held: BTreeMap::new() };
        self.sessions.insert(id, session);
        if self.is_revoked(id) {
            self.close(id, UNAUTHENTICATED);
            return id;
        }
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

    /// Whether the session's token is honoured no more.
    fn is_revoked(&self, id: SessionId) -> bool {
        self.sessions.get(&id).is_some_and(|session| {
            session.since.elapsed() >= self.tokens_live
                || self.logged_out.contains(&session.token)
                || self.revoked.get(&session.user).is_some_and(|last| session.token <= *last)
        })
    }

    fn close(&mut self, id: SessionId, code: u16) {
        if let Some(session) = self.sessions.remove(&id) {
            let _ = session.outgoing.send((session.slot, Err(code)));
        }
    }

    pub fn frame(&mut self, id: SessionId, frame: ClientFrame) {
        if self.is_revoked(id) {
            if let ClientFrame::Send(send) = &frame {
                let (conversation, message) = (send.conversation, send.client_message_id);
                self.reject(id, conversation, message, RejectReason::Unauthorised, 0);
            }
            return self.close(id, UNAUTHENTICATED);
        }
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
            ClientFrame::Cursors(_) => unreachable!("all cursors fit into `hello`"),
            ClientFrame::Renew(renew) => {
                let (user, token) = parts(&renew.token);
                let session = self.sessions.get_mut(&id).expect("it is not revoked");
                assert_eq!(user, session.user);
                (session.token, session.since) = (token, Instant::now());
                let expires_in_ms = self.tokens_live.as_millis() as u64;
                self.say(id, ServerFrame::Renewed(Renewed { expires_in_ms }));
            }
            ClientFrame::Backlog(backlog) => {
                self.backlogs += 1;
                if self.faults && self.backlogs.is_multiple_of(3) {
                    let detail = format!("backlog {}: no answer from the owner", backlog.request);
                    let notice = ErrorNotice { code: ErrorCode::Unavailable, detail };
                    return self.say(id, ServerFrame::Error(notice));
                }
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
        if known.is_none() && self.conversations[&conversation].has_withdrawn(&content) {
            return self.reject(id, conversation, message, RejectReason::NoSuchMessage, 0);
        }
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
            return self.close(id, 0);
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

    pub fn change_member(&mut self, id: ConversationId, user: UserId, add: bool) -> Sequence {
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
                let _ = session.outgoing.send((session.slot, Ok(frame.clone())));
            }
        }
    }

    fn say(&self, id: SessionId, frame: ServerFrame) {
        if let Some(session) = self.sessions.get(&id) {
            let _ = session.outgoing.send((session.slot, Ok(frame)));
        }
    }
}
