//! Who is listening: which users of which gateway life have which conversation attached.
//!
//! In memory only, and tied to the gateway's link: a lost link takes its attachments along, and the
//! gateway attaches everything again when it is back.

#[cfg(test)]
mod tests;

use protocol::store_calls::Head;
use protocol::{ConversationId, Sequence, UserId, tight};
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

/// The listeners of one conversation. Most have two, so these are lists, and no larger than they must be.
#[derive(Debug, Default)]
struct Audience {
    /// By link, sorted.
    links: Vec<Listening>,
    /// The newest entry.
    head: Sequence,
}

/// Who listens through one link, sorted, and whether they want presence.
#[derive(Debug)]
struct Listening {
    link: LinkId,
    users: Vec<(UserId, bool)>,
}

impl Listening {
    fn place(&self, user: UserId) -> Result<usize, usize> {
        self.users.binary_search_by_key(&user, |(user, _)| *user)
    }

    fn has(&self, user: UserId) -> bool {
        self.place(user).is_ok()
    }

    fn wants(&mut self, user: UserId, presence: bool) {
        match self.place(user) {
            Ok(at) => self.users[at].1 |= presence,
            Err(at) => tight::insert(&mut self.users, at, (user, presence)),
        }
    }
}

impl Audience {
    fn place(&self, link: LinkId) -> Result<usize, usize> {
        self.links.binary_search_by_key(&link, |listening| listening.link)
    }

    fn link(&mut self, link: LinkId) -> &mut Listening {
        let at = self.place(link).unwrap_or_else(|at| {
            tight::insert(&mut self.links, at, Listening { link, users: Vec::new() });
            at
        });
        &mut self.links[at]
    }

    fn is_online(&self, user: UserId) -> bool {
        self.links.iter().any(|listening| listening.has(user))
    }

    fn remove(&mut self, link: LinkId, user: UserId) {
        let Ok(at) = self.place(link) else { return };
        if let Ok(place) = self.links[at].place(user) {
            self.links[at].users.remove(place);
        }
        if self.links[at].users.is_empty() {
            self.links.remove(at);
        }
    }
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
        let was_online = audience.is_online(user);
        audience.link(link).wants(user, presence);
        audience.head = audience.head.max(head);
        linked.attached.entry((conversation, user)).or_insert(from);
        let change =
            PresenceChange { conversation, user, online: true, since: from, head: audience.head };
        (!was_online).then_some(change)
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
            for Listening { link, .. } in &audience.links {
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
        audience.remove(link, user);
        let went = !audience.is_online(user);
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
        let head = audience.head;
        let has = audience.links.iter().filter(|listening| listening.has(user));
        let links: Vec<LinkId> = has.map(|listening| listening.link).collect();
        for link in &links {
            self.detach(*link, conversation, user);
            let audience = self.audiences.get(&conversation);
            if audience.is_none_or(|audience| audience.place(*link).is_err()) {
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
        self.audiences.get(&conversation).is_some_and(|audience| audience.is_online(user))
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
        self.of(conversation).map(|listening| self.links[&listening.link].life)
    }

    /// Every gateway on which another member than `user` listens.
    pub fn listeners_besides(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> impl Iterator<Item = GatewayLife> + '_ {
        self.of(conversation)
            .filter(move |listening| listening.users.iter().any(|(other, _)| *other != user))
            .map(|listening| self.links[&listening.link].life)
    }

    /// Every gateway on which another member than `user` wants presence.
    pub fn watchers(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> impl Iterator<Item = GatewayLife> + '_ {
        self.of(conversation)
            .filter(move |listening| {
                listening.users.iter().any(|(other, wants)| *wants && *other != user)
            })
            .map(|listening| self.links[&listening.link].life)
    }

    /// Who has the conversation attached, besides a user.
    pub fn online_besides(
        &self,
        conversation: ConversationId,
        user: UserId,
        most: usize,
    ) -> BTreeSet<UserId> {
        let users = self.of(conversation).flat_map(|listening| &listening.users);
        let mut others = BTreeSet::new();
        for (other, _) in users.filter(|(other, _)| *other != user) {
            if others.len() >= most {
                break;
            }
            others.insert(*other);
        }
        others
    }

    fn of(&self, conversation: ConversationId) -> impl Iterator<Item = &Listening> + '_ {
        self.audiences.get(&conversation).into_iter().flat_map(|audience| audience.links.iter())
    }
}
