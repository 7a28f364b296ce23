//! The deliveries of a queue that are not settled: those that wait, and how many users each of the others
//! has left. A delivery is done when all of its users are.

use crate::core::hand::Held;
use protocol::UserId;
use protocol::records::PushJob;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// See the module.
#[derive(Debug, Default)]
pub struct Deliveries {
    waiting: VecDeque<(u64, PushJob)>,
    /// Users that are not done, by delivery.
    left: BTreeMap<u64, usize>,
}

impl Deliveries {
    /// Takes a delivery. It waits until it is opened.
    pub fn take(&mut self, tag: u64, job: PushJob) {
        self.waiting.push_back((tag, job));
    }

    /// Opens the next delivery: a job for each of its users.
    pub fn open(&mut self) -> Option<impl Iterator<Item = Held>> {
        let (tag, mut job) = self.waiting.pop_front()?;
        let mut users = std::mem::take(&mut job.users);
        users.sort_unstable();
        users.dedup();
        self.left.insert(tag, users.len());
        let job = Arc::new(job);
        Some(users.into_iter().map(move |user: UserId| Held::new(tag, user, Arc::clone(&job))))
    }

    /// A user of an open delivery is done; whether the delivery is.
    pub fn done(&mut self, tag: u64) -> bool {
        let Some(left) = self.left.get_mut(&tag) else { return false };
        *left -= 1;
        *left == 0 && self.left.remove(&tag).is_some()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.waiting.len() + self.left.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{ConversationId, Sequence};

    #[test]
    fn a_delivery_is_done_when_all_of_its_users_are() {
        let mut deliveries = Deliveries::default();
        for (tag, users) in [(7, &[3, 5, 3][..]), (8, &[3])] {
            let job = PushJob {
                users: users.iter().copied().map(UserId).collect(),
                conversation: ConversationId(1),
                sequence: Sequence(1),
                author: UserId(1),
                preview: String::new(),
                at_ms: 0,
                client_message_id: None,
            };
            deliveries.take(tag, job);
        }
        let opened = deliveries.open().unwrap().map(|held| (held.tag, held.user.0));
        assert_eq!(opened.collect::<Vec<_>>(), [(7, 3), (7, 5)], "each once");
        assert_eq!(deliveries.count(), 2);
        assert_eq!((deliveries.done(7), deliveries.done(7)), (false, true));
        assert_eq!((deliveries.count(), deliveries.done(7)), (1, false));
        assert_eq!(deliveries.open().unwrap().count(), 1);
        assert!(deliveries.done(8) && deliveries.open().is_none());
    }
}
