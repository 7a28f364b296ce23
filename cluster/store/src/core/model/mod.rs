//! The partition against the simplest thing that could be right: a list per conversation.
//!
//! Random commands in random batches; some batches are not committed and applied again, the owner
//! changes now and then. Duplicates, order, membership, cursors and retention must come out the same.

mod list;

use super::command::{Command, Effect, Outcome};
use super::overlay::Overlay;
use super::partition::{Choices, Partition};
use crate::engine::{MemoryStore, conformance};
use list::{Model, Told};
use ports::message_store::{Keys, Lease, MessageStore};
use proptest::prelude::*;
use protocol::limits::StoreLimits;
use protocol::records::{Action, Inbound, SessionRef};
use protocol::store_calls::{ChangeMember, ConversationKind, CreateConversation, ReceiptItem};
use protocol::{
    ClientMessageId, Content, ConversationId, Entry, GatewayId, Incarnation, NodeNumber,
    Partition as PartitionId, Sequence, SessionId, UserId,
};
use std::collections::BTreeMap;
use std::sync::Arc;

const PARTITION: PartitionId = PartitionId(2);
/// Of messages that cannot be processed.
const UNKNOWN_FORMAT: u16 = 9;

#[derive(Clone, Debug)]
enum Step {
    Send { user: u64, conversation: u64, id: u64, reply_to: Option<u64>, body: usize },
    Poison { user: u64, conversation: u64, id: u64 },
    Edit { user: u64, conversation: u64, id: u64, target: u64 },
    Delete { user: u64, conversation: u64, id: u64, target: u64 },
    Create { conversation: u64, direct: bool, members: Vec<u64> },
    Change { conversation: u64, by: Option<u64>, user: u64, add: bool },
    Receipt { conversation: u64, user: u64, delivered: u64, read: u64 },
    Retain { conversation: u64, keep: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let (c, u, id) = (1_u64..4, 1_u64..5, 0_u64..24);
    let at = 0_u64..12;
    // Edits and deletions must meet the same few messages to mean something.
    let target = 0_u64..7;
    prop_oneof![
        6 => (u.clone(), c.clone(), id.clone(), prop::option::of(at.clone()), 0_usize..3).prop_map(
            |(user, conversation, id, reply_to, body)| Step::Send {
                user, conversation, id, reply_to, body
            }
        ),
        1 => (u.clone(), c.clone(), id.clone()).prop_map(
            |(user, conversation, id)| Step::Poison { user, conversation, id }
        ),
        4 => (u.clone(), c.clone(), id.clone(), target.clone()).prop_map(
            |(user, conversation, id, target)| Step::Edit { user, conversation, id, target }
        ),
        4 => (u.clone(), c.clone(), id, target).prop_map(
            |(user, conversation, id, target)| Step::Delete { user, conversation, id, target }
        ),
        2 => (c.clone(), any::<bool>(), prop::collection::vec(u.clone(), 0..4)).prop_map(
            |(conversation, direct, members)| Step::Create { conversation, direct, members }
        ),
        2 => (c.clone(), prop::option::of(u.clone()), u.clone(), any::<bool>()).prop_map(
            |(conversation, by, user, add)| Step::Change { conversation, by, user, add }
        ),
        2 => (c.clone(), u, at.clone(), at).prop_map(
            |(conversation, user, delivered, read)| Step::Receipt {
                conversation, user, delivered, read
            }
        ),
        1 => (c, 1_u64..6).prop_map(|(conversation, keep)| Step::Retain { conversation, keep }),
    ]
}

fn body(size: usize) -> String {
    match size {
        0 => String::new(),
        1 => "b".to_owned(),
        _ => "x".repeat(protocol::limits::MAX_BODY_BYTES + 1),
    }
}

fn action(step: &Step) -> Option<(u64, u64, u64, Action)> {
    match step.clone() {
        Step::Send { user, conversation, id, reply_to, body: size } => {
            // Mostly a good body: the bad ones are told apart by every tenth id.
            let body = body(if id % 10 == 9 { size } else { 1 });
            let reply_to = reply_to.map(Sequence);
            Some((user, conversation, id, Action::Send { body, reply_to, format: 1 }))
        }
        Step::Poison { user, conversation, id } => {
            let (body, reply_to) = (body(1), None);
            Some((user, conversation, id, Action::Send { body, reply_to, format: UNKNOWN_FORMAT }))
        }
        Step::Edit { user, conversation, id, target } => {
            let (target, body) = (Sequence(target), "edited".to_owned());
            Some((user, conversation, id, Action::Edit { target, body }))
        }
        Step::Delete { user, conversation, id, target } => {
            Some((user, conversation, id, Action::Delete { target: Sequence(target) }))
        }
        _ => None,
    }
}

fn command(step: &Step) -> Command {
    if let Some((user, conversation, id, action)) = action(step) {
        let from = SessionRef {
            gateway: GatewayId(1),
            incarnation: Incarnation(1),
            session: SessionId(user),
        };
        let inbound = Inbound {
            from,
            author: UserId(user),
            conversation: ConversationId(conversation),
            client_message_id: ClientMessageId(id),
            action,
        };
        return Command::Sequence { inbound, at_ms: 0, replay: false };
    }
    match step.clone() {
        Step::Create { conversation, direct, members } => {
            let kind = if direct { ConversationKind::Direct } else { ConversationKind::Group };
            let request = CreateConversation {
                conversation: ConversationId(conversation),
                kind,
                creator: UserId(1),
                members: members.into_iter().map(UserId).collect(),
            };
            Command::Create { requests: vec![request], at_ms: 0 }
        }
        Step::Change { conversation, by, user, add } => {
            let conversation = ConversationId(conversation);
            let (by, user) = (by.map(UserId), UserId(user));
            Command::ChangeMember {
                request: ChangeMember { conversation, by, user, add },
                at_ms: 0,
            }
        }
        Step::Receipt { conversation, user, delivered, read } => Command::Receipt(ReceiptItem {
            conversation: ConversationId(conversation),
            user: UserId(user),
            delivered: Sequence(delivered),
            read: Sequence(read),
        }),
        Step::Retain { conversation, keep } => {
            let conversation = ConversationId(conversation);
            Command::Retain { conversation, keep, most: u64::MAX }
        }
        Step::Send { .. } | Step::Poison { .. } | Step::Edit { .. } | Step::Delete { .. } => {
            unreachable!("above")
        }
    }
}

fn told(outcome: Outcome, effects: &[Effect]) -> Told {
    let answer = effects.iter().find_map(|effect| match effect {
        Effect::Accepted(_, accepted) => {
            Some(Told::Accepted(accepted.sequence.0, accepted.epoch.0))
        }
        Effect::Rejected(_, rejected) => Some(Told::Rejected(rejected.reason)),
        Effect::Entry { .. } | Effect::Receipts(..) => None,
    });
    match outcome {
        Outcome::Done => answer.unwrap_or(Told::Nothing),
        Outcome::DeadLettered(_) => {
            assert_eq!(answer, Some(Told::Rejected(protocol::RejectReason::DeadLettered)));
            Told::Rejected(protocol::RejectReason::DeadLettered)
        }
        Outcome::Created(mut created) => match created.remove(0) {
            Ok(created) => Told::Head(created.info.head.0),
            Err(refusal) => Told::Refused(refusal),
        },
        Outcome::Changed(sequence) => Told::Changed(sequence.0),
        Outcome::Refused(refusal) => Told::Refused(refusal),
    }
}

/// New entries are published once, in the order of their sequences.
fn published(effects: &[Effect]) -> Vec<Arc<Entry>> {
    let entry = |effect: &Effect| match effect {
        Effect::Entry { entry, .. } => Some(Arc::clone(entry)),
        _ => None,
    };
    effects.iter().filter_map(entry).collect()
}

/// A message, new or published again, is for those who have been members ever since it was sequenced.
fn told_to_whom(effects: &[Effect], model: &Model) -> Result<(), TestCaseError> {
    for effect in effects {
        let Effect::Entry { entry, members } = effect else { continue };
        if matches!(entry.content, Content::Message { .. }) {
            let log = &model.conversations[&entry.conversation.0];
            let expected: Vec<u64> =
                (1..5).filter(|user| log.is_member_since(*user, entry.sequence.0)).collect();
            let told: Vec<u64> = members.iter().map(|user| user.0).collect();
            prop_assert_eq!(told, expected, "{:?}", entry);
        }
    }
    Ok(())
}

fn agrees(store: &MemoryStore, model: &Model) -> Result<(), TestCaseError> {
    let view = store.view().unwrap();
    for (id, log) in &model.conversations {
        let conversation = ConversationId(*id);
        let row = view.conversation(PARTITION, conversation).unwrap().expect("stored");
        prop_assert_eq!(row.head.0, log.entries.len() as u64);
        prop_assert_eq!(row.first.0, log.removed + 1);
        let stored =
            view.entries(PARTITION, conversation, Sequence(0), Sequence(u64::MAX), 10_000).unwrap();
        prop_assert_eq!(&stored[..], &log.entries[log.removed as usize..]);
        for user in 1..5 {
            let cursor =
                view.cursor(PARTITION, conversation, UserId(user)).unwrap().unwrap_or_default();
            let expected = log.cursors.get(&user).copied().unwrap_or_default();
            prop_assert_eq!((cursor.delivered.0, cursor.read.0), expected);
            let here = view.conversations_of(&[UserId(user)], &[PARTITION].into()).unwrap();
            let member = here.iter().any(|found| found.conversation == conversation);
            prop_assert_eq!(member, log.is_member(user), "user {} of {}", user, id);
        }
    }
    prop_assert_eq!(view.count(PARTITION).unwrap(), model.conversations.len() as u64);
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum CommitResult {
    Committed,
    /// It was not: another owner takes over, and is told the same again.
    Failed,
    /// As committed, and then another owner takes over.
    TakenOver,
}

fn commit_result() -> impl Strategy<Value = CommitResult> {
    prop_oneof![
        6 => Just(CommitResult::Committed),
        2 => Just(CommitResult::Failed),
        1 => Just(CommitResult::TakenOver),
    ]
}

fn owner(store: &MemoryStore) -> (Partition, Lease) {
    let lease = conformance::acquire(store, PARTITION);
    let mut partition = Partition::new(PARTITION, Choices::default(), StoreLimits::default());
    let acquire = Command::Acquire { epoch: lease.epoch, owner: NodeNumber(1) };
    partition.apply(acquire, &mut Overlay::default(), &mut Vec::new());
    (partition, lease)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn a_partition_is_a_list_per_conversation(
        batches in prop::collection::vec((prop::collection::vec(step(), 1..8), commit_result()), 1..25)
    ) {
        let store = MemoryStore::default();
        let mut model = Model::default();
        let (mut partition, mut lease) = owner(&store);
        for (steps, outcome) in &batches {
            let attempts = if *outcome == CommitResult::Failed { 2 } else { 1 };
            for attempt in 1..=attempts {
                let before = model.clone();
                let mut keys = Keys::default();
                for step in steps {
                    partition.keys(&command(step), &mut keys);
                }
                let rows = store.prefetch(&[(PARTITION, keys.clone())]).unwrap().remove(0);
                let mut overlay = Overlay::new(keys, rows);
                for step in steps {
                    let heads: BTreeMap<u64, usize> =
                        model.conversations.iter().map(|(id, l)| (*id, l.entries.len())).collect();
                    let mut effects = Vec::new();
                    let outcome = partition.apply(command(step), &mut overlay, &mut effects);
                    let expected = model.apply(step, lease.epoch.0);
                    prop_assert_eq!(told(outcome, &effects), expected, "{:?}", step);
                    let new: Vec<Entry> = model.conversations.iter().flat_map(|(id, log)| {
                        log.entries[heads.get(id).copied().unwrap_or(0)..].to_vec()
                    }).collect();
                    let is: Vec<Entry> =
                        published(&effects).iter().map(|entry| Entry::clone(entry)).collect();
                    told_to_whom(&effects, &model)?;
                    let again = is.first().is_some_and(|entry| entry.epoch != lease.epoch);
                    prop_assert!(is == new || (again && new.is_empty()), "{is:?} != {new:?}");
                }
                if attempt < attempts {
                    (partition, lease) = owner(&store);
                    model = before;
                } else {
                    prop_assert_eq!(store.commit(&[(lease, overlay.batch)]), Ok(Vec::new()));
                    partition.committed();
                }
            }
            if *outcome == CommitResult::TakenOver {
                (partition, lease) = owner(&store);
            }
            agrees(&store, &model)?;
        }
    }
}
