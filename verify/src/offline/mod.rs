//! A second judge, for small histories only: brute force over the definitions of `docs/invariants.md`.
//!
//! It keeps the streaming judge honest. It shares the event types with it and nothing else, neither
//! code nor excuses: it holds the whole history in memory, and answers every question by reading it
//! again. Slow on purpose: an evening for a load run, a moment for the histories of a property test.

mod access;
mod book;
mod content;
mod deliveries;
mod fields;
mod members;
mod owners;
mod pushes;
mod reading;
mod receipts;
mod recovery;
mod refusals;
mod sends;
mod sessions;
mod streams;
mod stuck;

use crate::history::event::{Event, Header, What};
use book::Book;

/// Whether an invariant of this name is violated by a history.
///
/// # Panics
/// If there is no such invariant.
pub fn violated(name: &str, header: &Header, events: &[Event]) -> bool {
    let definition = DEFINITIONS
        .iter()
        .find(|(defined, _)| *defined == name)
        .unwrap_or_else(|| panic!("no invariant is called {name}"));
    is_seen(header, name) && (definition.1)(&Book::new(header, events))
}

/// Whether the run could see what a claim is about.
fn is_seen(header: &Header, name: &str) -> bool {
    header.unseen.iter().all(|unseen| unseen != name)
}

/// All invariants: name, and whether it is violated.
pub fn judge(header: &Header, events: &[Event]) -> Vec<(&'static str, bool)> {
    let book = Book::new(header, events);
    let is_violated =
        |(name, is): &(&'static str, Definition)| (*name, is_seen(header, name) && is(&book));
    DEFINITIONS.iter().map(is_violated).collect()
}

/// Whether a claim is violated.
type Definition = fn(&Book<'_>) -> bool;

/// Each claim by the function that says whether it is violated.
const DEFINITIONS: [(&str, Definition); 25] = [
    ("accepted_message_survives", deliveries::is_something_lost),
    ("no_phantom_message", content::is_something_made_up),
    ("no_duplicate_delivery", content::is_something_there_twice),
    ("conversation_order_agrees", content::do_observations_differ),
    ("no_gap_in_sequence", streams::is_something_left_out),
    ("sender_order_kept", sends::is_something_overtaken),
    ("reply_after_parent", streams::is_a_reply_too_early),
    ("own_message_visible", reading::is_an_own_message_hidden),
    ("reads_never_go_back", reading::does_a_read_go_back),
    ("only_members_receive", access::does_an_outsider_receive),
    ("edits_converge", content::do_versions_differ),
    ("receipts_only_rise", receipts::does_a_cursor_lie),
    ("every_message_accounted", sends::is_something_unaccounted),
    ("only_authorised_accepted", access::is_an_unauthorised_accepted),
    ("strangers_are_refused", access::does_a_stranger_get_in),
    ("no_session_closed_wrongly", access::is_a_client_accused),
    ("one_owner_per_partition", owners::are_there_two),
    ("sequence_agrees_with_ack", content::does_an_answer_lie),
    ("delivered_after_heal", deliveries::is_something_late),
    ("no_stuck_session", stuck::is_a_device_stuck),
    ("recovers_to_baseline", recovery::is_it_worse_than_before),
    ("away_member_is_pushed", pushes::is_somebody_away_not_told),
    ("nobody_present_is_pushed", pushes::is_a_notification_wrong),
    ("no_node_panics", |book| book.any(|is| matches!(is, What::NodePanicked { .. }))),
    ("queues_stay_bounded", |book| {
        book.any(|is| matches!(is, What::Gauge { value, limit, .. } if *limit > 0 && value > limit))
    }),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_claim_of_the_catalogue_is_defined() {
        let defined: Vec<&str> = DEFINITIONS.iter().map(|(name, _)| *name).collect();
        let claims: Vec<&str> = crate::CATALOGUE.iter().map(|claim| claim.name).collect();
        assert_eq!(defined, claims);
    }
}
