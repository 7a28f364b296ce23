//! Who acts how often, and where: ranks by Zipf's law, given to users and conversations by lot.

use super::random;
use protocol::{ConversationId, UserId};
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand_distr::Zipf;
use scenarios::scenario;

/// How unequal users and conversations are.
#[derive(Debug)]
pub struct Activity {
    online: u32,
    users: Option<Ranked>,
    /// Over the conversations of a user; 0: all alike.
    conversations: f64,
    seed: u64,
}

/// Users by rank; those who are busy are spread over all ids, and so over all hosts.
#[derive(Debug)]
struct Ranked {
    ranks: Zipf<f64>,
    by_rank: Vec<u32>,
}

impl Activity {
    /// Of the users 1 to `online`.
    pub fn new(of: scenario::Activity, online: u32, seed: u64) -> Self {
        // The reader of scenarios has checked the exponent; nobody is no distribution.
        let ranks = Zipf::new(f64::from(online), of.users).ok().filter(|_| of.users > 0.0);
        let users = ranks.map(|ranks| {
            let mut by_rank: Vec<u32> = (1..=online).collect();
            by_rank.shuffle(&mut random::stream(seed, "ranks", 0));
            Ranked { ranks, by_rank }
        });
        Self { online, users, conversations: of.conversations, seed }
    }

    /// Who acts next; there is somebody.
    pub fn user(&self, random: &mut SmallRng) -> UserId {
        let user = match &self.users {
            None => random.random_range(1..=u64::from(self.online)),
            Some(Ranked { ranks, by_rank }) => {
                let rank: f64 = random.sample(ranks);
                by_rank[(rank as usize).clamp(1, by_rank.len()) - 1].into()
            }
        };
        UserId(user)
    }

    /// In which of some conversations; there is one.
    pub fn conversation(
        &self,
        user: UserId,
        of: &[ConversationId],
        random: &mut SmallRng,
    ) -> ConversationId {
        let ranks = Zipf::new(of.len() as f64, self.conversations);
        let at = match ranks.ok().filter(|_| self.conversations > 0.0) {
            None => random.random_range(0..of.len()),
            Some(ranks) => {
                let rank: f64 = random.sample(ranks);
                // Which one is the first is a matter of the user.
                let first = random::number(self.seed, "favourite", user.0) % of.len() as u64;
                (first as usize + rank as usize - 1) % of.len()
            }
        };
        of[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn counts<T: Ord>(draws: u32, mut draw: impl FnMut() -> T) -> Vec<u32> {
        let mut counts: BTreeMap<T, u32> = BTreeMap::new();
        (0..draws).for_each(|_| *counts.entry(draw()).or_default() += 1);
        let mut counts: Vec<u32> = counts.into_values().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        counts
    }

    /// The busiest of so many has this share, and the second and third theirs, within five deviations.
    fn check(counts: &[u32], draws: u32, of: u32, exponent: f64) {
        let sum: f64 = (1..=of).map(|rank| f64::from(rank).powf(-exponent)).sum();
        for (rank, count) in (1..=3).zip(counts) {
            let wanted = f64::from(draws) * f64::from(rank).powf(-exponent) / sum;
            let off = (f64::from(*count) - wanted).abs();
            assert!(off < 5.0 * wanted.sqrt(), "rank {rank}: {count}, not {wanted}");
        }
    }

    #[test]
    fn ranks_follow_their_law() {
        let of = scenario::Activity { users: 1.1, conversations: 1.5 };
        let activity = Activity::new(of, 1_000, 3);
        let mut random = random::stream(3, "test", 0);
        check(&counts(50_000, || activity.user(&mut random)), 50_000, 1_000, 1.1);
        let own: Vec<ConversationId> = (5..15).map(ConversationId).collect();
        let mut draw = |user| activity.conversation(UserId(user), &own, &mut random);
        check(&counts(20_000, || draw(7)), 20_000, 10, 1.5);
        let favourites: std::collections::BTreeSet<u64> =
            (1..40).map(|user| random::number(3, "favourite", user) % 10).collect();
        assert!(favourites.len() > 5, "users differ in what they like: {favourites:?}");
    }

    #[test]
    fn without_an_exponent_all_are_alike() {
        let of = scenario::Activity { users: 0.0, conversations: 0.0 };
        let activity = Activity::new(of, 50, 3);
        let mut random = random::stream(3, "test", 0);
        let users = counts(50_000, || activity.user(&mut random));
        assert!(users.len() == 50 && users[0] < 1_160 && users[49] > 840, "{users:?}");
    }
}
