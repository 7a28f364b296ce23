//! The catalogue of invariants: one file each, named by its claim.
//!
//! A check reads the events and the state; it draws no randomness and knows nothing of the cluster.
//! The table below is what documents, tests and `cargo xtask tidy` go by.

pub mod accepted_message_survives;
pub mod away_member_is_pushed;
pub mod conversation_order_agrees;
pub mod delivered_after_heal;
pub mod edits_converge;
pub mod every_message_accounted;
pub mod no_duplicate_delivery;
pub mod no_gap_in_sequence;
pub mod no_node_panics;
pub mod no_phantom_message;
pub mod no_session_closed_wrongly;
pub mod no_stuck_session;
pub mod nobody_present_is_pushed;
pub mod one_owner_per_partition;
pub mod only_authorised_accepted;
pub mod only_members_receive;
pub mod own_message_visible;
pub mod queues_stay_bounded;
pub mod reads_never_go_back;
pub mod receipts_only_rise;
pub mod recovers_to_baseline;
pub mod reply_after_parent;
pub mod sender_order_kept;
pub mod sequence_agrees_with_ack;
pub mod strangers_are_refused;

use crate::history::event::{Event, Said, Seen, What};
use crate::part::Scope;
use crate::state::ledger::Record;
use crate::state::merge::Slots;
use crate::state::recent::About;
use crate::state::{State, Step};
use crate::tally::Tally;

/// One row of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The name: `accepted_message_survives`.
    pub name: &'static str,
    /// One sentence.
    pub claim: &'static str,
    /// What is counted in `judged`.
    pub unit: &'static str,
    /// Histories of an older format lack what it needs, and it may judge nothing there.
    pub since_format: u32,
    /// Where the definition and its check are.
    pub source: &'static str,
    /// What it must see together.
    pub scope: Scope,
    /// Bad design choices that it catches, as `key=value` of the `[design]` table.
    pub catches: &'static [&'static str],
}

/// What a check does. `observe` sees each event after the state has taken it in; `finish` comes once,
/// after the last event.
pub(crate) trait Check: Default {
    /// What it must see together.
    const SCOPE: Scope = Scope::Conversation;
    fn observe(&mut self, _: &State, _: &Step, _: &Event, _: &mut Tally) {}
    /// An event that another part judges, and that this one must know.
    fn follow(&mut self, _: &State, _: &Step, _: &Event) {}
    /// The log of a conversation is about to be compacted up to a sequence (see `state::compaction`).
    fn compact(&mut self, _: &State, _conversation: usize, _to: u32, _: &mut Tally) {}
    /// Sends of a device are about to be forgotten, since they are compacted.
    fn compact_records(&mut self, _: &State, _lane: usize, _: &[Record], _: &mut Tally) {}
    /// What another part's check has learned, when both have seen everything; the state is merged.
    fn merge(&mut self, _other: Self, _: &Slots, _: &State, _: &mut Tally) {}
    fn finish(&mut self, _: &State, _: &mut Tally) {}
}

macro_rules! catalogue {
    ($($name:ident $(since $format:literal)?:
        $claim:literal, $unit:literal, [$($catches:literal),*];)*) => {
        /// Every invariant, in the order of the report.
        pub const CATALOGUE: &[Claim] = &[$(Claim {
            name: stringify!($name),
            claim: $claim,
            unit: $unit,
            since_format: 1 $(* $format)?,
            source: concat!("verify/src/invariants/", stringify!($name), ".rs"),
            scope: <$name::Invariant as Check>::SCOPE,
            catches: &[$($catches),*],
        }),*];

        /// All checks with their tallies. They are fields and not trait objects, so that the
        /// compiler sees through the calls of each event.
        pub(crate) struct Checks {
            $($name: ($name::Invariant, Tally)),*
        }

        impl Checks {
            pub fn new(evidence_max: usize) -> Self {
                Self { $($name: ($name::Invariant::default(), Tally::new(evidence_max))),* }
            }

            #[inline]
            pub fn observe(&mut self, state: &State, step: &Step, event: &Event) {
                $(self.$name.0.observe(state, step, event, &mut self.$name.1);)*
            }

            #[cold]
            pub fn follow(&mut self, state: &State, step: &Step, event: &Event) {
                $(self.$name.0.follow(state, step, event);)*
            }

            pub fn merge(&mut self, other: Self, slots: &Slots, state: &State) {
                $(
                    self.$name.1.merge(other.$name.1);
                    self.$name.0.merge(other.$name.0, slots, state, &mut self.$name.1);
                )*
            }

            #[cold]
            pub fn compact(&mut self, state: &State, conversation: usize, to: u32) {
                $(self.$name.0.compact(state, conversation, to, &mut self.$name.1);)*
            }

            #[cold]
            pub fn compact_records(&mut self, state: &State, sender: usize, records: &[Record]) {
                $(self.$name.0.compact_records(state, sender, records, &mut self.$name.1);)*
            }

            /// Those that are certain before the end.
            pub fn violations(&self, state: &State) -> u64 {
                0 $(+ self.$name.1.certain(state))*
            }

            /// The tallies, in the order of the catalogue.
            pub fn finish(mut self, state: &State) -> Vec<Tally> {
                $(self.$name.0.finish(state, &mut self.$name.1);)*
                vec![$(self.$name.1),*]
            }
        }
    };
}

catalogue! {
    accepted_message_survives:
        "What was accepted is in the store at the end, and on every device that must see it.",
        "accepted messages",
        ["accept=before_persist", "fsync=never"];
    no_phantom_message:
        "Whatever appears was sent before, by that author and with that content.",
        "observations of messages",
        ["refusal=forgotten"];
    no_duplicate_delivery:
        "A device shows each entry once, and each message has one sequence.",
        "entries shown",
        ["deduplication=memory", "deduplication=off"];
    conversation_order_agrees:
        "The same sequence is the same entry on every device and in the store.",
        "observations of entries",
        ["accept=before_persist", "fsync=never"];
    no_gap_in_sequence:
        "A device shows every entry of its user's memberships, in order and without a gap.",
        "entries shown",
        ["attach=backlog_first", "delivery=at_arrival", "slow_session=drop_oldest"];
    sender_order_kept:
        "What one device sends in one conversation keeps its order.",
        "sends with a sequence",
        ["requeue=back"];
    reply_after_parent:
        "A reply is shown only after its parent.",
        "replies shown",
        ["delivery=at_arrival"];
    own_message_visible:
        "A user finds every own accepted message in every later read.",
        "reads after an own message",
        ["accept=before_persist"];
    reads_never_go_back:
        "What a user has seen is in every later read and in the store at the end.",
        "reads",
        ["fsync=never"];
    only_members_receive:
        "Nobody receives an entry from outside their membership.",
        "entries received",
        ["membership=cached"];
    edits_converge:
        "Every device ends with the same version of a message, and a deleted one stays deleted.",
        "versions on devices",
        ["deletion=overwritten"];
    receipts_only_rise:
        "The cursors of a member never fall, and never exceed what was shown.",
        "receipts",
        ["receipts=overwrite"];
    every_message_accounted:
        "Every send ends as accepted, refused or a dead letter with its reason.",
        "sends",
        ["poison=drop", "slow_session=drop_oldest", "unauthorised=dropped"];
    only_authorised_accepted:
        "Only members with a valid token are accepted.",
        "answers",
        ["tokens=hello_only"];
    strangers_are_refused since 3:
        "Nobody gets in who does not belong, and each attack is answered as the protocol says.",
        "attacks that were answered",
        ["signatures=ignored"];
    no_session_closed_wrongly:
        "No session is closed for a mistake that its client has not made.",
        "sessions",
        [];
    one_owner_per_partition:
        "Epochs rise in every log, and each epoch has one owner.",
        "epochs named",
        ["epochs=clock", "fencing=none"];
    sequence_agrees_with_ack:
        "Every answer to a send, also to a retry, names the sequence that everybody sees.",
        "answers and observations",
        ["accept=before_persist", "deduplication=memory", "deduplication=off"];
    delivered_after_heal:
        "After the faults, everything accepted is shown on every attached device in time.",
        "deliveries after the heal",
        ["attach=backlog_first", "client_heartbeat=off"];
    no_stuck_session:
        "No device waits without progress or an error.",
        "waits after the heal",
        ["client_heartbeat=off"];
    recovers_to_baseline:
        "After the faults, latency, resends and reconnects are as before.",
        "answered sends after the recovery",
        ["reconnect_jitter=off"];
    away_member_is_pushed since 2:
        "A member whose devices do not show a message in time gets a notification.",
        "messages to members who did not show them",
        ["dead_session=dropped"];
    nobody_present_is_pushed since 2:
        "No notification goes to a present member, a stranger or the author, and none goes out twice.",
        "notifications",
        ["push=at_once", "push_key=attempt"];
    no_node_panics since 2:
        "No process of the cluster panics.",
        "starts of processes",
        [];
    queues_stay_bounded:
        "No queue, memory or file descriptor level exceeds its limit.",
        "readings with a limit",
        ["slow_session=unbounded"];
}

/// The row of a name.
pub fn claim_of(name: &str) -> Option<&'static Claim> {
    CATALOGUE.iter().find(|claim| claim.name == name)
}

/// The entry that an event shows, wherever it was seen.
const fn entry_of(what: &What) -> Option<&Seen> {
    match what {
        What::Shown { entry, .. }
        | What::Received { entry, .. }
        | What::Read { entry, .. }
        | What::Stored { entry } => Some(entry),
        _ => None,
    }
}

/// Whether an entry comes from a send (and not from a change of membership).
const fn is_sent(entry: &Seen) -> bool {
    matches!(entry.said, Said::Message { .. } | Said::Edit { .. } | Said::Delete { .. })
}

/// The evidence of an entry that was seen.
const fn about_entry(step: &Step, entry: &Seen) -> About {
    About {
        device: if step.who == crate::state::NONE { None } else { Some(step.device) },
        conversation: Some(step.conversation),
        sequence: Some(step.sequence),
        other: None,
        message: if entry.message.0 == 0 { None } else { Some((entry.author.0, entry.message.0)) },
        life: None,
    }
}

/// The names that a scenario may list as idle, checked against the catalogue.
pub(crate) fn unknown_names(names: &[String]) -> Vec<String> {
    names.iter().filter(|name| claim_of(name).is_none()).cloned().collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::history::builder::History;
    use crate::verdict::{Finding, Judgement, Verdict};
    use crate::{Judge, JudgeOptions, offline};

    /// The judgement of a history in memory; every invariant may be idle.
    pub fn judge(history: &History) -> Judgement {
        let may_be_idle = CATALOGUE.iter().map(|claim| claim.name.to_owned()).collect();
        let options = JudgeOptions { may_be_idle, evidence_max: 3, keep: None };
        let mut judge = Judge::new(&history.header, options);
        history.events.iter().for_each(|event| judge.observe(event));
        judge.finish()
    }

    /// What was found of one invariant; the offline judge must say the same.
    pub fn finding(name: &str, history: &History) -> Finding {
        let found = judge(history)
            .findings
            .into_iter()
            .find(|finding| finding.invariant == name)
            .expect("the name is in the catalogue");
        let offline = offline::violated(name, &history.header, &history.events);
        assert_eq!(found.violations > 0, offline, "offline disagrees: {found:#?}");
        found
    }

    /// The invariant judged something and found no fault.
    pub fn clean(name: &str, history: &History) -> Finding {
        let found = finding(name, history);
        assert_eq!(found.verdict, Verdict::Valid, "{found:#?}");
        found
    }

    /// The invariant was violated, with evidence.
    pub fn violated(name: &str, history: &History) -> Finding {
        let found = finding(name, history);
        assert_eq!(found.verdict, Verdict::Violated, "{found:#?}");
        assert!(!found.evidence.is_empty());
        found
    }

    #[test]
    fn every_row_has_its_file_with_tests() {
        for claim in CATALOGUE {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
                .parent()
                .expect("the crate lies in the workspace")
                .join(claim.source);
            let text = std::fs::read_to_string(&path).expect(claim.source);
            assert!(text.starts_with("//! **"), "{} states its claim first", claim.name);
            for needed in ["clean(NAME", "violated(NAME"] {
                assert!(text.contains(needed), "{} has no {needed}", claim.name);
            }
        }
        assert_eq!(CATALOGUE.len(), 25);
    }

    #[test]
    fn every_choice_that_is_caught_is_a_choice() {
        let design = serde_json::to_value(protocol::Design::default()).unwrap();
        for choice in CATALOGUE.iter().flat_map(|claim| claim.catches) {
            let (key, value) = choice.split_once('=').expect(choice);
            let mut changed = design.clone();
            assert!(changed.get(key).is_some(), "{choice}");
            changed[key] = value.into();
            let parsed: protocol::Design = serde_json::from_value(changed).expect(choice);
            assert_ne!(parsed, protocol::Design::default(), "{choice} is the sound default");
        }
    }
}
