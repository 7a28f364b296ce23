//! Users, conversations, and who is a member of what.

use super::{Journeys, PlannedConversation, random};
use protocol::store_calls::ConversationKind;
use protocol::{ConversationId, UserId};
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use scenarios::scenario::Users;

/// Both directions of membership as flat lists with offsets: 8 bytes per membership and direction.
#[derive(Debug)]
pub struct People {
    direct: u32,
    members: Lists<UserId>,
    of_user: Lists<ConversationId>,
}

#[derive(Debug)]
struct Lists<T> {
    items: Vec<T>,
    /// Where each list begins, and where the last one ends.
    bounds: Vec<u32>,
}

impl<T> Lists<T> {
    const fn new() -> Self {
        Self { items: Vec::new(), bounds: Vec::new() }
    }

    fn begin(&mut self) {
        self.bounds.push(self.items.len() as u32);
    }

    fn get(&self, at: usize) -> &[T] {
        &self.items[self.bounds[at] as usize..self.bounds[at + 1] as usize]
    }

    const fn len(&self) -> usize {
        self.bounds.len() - 1
    }
}

impl People {
    pub fn new(users: &Users, journeys: Option<&Journeys>, seed: u64) -> Self {
        let mut members = Lists::new();
        pair_up(users, seed, &mut members);
        gather(users, journeys, seed, &mut members);
        members.begin();
        let of_user = turn_around(&members, users.count);
        Self { direct: users.direct, members, of_user }
    }

    pub const fn users(&self) -> u32 {
        self.of_user.len() as u32
    }

    pub const fn conversations(&self) -> u32 {
        self.members.len() as u32
    }

    pub const fn memberships(&self) -> u64 {
        self.members.items.len() as u64
    }

    pub fn conversation(&self, id: ConversationId) -> PlannedConversation<'_> {
        let kind =
            if self.is_group(id) { ConversationKind::Group } else { ConversationKind::Direct };
        PlannedConversation { id, kind, members: self.members.get(id.0 as usize - 1) }
    }

    pub const fn is_group(&self, id: ConversationId) -> bool {
        id.0 > self.direct as u64
    }

    pub fn conversations_of(&self, user: UserId) -> &[ConversationId] {
        self.of_user.get(user.0 as usize - 1)
    }
}

/// Direct conversations: everybody once, in shuffled pairs; then everybody again in other pairs.
fn pair_up(users: &Users, seed: u64, members: &mut Lists<UserId>) {
    let mut everybody: Vec<UserId> = (1..=u64::from(users.count)).map(UserId).collect();
    let mut made = 0;
    let mut round = 0;
    while made < users.direct && users.count >= 2 {
        everybody.shuffle(&mut random::stream(seed, "pairs", round));
        round += 1;
        // With an odd number the last one is paired with the first one.
        for pair in everybody.chunks(2).take((users.direct - made) as usize) {
            members.begin();
            members.items.push(pair[0]);
            members.items.push(*pair.get(1).unwrap_or(&everybody[0]));
            made += 1;
        }
    }
    // A direct conversation of a single user with nobody stays empty rather than renumbering others.
    for _ in made..users.direct {
        members.begin();
    }
}

/// Groups: who has no conversation yet comes first, the rest of each group is drawn at random. The users
/// of the REST interface stand behind them: without them the others would be the same.
fn gather(users: &Users, journeys: Option<&Journeys>, seed: u64, members: &mut Lists<UserId>) {
    let mut lonely: Vec<bool> = vec![true; users.count as usize];
    for user in &members.items {
        lonely[user.0 as usize - 1] = false;
    }
    let lonely: Vec<UserId> = (1..=u64::from(users.count))
        .filter(|user| lonely[*user as usize - 1])
        .map(UserId)
        .collect();
    // Marks by group number, so that no list has to be searched for a second membership.
    let mut member_of = vec![u32::MAX; users.count as usize];
    for group in 0..users.groups {
        let mut random = random::stream(seed, "group", u64::from(group));
        members.begin();
        for user in lonely.iter().skip(group as usize).step_by(users.groups as usize) {
            member_of[user.0 as usize - 1] = group;
            members.items.push(*user);
        }
        let begun = *members.bounds.last().expect("it has begun") as usize;
        let size = random::size(users.group_size, &mut random).min(users.count) as usize;
        while members.items.len() - begun < size {
            let user = draw_outsider(&mut member_of, group, users.count, &mut random);
            members.items.push(user);
        }
        members.items.extend(journeys.iter().flat_map(|journeys| journeys.members_of(group)));
    }
}

/// A random user who is not in the group yet; there is one.
fn draw_outsider(member_of: &mut [u32], group: u32, count: u32, random: &mut SmallRng) -> UserId {
    let mut user = random.random_range(0..count) as usize;
    // The next free one: a little less random in groups of nearly everybody, but always quick.
    while member_of[user] == group {
        user = (user + 1) % count as usize;
    }
    member_of[user] = group;
    UserId(user as u64 + 1)
}

fn turn_around(members: &Lists<UserId>, users: u32) -> Lists<ConversationId> {
    let mut of_user = Lists::new();
    let mut counts = vec![0_u32; users as usize + 1];
    let has_devices = |user: &&UserId| user.0 <= u64::from(users);
    for user in members.items.iter().filter(has_devices) {
        counts[user.0 as usize] += 1;
    }
    let mut end = 0;
    of_user.bounds = counts
        .iter()
        .map(|count| {
            end += count;
            end
        })
        .collect();
    // `bounds[u]` is now where the list of user u ends and that of user u + 1 begins.
    let mut next: Vec<u32> = of_user.bounds.clone();
    of_user.items = vec![ConversationId(0); counts.iter().sum::<u32>() as usize];
    for conversation in 0..members.len() {
        for user in members.get(conversation).iter().filter(has_devices) {
            let at = &mut next[user.0 as usize - 1];
            of_user.items[*at as usize] = ConversationId(conversation as u64 + 1);
            *at += 1;
        }
    }
    of_user
}
