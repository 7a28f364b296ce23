//! Which invariants usually break together, and which of them one should look at first.
//!
//! A rule of thumb, learned from what the bad choices of `docs/design-choices.md` break: where a store loses a
//! write, a later message takes the place of the lost one, and every claim about places, reads and
//! cursors notices. It orders a report and accuses nobody: the evidence does that.

use verify::verdict::Finding;

/// An invariant, and those that usually break with it.
struct Cause {
    invariant: &'static str,
    /// How likely it comes first: of two in the same tier the one that was violated earlier does.
    tier: usize,
    breaks: &'static [&'static str],
}

const SURVIVES: &str = "accepted_message_survives";

const CAUSES: &[Cause] = &[
    Cause {
        invariant: "no_node_panics",
        tier: 0,
        breaks: &["no_stuck_session", "delivered_after_heal", "recovers_to_baseline", SURVIVES],
    },
    Cause { invariant: SURVIVES, tier: 1, breaks: LOSS },
    Cause { invariant: "one_owner_per_partition", tier: 2, breaks: LOSS },
    Cause {
        invariant: "no_gap_in_sequence",
        tier: 3,
        breaks: &[
            SURVIVES,
            "delivered_after_heal",
            "away_member_is_pushed",
            "reply_after_parent",
            "no_stuck_session",
            "edits_converge",
            "only_members_receive",
        ],
    },
    Cause {
        invariant: "only_members_receive",
        tier: 3,
        breaks: &["no_gap_in_sequence", "no_stuck_session"],
    },
    Cause {
        invariant: "no_duplicate_delivery",
        tier: 3,
        breaks: &["sequence_agrees_with_ack", "every_message_accounted", "no_phantom_message"],
    },
    Cause {
        invariant: "no_phantom_message",
        tier: 3,
        breaks: &["every_message_accounted", "sender_order_kept"],
    },
    Cause {
        invariant: "no_stuck_session",
        tier: 4,
        breaks: &[
            SURVIVES,
            "delivered_after_heal",
            "away_member_is_pushed",
            "edits_converge",
            "recovers_to_baseline",
        ],
    },
    Cause { invariant: "delivered_after_heal", tier: 5, breaks: &[SURVIVES] },
];

/// What a lost or overwritten write breaks.
const LOSS: &[&str] = &[
    "one_owner_per_partition",
    "conversation_order_agrees",
    "sequence_agrees_with_ack",
    "no_duplicate_delivery",
    "own_message_visible",
    "reads_never_go_back",
    "no_gap_in_sequence",
    "edits_converge",
    "receipts_only_rise",
    "sender_order_kept",
    "only_members_receive",
];

/// The place of a violation among the likely causes, 0 the likeliest.
pub(super) fn tier(found: &Finding) -> usize {
    let last = CAUSES.len();
    if found.invariant == SURVIVES && !is_lost_by_store(found) {
        return last;
    }
    let cause = CAUSES.iter().find(|cause| cause.invariant == found.invariant);
    cause.map_or(last, |cause| cause.tier)
}

/// Whether a violation usually comes with another one.
pub(super) fn explains(cause: &Finding, other: &Finding) -> bool {
    // The store loses nothing because a device waits.
    let is_own = other.invariant == SURVIVES && is_lost_by_store(other);
    let cause = CAUSES.iter().find(|one| one.invariant == cause.invariant);
    !is_own && cause.is_some_and(|cause| cause.breaks.contains(&&*other.invariant))
}

/// Messages are lost in two ways: the store has them no more, or a device never showed them.
fn is_lost_by_store(found: &Finding) -> bool {
    !found.evidence.iter().all(|shown| shown.what.contains(" never showed it "))
}

/// Every name that is known here.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    CAUSES
        .iter()
        .flat_map(|cause| std::iter::once(cause.invariant).chain(cause.breaks.iter().copied()))
}
