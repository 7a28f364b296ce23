//! Who is listening: which users of which gateway life have which conversation attached.
//!
//! In memory only, and tied to the gateway's link: a lost link takes its attachments along, and the
//! gateway attaches everything again when it is back.

#[cfg(test)]
mod tests;

use protocol::store_calls::Head;
use protocol::{ConversationId, Sequence, UserId};
use std::collections::{BTreeMap, BTreeSet};

pub use ports::broker::GatewayLife;

/// One connection of a gateway; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// A user came to a conversation or went from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresenceChange {
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
    pub change: Option<PresenceChange>,
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
    /// What links had attached until its last user there left, with the head at that time: the last entry
    /// may be lost, too.
    left: BTreeMap<LinkId, BTreeMap<ConversationId, Sequence>>,
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
    ) -> Option<PresenceChange> {
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
        let change =
            PresenceChange { conversation, user, online: true, since: from, head: audience.head };
        (*links == 1).then_some(change)
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
        !self.grown.is_empty() || !self.left.is_empty()
    }

    /// The heads of conversations with new entries since this was last asked, for each link that has
    /// them attached. Entries are fanned out by a way that may lose them, the last one too, and a
    /// gateway that is told the head notices.
    pub fn take_heads(&mut self) -> BTreeMap<LinkId, Vec<Head>> {
        let mut heads: BTreeMap<LinkId, Vec<Head>> = BTreeMap::new();
        for (link, left) in std::mem::take(&mut self.left) {
            let head = |(conversation, sequence)| Head { conversation, sequence };
            heads.insert(link, left.into_iter().map(head).collect());
        }
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
    ) -> Option<PresenceChange> {
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
        let change =
            PresenceChange { conversation, user, online: false, since, head: audience.head };
        if audience.links.is_empty() {
            self.audiences.remove(&conversation);
        }
        went.then_some(change)
    }

    /// A user is no longer a member: every attachment of theirs ends. The gateways that had one.
    pub fn expel(&mut self, conversation: ConversationId, user: UserId) -> Vec<GatewayLife> {
        let Some(audience) = self.audiences.get(&conversation) else { return Vec::new() };
        let has = |(link, users): (&LinkId, &BTreeMap<UserId, bool>)| {
            users.contains_key(&user).then_some(*link)
        };
        let (head, links) = (audience.head, audience.links.iter().filter_map(has));
        let links: Vec<LinkId> = links.collect();
        for link in &links {
            self.detach(*link, conversation, user);
            let audience = self.audiences.get(&conversation);
            if !audience.is_some_and(|audience| audience.links.contains_key(link)) {
                self.left.entry(*link).or_default().insert(conversation, head);
            }
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
            change: self.detach(link, conversation, user),
        };
        let losses = attached.into_iter().map(loss).collect();
        self.links.remove(&link);
        self.left.remove(&link);
        losses
    }

    /// Ends every attachment to such conversations. Nobody goes by that: the users are to be attached
    /// elsewhere.
    pub fn end(&mut self, is_ended: impl Fn(ConversationId) -> bool) {
        for linked in self.links.values_mut() {
            linked.attached.retain(|(conversation, _), _| !is_ended(*conversation));
        }
        self.audiences.retain(|conversation, _| !is_ended(*conversation));
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
