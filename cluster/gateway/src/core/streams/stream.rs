//! One conversation's stream on this gateway: how far it is contiguous, and where each session is.
//!
//! `live` is the highest sequence up to which everything was handed out here. A subscriber's `at`
//! is the highest sequence that it has (or may not see). `at == live`: it gets the next entry as it
//! comes. `at < live`: it catches up from the ring of recent entries and from the store. `at > live`:
//! its backlog was newer than the stream; entries up to `at` are dropped.
//! Nothing here asks anybody: what must be asked comes back as `Follow`.

#[cfg(test)]
mod tests;

use super::authors::Authors;
use super::member_cursors::MemberCursors;
use super::rules::Rules;
use super::subscriber::{Expelled, Phase, Subscriber};
use crate::core::effects::Effects;
use crate::core::encoded::Encoded;
use crate::core::outbound::Outlet;
use protocol::design::Delivery;
use protocol::frames::server::Attached;
use protocol::limits::GatewayLimits;
use protocol::{Content, ConversationId, Entry, Sequence, ServerFrame, SessionId, UserId};
use std::collections::{BTreeMap, VecDeque};

/// With fewer sessions than this a stream has no room for more: most have one or two.
const TIGHT: usize = 4;
/// Authors of the newest messages that are known where there are not many members, or it is not known yet.
const AUTHORS: usize = 16;

/// A conversation on this gateway.
#[derive(Debug)]
pub struct Stream {
    /// The conversation.
    pub conversation: ConversationId,
    /// Everything up to here was handed out; `None` until the first attachment is answered.
    pub live: Option<Sequence>,
    /// The highest sequence that is known to exist.
    pub known: Sequence,
    /// The number of the repair that is under way.
    pub repairing: Option<u64>,
    /// Sessions, sorted by id.
    pub subscribers: Vec<Subscriber>,
    /// What was told of members' cursors.
    pub cursors: MemberCursors,
    /// Who is told of them where there are many members.
    pub authors: Authors,
    /// Whether there are so many that not all are told how far the others have got.
    pub has_many: bool,
    audience_max: usize,
    pending: BTreeMap<Sequence, Entry>,
    pending_max: usize,
    recent: VecDeque<Entry>,
    rules: Rules,
    recent_max: usize,
}

/// What has to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// The user of this session left behind `at`: tell it, and see whether the user is back already.
    Left { session: SessionId, at: Sequence },
    /// A user became a member, as an entry says.
    Joined { user: UserId, at: Sequence },
    /// This session is behind.
    CatchUp { session: SessionId },
    /// The stream has a gap.
    Repair,
}

impl Stream {
    /// A conversation of which nothing is known yet.
    pub fn new(conversation: ConversationId, rules: Rules, limits: &GatewayLimits) -> Self {
        Self {
            conversation,
            live: None,
            known: Sequence::START,
            repairing: None,
            subscribers: Vec::new(),
            cursors: MemberCursors::default(),
            authors: Authors::default(),
            has_many: false,
            audience_max: limits.receipts_audience,
            pending: BTreeMap::new(),
            pending_max: limits.pending_entries,
            recent: VecDeque::new(),
            rules,
            recent_max: limits.recent_entries,
        }
    }

    /// Whether it lacks entries that are known to exist.
    pub fn is_behind(&self) -> bool {
        self.live.is_some_and(|live| live < self.known)
    }

    /// So many members there are, as the owner says.
    pub const fn has_members(&mut self, members: u32) {
        self.has_many = members as usize > self.audience_max;
    }

    /// A session as a subscriber.
    pub fn subscriber(&self, session: SessionId) -> Option<&Subscriber> {
        self.find(session).ok().map(|index| &self.subscribers[index])
    }

    /// A session as a subscriber, to change.
    pub fn subscriber_mut(&mut self, session: SessionId) -> Option<&mut Subscriber> {
        self.find(session).ok().map(|index| &mut self.subscribers[index])
    }

    /// Adds a session unless it subscribes already.
    pub fn add(&mut self, session: SessionId, user: UserId, phase: Phase) -> bool {
        let Err(index) = self.find(session) else { return false };
        if self.subscribers.len() < TIGHT {
            self.subscribers.reserve_exact(1);
        }
        self.subscribers.insert(index, Subscriber::new(session, user, phase));
        true
    }

    /// Takes a session out.
    pub fn remove(&mut self, session: SessionId) -> Option<Subscriber> {
        self.find(session).ok().map(|index| self.subscribers.remove(index))
    }

    fn find(&self, session: SessionId) -> Result<usize, usize> {
        self.subscribers.binary_search_by_key(&session, |subscriber| subscriber.session)
    }

    /// An entry came from the owner through fan-out.
    pub fn arrived<O: Outlet>(
        &mut self,
        entry: Entry,
        out: &mut Effects<O>,
        follow: &mut Vec<Follow>,
    ) {
        self.known = self.known.max(entry.sequence);
        match self.live {
            Some(live) if entry.sequence <= live => {}
            Some(live) if entry.sequence == live.next() => {
                self.hand_out(entry, out, follow);
                self.hand_out_pending(out, follow);
            }
            Some(live) if self.rules.delivery == Delivery::AtArrival => {
                let before = entry.sequence.before();
                let at_front = |subscriber: &&mut Subscriber| subscriber.is_live(Some(live));
                self.subscribers
                    .iter_mut()
                    .filter(at_front)
                    .for_each(|subscriber| subscriber.at = before);
                self.live = Some(before);
                self.hand_out(entry, out, follow);
            }
            _ => {
                // Without a live position an attachment is under way, whose answer sets it.
                self.pending.insert(entry.sequence, entry);
                if self.pending.len() > self.pending_max {
                    out.counts.evicted += 1;
                    // The far end goes: the repair brings it, from the near end on.
                    self.pending.pop_last();
                }
                if self.live.is_some() {
                    follow.push(Follow::Repair);
                }
            }
        }
    }

    /// The owner said where the stream is; counts only for a stream that has not begun.
    pub fn begin<O: Outlet>(
        &mut self,
        head: Sequence,
        out: &mut Effects<O>,
        follow: &mut Vec<Follow>,
    ) {
        self.known = self.known.max(head);
        if self.live.is_none() {
            self.live = Some(head);
            self.hand_out_pending(out, follow);
            if !self.pending.is_empty() {
                follow.push(Follow::Repair);
            }
        }
    }

    /// A page of stored entries behind `live`. Returns whether it brought the stream forward.
    pub fn repaired<O: Outlet>(
        &mut self,
        entries: Vec<Entry>,
        first: Sequence,
        out: &mut Effects<O>,
        follow: &mut Vec<Follow>,
    ) -> bool {
        let Some(before) = self.live else { return false };
        for entry in entries {
            let live = self.live.unwrap_or(before);
            if entry.sequence <= live {
                continue;
            }
            if entry.sequence != live.next() {
                // Only retention may have removed entries, and then it says so.
                if first <= live.next() || entry.sequence != first {
                    break;
                }
                self.skip_removed(first, follow);
            }
            self.hand_out(entry, out, follow);
        }
        self.hand_out_pending(out, follow);
        self.live > Some(before)
    }

    /// Entries before `first` are no longer stored. A session that was at the front, or ahead of it, may
    /// have lost its membership in one of them, so each reads on for itself.
    fn skip_removed(&mut self, first: Sequence, follow: &mut Vec<Follow>) {
        let behind = self.subscribers.iter().filter(|subscriber| subscriber.at < first.before());
        follow.extend(behind.map(|subscriber| Follow::CatchUp { session: subscriber.session }));
        self.live = Some(first.before());
        self.recent.clear();
    }

    fn hand_out_pending<O: Outlet>(&mut self, out: &mut Effects<O>, follow: &mut Vec<Follow>) {
        while let Some(live) = self.live
            && let Some(first) = self.pending.first_entry()
            && *first.key() <= live.next()
        {
            let entry = first.remove();
            if entry.sequence > live {
                self.hand_out(entry, out, follow);
            }
        }
    }

    /// Hands out the entry behind `live`.
    fn hand_out<O: Outlet>(
        &mut self,
        entry: Entry,
        out: &mut Effects<O>,
        follow: &mut Vec<Follow>,
    ) {
        let sequence = entry.sequence;
        let before = self.live;
        assert_eq!(before.map(Sequence::next), Some(sequence), "a stream goes on without a gap");
        self.live = Some(sequence);
        self.known = self.known.max(sequence);
        let leaver = self.rules.leaver(&entry);
        if let Content::Join { user } = entry.content {
            follow.push(Follow::Joined { user, at: sequence });
        }
        if matches!(entry.content, Content::Message { .. }) {
            // Until the first receipt says that there are many members, a few are enough.
            let most = if self.has_many { self.recent_max } else { AUTHORS.min(self.recent_max) };
            self.authors.note(sequence, entry.author, most);
        }
        let mut needed = false;
        let mut frame = Encoded::from(ServerFrame::Entry(entry.clone()));
        for subscriber in &mut self.subscribers {
            if subscriber.is_live(before) {
                if leaver == Some(subscriber.user) {
                    follow.push(Follow::Left { session: subscriber.session, at: subscriber.at });
                    subscriber.left = Some(sequence);
                } else if subscriber.left.is_none() {
                    out.outlets.post(subscriber.session, &mut frame);
                    subscriber.at = sequence;
                }
            } else if subscriber.phase != Phase::Streaming {
                needed = true;
            } else if subscriber.at < sequence {
                needed = true;
                // For a session that is not told yet this may be the end of an earlier membership.
                if leaver == Some(subscriber.user) && subscriber.told && subscriber.left.is_none() {
                    subscriber.left = Some(sequence);
                }
            }
        }
        if needed {
            self.recent.push_back(entry);
            if self.recent.len() > self.recent_max {
                out.counts.evicted += 1;
                self.recent.pop_front();
            }
        } else {
            self.recent.clear();
        }
    }

    /// Brings a session forward with stored entries of its user, then with recent ones. What is missing
    /// in such a page is not for the user: either it is older than `first`, the oldest that is still
    /// stored, or the user was no member there.
    pub fn feed<O: Outlet>(
        &mut self,
        session: SessionId,
        page: Vec<Entry>,
        first: Sequence,
        out: &mut Effects<O>,
        follow: &mut Vec<Follow>,
    ) {
        let (conversation, head, rules) = (self.conversation, self.known, self.rules);
        let Some(subscriber) = self.find(session).ok().map(|index| &mut self.subscribers[index])
        else {
            return;
        };
        for entry in page {
            if entry.sequence <= subscriber.at {
                continue;
            }
            let next = subscriber.at.next();
            let hole = entry.sequence != next && first <= next;
            if subscriber.told
                && (hole || subscriber.left.is_some_and(|left| entry.sequence > left))
            {
                // The user left, and joined again later: that needs another attachment.
                follow.push(Follow::Left { session, at: subscriber.at });
                return;
            }
            if entry.sequence != next || !subscriber.told {
                subscriber.told = true;
                // A departure that is no longer stored is over: the user is back.
                subscriber.expelled = Expelled::No;
                subscriber.at = entry.sequence.before();
                let attached =
                    Attached { conversation, from: subscriber.at, head: head.max(entry.sequence) };
                out.say(session, ServerFrame::Attached(attached));
            }
            if !give(subscriber, &entry, rules, out, follow) {
                return;
            }
        }
        if subscriber.phase != Phase::Streaming {
            return;
        }
        for entry in &self.recent {
            if subscriber.told
                && entry.sequence == subscriber.at.next()
                && !give(subscriber, entry, rules, out, follow)
            {
                return;
            }
        }
        if !subscriber.told || self.live.is_some_and(|live| subscriber.at < live) {
            follow.push(Follow::CatchUp { session });
        }
    }
}

/// Gives an entry to a session that is catching up; whether it may get more.
fn give<O: Outlet>(
    subscriber: &mut Subscriber,
    entry: &Entry,
    rules: Rules,
    out: &mut Effects<O>,
    follow: &mut Vec<Follow>,
) -> bool {
    if subscriber.left == Some(entry.sequence) || rules.leaver(entry) == Some(subscriber.user) {
        follow.push(Follow::Left { session: subscriber.session, at: subscriber.at });
        return false;
    }
    if !out.outlets.has_room(subscriber.session) {
        follow.push(Follow::CatchUp { session: subscriber.session });
        return false;
    }
    let (at, next) = (subscriber.at, entry.sequence);
    assert_eq!(at.next(), next, "{} goes on from {at}", subscriber.session);
    out.say(subscriber.session, ServerFrame::Entry(entry.clone()));
    subscriber.at = next;
    if subscriber.left == Some(subscriber.at.next()) {
        follow.push(Follow::Left { session: subscriber.session, at: subscriber.at });
        return false;
    }
    true
}
