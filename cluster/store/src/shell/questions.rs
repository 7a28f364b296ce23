//! Keys in questions of a bounded size. A conversation has up to thousands of members, and an engine across a
//! network has a deadline for each question: one for all of a round that is too long for it would be too long
//! again and again.

use ports::message_store::{Keys, Rows};
use protocol::{ConversationId, Partition};
use std::collections::BTreeMap;

/// Conversations that are fetched together.
const CONVERSATIONS: usize = 64;

/// The questions that come to these keys: all that is asked beside conversations stands in the first one of its
/// partition.
pub fn questions(keys: BTreeMap<Partition, Keys>) -> Vec<Vec<(Partition, Keys)>> {
    let (mut questions, mut room) = (Vec::<Vec<_>>::new(), 0);
    for (home, mut rest) in keys {
        let conversations: Vec<ConversationId> =
            std::mem::take(&mut rest.conversations).into_iter().collect();
        for some in conversations.chunks(CONVERSATIONS) {
            rest.conversations = some.iter().copied().collect();
            put(&mut questions, &mut room, (home, std::mem::take(&mut rest)), some.len());
        }
        if rest != Keys::default() {
            put(&mut questions, &mut room, (home, rest), 0);
        }
    }
    questions
}

/// Into the last question, if it has room for so many conversations.
fn put(
    questions: &mut Vec<Vec<(Partition, Keys)>>,
    room: &mut usize,
    keys: (Partition, Keys),
    count: usize,
) {
    if questions.is_empty() || count > *room {
        questions.push(Vec::new());
        *room = CONVERSATIONS;
    }
    *room -= count;
    questions.last_mut().expect("there is one").push(keys);
}

/// What one question has brought, to what others have.
pub fn add(to: &mut Rows, rows: Rows) {
    to.conversations.extend(rows.conversations);
    to.decisions.extend(rows.decisions);
    to.entries.extend(rows.entries);
    to.deletions.extend(rows.deletions);
    to.cursors.extend(rows.cursors);
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{Sequence, UserId};

    #[test]
    fn what_is_fetched_comes_in_questions_each_key_once() {
        let keys = |first: u64, count: u64| Keys {
            conversations: (first..first + count).map(ConversationId).collect(),
            entries: [(ConversationId(first), Sequence(4))].into(),
            cursors: [(ConversationId(first), UserId(1))].into(),
            ..Keys::default()
        };
        let asked: BTreeMap<_, _> = [(0, 30), (1, 100), (2, 0), (3, 64)]
            .map(|(p, n)| (Partition(p), keys(1_000 * u64::from(p), n)))
            .into();
        let questions = questions(asked.clone());
        let sizes: Vec<usize> = questions
            .iter()
            .map(|question| question.iter().map(|(_, keys)| keys.conversations.len()).sum())
            .collect();
        assert_eq!(sizes, [30, 64, 36, 64]);
        let mut all: BTreeMap<Partition, Keys> = BTreeMap::new();
        for (home, mut keys) in questions.into_iter().flatten() {
            let known = all.entry(home).or_default();
            known.conversations.append(&mut keys.conversations);
            known.entries.append(&mut keys.entries);
            known.cursors.append(&mut keys.cursors);
        }
        assert_eq!(all, asked);
        let nothing = [(Partition(4), Keys::default())].into();
        assert!(super::questions(nothing).is_empty());
    }
}
