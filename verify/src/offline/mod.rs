//! A second judge, for small histories only: brute force over the definitions.
//!
//! It keeps the streaming judge honest: it shares the event types with it and nothing else, holds the
//! whole history in memory and looks everything up by reading all of it again. Slow on purpose: an
//! evening for a load run, a moment for the histories of a property test.

mod facts;
mod liveness;
mod reading;
mod recovery;
mod safety;
mod states;
mod words;

use crate::history::event::{Event, Header};
use facts::Facts;

/// Whether an invariant of this name is violated by a history.
///
/// # Panics
/// If there is no such invariant.
pub fn violated(name: &str, header: &Header, events: &[Event]) -> bool {
    let facts = Facts::new(header, events);
    let judge = JUDGES
        .iter()
        .find(|(judged, _)| *judged == name)
        .unwrap_or_else(|| panic!("no invariant is called {name}"));
    (judge.1)(&facts)
}

/// All invariants: name, and whether it is violated.
pub fn judge(header: &Header, events: &[Event]) -> Vec<(&'static str, bool)> {
    let facts = Facts::new(header, events);
    JUDGES.iter().map(|(name, judge)| (*name, judge(&facts))).collect()
}

type Offline = fn(&Facts<'_>) -> bool;

const JUDGES: [(&str, Offline); 20] = [
    ("accepted_message_survives", safety::loses_an_accepted_message),
    ("no_phantom_message", safety::shows_a_phantom),
    ("no_duplicate_delivery", safety::duplicates),
    ("conversation_order_agrees", safety::disagrees),
    ("no_gap_in_sequence", safety::has_a_gap),
    ("sender_order_kept", safety::reorders_a_sender),
    ("reply_after_parent", safety::shows_a_reply_early),
    ("own_message_visible", reading::hides_an_own_message),
    ("reads_never_go_back", reading::goes_back),
    ("only_members_receive", safety::leaks),
    ("edits_converge", reading::leaves_versions_apart),
    ("receipts_only_rise", reading::lowers_a_receipt),
    ("every_message_accounted", liveness::leaves_a_send_open),
    ("only_authorised_accepted", safety::accepts_the_unauthorised),
    ("one_owner_per_partition", safety::has_two_owners),
    ("sequence_agrees_with_ack", safety::contradicts_an_answer),
    ("delivered_after_heal", liveness::delivers_too_late),
    ("no_stuck_session", liveness::is_stuck),
    ("recovers_to_baseline", recovery::does_not_recover),
    ("queues_stay_bounded", safety::overflows),
];
