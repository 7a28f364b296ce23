//! A conversation in an owner's memory: its row and its membership intervals.

use ports::message_store::{ConversationRow, StoreError, StoreView};
use protocol::store_calls::{ConversationInfo, Membership};
use protocol::{ConversationId, Partition, Sequence, UserId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A user is a member for `joined <= sequence < left`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The sequence of the `Join` entry.
    pub joined: Sequence,
    /// The sequence of the `Leave` entry.
    pub left: Option<Sequence>,
}

/// A conversation.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// As it is stored.
    pub row: ConversationRow,
    intervals: BTreeMap<UserId, Vec<Interval>>,
    roster: Arc<[UserId]>,
}

impl Conversation {
    /// A conversation without members or entries.
    pub fn new(row: ConversationRow) -> Self {
        Self { row, intervals: BTreeMap::new(), roster: Arc::from([]) }
    }

    /// Of stored rows: its members, former ones too, are in the order of (user, joined).
    pub fn of(row: ConversationRow, members: &[Membership]) -> Self {
        let mut conversation = Self::new(row);
        for Membership { user, joined, left } in members.iter().copied() {
            conversation.intervals.entry(user).or_default().push(Interval { joined, left });
        }
        conversation.count_members();
        conversation
    }

    /// As the engine has it.
    pub fn load(
        view: &dyn StoreView,
        partition: Partition,
        id: ConversationId,
    ) -> Result<Option<Self>, StoreError> {
        let Some(row) = view.conversation(partition, id)? else { return Ok(None) };
        Ok(Some(Self::of(row, &view.members(partition, id)?)))
    }

    /// The members now, by id. Shared, because every message needs them for its push jobs.
    pub fn members(&self) -> Arc<[UserId]> {
        Arc::clone(&self.roster)
    }

    /// The members who were members at this sequence and have not left since, by id.
    pub fn members_since(&self, sequence: Sequence) -> Arc<[UserId]> {
        let was = |user: &UserId| self.joined(*user).is_some_and(|joined| joined <= sequence);
        self.roster.iter().copied().filter(was).collect()
    }

    /// Every interval of a user, oldest first; empty: never a member.
    pub fn intervals(&self, user: UserId) -> &[Interval] {
        self.intervals.get(&user).map_or(&[], Vec::as_slice)
    }

    /// When the current membership began; `None`: not a member now.
    pub fn joined(&self, user: UserId) -> Option<Sequence> {
        self.intervals(user).last().filter(|last| last.left.is_none()).map(|last| last.joined)
    }

    /// A user becomes a member; call `count_members` after the last one.
    pub fn join(&mut self, user: UserId, at: Sequence) {
        let intervals = self.intervals.entry(user).or_default();
        let last = intervals.last().copied();
        let left = last.map(|last| last.left.unwrap_or(Sequence(u64::MAX)));
        debug_assert!(left < Some(at), "{user} joins at {at}, after {last:?}");
        intervals.push(Interval { joined: at, left: None });
    }

    /// A member leaves: the interval that ended. Call `count_members` after the last one.
    pub fn leave(&mut self, user: UserId, at: Sequence) -> Option<Interval> {
        let last = self.intervals.get_mut(&user)?.last_mut().filter(|last| last.left.is_none())?;
        debug_assert!(last.joined < at, "{user} leaves at {at}, after {last:?}");
        last.left = Some(at);
        Some(*last)
    }

    /// Brings `members` up to date.
    pub fn count_members(&mut self) {
        self.roster = self
            .intervals
            .iter()
            .filter(|(_, intervals)| intervals.last().is_some_and(|last| last.left.is_none()))
            .map(|(user, _)| *user)
            .collect();
    }

    /// The users that it was made with, by id.
    pub fn founders(&self) -> Vec<UserId> {
        let last = u64::from(self.row.founders);
        let founded = |interval: &Interval| interval.joined.0 <= last;
        let all = self.intervals.iter();
        all.filter(|(_, is)| is.first().is_some_and(founded)).map(|(user, _)| *user).collect()
    }

    /// For callers, former members included, by the order of joining.
    pub fn info(&self, id: ConversationId) -> ConversationInfo {
        let mut members: Vec<Membership> = self
            .intervals
            .iter()
            .flat_map(|(user, intervals)| {
                intervals.iter().map(|i| Membership { user: *user, joined: i.joined, left: i.left })
            })
            .collect();
        members.sort_by_key(|member| member.joined);
        ConversationInfo {
            conversation: id,
            kind: self.row.kind,
            head: self.row.head,
            first: self.row.first,
            members,
        }
    }
}
