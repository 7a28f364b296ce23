//! An engine in memory: the simplest thing that keeps the port's promises. What it holds ends with its
//! process, or with the last node that shares it.

use ports::entered;
use ports::message_store::{
    Batch, Claim, ConversationRow, Cursors, DecisionRow, Fenced, Lease, MessageStore, Ownership,
    StoreError, StoreView,
};
use protocol::store_calls::{Membership, ReceiptItem, UserConversation};
use protocol::{ClientMessageId, ConversationId, Entry, Partition, Sequence, UserId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{RwLock, RwLockReadGuard};

/// Everything that was ever committed, as one batch per partition.
#[derive(Default)]
pub struct MemoryStore(RwLock<Partitions>);

#[derive(Default)]
struct Partitions {
    owners: BTreeMap<Partition, Ownership>,
    rows: BTreeMap<Partition, Batch>,
    /// (user, conversation) -> joined, of current members.
    memberships: BTreeMap<(UserId, ConversationId), Sequence>,
}

impl Partitions {
    fn fenced(&self, lease: Lease) -> Option<Fenced> {
        let Lease { partition, epoch } = lease;
        let current = self.owners.get(&partition).copied().unwrap_or_default();
        (current.epoch != epoch).then_some(Fenced { partition, current })
    }

    fn write(&mut self, partition: Partition, batch: &Batch) {
        let Batch { conversations, entries, deletions, decisions, members, cursors, trims } = batch;
        let rows = self.rows.entry(partition).or_default();
        rows.conversations.extend(conversations);
        rows.entries.extend(entries.iter().map(|(key, entry)| (*key, entry.clone())));
        rows.deletions.extend(deletions);
        rows.decisions.extend(decisions);
        rows.cursors.extend(cursors);
        for ((conversation, user, joined), left) in members {
            rows.members.insert((*conversation, *user, *joined), *left);
            if left.is_none() {
                self.memberships.insert((*user, *conversation), *joined);
            } else if self.memberships.get(&(*user, *conversation)) <= Some(joined) {
                self.memberships.remove(&(*user, *conversation));
            }
        }
        for (conversation, first) in trims {
            let gone = (*conversation, Sequence(0))..(*conversation, *first);
            let keys: Vec<_> = rows.entries.range(gone.clone()).map(|(key, _)| *key).collect();
            for key in keys {
                rows.entries.remove(&key);
            }
            let keys: Vec<_> = rows.deletions.range(gone).copied().collect();
            for key in keys {
                rows.deletions.remove(&key);
            }
        }
    }
}

impl MessageStore for MemoryStore {
    fn acquire(&self, claim: &Claim) -> Result<Option<Lease>, StoreError> {
        let Claim { partition, owner, seen } = *claim;
        let mut all = entered(self.0.write());
        let stored = all.owners.entry(partition).or_default();
        if *stored != seen {
            return Ok(None);
        }
        let epoch = stored.epoch.next();
        *stored = Ownership { owner, epoch, renewals: 0 };
        Ok(Some(Lease { partition, epoch }))
    }

    fn renew(&self, leases: &[Lease]) -> Result<Vec<Fenced>, StoreError> {
        let mut all = entered(self.0.write());
        let mut fenced = Vec::new();
        for lease in leases {
            match (all.fenced(*lease), all.owners.get_mut(&lease.partition)) {
                (None, Some(owner)) => owner.renewals += 1,
                (is, _) => fenced.extend(is),
            }
        }
        Ok(fenced)
    }

    fn commit(&self, batches: &[(Lease, Batch)]) -> Result<Vec<Fenced>, StoreError> {
        let mut all = entered(self.0.write());
        let mut fenced = Vec::new();
        for (lease, batch) in batches {
            match all.fenced(*lease) {
                None => all.write(lease.partition, batch),
                is => fenced.extend(is),
            }
        }
        Ok(fenced)
    }

    fn view(&self) -> Result<Box<dyn StoreView + '_>, StoreError> {
        Ok(Box::new(MemoryView(entered(self.0.read()))))
    }
}

/// Holds writers up.
struct MemoryView<'a>(RwLockReadGuard<'a, Partitions>);

impl MemoryView<'_> {
    fn rows(&self, partition: Partition) -> Option<&Batch> {
        self.0.rows.get(&partition)
    }

    fn intervals(
        &self,
        partition: Partition,
        conversation: ConversationId,
        (first, last): (UserId, UserId),
    ) -> Vec<Membership> {
        let span = (conversation, first, Sequence(0))..=(conversation, last, Sequence(u64::MAX));
        let all =
            self.rows(partition).into_iter().flat_map(|rows| rows.members.range(span.clone()));
        all.map(|((_, user, joined), left)| Membership {
            user: *user,
            joined: *joined,
            left: *left,
        })
        .collect()
    }
}

impl StoreView for MemoryView<'_> {
    fn ownership(&self, partition: Partition) -> Result<Ownership, StoreError> {
        Ok(self.0.owners.get(&partition).copied().unwrap_or_default())
    }

    fn conversation(
        &self,
        partition: Partition,
        conversation: ConversationId,
    ) -> Result<Option<ConversationRow>, StoreError> {
        Ok(self.rows(partition).and_then(|rows| rows.conversations.get(&conversation)).copied())
    }

    fn conversations(
        &self,
        partition: Partition,
        from: ConversationId,
        limit: usize,
    ) -> Result<Vec<(ConversationId, ConversationRow)>, StoreError> {
        let rows = self.rows(partition).into_iter();
        let found = rows.flat_map(|rows| rows.conversations.range(from..)).take(limit);
        Ok(found.map(|(id, row)| (*id, *row)).collect())
    }

    fn members(
        &self,
        partition: Partition,
        conversation: ConversationId,
    ) -> Result<Vec<Membership>, StoreError> {
        Ok(self.intervals(partition, conversation, (UserId(0), UserId(u64::MAX))))
    }

    fn memberships(
        &self,
        partition: Partition,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<Vec<Membership>, StoreError> {
        Ok(self.intervals(partition, conversation, (user, user)))
    }

    fn decision(
        &self,
        partition: Partition,
        author: UserId,
        message: ClientMessageId,
    ) -> Result<Option<DecisionRow>, StoreError> {
        Ok(self.rows(partition).and_then(|rows| rows.decisions.get(&(author, message))).copied())
    }

    fn entry(
        &self,
        partition: Partition,
        conversation: ConversationId,
        sequence: Sequence,
    ) -> Result<Option<Entry>, StoreError> {
        let found =
            self.rows(partition).and_then(|rows| rows.entries.get(&(conversation, sequence)));
        Ok(found.map(|entry| Entry::clone(entry)))
    }

    fn is_deleted(
        &self,
        partition: Partition,
        conversation: ConversationId,
        sequence: Sequence,
    ) -> Result<bool, StoreError> {
        let rows = self.rows(partition);
        Ok(rows.is_some_and(|rows| rows.deletions.contains(&(conversation, sequence))))
    }

    fn entries(
        &self,
        partition: Partition,
        conversation: ConversationId,
        after: Sequence,
        before: Sequence,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let from = Sequence(after.0.saturating_add(1));
        if from >= before {
            return Ok(Vec::new());
        }
        let span = (conversation, from)..(conversation, before);
        let all =
            self.rows(partition).into_iter().flat_map(|rows| rows.entries.range(span.clone()));
        Ok(all.take(limit).map(|(_, entry)| Entry::clone(entry)).collect())
    }

    fn conversations_of(
        &self,
        users: &[UserId],
        _: &BTreeSet<Partition>,
    ) -> Result<Vec<UserConversation>, StoreError> {
        let of_user = |&user: &UserId| {
            let span = (user, ConversationId(0))..=(user, ConversationId(u64::MAX));
            self.0.memberships.range(span).map(move |((_, conversation), joined)| {
                UserConversation { user, conversation: *conversation, joined: *joined }
            })
        };
        Ok(users.iter().flat_map(of_user).collect())
    }

    fn cursor(
        &self,
        partition: Partition,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<Option<Cursors>, StoreError> {
        Ok(self.rows(partition).and_then(|rows| rows.cursors.get(&(conversation, user))).copied())
    }

    fn cursors(
        &self,
        partition: Partition,
        conversation: ConversationId,
    ) -> Result<Vec<ReceiptItem>, StoreError> {
        let span = (conversation, UserId(0))..=(conversation, UserId(u64::MAX));
        let all =
            self.rows(partition).into_iter().flat_map(|rows| rows.cursors.range(span.clone()));
        Ok(all
            .map(|((_, user), cursors)| ReceiptItem {
                conversation,
                user: *user,
                delivered: cursors.delivered,
                read: cursors.read,
            })
            .collect())
    }

    fn count(&self, partition: Partition) -> Result<u64, StoreError> {
        Ok(self.rows(partition).map_or(0, |rows| rows.conversations.len() as u64))
    }
}
