//! Conversations on this gateway: each with its stream, and which sessions read it from where.
//!
//! Nothing durable depends on the gateway's queue. Whenever something may have been lost on the way,
//! every attachment is made again; the owner's head then shows which streams lack entries, and those
//! are read from the store. `attaching` and `catching_up` hold what follows from the owners' answers;
//! `stream` decides for one conversation.

mod arrivals;
mod attaching;
mod attachments;
mod authors;
mod catching_up;
mod departed;
mod member_cursors;
mod reader;
mod rules;
mod stream;
mod subscriber;

use super::calls::Call;
use super::config::HubConfig;
use super::effects::Effects;
use super::encoded::Encoded;
use super::outbound::Outlet;
use super::sessions::{Lingering, Sessions};
use super::slab::Slots;
use super::timers::Timer;
use attachments::{Attachments, Known};
use departed::Departed;
use member_cursors::Raised;
use protocol::design::{Attach, Receipts};
use protocol::frames::server::{Detached, Receipts as Told};
use protocol::store_calls::{Head, UserConversation};
use protocol::{ConversationId, Entry, Sequence, ServerFrame, SessionId, UserId};
use reader::Reader;
use std::collections::BTreeMap;
use stream::{Follow, Stream};
pub use subscriber::Behind;
use subscriber::{Expelled, Phase, Reading, Subscriber};

/// How long entries that are known to exist may be on their way before they are read from the store,
/// milliseconds.
const PATIENCE_MS: u64 = 1_000;

/// See the module.
#[derive(Debug)]
pub struct Streams {
    config: HubConfig,
    by_conversation: BTreeMap<ConversationId, Stream>,
    readers: Slots<Box<Reader>>,
    attachments: Attachments,
    departed: Departed,
    /// So many were asked for.
    repairs: u64,
}

impl Streams {
    /// No conversations.
    pub fn new(config: &HubConfig) -> Self {
        Self {
            by_conversation: BTreeMap::new(),
            readers: Slots::default(),
            attachments: Attachments::new(&config.limits),
            departed: Departed::new(config.limits.departures),
            repairs: 0,
            config: *config,
        }
    }

    /// A session is welcomed. `left`: cursors of conversations that its user has left.
    pub fn open(
        &mut self,
        id: SessionId,
        user: UserId,
        presence: bool,
        left: Vec<(ConversationId, Sequence)>,
    ) {
        let (conversations, pages) = (Vec::new(), 0);
        self.readers.set(id, Box::new(Reader { user, presence, conversations, left, pages }));
    }

    /// A session is gone; what had arrived in its conversations.
    pub fn close(&mut self, id: SessionId) -> Vec<Lingering> {
        let Some(reader) = self.readers.remove(id) else { return Vec::new() };
        self.attachments.gone(id);
        let mut lingering = Vec::with_capacity(reader.conversations.len());
        for conversation in reader.conversations {
            let subscriber = self.leave(id, conversation);
            lingering.extend(subscriber.map(|subscriber| (conversation, subscriber.arrived)));
        }
        lingering
    }

    /// Ends a session's subscription, and the stream if it was the last one.
    fn leave(&mut self, id: SessionId, conversation: ConversationId) -> Option<Subscriber> {
        let stream = self.by_conversation.get_mut(&conversation)?;
        let subscriber = stream.remove(id);
        if stream.subscribers.is_empty() {
            self.by_conversation.remove(&conversation);
        }
        subscriber
    }

    /// A session's subscription ends without a word: it was never told of it, or was told of its end
    /// already.
    fn leave_quietly(&mut self, id: SessionId, conversation: ConversationId) {
        if let Some(reader) = self.readers.get_mut(id) {
            reader.conversations.retain(|other| *other != conversation);
        }
        self.leave(id, conversation);
    }

    fn stream(&mut self, conversation: ConversationId) -> &mut Stream {
        let Self { config, by_conversation, .. } = self;
        let new = || Stream::new(conversation, config.design.into(), &config.limits);
        by_conversation.entry(conversation).or_insert_with(new)
    }

    /// Subscribes a session to a conversation, to be attached there. If it subscribes already, this changes
    /// nothing.
    pub fn enter<O: Outlet>(
        &mut self,
        out: &mut Effects<O>,
        id: SessionId,
        conversation: ConversationId,
        behind: Behind,
    ) {
        let Some(reader) = self.readers.get(id) else { return };
        let user = reader.user;
        // The pages behind that sequence tell what is for the user, be there several memberships between.
        let left = reader.place(conversation).map(|place| reader.left[place].1);
        let behind = left.map_or(behind, |at| Behind::Cursor(Some(at)));
        let after = behind.sequence();
        let atomic = self.config.design.attach == Attach::Atomic;
        let phase =
            if atomic { Phase::Attaching { behind, again: None } } else { Phase::BacklogFirst };
        let stream = self.stream(conversation);
        if !stream.add(id, user, phase) {
            return;
        }
        if !atomic && let Some(subscriber) = stream.subscriber_mut(id) {
            // From the head: a page behind everything has no entries, but tells the head.
            subscriber.at = after.unwrap_or(Sequence(u64::MAX - 1));
        }
        if let Some(reader) = self.readers.get_mut(id) {
            reader.conversations.push(conversation);
        }
        self.departed.back(user, conversation);
        if atomic {
            self.attachments.wish(id, user, conversation, after);
        } else {
            self.catch_up(out, id, conversation);
        }
    }

    /// The user of a welcomed session joined a conversation.
    pub fn joined<O: Outlet>(
        &mut self,
        out: &mut Effects<O>,
        id: SessionId,
        joined: UserConversation,
    ) {
        let UserConversation { conversation, joined: at, .. } = joined;
        let stream = self.stream(conversation);
        let Some(subscriber) = stream.subscriber_mut(id) else {
            return self.enter(out, id, conversation, Behind::Joining(at.before()));
        };
        match &mut subscriber.phase {
            Phase::Attaching { again, .. } => *again = (*again).max(Some(at.before())),
            Phase::Streaming => {
                // Either the subscriber is behind this, and meets the earlier departure in order, or it
                // knows. A stream that lacks entries without knowing it learns it here.
                stream.known = stream.known.max(at);
                if stream.is_behind() {
                    out.timers.set(out.now_ms + PATIENCE_MS, Timer::Repair(conversation));
                }
            }
            Phase::BacklogFirst | Phase::SubscribingLate => {}
        }
    }

    /// An entry came from its owner.
    pub fn entry<O: Outlet>(&mut self, out: &mut Effects<O>, entry: Entry) {
        let conversation = entry.conversation;
        if let Some(stream) = self.by_conversation.get_mut(&conversation) {
            let mut follow = Vec::new();
            stream.arrived(entry, out, &mut follow);
            self.follow(out, conversation, follow);
        }
    }

    /// Does what entries asked for.
    fn follow<O: Outlet>(
        &mut self,
        out: &mut Effects<O>,
        conversation: ConversationId,
        follow: Vec<Follow>,
    ) {
        for next in follow {
            match next {
                Follow::Left { session, at } => self.left(out, session, conversation, at),
                Follow::Joined { user, at } => {
                    out.joined.push(UserConversation { user, conversation, joined: at });
                }
                Follow::CatchUp { session } => self.catch_up(out, session, conversation),
                Follow::Repair => self.repair(out, conversation),
            }
        }
    }

    /// A session's user left the conversation behind `at`. The user may be a member again already:
    /// the owner is asked, since its word of that may have come before this stream got here.
    fn left<O: Outlet>(
        &mut self,
        out: &mut Effects<O>,
        id: SessionId,
        conversation: ConversationId,
        at: Sequence,
    ) {
        let stream = self.by_conversation.get_mut(&conversation);
        let Some(subscriber) = stream.and_then(|stream| stream.subscriber_mut(id)) else { return };
        if subscriber.phase == Phase::SubscribingLate
            || matches!(subscriber.phase, Phase::Attaching { .. })
        {
            return;
        }
        let behind = Behind::Cursor(Some(at));
        subscriber.phase = Phase::Attaching { behind, again: None };
        subscriber.left = None;
        subscriber.reading = Reading::Not;
        subscriber.expelled = Expelled::No;
        if std::mem::replace(&mut subscriber.told, false) {
            out.say(id, ServerFrame::Detached(Detached { conversation }));
        }
        let Some(reader) = self.readers.get_mut(id) else { return };
        reader.goes_on_behind(conversation, at);
        self.attachments.wish(id, reader.user, conversation, Some(at));
    }

    /// Something may have been lost on the way: every attachment is made again.
    pub fn refresh_all(&mut self) {
        self.attachments.lost();
        for (conversation, stream) in &self.by_conversation {
            for subscriber in
                stream.subscribers.iter().filter(|subscriber| subscriber.phase == Phase::Streaming)
            {
                self.attachments.refresh(*conversation, subscriber.user);
            }
        }
    }

    /// How far logs go, as their owners say. What is missing may still be on its way.
    pub fn heads<O: Outlet>(&mut self, out: &mut Effects<O>, heads: Vec<Head>) {
        for Head { conversation, sequence } in heads {
            let Some(stream) = self.by_conversation.get_mut(&conversation) else { continue };
            stream.known = stream.known.max(sequence);
            if stream.is_behind() {
                out.timers.set(out.now_ms + PATIENCE_MS, Timer::Repair(conversation));
            }
        }
    }

    /// Asks again for an attachment that was not made again, if somebody still needs it.
    pub fn refresh(&mut self, conversation: ConversationId, user: UserId) {
        let is_needed = |subscriber: &Subscriber| {
            subscriber.user == user && subscriber.phase == Phase::Streaming
        };
        let stream = self.by_conversation.get(&conversation);
        if stream.is_some_and(|stream| stream.subscribers.iter().any(is_needed)) {
            self.attachments.refresh(conversation, user);
        }
    }

    /// Whether `cut` may find something.
    pub fn could_cut(&self) -> bool {
        self.attachments.could_cut()
    }

    /// Makes calls of the attachments that wait, as far as they may be under way.
    pub fn cut<O: Outlet>(&mut self, out: &mut Effects<O>, sessions: &Sessions) {
        let Self { attachments, by_conversation: streams, .. } = self;
        let is_wanted = |id: SessionId, conversation: ConversationId| {
            let subscriber = streams.get(&conversation).and_then(|stream| stream.subscriber(id));
            subscriber.is_some_and(|subscriber| {
                matches!(subscriber.phase, Phase::Attaching { .. } | Phase::SubscribingLate)
            })
        };
        let has_arrived = |conversation: ConversationId, user: UserId| {
            let stream = streams.get(&conversation)?;
            let of = sessions.of(user).iter().filter_map(|id| stream.subscriber(*id));
            of.filter(|p| p.phase == Phase::Streaming).filter_map(|p| p.arrived).max()
        };
        let presence = |user: UserId| sessions.wants_presence(user);
        let Effects { outlets, calls, .. } = out;
        let has_room = |id: SessionId, expected: usize| outlets.wants_more(id, expected);
        let (is_wanted, has_arrived) = (&is_wanted, &has_arrived);
        let known = Known { is_wanted, has_arrived, has_room: &has_room, presence: &presence };
        while let Some(call) = attachments.cut(&known) {
            calls.push_back(Call::Attach(call));
        }
    }

    /// A session's queue has room again.
    pub fn room<O: Outlet>(&mut self, out: &mut Effects<O>, id: SessionId) {
        self.attachments.go_on(id);
        self.catch_up_all(out, id);
    }

    /// Who reads a conversation in a session.
    pub fn reader(&self, id: SessionId, conversation: ConversationId) -> Option<UserId> {
        Some(self.by_conversation.get(&conversation)?.subscriber(id)?.user)
    }

    /// How far a member has got, as the owner says, and how many members there are. Of many, those are told
    /// whose messages that covers.
    pub fn receipts<O: Outlet>(
        &mut self,
        out: &mut Effects<O>,
        sessions: &Sessions,
        told: Told,
        members: u32,
    ) {
        let Some(stream) = self.by_conversation.get_mut(&told.conversation) else { return };
        stream.has_members(members);
        let raised = match self.config.design.receipts {
            Receipts::Maximum => stream.cursors.raise(told),
            Receipts::Overwrite => {
                Some(Raised { told, before: (Sequence::START, Sequence::START) })
            }
        };
        let Some(raised) = raised else { return };
        let frame = ServerFrame::Receipts(raised.told);
        if !stream.has_many {
            return self.tell(out, told.conversation, told.user, frame, |_| true);
        }
        let mut frame = Encoded::from(frame);
        for author in stream.authors.covered(&raised) {
            for session in sessions.of(author) {
                if stream.subscriber(*session).is_some_and(Subscriber::listens) {
                    out.outlets.post(*session, &mut frame);
                }
            }
        }
    }

    /// Tells presence or typing of a member to the sessions of others that want it.
    pub fn tell_presence<O: Outlet>(
        &self,
        out: &mut Effects<O>,
        conversation: ConversationId,
        about: UserId,
        frame: ServerFrame,
    ) {
        let wants = |id| self.readers.get(id).is_some_and(|reader| reader.presence);
        self.tell(out, conversation, about, frame, wants);
    }

    fn tell<O: Outlet>(
        &self,
        out: &mut Effects<O>,
        conversation: ConversationId,
        about: UserId,
        frame: ServerFrame,
        wants: impl Fn(SessionId) -> bool,
    ) {
        let Some(stream) = self.by_conversation.get(&conversation) else { return };
        let mut frame = Encoded::from(frame);
        for subscriber in &stream.subscribers {
            if subscriber.listens() && subscriber.user != about && wants(subscriber.session) {
                out.outlets.post(subscriber.session, &mut frame);
            }
        }
    }
}
