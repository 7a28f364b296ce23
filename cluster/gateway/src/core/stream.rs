//! One conversation's stream on this gateway: how far it is contiguous, and where each session is.
//!
//! `live` is the highest sequence up to which everything was handed out here. A session's place `at`
//! is the highest sequence that it has (or may not see). `at == live`: it gets the next entry as it
//! comes. `at < live`: it catches up from the ring of recent entries and from the store. `at > live`:
//! its backlog was newer than the stream; entries up to `at` are dropped.
//! Nothing here asks anybody: what must be asked comes back as `Follow`.

use super::encoded::Encoded;
use super::notices::MemberCursors;
use super::outlets::Outlets;
use super::rules::Rules;
use protocol::design::Delivery;
use protocol::frames::server::Attached;
use protocol::limits::GatewayLimits;
use protocol::{Content, ConversationId, Entry, Sequence, ServerFrame, SessionId, UserId};
use std::collections::{BTreeMap, VecDeque};

/// A conversation on this gateway.
#[derive(Debug)]
pub struct Stream {
    /// The conversation.
    pub conversation: ConversationId,
    /// Everything up to here was handed out; `None` until the first attachment is answered.
    pub live: Option<Sequence>,
    /// The highest sequence that is known to exist.
    pub known: Sequence,
    /// Whether a repair is under way.
    pub repairing: bool,
    /// Sessions, sorted by id.
    pub places: Vec<Place>,
    /// What was told of members' cursors.
    pub cursors: MemberCursors,
    pending: BTreeMap<Sequence, Entry>,
    pending_max: usize,
    recent: VecDeque<Entry>,
    rules: Rules,
    recent_max: usize,
}

/// A session in a stream.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The session.
    pub session: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// See the module.
    pub at: Sequence,
    /// What has certainly arrived, in earlier sessions of the device too: it reported it, or answered a
    /// ping that was sent later. The rest may have been written to a connection that was dead already.
    /// `None`: the stream has not begun, and the device has no cursor.
    pub arrived: Option<Sequence>,
    /// Where the place was when the session was pinged.
    pub pinged: Option<Sequence>,
    /// The user left at this sequence: it and what follows is not for this session.
    pub left: Option<Sequence>,
    /// What it waits for.
    pub phase: Phase,
    /// The session knows that it is attached, and where. Not so while it is open whether the user was
    /// a member all the time since its cursor: the pages of its backlog will tell.
    pub told: bool,
    /// Whether a page is under way.
    pub reading: Reading,
    /// The number of the call that attached it.
    pub attached_by: u64,
    /// The owner says that the user is no longer a member; the `Leave` is still to come.
    pub expelled: bool,
}

/// How far the next page of a place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// None is asked for.
    Not,
    /// The owner was asked.
    UnderWay,
    /// It had none to give; it is asked again when a timer fires, and not before: an owner that is away
    /// says so at once.
    Later,
}

impl Place {
    /// Whether it gets the entry behind `live` as it comes.
    fn is_live(&self, live: Option<Sequence>) -> bool {
        self.told && self.phase == Phase::Streaming && Some(self.at) == live
    }
}

/// What a place waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// For the owner's answer to an attachment behind this sequence (`None`: the owner
    /// knows how far the user's devices have got). `again`:
    /// the user joined at this sequence meanwhile.
    Attaching { after: Option<Sequence>, again: Option<Sequence> },
    /// Design choice `backlog_first`: reads without being subscribed.
    BacklogFirst,
    /// Design choice `backlog_first`: subscribes, believing that nothing was missed.
    SubscribingLate,
    /// Nothing but entries.
    Streaming,
}

/// What the hub has to do next.
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
            repairing: false,
            places: Vec::new(),
            cursors: MemberCursors::default(),
            pending: BTreeMap::new(),
            pending_max: limits.pending_entries,
            recent: VecDeque::new(),
            rules,
            recent_max: limits.recent_entries,
        }
    }

    /// A session's place.
    pub fn place(&self, session: SessionId) -> Option<&Place> {
        self.find(session).ok().map(|index| &self.places[index])
    }

    /// A session's place, to change.
    pub fn place_mut(&mut self, session: SessionId) -> Option<&mut Place> {
        self.find(session).ok().map(|index| &mut self.places[index])
    }

    /// Adds a place unless the session has one.
    pub fn add(&mut self, session: SessionId, user: UserId, phase: Phase) -> bool {
        let Err(index) = self.find(session) else { return false };
        let at = Sequence::START;
        let (left, told, reading, expelled) = (None, false, Reading::Not, false);
        let arrived = match phase {
            Phase::Attaching { after, .. } => after,
            Phase::BacklogFirst | Phase::SubscribingLate | Phase::Streaming => None,
        };
        let (pinged, attached_by) = (None, 0);
        let place = Place {
            session,
            user,
            at,
            arrived,
            pinged,
            left,
            phase,
            told,
            reading,
            attached_by,
            expelled,
        };
        self.places.insert(index, place);
        true
    }

    /// Takes a place away.
    pub fn remove(&mut self, session: SessionId) -> Option<Place> {
        self.find(session).ok().map(|index| self.places.remove(index))
    }

    fn find(&self, session: SessionId) -> Result<usize, usize> {
        self.places.binary_search_by_key(&session, |place| place.session)
    }

    /// An entry came from the owner through the broker.
    pub fn arrived(&mut self, entry: Entry, outlets: &mut Outlets, follow: &mut Vec<Follow>) {
        self.known = self.known.max(entry.sequence);
        match self.live {
            Some(live) if entry.sequence <= live => {}
            Some(live) if entry.sequence == live.next() => {
                self.hand_out(entry, outlets, follow);
                self.hand_out_pending(outlets, follow);
            }
            Some(live) if self.rules.delivery == Delivery::AtArrival => {
                let before = Sequence(entry.sequence.0 - 1);
                let at_front = |place: &&mut Place| place.is_live(Some(live));
                self.places.iter_mut().filter(at_front).for_each(|place| place.at = before);
                self.live = Some(before);
                self.hand_out(entry, outlets, follow);
            }
            _ => {
                // Without a live position an attachment is under way, whose answer sets it.
                self.pending.insert(entry.sequence, entry);
                if self.pending.len() > self.pending_max {
                    outlets.evicted += 1;
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
    pub fn begin(&mut self, head: Sequence, outlets: &mut Outlets, follow: &mut Vec<Follow>) {
        self.known = self.known.max(head);
        if self.live.is_none() {
            self.live = Some(head);
            self.hand_out_pending(outlets, follow);
            if !self.pending.is_empty() {
                follow.push(Follow::Repair);
            }
        }
    }

    /// A page of stored entries behind `live`. Returns whether it brought the stream forward.
    pub fn repaired(
        &mut self,
        entries: Vec<Entry>,
        first: Sequence,
        outlets: &mut Outlets,
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
            self.hand_out(entry, outlets, follow);
        }
        self.hand_out_pending(outlets, follow);
        self.live > Some(before)
    }

    /// Entries before `first` are no longer stored. A session at the front may have lost its membership
    /// in one of them, so each reads on for itself.
    fn skip_removed(&mut self, first: Sequence, follow: &mut Vec<Follow>) {
        let before = self.live;
        let at_front = self.places.iter().filter(|place| place.is_live(before));
        follow.extend(at_front.map(|place| Follow::CatchUp { session: place.session }));
        self.live = Some(Sequence(first.0 - 1));
        self.recent.clear();
    }

    fn hand_out_pending(&mut self, outlets: &mut Outlets, follow: &mut Vec<Follow>) {
        while let Some(live) = self.live
            && let Some(first) = self.pending.first_entry()
            && *first.key() <= live.next()
        {
            let entry = first.remove();
            if entry.sequence > live {
                self.hand_out(entry, outlets, follow);
            }
        }
    }

    /// Hands out the entry behind `live`.
    fn hand_out(&mut self, entry: Entry, outlets: &mut Outlets, follow: &mut Vec<Follow>) {
        let sequence = entry.sequence;
        let before = self.live;
        assert_eq!(before.map(Sequence::next), Some(sequence), "a stream goes on without a gap");
        self.live = Some(sequence);
        self.known = self.known.max(sequence);
        let leaver = self.rules.leaver(&entry);
        if let Content::Join { user } = entry.content {
            follow.push(Follow::Joined { user, at: sequence });
        }
        let mut needed = false;
        let mut frame = Encoded::from(ServerFrame::Entry(entry.clone()));
        for place in &mut self.places {
            if place.is_live(before) {
                if leaver == Some(place.user) {
                    follow.push(Follow::Left { session: place.session, at: place.at });
                    place.left = Some(sequence);
                } else if place.left.is_none() {
                    outlets.post(place.session, &mut frame);
                    place.at = sequence;
                }
            } else if place.phase != Phase::Streaming {
                needed = true;
            } else if place.at < sequence {
                needed = true;
                // For a session that is not told yet this may be the end of an earlier membership.
                if leaver == Some(place.user) && place.told && place.left.is_none() {
                    place.left = Some(sequence);
                }
            }
        }
        if needed {
            self.recent.push_back(entry);
            if self.recent.len() > self.recent_max {
                outlets.evicted += 1;
                self.recent.pop_front();
            }
        } else {
            self.recent.clear();
        }
    }

    /// Brings a session forward with stored entries of its user, then with recent ones. What is missing
    /// in such a page is not for the user: either it is older than `first`, the oldest that is still
    /// stored, or the user was no member there.
    pub fn feed(
        &mut self,
        session: SessionId,
        page: Vec<Entry>,
        first: Sequence,
        outlets: &mut Outlets,
        follow: &mut Vec<Follow>,
    ) {
        let (conversation, head, rules) = (self.conversation, self.known, self.rules);
        let Some(place) = self.find(session).ok().map(|index| &mut self.places[index]) else {
            return;
        };
        for entry in page {
            if entry.sequence <= place.at {
                continue;
            }
            let next = place.at.next();
            let hole = entry.sequence != next && first <= next;
            if place.told && (hole || place.left.is_some_and(|left| entry.sequence > left)) {
                // The user left, and joined again later: that needs another attachment.
                follow.push(Follow::Left { session, at: place.at });
                return;
            }
            if entry.sequence != next || !place.told {
                place.told = true;
                place.at = Sequence(entry.sequence.0 - 1);
                let attached =
                    Attached { conversation, from: place.at, head: head.max(entry.sequence) };
                outlets.say(session, ServerFrame::Attached(attached));
            }
            if !give(place, &entry, rules, outlets, follow) {
                return;
            }
        }
        if place.phase != Phase::Streaming {
            return;
        }
        for entry in &self.recent {
            if place.told
                && entry.sequence == place.at.next()
                && !give(place, entry, rules, outlets, follow)
            {
                return;
            }
        }
        if !place.told || self.live.is_some_and(|live| place.at < live) {
            follow.push(Follow::CatchUp { session });
        }
    }
}

/// Gives an entry to a session that is catching up; whether it may get more.
fn give(
    place: &mut Place,
    entry: &Entry,
    rules: Rules,
    outlets: &mut Outlets,
    follow: &mut Vec<Follow>,
) -> bool {
    if place.left == Some(entry.sequence) || rules.leaver(entry) == Some(place.user) {
        follow.push(Follow::Left { session: place.session, at: place.at });
        return false;
    }
    if !outlets.has_room(place.session) {
        follow.push(Follow::CatchUp { session: place.session });
        return false;
    }
    let (at, next) = (place.at, entry.sequence);
    assert_eq!(at.next(), next, "{} goes on from {at}", place.session);
    outlets.say(place.session, ServerFrame::Entry(entry.clone()));
    place.at = next;
    if place.left == Some(place.at.next()) {
        follow.push(Follow::Left { session: place.session, at: place.at });
        return false;
    }
    true
}
