//! A clean history of constant load without end, one event after the other: for measuring what the judge
//! keeps in memory.
//!
//! 64 groups of 4 of 64 users with one device each, and a 65th group member who stays away and is told by
//! notifications. 100 messages a second; edits, deletions, reads of the newest entries and receipts now
//! and then. For the final read it makes all entries anew: it keeps none.

use super::event::{Event, Header, Phase, Said, Seen, What};
use super::fixture::{self, device};
use protocol::{
    ClientMessageId, ConversationId, Epoch, GatewayId, Incarnation, NodeNumber, Sequence,
    SessionId, UserId,
};
use std::collections::VecDeque;

const USERS: u64 = 64;
const GROUPS: u64 = 64;
const MEMBERS: u64 = 4;
/// Between two messages, microseconds.
const PACE: u64 = 10_000;
/// Entries that a read asks for.
const PAGE: usize = 20;

/// The header of the history.
pub fn header() -> Header {
    Header {
        scenario: "soak".to_owned(),
        users: USERS as u32 + 1,
        conversations: GROUPS as u32,
        offline_users: Some(1),
        ..fixture::header()
    }
}

/// A cluster under constant load.
pub struct Soak {
    each: Box<dyn FnMut(Event)>,
    at: u64,
    messages: u64,
    /// The newest entries of each group, and its head.
    newest: Vec<VecDeque<Seen>>,
    next_id: Vec<u64>,
    requests: u32,
    /// Whether this is the final read: only the entries are told.
    is_read: bool,
}

/// A group's members: users from its own number on; and in the first groups the one who stays away.
fn members(group: u64) -> impl Iterator<Item = u64> {
    (0..MEMBERS).map(move |nth| (group + nth * 7) % USERS + 1)
}

/// Whether the one who stays away is a member.
const fn has_absentee(group: u64) -> bool {
    group.is_multiple_of(8)
}

const ABSENTEE: u64 = USERS + 1;

impl Soak {
    /// Makes the groups and connects their members; every event goes to `each`.
    pub fn begin(each: impl FnMut(Event) + 'static) -> Self {
        Self::make(Box::new(each), 0, false)
    }

    fn make(each: Box<dyn FnMut(Event)>, at: u64, is_read: bool) -> Self {
        let mut soak = Self {
            each,
            at,
            is_read,
            messages: 0,
            newest: vec![VecDeque::new(); GROUPS as usize],
            next_id: vec![1 << 40; USERS as usize + 1],
            requests: 0,
        };
        soak.push(What::Phase(Phase::SetUp));
        let absentee = |group| has_absentee(group).then_some(ABSENTEE);
        for group in 0..GROUPS {
            for user in members(group).chain(absentee(group)).map(UserId) {
                let (entry, conversation) = (Said::Join { user }, ConversationId(group + 1));
                soak.push(What::MemberAsked { conversation, user, add: true });
                let sequence = soak.sequence(group, user.0, 0, entry).sequence;
                soak.push(What::MemberChanged { conversation, user, add: true, sequence });
            }
        }
        soak.push(What::Phase(Phase::WarmUp));
        for user in 1..=USERS {
            soak.push(What::Opened {
                device: device(user),
                gateway: GatewayId(1),
                incarnation: Incarnation(1),
                session: SessionId(user),
            });
        }
        for group in 0..GROUPS {
            let conversation = ConversationId(group + 1);
            let entries: Vec<Seen> = soak.newest[group as usize].iter().copied().collect();
            let head = entries[entries.len() - 1].sequence;
            // Everybody begins with the own join.
            for (nth, device) in (0_usize..).zip(members(group).map(device)) {
                let from = Sequence(nth as u64);
                soak.push(What::Attached { device, conversation, from, head });
                entries[nth..].iter().for_each(|&entry| soak.push(What::Shown { device, entry }));
            }
        }
        soak.push(What::Phase(Phase::Load));
        soak.push(What::Phase(Phase::Heal));
        soak
    }

    fn push(&mut self, is: What) {
        if self.is_read != matches!(is, What::Stored { .. }) {
            return;
        }
        self.at += 1;
        (self.each)(Event { at: self.at, is });
    }

    /// The next message, from the send to the last device; every 40th changes an earlier one.
    pub fn say(&mut self) {
        self.at = self.at.next_multiple_of(PACE);
        let group = self.messages % GROUPS;
        let round = self.messages / GROUPS;
        let conversation = ConversationId(group + 1);
        let own = |entry: &&Seen| matches!(entry.said, Said::Message { .. });
        let old = self.newest[group as usize].iter().rev().find(own).copied();
        let hash = self.messages;
        let (author, said) = match old.filter(|_| round % 40 == 39) {
            Some(old) if round % 400 == 399 => {
                (old.author.0, Said::Delete { target: old.sequence })
            }
            Some(old) => (old.author.0, Said::Edit { target: old.sequence, hash }),
            None => {
                let nth = (round % MEMBERS) as usize;
                let author = members(group).nth(nth).unwrap_or(1);
                (author, Said::Message { hash, parent: None })
            }
        };
        self.messages += 1;
        self.next_id[author as usize] += 1;
        let message = ClientMessageId(self.next_id[author as usize]);
        let (sender, intended) = (device(author), self.at);
        self.push(What::Sent { device: sender, conversation, message, said, intended });
        let entry = self.sequence(group, author, message.0, said);
        let Seen { sequence, epoch, owner, .. } = entry;
        self.push(What::Accepted { device: sender, conversation, message, sequence, epoch, owner });
        members(group).for_each(|user| self.push(What::Shown { device: device(user), entry }));
        if has_absentee(group) && matches!(said, Said::Message { .. }) {
            let (user, key) = (UserId(ABSENTEE), self.messages);
            self.push(What::Pushed { user, conversation, sequence, key, taken: true });
        }
        if round.is_multiple_of(4) {
            self.push(What::ReceiptSent {
                device: sender,
                conversation,
                delivered: sequence,
                read: sequence,
            });
        }
        if round.is_multiple_of(50) {
            self.read(group, author);
        }
    }

    fn read(&mut self, group: u64, user: u64) {
        let (device, conversation) = (device(user), ConversationId(group + 1));
        let entries: Vec<Seen> = self.newest[group as usize].iter().copied().collect();
        let (first, head) = (entries[0].sequence, entries[entries.len() - 1].sequence);
        self.requests += 1;
        let request = self.requests;
        let after = Sequence(first.0 - 1);
        self.push(What::ReadBegan { device, request, conversation, after });
        for entry in entries {
            self.push(What::Read { device, request, entry });
        }
        self.push(What::ReadEnded { device, request, conversation, head, whole: true });
    }

    /// The load ends; the final read, of all groups at the same time; the end.
    pub fn end(mut self) {
        self.push(What::Phase(Phase::Settle));
        self.at += 20_000_000;
        self.push(What::Phase(Phase::Judge));
        for conversation in (1..=GROUPS).map(ConversationId) {
            self.push(What::StoredBegan { conversation });
        }
        let mut read = Self::make(self.each, self.at, true);
        (0..self.messages).for_each(|_| read.say());
        read.is_read = false;
        for group in 0..GROUPS {
            let head = read.newest[group as usize].back().map_or(Sequence(0), |e| e.sequence);
            let (conversation, first) = (ConversationId(group + 1), Sequence(1));
            read.push(What::StoredAll { conversation, first, head, whole: true });
        }
        read.push(What::Phase(Phase::End));
    }

    fn sequence(&mut self, group: u64, author: u64, id: u64, said: Said) -> Seen {
        let newest = &mut self.newest[group as usize];
        let entry = Seen {
            conversation: ConversationId(group + 1),
            sequence: Sequence(newest.back().map_or(0, |last| last.sequence.0) + 1),
            epoch: Epoch(1),
            owner: NodeNumber(1),
            author: UserId(author),
            message: ClientMessageId(id),
            said,
        };
        newest.push_back(entry);
        if newest.len() > PAGE {
            newest.pop_front();
        }
        self.push(What::Stored { entry });
        entry
    }
}
