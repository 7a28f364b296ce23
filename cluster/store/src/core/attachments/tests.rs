//! Attachments against a plain set.

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
    End(u64),
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
        1 => (0_u64..3).prop_map(Op::End),
    ]
}

fn life(number: u64) -> GatewayLife {
    GatewayLife { gateway: GatewayId(number as u16), incarnation: Incarnation(1) }
}

fn changes_of(losses: Vec<Loss>) -> Vec<PresenceChange> {
    losses.into_iter().filter_map(|loss| loss.change).collect()
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
            let changes = match op {
                Op::Announce(l, n) => {
                    let stale: Vec<u64> = lives.iter()
                        .filter(|(link, life)| **life == n || **link == l)
                        .map(|(link, _)| *link).collect();
                    for old in stale {
                        lives.remove(&old);
                        set.retain(|(link, ..), _| *link != old);
                    }
                    lives.insert(l, n);
                    changes_of(attachments.announce(LinkId(l), life(n)))
                }
                Op::Attach(l, c, u, p) => {
                    if lives.contains_key(&l) {
                        *set.entry((l, c, u)).or_default() |= p;
                    }
                    {
                        let begins = Begins { from: Sequence(0), head: Sequence(0) };
                        let change = attachments.attach(LinkId(l), id(c), UserId(u), p, begins);
                        change.into_iter().collect()
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
                    changes_of(attachments.lose(LinkId(l)))
                }
                Op::End(c) => {
                    set.retain(|(_, of, _), _| *of != c);
                    online.retain(|(of, _)| *of != c);
                    attachments.end(|of| of == id(c));
                    Vec::new()
                }
            };
            for change in changes {
                let key = (change.conversation.0, change.user.0);
                let changed = if change.online { online.insert(key) } else { online.remove(&key) };
                prop_assert!(changed, "told twice: {change:?}");
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

/// The last entry that a gateway needs may be lost like any other: whose membership has ended there
/// would never hear of it.
#[test]
fn a_gateway_whose_last_user_has_left_is_told_the_head_once_more() {
    let (conversation, leaves) = (ConversationId(9), Sequence(13));
    let (alone, shared) = (LinkId(1), LinkId(2));
    let mut attachments = Attachments::default();
    let begins = Begins { from: Sequence(12), head: Sequence(12) };
    for link in [alone, shared] {
        attachments.announce(link, life(link.0));
    }
    for (link, user) in [(alone, 1), (shared, 1), (shared, 2)] {
        attachments.attach(link, conversation, UserId(user), false, begins);
    }
    attachments.sent(conversation, leaves);
    assert_eq!(attachments.expel(conversation, UserId(1)).len(), 2);
    assert!(attachments.has_grown());
    let head = vec![Head { conversation, sequence: leaves }];
    let expected = BTreeMap::from([(alone, head.clone()), (shared, head)]);
    assert_eq!(attachments.take_heads(), expected);
    assert!(!attachments.has_grown() && attachments.take_heads().is_empty());
    attachments.sent(conversation, Sequence(14));
    attachments.expel(conversation, UserId(2));
    attachments.lose(shared);
    assert!(attachments.take_heads().is_empty(), "nobody is there");
}
