//! The name of an invariant, as the judge's catalogue has it.

use super::TextForm;

/// A claim of the catalogue: `accepted_message_survives`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvariantName(pub String);

impl TextForm for InvariantName {
    fn expected() -> String {
        "the name of an invariant, such as \"accepted_message_survives\"".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        Self::words().contains(&text).then(|| Self(text.to_owned()))
    }

    fn text(&self) -> String {
        self.0.clone()
    }

    fn words() -> Vec<&'static str> {
        CATALOGUE.to_vec()
    }
}

/// The invariants of the judge.
const CATALOGUE: [&str; 20] = [
    "accepted_message_survives",
    "no_phantom_message",
    "no_duplicate_delivery",
    "conversation_order_agrees",
    "no_gap_in_sequence",
    "sender_order_kept",
    "reply_after_parent",
    "own_message_visible",
    "reads_never_go_back",
    "only_members_receive",
    "edits_converge",
    "receipts_only_rise",
    "every_message_accounted",
    "only_authorised_accepted",
    "one_owner_per_partition",
    "sequence_agrees_with_ack",
    "delivered_after_heal",
    "no_stuck_session",
    "recovers_to_baseline",
    "queues_stay_bounded",
];
