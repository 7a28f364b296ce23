//! Who is a member where, as far as the history tells, and what retention removed.

use super::book::Book;
use crate::history::event::{Phase, Said, What};
use protocol::ConversationId;

/// A join or a departure.
#[derive(Clone, Copy)]
pub(super) struct Change {
    pub sequence: u64,
    pub joined: bool,
    /// When it was first seen or answered.
    pub at: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Membership {
    Member,
    Outside,
    Unknown,
}

/// The final read of a conversation.
#[derive(Clone, Copy)]
pub(super) struct FinalRead {
    /// The line with which it began, if that was seen.
    pub began: Option<usize>,
    pub first: u64,
    pub head: u64,
}

impl Book<'_> {
    /// The final read, if it got everything.
    pub fn final_read(&self, conversation: ConversationId) -> Option<FinalRead> {
        self.final_answer(conversation).filter(|(_, whole)| *whole).map(|(read, _)| read)
    }

    /// The line at which the final read of a conversation began.
    fn read_began(&self, conversation: ConversationId) -> Option<usize> {
        if self.header.format >= 2 {
            self.first(
                |is| matches!(is, What::StoredBegan { conversation: c } if *c == conversation),
            )
        } else {
            self.phase(Phase::Judge)
        }
    }

    /// The same; behind the last line if there was none.
    pub fn read_begins(&self, conversation: ConversationId) -> usize {
        self.read_began(conversation).unwrap_or(self.lines.len())
    }

    /// What the final read said, and whether it got everything.
    fn final_answer(&self, conversation: ConversationId) -> Option<(FinalRead, bool)> {
        let began = self.read_began(conversation);
        let answers = self.lines.iter().filter_map(|line| match line.is {
            What::StoredAll { conversation: c, first, head, whole } if *c == conversation => {
                Some((first.0, head.0, *whole))
            }
            _ => None,
        });
        let (first, head, _) = answers.clone().next_back()?;
        let whole = answers.into_iter().all(|(.., whole)| whole);
        Some((FinalRead { began, first, head }, whole))
    }

    /// Whether retention removed a sequence.
    pub fn is_removed(&self, conversation: ConversationId, sequence: u64) -> bool {
        let (Some((read, _)), Some(kept)) =
            (self.final_answer(conversation), self.header.retention)
        else {
            return false;
        };
        (1..read.first).contains(&sequence) && sequence.saturating_add(kept) <= read.head
    }

    /// The joins and departures of a user that are known before a line, by sequence. Of two at one
    /// sequence the one that was learned first counts.
    pub fn changes(&self, user: u64, conversation: ConversationId, before: usize) -> Vec<Change> {
        let mut changes: Vec<Change> = Vec::new();
        for line in &self.lines[..before] {
            let (c, sequence, who, joined) = match line.is {
                What::MemberChanged { conversation, user, add, sequence } => {
                    (*conversation, *sequence, *user, *add)
                }
                What::Shown { entry, .. }
                | What::Received { entry, .. }
                | What::Read { entry, .. }
                | What::Stored { entry } => match entry.said {
                    Said::Join { user } => (entry.conversation, entry.sequence, user, true),
                    Said::Leave { user } => (entry.conversation, entry.sequence, user, false),
                    _ => continue,
                },
                _ => continue,
            };
            let is_new = changes.iter().all(|known| known.sequence != sequence.0);
            if (c, who.0) == (conversation, user) && is_new {
                changes.push(Change { sequence: sequence.0, joined, at: line.at });
            }
        }
        changes.sort_by_key(|change| change.sequence);
        changes
    }

    /// When the newest change of a user became known; 0: there is none.
    pub fn joined_at(&self, user: u64, conversation: ConversationId, before: usize) -> u64 {
        self.changes(user, conversation, before).last().map_or(0, |newest| newest.at)
    }

    /// Whether a user is a member at a sequence.
    pub fn membership(&self, user: u64, conversation: ConversationId, at: u64) -> Membership {
        let changes = self.changes(user, conversation, self.lines.len());
        let before = changes.iter().rfind(|change| change.sequence <= at);
        let after = changes.iter().find(|change| change.sequence > at);
        let read = self.final_read(conversation).filter(|read| at <= read.head);
        // Whether the final read shows every change behind a sequence.
        let reaches = |sequence: u64| read.is_some_and(|read| read.first <= sequence + 1);
        let member = |joined| if joined { Membership::Member } else { Membership::Outside };
        if let Some(last) = before {
            let hides = self.is_open(user, conversation, !last.joined)
                || after.is_some_and(|next| next.joined == last.joined);
            return if reaches(last.sequence) || !hides {
                member(last.joined)
            } else {
                Membership::Unknown
            };
        }
        if after.is_some_and(|next| !next.joined) && reaches(at) {
            return Membership::Member;
        }
        let joins_first = after.is_some_and(|next| next.joined)
            && self.is_told(user, conversation)
            && !self.is_open(user, conversation, true)
            && !self.is_open(user, conversation, false);
        if reaches(0) || joins_first { Membership::Outside } else { Membership::Unknown }
    }

    /// Whether any change of a user was answered.
    fn is_told(&self, user: u64, conversation: ConversationId) -> bool {
        self.any(|is| {
            matches!(is, What::MemberChanged { conversation: c, user: u, .. }
                if (*c, u.0) == (conversation, user))
        })
    }

    /// Whether a user is a member after all that is known before a line.
    pub fn is_member_now(&self, user: u64, conversation: ConversationId, before: usize) -> bool {
        self.changes(user, conversation, before).last().is_some_and(|newest| newest.joined)
            && !self.is_open_before(user, conversation, false, before)
    }

    /// Whether a user has certainly left, and not come back, after all that is known before a line.
    pub fn has_left(&self, user: u64, conversation: ConversationId, before: usize) -> bool {
        let is_asked = self.lines[..before].iter().any(|line| {
            matches!(line.is, What::MemberAsked { conversation: c, user: u, add: false }
                if (*c, u.0) == (conversation, user))
        });
        self.changes(user, conversation, before).last().is_some_and(|newest| !newest.joined)
            && is_asked
            && !self.is_open_before(user, conversation, true, before)
    }

    /// Whether a user's joins (departures) were asked for more often than they were answered.
    fn is_open(&self, user: u64, conversation: ConversationId, joins: bool) -> bool {
        self.is_open_before(user, conversation, joins, self.lines.len())
    }

    fn is_open_before(
        &self,
        user: u64,
        conversation: ConversationId,
        joins: bool,
        before: usize,
    ) -> bool {
        let count = |wanted: &dyn Fn(&What) -> bool| {
            self.lines[..before].iter().filter(|line| wanted(line.is)).count()
        };
        let asked = count(&|is| {
            matches!(is, What::MemberAsked { conversation: c, user: u, add }
                if (*c, u.0, *add) == (conversation, user, joins))
        });
        let answered = count(&|is| {
            matches!(is, What::MemberChanged { conversation: c, user: u, add, .. }
                if (*c, u.0, *add) == (conversation, user, joins))
        });
        asked > answered
    }

    /// Whether a user departs behind a sequence, up to another one.
    pub fn departs(
        &self,
        user: u64,
        conversation: ConversationId,
        behind: u64,
        up_to: u64,
    ) -> bool {
        self.changes(user, conversation, self.lines.len())
            .iter()
            .any(|c| !c.joined && c.sequence > behind && c.sequence <= up_to)
    }

    /// Whether a user was known before a line to have departed behind a sequence.
    pub fn had_departed(
        &self,
        user: u64,
        conversation: ConversationId,
        behind: u64,
        before: usize,
    ) -> bool {
        let changes = self.changes(user, conversation, before);
        changes.iter().any(|change| !change.joined && change.sequence > behind)
    }

    /// Whether a user should have a sequence, unless a departure up to another one lies behind it:
    /// certainly a member there, and retention left it.
    pub fn is_due(
        &self,
        user: u64,
        conversation: ConversationId,
        sequence: u64,
        excused_to: u64,
    ) -> bool {
        self.membership(user, conversation, sequence) == Membership::Member
            && !self.departs(user, conversation, sequence, excused_to)
            && !self.is_removed(conversation, sequence)
    }
}
