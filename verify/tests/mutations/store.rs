//! The final reads are not what they should be.

use crate::case::{Case, Position, is_message, is_sent};
use crate::kind::{Kind, caught};
use protocol::{ClientMessageId, ConversationId, Epoch, NodeNumber, Sequence, UserId};
use verify::history::event::{Said, Seen, What};

pub const KINDS: &[Kind] = &[
    caught("an accepted entry is not stored", "accepted_message_survives", |case| {
        let lost = case.truth.accepted.clone();
        let position = case.one_of(&lost)?.position;
        lose(case, |stored| stored == position)
    }),
    caught(
        "the last accepted entry of a conversation is not stored",
        "accepted_message_survives",
        |case| {
            let position = position(case, |case, position, entry| {
                is_sent(entry) && case.truth.head(position.0) == position.1.0
            })?;
            lose(case, |stored| stored == position)
        },
    ),
    caught("a stored log has a hole", "no_gap_in_sequence", |case| {
        let position = position(case, |_, _, _| true)?;
        lose(case, |stored| stored == position)
    }),
    caught("the first entry is not stored", "no_gap_in_sequence", |case| {
        let position = position(case, |_, position, _| position.1.0 == 1)?;
        lose(case, |stored| stored == position)
    }),
    caught("the store has lost a prefix", "no_gap_in_sequence", |case| {
        let (c, q) = position(case, |_, position, _| position.1.0 > 1)?;
        lose(case, |(conversation, sequence)| conversation == c && sequence < q)?;
        totals(case, c, Some(q), None)
    }),
    caught(
        "the store has lost a prefix with accepted entries",
        "accepted_message_survives",
        |case| {
            let positions: Vec<Position> = case.truth.accepted.iter().map(|a| a.position).collect();
            let (c, q) = case.one_of(&positions)?;
            lose(case, |(conversation, sequence)| conversation == c && sequence <= q)?;
            totals(case, c, Some(Sequence(q.0 + 1)), None)
        },
    ),
    caught(
        "the store has lost its newest entries, and names an older head",
        "reads_never_go_back",
        |case| {
            let (c, q) = position(case, |case, position, _| {
                let all = case.truth.devices.iter();
                position.1.0 > 1
                    && all.clone().any(|d| {
                        case.truth.shown(*d, position.0).iter().any(|(_, s)| *s >= position.1)
                    })
            })?;
            lose(case, |(conversation, sequence)| conversation == c && sequence >= q)?;
            totals(case, c, None, Some(Sequence(q.0 - 1)))
        },
    ),
    caught("the store has nothing of a conversation", "accepted_message_survives", |case| {
        let positions: Vec<Position> = case.truth.accepted.iter().map(|a| a.position).collect();
        let (c, _) = case.one_of(&positions)?;
        lose(case, |(conversation, _)| conversation == c)?;
        totals(case, c, Some(Sequence(0)), Some(Sequence(0)))
    }),
    caught("the store names a head that it has not", "no_gap_in_sequence", |case| {
        let (c, _) = position(case, |_, _, _| true)?;
        let head = case.truth.head(c) + 1 + case.draw(9);
        totals(case, c, None, Some(Sequence(head)))
    }),
    caught("a departure is not stored", "no_gap_in_sequence", |case| {
        let position = position(case, |_, _, entry| matches!(entry.said, Said::Leave { .. }))?;
        lose(case, |stored| stored == position)
    }),
    caught("an answered departure is not stored", "accepted_message_survives", |case| {
        let position = position(case, |_, _, entry| matches!(entry.said, Said::Leave { .. }))?;
        lose(case, |stored| stored == position)
    }),
    caught("an answered join is not stored", "accepted_message_survives", |case| {
        let position = position(case, |_, _, entry| matches!(entry.said, Said::Join { .. }))?;
        lose(case, |stored| stored == position)
    }),
    caught("a stored text is another than was shown", "conversation_order_agrees", |case| {
        let position = position(case, |case, position, entry| {
            is_message(entry) && case.truth.is_shown(position)
        })?;
        rewrite(case, position, text)
    }),
    caught("a stored text is another than was sent", "no_phantom_message", |case| {
        let position = position(case, |_, _, entry| is_message(entry))?;
        rewrite(case, position, text)
    }),
    caught(
        "a stored entry is another than its sender was told",
        "sequence_agrees_with_ack",
        |case| {
            let accepted = case.truth.accepted.clone();
            let position = case.one_of(&accepted)?.position;
            rewrite(case, position, |entry, n| entry.message = ClientMessageId(n + 77_000_000))
        },
    ),
    caught("a stored entry has another author", "no_phantom_message", |case| {
        let position = position(case, |_, _, entry| is_sent(entry))?;
        rewrite(case, position, |entry, _| entry.author = UserId(entry.author.0 % 4 + 1))
    }),
    caught("a stored entry has an id that nobody used", "no_phantom_message", |case| {
        let position = position(case, |_, _, entry| is_sent(entry))?;
        rewrite(case, position, |entry, n| entry.message = ClientMessageId(n + 77_000_000))
    }),
    caught("a stored reply answers another message", "no_phantom_message", |case| {
        let position = position(case, |_, _, entry| {
            matches!(entry.said, Said::Message { parent: Some(_), .. })
        })?;
        rewrite(case, position, |entry, _| {
            if let Said::Message { parent: Some(parent), .. } = &mut entry.said {
                *parent = Sequence(parent.0 + 1);
            }
        })
    }),
    caught("a stored edit changes another message", "no_phantom_message", |case| {
        let position = position(case, |_, _, entry| {
            matches!(entry.said, Said::Edit { .. } | Said::Delete { .. })
        })?;
        rewrite(case, position, |entry, n| match &mut entry.said {
            Said::Edit { target, .. } | Said::Delete { target } => {
                *target = Sequence(target.0 + 1 + n);
            }
            _ => {}
        })
    }),
    caught("two stored entries have been swapped", "conversation_order_agrees", |case| {
        let (c, q) = position(case, |case, position, entry| {
            let next = (position.0, Sequence(position.1.0 + 1));
            let other = case.truth.stored.get(&next);
            case.truth.is_shown(position)
                && other.is_some_and(|other| is_sent(entry) && is_sent(other))
        })?;
        let next = Sequence(q.0 + 1);
        let [one, other] = [q, next].map(|q| case.truth.stored[&(c, q)]);
        for event in &mut case.history.events {
            if let What::Stored { entry } = &mut event.is {
                match (entry.conversation, entry.sequence) {
                    position if position == (c, q) => *entry = Seen { sequence: q, ..other },
                    position if position == (c, next) => *entry = Seen { sequence: next, ..one },
                    _ => {}
                }
            }
        }
        Some(())
    }),
    caught("a stored entry was moved to another conversation", "no_phantom_message", |case| {
        let position = position(case, |_, _, entry| is_sent(entry))?;
        let conversations = u64::from(case.truth.sound.header.conversations);
        let there =
            (conversations > 1).then(|| ConversationId(position.0.0 % conversations + 1))?;
        let head = case.truth.head(there);
        rewrite(case, position, |entry, _| {
            (entry.conversation, entry.sequence) = (there, Sequence(head + 1));
        })
    }),
    caught(
        "a stored entry is of an older epoch than the one before it",
        "one_owner_per_partition",
        |case| {
            let position = position(case, |_, position, _| position.1.0 > 1)?;
            rewrite(case, position, |entry, _| entry.epoch = Epoch(0))
        },
    ),
    caught(
        "a stored entry is of a newer epoch than the one behind it",
        "one_owner_per_partition",
        |case| {
            let position =
                position(case, |case, position, _| case.truth.head(position.0) > position.1.0)?;
            rewrite(case, position, |entry, _| entry.epoch = Epoch(entry.epoch.0 + 50))
        },
    ),
    caught("a stored entry names another owner of its epoch", "one_owner_per_partition", |case| {
        let position = position(case, |case, position, _| case.truth.is_shown(position))?;
        rewrite(case, position, |entry, _| entry.owner = NodeNumber(entry.owner.0 + 7))
    }),
    caught("a message is stored a second time at the end", "no_duplicate_delivery", |case| {
        let (c, q) = position(case, |_, _, entry| is_sent(entry))?;
        let head = case.truth.head(c) + 1;
        let again = Seen { sequence: Sequence(head), ..case.truth.stored[&(c, q)] };
        append(case, c, again)
    }),
    caught("a message is stored that nobody sent", "no_phantom_message", |case| {
        let (c, q) = position(case, |_, _, entry| is_message(entry))?;
        let (sequence, message) = (Sequence(case.truth.head(c) + 1), ClientMessageId(88_000_000));
        append(case, c, Seen { sequence, message, ..case.truth.stored[&(c, q)] })
    }),
    caught("a join is stored that nobody asked for", "no_phantom_message", |case| {
        let (c, q) = position(case, |_, _, _| true)?;
        let strangers: Vec<UserId> =
            case.truth.users().filter(|u| case.truth.changes(*u, c).is_empty()).collect();
        let (user, sequence) = (case.one_of(&strangers)?, Sequence(case.truth.head(c) + 1));
        let (said, message) = (Said::Join { user }, ClientMessageId(0));
        append(case, c, Seen { sequence, message, said, ..case.truth.stored[&(c, q)] })
    }),
    caught("a departure is stored that nobody asked for", "no_phantom_message", |case| {
        let (c, q) = position(case, |case, position, entry| {
            let Said::Join { user } = entry.said else { return false };
            case.truth.stays(user, position)
        })?;
        let Said::Join { user } = case.truth.stored[&(c, q)].said else { return None };
        let asked = |is: &What| {
            matches!(is, What::MemberAsked { conversation, user: u, add: false }
                if (*conversation, *u) == (c, user))
        };
        if !case.truth.all(asked).is_empty() {
            return None;
        }
        let (said, sequence) = (Said::Leave { user }, Sequence(case.truth.head(c) + 1));
        append(case, c, Seen { sequence, said, ..case.truth.stored[&(c, q)] })
    }),
    caught("retention removes more than it may", "no_gap_in_sequence", |case| {
        let (c, q) = position(case, |_, position, _| position.1.0 > 1)?;
        let kept = case.truth.head(c) - (q.0 - 1) + 1;
        case.history.header.retention = Some(kept + case.draw(3));
        lose(case, |(conversation, sequence)| conversation == c && sequence < q)?;
        totals(case, c, Some(q), None)
    }),
];

/// One of the stored positions that are so.
pub fn position(
    case: &mut Case<'_>,
    wanted: impl Fn(&Case<'_>, Position, &Seen) -> bool,
) -> Option<Position> {
    let all = case.truth.stored.iter().filter(|(position, entry)| wanted(case, **position, entry));
    let all: Vec<Position> = all.map(|(position, _)| *position).collect();
    case.one_of(&all)
}

fn text(entry: &mut Seen, n: u64) {
    if let Said::Message { hash, .. } = &mut entry.said {
        *hash ^= n + 1;
    }
}

/// Takes stored entries away.
fn lose(case: &mut Case<'_>, lost: impl Fn(Position) -> bool) -> Option<()> {
    case.retain(
        |_, is| !matches!(is, What::Stored { entry } if lost((entry.conversation, entry.sequence))),
    );
    Some(())
}

/// Changes what the final read says of its bounds.
fn totals(
    case: &mut Case<'_>,
    of: ConversationId,
    low: Option<Sequence>,
    high: Option<Sequence>,
) -> Option<()> {
    for event in &mut case.history.events {
        if let What::StoredAll { conversation, first, head, .. } = &mut event.is
            && *conversation == of
        {
            (*first, *head) = (low.unwrap_or(*first), high.unwrap_or(*head));
        }
    }
    Some(())
}

/// Changes a stored entry; the change may depend on a number that is drawn.
fn rewrite(case: &mut Case<'_>, position: Position, change: impl Fn(&mut Seen, u64)) -> Option<()> {
    let number = case.draw(40);
    for event in &mut case.history.events {
        if let What::Stored { entry } = &mut event.is
            && (entry.conversation, entry.sequence) == position
        {
            change(entry, number);
        }
    }
    Some(())
}

/// Puts an entry in behind the last stored one.
fn append(case: &mut Case<'_>, conversation: ConversationId, entry: Seen) -> Option<()> {
    let end = case
        .event(|is| matches!(is, What::StoredAll { conversation: c, .. } if *c == conversation))?;
    case.insert(end - 1, What::Stored { entry });
    totals(case, conversation, None, Some(entry.sequence))
}
