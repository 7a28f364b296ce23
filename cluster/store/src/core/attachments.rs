//! Who is listening: which users of which gateway life have which conversation attached.
//!
//! In memory only, and tied to the gateway's link: a lost link takes its attachments along, and the
//! gateway attaches everything again when it is back.

use protocol::store_calls::Head;
use protocol::{ConversationId, Sequence, UserId};
use std::collections::{BTreeMap, BTreeSet};

pub use ports::broker::GatewayLife;

/// One connection of a gateway; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// A user came to a conversation or went from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The conversation.
    pub conversation: ConversationId,
    /// The user.
    pub user: UserId,
    /// Came (first session anywhere) or went (last session anywhere).
    pub online: bool,
    /// Where the stream of this attachment began.
    pub since: Sequence,
    /// The newest entry that was sent to the conversation's listeners.
    pub head: Sequence,
}

/// An attachment that ended with its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The gateway.
    pub life: GatewayLife,
    /// The conversation.
    pub conversation: ConversationId,
    /// The user.
    pub user: UserId,
    /// The user went, if it was the last one.
    pub turn: Option<Turn>,
}

/// Where an attachment's stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begins {
    /// Behind this sequence.
    pub from: Sequence,
    /// The newest sequence.
    pub head: Sequence,
}

/// All attachments of a store node.
#[derive(Debug, Default)]
pub struct Attachments {
    links: BTreeMap<LinkId, Linked>,
    audiences: BTreeMap<ConversationId, Audience>,
    /// Those with new entries since heads were last told.
    grown: BTreeSet<ConversationId>,
}

#[derive(Debug)]
struct Linked {
    life: GatewayLife,
    /// Where each stream began.
    attached: BTreeMap<(ConversationId, UserId), Sequence>,
}

/// The listeners of one conversation: by link, the users and whether they want presence.
#[derive(Debug, Default)]
struct Audience {
    links: BTreeMap<LinkId, BTreeMap<UserId, bool>>,
    /// On how many links each user is attached.
    online: BTreeMap<UserId, u32>,
    /// The newest entry.
    head: Sequence,
}

impl Attachments {
    /// A gateway's link is there. The link that it announces twice under one life replaces the
    /// earlier one, which is as good as lost.
    pub fn announce(&mut self, link: LinkId, life: GatewayLife) -> Vec<Loss> {
        let same = |(old, linked): (&LinkId, &Linked)| {
            (linked.life == life || *old == link).then_some(*old)
        };
        let stale: Vec<LinkId> = self.links.iter().filter_map(same).collect();
        let losses = stale.into_iter().flat_map(|old| self.lose(old)).collect();
        self.links.insert(link, Linked { life, attached: BTreeMap::new() });
        losses
    }

    /// Whether a gateway has announced itself on this link and the link is not lost.
    pub fn is_linked(&self, link: LinkId) -> bool {
        self.links.contains_key(&link)
    }

    /// All linked gateways.
    pub fn links(&self) -> impl Iterator<Item = LinkId> + '_ {
        self.links.keys().copied()
    }

    /// Which gateway a link leads to.
    pub fn life(&self, link: LinkId) -> Option<GatewayLife> {
        self.links.get(&link).map(|linked| linked.life)
    }

    /// A user attaches a conversation. Again changes nothing but that presence may be wanted now.
    pub fn attach(
        &mut self,
        link: LinkId,
        conversation: ConversationId,
        user: UserId,
        presence: bool,
        begins: Begins,
    ) -> Option<Turn> {
        let Begins { from, head } = begins;
        let linked = self.links.get_mut(&link)?;
        let audience = self.audiences.entry(conversation).or_default();
        let wanted = audience.links.entry(link).or_default().entry(user).or_default();
        *wanted |= presence;
        audience.head = audience.head.max(head);
        if linked.attached.contains_key(&(conversation, user)) {
            return None;
        }
        linked.attached.insert((conversation, user), from);
        let links = audience.online.entry(user).or_default();
        *links += 1;
        let turn = Turn { conversation, user, online: true, since: from, head: audience.head };
        (*links == 1).then_some(turn)
    }

    /// An entry is sent to the listeners.
    pub fn sent(&mut self, conversation: ConversationId, sequence: Sequence) {
        if let Some(audience) = self.audiences.get_mut(&conversation) {
            audience.head = audience.head.max(sequence);
            self.grown.insert(conversation);
        }
    }

    /// Whether there is a head to tell.
    pub fn has_grown(&self) -> bool {
        !self.grown.is_empty()
    }

    /// The heads of conversations with new entries since this was last asked, for each link that has
    /// them attached. Entries are fanned out by a way that may lose them, the last one too, and a
    /// gateway that is told the head notices.
    pub fn take_heads(&mut self) -> BTreeMap<LinkId, Vec<Head>> {
        let mut heads: BTreeMap<LinkId, Vec<Head>> = BTreeMap::new();
        for conversation in std::mem::take(&mut self.grown) {
            let Some(audience) = self.audiences.get(&conversation) else { continue };
            let head = Head { conversation, sequence: audience.head };
            for link in audience.links.keys() {
                heads.entry(*link).or_default().push(head);
            }
        }
        heads
    }

    /// A user's attachment on one link ends.
    pub fn detach(
        &mut self,
        link: LinkId,
        conversation: ConversationId,
        user: UserId,
    ) -> Option<Turn> {
        let since = self.links.get_mut(&link)?.attached.remove(&(conversation, user))?;
        let audience = self.audiences.get_mut(&conversation)?;
        if let Some(users) = audience.links.get_mut(&link) {
            users.remove(&user);
            if users.is_empty() {
                audience.links.remove(&link);
            }
        }
        let links = audience.online.get_mut(&user)?;
        *links -= 1;
        let went = *links == 0;
        if went {
            audience.online.remove(&user);
        }
        let turn = Turn { conversation, user, online: false, since, head: audience.head };
        if audience.links.is_empty() {
            self.audiences.remove(&conversation);
        }
        went.then_some(turn)
    }

    /// A user is no longer a member: every attachment of theirs ends. The gateways that had one.
    pub fn expel(&mut self, conversation: ConversationId, user: UserId) -> Vec<GatewayLife> {
        let Some(audience) = self.audiences.get(&conversation) else { return Vec::new() };
        let has = |(link, users): (&LinkId, &BTreeMap<UserId, bool>)| {
            users.contains_key(&user).then_some(*link)
        };
        let links: Vec<LinkId> = audience.links.iter().filter_map(has).collect();
        for link in &links {
            self.detach(*link, conversation, user);
        }
        links.iter().map(|link| self.links[link].life).collect()
    }

    /// A link is lost, with everything on it.
    pub fn lose(&mut self, link: LinkId) -> Vec<Loss> {
        let Some(linked) = self.links.get(&link) else { return Vec::new() };
        let life = linked.life;
        let attached: Vec<_> = linked.attached.keys().copied().collect();
        let loss = |(conversation, user)| Loss {
            life,
            conversation,
            user,
            turn: self.detach(link, conversation, user),
        };
        let losses = attached.into_iter().map(loss).collect();
        self.links.remove(&link);
        losses
    }

    /// Whether a user has the conversation attached on any gateway.
    pub fn is_online(&self, conversation: ConversationId, user: UserId) -> bool {
        self.audiences.get(&conversation).is_some_and(|a| a.online.contains_key(&user))
    }

    /// Whether a user has the conversation attached on this link.
    pub fn is_attached(&self, link: LinkId, conversation: ConversationId, user: UserId) -> bool {
        self.links
            .get(&link)
            .is_some_and(|linked| linked.attached.contains_key(&(conversation, user)))
    }

    /// Every gateway that listens to a conversation.
    pub fn listeners(
        &self,
        conversation: ConversationId,
    ) -> impl Iterator<Item = GatewayLife> + '_ {
        self.of(conversation).map(|(link, _)| self.links[link].life)
    }

    /// Every gateway on which another member than `user` listens.
    pub fn listeners_besides(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> impl Iterator<Item = GatewayLife> + '_ {
        self.of(conversation)
            .filter(move |(_, users)| users.keys().any(|other| *other != user))
            .map(|(link, _)| self.links[link].life)
    }

    /// Every gateway on which another member than `user` wants presence.
    pub fn watchers(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> impl Iterator<Item = GatewayLife> + '_ {
        self.of(conversation)
            .filter(move |(_, users)| users.iter().any(|(other, wants)| *wants && *other != user))
            .map(|(link, _)| self.links[link].life)
    }

    /// Who has the conversation attached, besides a user.
    pub fn online_besides(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> impl Iterator<Item = UserId> + '_ {
        let audience = self.audiences.get(&conversation).into_iter();
        audience.flat_map(|a| a.online.keys().copied()).filter(move |other| *other != user)
    }

    fn of(
        &self,
        conversation: ConversationId,
    ) -> impl Iterator<Item = (&LinkId, &BTreeMap<UserId, bool>)> + '_ {
        self.audiences.get(&conversation).into_iter().flat_map(|audience| audience.links.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use protocol::{GatewayId, Incarnation};
    use std::collections::BTreeSet;

    const LINKS: u64 = 4;

    #[derive(Clone, Debug)]
    enum Op {
        Announce(u64, u64),
        Attach(u64, u64, u64, bool),
        Detach(u64, u64, u64),
        Expel(u64, u64),
        Lose(u64),
    }

    fn op() -> impl Strategy<Value = Op> {
        let (link, small) = (0..LINKS, 0_u64..3);
        prop_oneof![
            2 => (link.clone(), 0_u64..3).prop_map(|(l, life)| Op::Announce(l, life)),
            6 => (link.clone(), small.clone(), small.clone(), any::<bool>())
                .prop_map(|(l, c, u, p)| Op::Attach(l, c, u, p)),
            3 => (link.clone(), small.clone(), small.clone())
                .prop_map(|(l, c, u)| Op::Detach(l, c, u)),
            1 => (small.clone(), small).prop_map(|(c, u)| Op::Expel(c, u)),
            1 => link.prop_map(Op::Lose),
        ]
    }

    fn life(number: u64) -> GatewayLife {
        GatewayLife { gateway: GatewayId(number as u16), incarnation: Incarnation(1) }
    }

    fn turns_of(losses: Vec<Loss>) -> Vec<Turn> {
        losses.into_iter().filter_map(|loss| loss.turn).collect()
    }

    proptest! {
        /// Against a plain set of (link, conversation, user) with a flag.
        #[test]
        fn attachments_are_a_set(ops in prop::collection::vec(op(), 1..60)) {
            let mut attachments = Attachments::default();
            let mut lives: BTreeMap<u64, u64> = BTreeMap::new();
            let mut set: BTreeMap<(u64, u64, u64), bool> = BTreeMap::new();
            let mut online: BTreeSet<(u64, u64)> = BTreeSet::new();
            for op in ops {
                let id = ConversationId;
                let had: Vec<_> = set.keys().copied().collect();
                let turns = match op {
                    Op::Announce(l, n) => {
                        let stale: Vec<u64> = lives.iter()
                            .filter(|(link, life)| **life == n || **link == l)
                            .map(|(link, _)| *link).collect();
                        for old in stale {
                            lives.remove(&old);
                            set.retain(|(link, ..), _| *link != old);
                        }
                        lives.insert(l, n);
                        turns_of(attachments.announce(LinkId(l), life(n)))
                    }
                    Op::Attach(l, c, u, p) => {
                        if lives.contains_key(&l) {
                            *set.entry((l, c, u)).or_default() |= p;
                        }
                        {
                            let begins = Begins { from: Sequence(0), head: Sequence(0) };
                            let turn = attachments.attach(LinkId(l), id(c), UserId(u), p, begins);
                            turn.into_iter().collect()
                        }
                    }
                    Op::Detach(l, c, u) => {
                        set.remove(&(l, c, u));
                        attachments.detach(LinkId(l), id(c), UserId(u)).into_iter().collect()
                    }
                    Op::Expel(c, u) => {
                        set.retain(|(_, of, who), _| (*of, *who) != (c, u));
                        online.remove(&(c, u));
                        let has = |(of, who): (u64, u64)| (of, who) == (c, u);
                        let expected = had.iter().filter(|(_, of, who)| has((*of, *who))).count();
                        prop_assert_eq!(attachments.expel(id(c), UserId(u)).len(), expected);
                        Vec::new()
                    }
                    Op::Lose(l) => {
                        lives.remove(&l);
                        set.retain(|(link, ..), _| *link != l);
                        turns_of(attachments.lose(LinkId(l)))
                    }
                };
                for turn in turns {
                    let key = (turn.conversation.0, turn.user.0);
                    let changed = if turn.online { online.insert(key) } else { online.remove(&key) };
                    prop_assert!(changed, "told twice: {turn:?}");
                }
                let expected: BTreeSet<_> = set.keys().map(|(_, c, u)| (*c, *u)).collect();
                prop_assert_eq!(&online, &expected);
                for c in 0..3 {
                    let of = |wanted: &dyn Fn(u64, bool) -> bool| -> BTreeSet<GatewayLife> {
                        set.iter().filter(|((_, of, u), p)| *of == c && wanted(*u, **p))
                            .map(|((l, ..), _)| life(lives[l])).collect()
                    };
                    let all: Vec<_> = attachments.listeners(id(c)).collect();
                    prop_assert_eq!(all.len(), of(&|_, _| true).len(), "one copy per gateway");
                    prop_assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), of(&|_, _| true));
                    for u in 0..3 {
                        prop_assert_eq!(
                            attachments.is_online(id(c), UserId(u)), online.contains(&(c, u)));
                        let besides: BTreeSet<_> =
                            attachments.listeners_besides(id(c), UserId(u)).collect();
                        prop_assert_eq!(besides, of(&|other, _| other != u));
                        let watchers: BTreeSet<_> = attachments.watchers(id(c), UserId(u)).collect();
                        prop_assert_eq!(watchers, of(&|other, wants| wants && other != u));
                        for l in 0..LINKS {
                            prop_assert_eq!(
                                attachments.is_attached(LinkId(l), id(c), UserId(u)),
                                set.contains_key(&(l, c, u)));
                        }
                    }
                }
            }
        }
    }
}
