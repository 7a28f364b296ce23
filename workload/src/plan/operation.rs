//! One thing that a user does, as it is planned.

use super::{Plan, random};
use protocol::{ConversationId, DeviceId, UserId};
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IteratorRandom;
use scenarios::scenario::Mix;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Of the operations in a conversation that their device knows to be left, so many are moved.
const MOVED: f64 = 0.9;

/// One thing that a user does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// Names it among all operations of a run.
    pub id: u64,
    /// When it is intended, counted from the beginning of the load.
    #[serde(rename = "at_ns", with = "nanoseconds")]
    pub at: Duration,
    /// Who.
    pub user: UserId,
    /// With which device.
    pub device: DeviceId,
    /// What.
    pub kind: Kind,
    /// Where: a conversation of the user's first ones (a group for `JoinLeave`). See `moved`.
    pub conversation: ConversationId,
    /// Bytes of the text, if there is one.
    pub size: u32,
    /// A random number, for choices that depend on what has happened by then.
    pub pick: u64,
}

/// The kinds of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A new message.
    Send,
    /// A message in a format that nobody knows.
    Poison,
    /// An answer to the newest message that the device has shown; a message if there is none.
    Reply,
    /// A new text for an own accepted message; a message if there is none.
    Edit,
    /// An own accepted message is withdrawn; a message if there is none.
    Delete,
    /// A backlog page.
    ReadHistory,
    /// The user leaves a group or comes back to it.
    JoinLeave,
    /// The device disconnects and comes back.
    Reconnect,
    /// The user starts typing.
    Typing,
    /// All tokens of the user are revoked; the user logs in anew later.
    Revoke,
    /// The device logs out, and in again later.
    LogOut,
    /// The user takes the device up, which was put away.
    Come,
    /// The user puts the device away.
    Go,
    /// From where the device is, a stranger attacks the gateway.
    Attack,
}

impl Operation {
    /// Whether it happens where it was planned even if the user has left: a small share, so that the
    /// cluster has something to refuse.
    pub fn is_stubborn(&self) -> bool {
        !random::stream(self.pick, "stubborn", 0).random_bool(MOVED)
    }

    /// The same in another of the user's conversations (`own`), if the device knows that the user has
    /// left (`is_left`) the planned one, and neither the operation is stubborn nor all are left.
    pub fn moved(self, own: &[ConversationId], is_left: impl Fn(ConversationId) -> bool) -> Self {
        // To come back one must name what one has left.
        if self.kind == Kind::JoinLeave || !is_left(self.conversation) || self.is_stubborn() {
            return self;
        }
        let others = own.iter().copied().filter(|id| !is_left(*id));
        let conversation = others.choose(&mut random::stream(self.pick, "elsewhere", 0));
        Self { conversation: conversation.unwrap_or(self.conversation), ..self }
    }
}

/// The operation of one arrival; `None` if its user has no conversation.
pub fn draw(plan: &Plan, id: u64, at: Duration, number: u64, poison: bool) -> Option<Operation> {
    let name = if poison { "poison" } else { "operation" };
    let mut random = random::stream(plan.seed, name, number);
    if plan.online() == 0 {
        return None;
    }
    let user = plan.activity.user(&mut random);
    let device = DeviceId(random.random_range(1..=plan.devices));
    of(plan, id, at, (user, device), poison.then_some(Kind::Poison), &mut random)
}

/// What a device does then: of this kind, or of one by the shares of the mix.
pub fn of(
    plan: &Plan,
    id: u64,
    at: Duration,
    (user, device): (UserId, DeviceId),
    of_kind: Option<Kind>,
    random: &mut SmallRng,
) -> Option<Operation> {
    let drawn = kind(&plan.load.mix, random);
    let mut kind = of_kind.unwrap_or(drawn);
    let size = random::size(plan.load.body, random);
    let all = plan.conversations_of(user);
    // Direct conversations have the lower numbers.
    let groups = &all[all.partition_point(|id| !plan.people.is_group(*id))..];
    if kind == Kind::JoinLeave && groups.is_empty() {
        kind = Kind::Send;
    }
    let choice = if kind == Kind::JoinLeave { groups } else { all };
    if choice.is_empty() {
        return None;
    }
    let conversation = plan.activity.conversation(user, choice, random);
    Some(Operation { id, at, user, device, kind, conversation, size, pick: random.random() })
}

/// A time as a number.
mod nanoseconds {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    pub fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(time.as_nanos() as u64)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_nanos)
    }
}

fn kind(mix: &Mix, random: &mut SmallRng) -> Kind {
    let shares = [
        (mix.send, Kind::Send),
        (mix.reply, Kind::Reply),
        (mix.edit, Kind::Edit),
        (mix.delete, Kind::Delete),
        (mix.read_history, Kind::ReadHistory),
        (mix.join_leave, Kind::JoinLeave),
        (mix.reconnect, Kind::Reconnect),
        (mix.typing, Kind::Typing),
        (mix.revoke, Kind::Revoke),
        (mix.log_out, Kind::LogOut),
    ];
    let sum: f64 = shares.iter().map(|(share, _)| share).sum();
    let mut at = random.random::<f64>() * sum;
    for (share, kind) in shares {
        if at < share {
            return kind;
        }
        at -= share;
    }
    // Rounding may leave a hair over.
    Kind::Send
}
