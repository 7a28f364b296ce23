//! The users of the REST interface: who they are, what they are members of, on which journeys they go.
//!
//! They are the last users, and the conversations that they may make are the last ones, so that a judge
//! knows all of them beforehand. How often a user goes on a journey depends on the answers (a closed loop),
//! but not on which: the nth one is drawn from the seed.

use super::random;
use protocol::store_calls::ConversationKind;
use protocol::{ConversationId, UserId};
use scenarios::scenario::{JourneyMix, Scenario};
use std::ops::Range;
use std::time::Duration;

/// What a user does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Journey {
    /// Reads all of a conversation.
    PageBacklog,
    /// Makes a group.
    CreateConversation,
    /// Leaves a group, or comes back.
    ChangeMembers,
    /// Gets another token.
    SignIn,
}

/// The users of the REST interface of a scenario.
#[derive(Clone, Debug)]
pub struct Journeys {
    seed: u64,
    mix: JourneyMix,
    think: Duration,
    /// The first of them.
    first: u32,
    users: u32,
    /// Those of them who are counted on to be there when somebody makes a group.
    online: u32,
    /// Groups of the others, and how many of them each is a member of.
    groups: Range<u32>,
    groups_each: u32,
    /// Up to which conversation the first so many users may make some.
    made: Vec<u32>,
}

impl Journeys {
    /// Those of a scenario, if it has any.
    pub fn new(scenario: &Scenario, seed: u64) -> Option<Self> {
        let (users, journeys) = (&scenario.users, scenario.journeys?);
        let groups = users.direct + 1..users.direct + users.groups + 1;
        let mut all = Self {
            seed,
            mix: journeys.mix,
            think: journeys.think,
            first: users.count + 1,
            users: journeys.users,
            online: users.count - users.offline.min(users.count),
            groups_each: journeys.groups.min(users.groups),
            made: vec![groups.end - 1],
            groups,
        };
        // More than that nobody gets through: each journey takes as long as the thinking behind it.
        let lasts = scenario.load.lasts() + scenario.phases.heal;
        let most = (lasts.as_secs_f64() / journeys.think.as_secs_f64()).ceil() as u64 + 1;
        for user in all.users() {
            let made =
                (0..most).filter(|step| all.journey(user, *step) == Journey::CreateConversation);
            let made = made.count() as u32;
            all.made.push(all.made.last().map_or(made, |last| last + made));
        }
        Some(all)
    }

    /// All of them.
    pub fn users(&self) -> impl Iterator<Item = UserId> + use<> {
        (self.first..self.first + self.users).map(|user| UserId(u64::from(user)))
    }

    /// How many there are.
    pub const fn count(&self) -> u32 {
        self.users
    }

    /// Between two journeys.
    pub const fn think(&self) -> Duration {
        self.think
    }

    /// The nth journey of a user, from 0.
    pub fn journey(&self, user: UserId, step: u64) -> Journey {
        let JourneyMix { page_backlog, create_conversation, change_members, .. } = self.mix;
        let mut at = self.draw("journey", user, step) as f64 / u64::MAX as f64 * self.mix.sum();
        for (share, journey) in [
            (page_backlog, Journey::PageBacklog),
            (create_conversation, Journey::CreateConversation),
            (change_members, Journey::ChangeMembers),
        ] {
            if at < share {
                return journey;
            }
            at -= share;
        }
        Journey::SignIn
    }

    /// A number for the nth journey of a user: which of its conversations, for example.
    pub fn pick(&self, user: UserId, step: u64) -> u64 {
        self.draw("journey's choice", user, step)
    }

    /// The groups of the others that a user is a member of from the beginning.
    pub fn groups_of(&self, user: UserId) -> impl Iterator<Item = ConversationId> + use<> {
        let (there, from) = (self.groups.len() as u32, self.groups.start);
        let first = self.index(user) * self.groups_each;
        (first..first + self.groups_each)
            .map(move |at| ConversationId(u64::from(from + at % there)))
    }

    /// The users who are members of the nth group of the others from the beginning.
    pub fn members_of(&self, group: u32) -> impl Iterator<Item = UserId> + use<> {
        let memberships = self.users * self.groups_each;
        let (each, first) = (self.groups_each, self.first);
        (group..memberships)
            .step_by(self.groups.len())
            .map(move |at| UserId(u64::from(first + at / each)))
    }

    /// Up to which number conversations are made by them.
    pub fn conversations(&self) -> u32 {
        self.made.last().copied().unwrap_or(self.groups.end - 1)
    }

    /// The conversations that a user may make, in this order.
    pub fn conversations_made_by(
        &self,
        user: UserId,
    ) -> impl Iterator<Item = ConversationId> + use<> {
        let at = self.index(user) as usize;
        (self.made[at] + 1..=self.made[at + 1]).map(|id| ConversationId(u64::from(id)))
    }

    /// The first members of a conversation that a user makes: the user, the next one of the REST interface,
    /// and one of the others.
    pub fn first_members(&self, user: UserId, conversation: ConversationId) -> Vec<UserId> {
        let mut members = vec![user];
        let next = (self.index(user) + 1) % self.users;
        if self.users > 1 {
            members.push(UserId(u64::from(self.first + next)));
        }
        let other = random::number(self.seed, "member of a new group", conversation.0);
        members.extend((self.online > 0).then(|| UserId(other % u64::from(self.online) + 1)));
        members
    }

    /// The kind of what they make.
    pub const MADE: ConversationKind = ConversationKind::Group;

    const fn index(&self, user: UserId) -> u32 {
        user.0 as u32 - self.first
    }

    fn draw(&self, name: &str, user: UserId, step: u64) -> u64 {
        random::number(self.seed, name, user.0 << 32 | step)
    }
}
