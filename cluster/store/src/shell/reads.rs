//! Calls that only read: answered from one view of the engine, beside the commits.
//!
//! What a caller was told is durable by then, so a view that is taken later always shows it; and a view
//! in which this node's lease is not the newest answers nothing: somebody else's commits may be missing.

use super::round::NotOwned;
use crate::config::StoreConfig;
use crate::core::conversation::Conversation;
use crate::core::{export, missed, pages};
use crate::wire::{Answer, Call};
use ports::CallError;
use ports::conversations::Refusal;
use ports::message_store::{StoreError, StoreView};
use protocol::store_calls::{ExportPlace, PartitionStatus, PushRef};
use protocol::{ConversationId, Epoch, Partition, UserId};
use std::collections::{BTreeMap, BTreeSet};

/// What is stored at one instant, to a node with these leases. Everything here blocks.
pub struct Reads<'a> {
    /// The instant.
    pub view: &'a dyn StoreView,
    /// The node's configuration.
    pub config: &'a StoreConfig,
    /// Which partitions the node owns, by its own word.
    pub leases: &'a BTreeMap<Partition, Epoch>,
}

impl Reads<'_> {
    /// Answers a call that only reads.
    pub fn answer(&self, call: &Call) -> Result<Answer, StoreError> {
        let view = self.view;
        let (id, user) = match call {
            Call::OfUsers(users) => return self.of_users(users),
            Call::Export(partition, from) => return self.export(*partition, *from),
            Call::Range(query) => (query.conversation, query.user),
            Call::Info(id, user) | Call::Cursors(id, user) => (*id, *user),
            Call::Attach(_)
            | Call::Create(_)
            | Call::ChangeMember(_)
            | Call::Pushes(_)
            | Call::Status
            | Call::Consume(..) => unreachable!("the link server sends these elsewhere"),
        };
        let home = self.config.home(id);
        let not_owned = self.not_owned([home])?;
        if !not_owned.is_empty() {
            return Ok(Answer::NotOwner(not_owned));
        }
        let answered = match call {
            Call::Range(query) => pages::range(view, home, query)?.map(Answer::Page),
            Call::Cursors(..) => match self.seen_by(id, user)? {
                Ok(_) => Ok(Answer::Cursors(view.cursors(home, id)?)),
                Err(refusal) => Err(refusal),
            },
            _ => self.seen_by(id, user)?.map(|found| Answer::Info(found.info(id))),
        };
        Ok(answered.unwrap_or_else(|refusal| Answer::Failed(CallError::Refused(refusal))))
    }

    fn of_users(&self, users: &[UserId]) -> Result<Answer, StoreError> {
        let mut partitions = BTreeSet::new();
        for (partition, epoch) in self.leases {
            if self.view.ownership(*partition)?.epoch == *epoch {
                partitions.insert(*partition);
            }
        }
        let mut all = self.view.conversations_of(users, &partitions)?;
        all.retain(|found| partitions.contains(&self.config.home(found.conversation)));
        Ok(Answer::OfUsers(partitions.into_iter().collect(), all))
    }

    fn export(&self, partition: Partition, from: ExportPlace) -> Result<Answer, StoreError> {
        let not_owned = self.not_owned([partition])?;
        let Some(epoch) = self.leases.get(&partition).filter(|_| not_owned.is_empty()) else {
            return Ok(Answer::NotOwner(not_owned));
        };
        let read_by = (self.config.number, *epoch);
        let page = export::page(self.view, partition, from, &self.config.limits, read_by)?;
        Ok(Answer::Exported(page))
    }

    /// What the owner said of its partitions, of those that are still this node's.
    pub fn status(&self, mut status: Vec<PartitionStatus>) -> Result<Answer, StoreError> {
        let lost = self.not_owned(status.iter().map(|status| status.partition))?;
        status.retain(|status| lost.iter().all(|(partition, _)| *partition != status.partition));
        Ok(Answer::Status(status))
    }

    /// Which of these pushes are of use. Whether they are due, the owner knows.
    pub fn open(
        &self,
        pushes: &[PushRef],
    ) -> Result<Result<Vec<(PushRef, bool)>, NotOwned>, StoreError> {
        let home = |push: &PushRef| self.config.home(push.conversation);
        let not_owned = self.not_owned(pushes.iter().map(home))?;
        if !not_owned.is_empty() {
            return Ok(Err(not_owned));
        }
        // Of several messages to one user, one question.
        let of = |push: &PushRef| (home(push), push.conversation, push.user);
        let asked: Vec<_> = pushes.iter().map(of).collect::<BTreeSet<_>>().into_iter().collect();
        let standings = self.view.standings(&asked)?;
        let standings: BTreeMap<_, _> = asked.into_iter().zip(standings).collect();
        let is_open = |push: &PushRef| missed::is_open(&standings[&of(push)], push.sequence);
        Ok(Ok(pushes.iter().map(|push| (*push, is_open(push))).collect()))
    }

    /// Which of these partitions are not this node's, by its own word or by the engine's.
    fn not_owned(
        &self,
        partitions: impl IntoIterator<Item = Partition>,
    ) -> Result<NotOwned, StoreError> {
        let mut not_owned = BTreeMap::new();
        for partition in partitions {
            let current = self.view.ownership(partition)?;
            if self.leases.get(&partition) != Some(&current.epoch) {
                not_owned.insert(partition, current.known());
            }
        }
        Ok(not_owned.into_iter().collect())
    }

    /// The conversation, if a service asks or a member. To a stranger there is none; a former member is
    /// told so.
    fn seen_by(
        &self,
        id: ConversationId,
        user: Option<UserId>,
    ) -> Result<Result<Conversation, Refusal>, StoreError> {
        let Some(found) = Conversation::load(self.view, self.config.home(id), id)? else {
            return Ok(Err(Refusal::NoSuchConversation));
        };
        Ok(match user {
            None => Ok(found),
            Some(user) if found.joined(user).is_some() => Ok(found),
            Some(user) if found.intervals(user).is_empty() => Err(Refusal::NoSuchConversation),
            Some(_) => Err(Refusal::NotMember),
        })
    }
}
