//! Gaps and departures.

use super::*;
use crate::core::hub_model::{Shared, config, heard, one_session};
use protocol::{ClientMessageId, Epoch, NodeNumber};

const CONVERSATION: ConversationId = ConversationId(1);
const USER: UserId = UserId(7);

fn entry(sequence: u64, content: Content) -> Entry {
    Entry {
        conversation: CONVERSATION,
        sequence: Sequence(sequence),
        epoch: Epoch(1),
        owner: NodeNumber(1),
        author: USER,
        client_message_id: ClientMessageId(sequence),
        at_ms: 0,
        content,
    }
}

fn message(sequence: u64) -> Entry {
    entry(sequence, Content::Message { body: "x".to_owned(), reply_to: None })
}

/// A stream at sequence 1, with a session at the front.
fn stream() -> (Stream, Effects<Shared>, Shared, SessionId) {
    let config = config(10);
    let (mut out, queue, id) = one_session(&config);
    let mut stream = Stream::new(CONVERSATION, config.design.into(), &config.limits);
    stream.add(id, USER, Phase::Streaming);
    let subscriber = stream.subscriber_mut(id).unwrap();
    (subscriber.at, subscriber.told) = (Sequence(1), true);
    stream.begin(Sequence(1), &mut out, &mut Vec::new());
    (stream, out, queue, id)
}

fn shown(queue: &Shared) -> Vec<u64> {
    let sequence = |frame| match frame {
        ServerFrame::Entry(entry) => entry.sequence.0,
        other => panic!("{other:?}"),
    };
    heard(queue).into_iter().map(sequence).collect()
}

#[test]
fn entries_behind_a_gap_wait_until_it_is_repaired() {
    let (mut stream, mut out, queue, _) = stream();
    let mut follow = Vec::new();
    for sequence in [2, 4, 5, 2] {
        stream.arrived(message(sequence), &mut out, &mut follow);
    }
    assert_eq!(shown(&queue), [2]);
    assert_eq!(follow, [Follow::Repair, Follow::Repair]);
    assert!(stream.is_behind());
    assert!(stream.repaired(vec![message(3)], Sequence(1), &mut out, &mut Vec::new()));
    assert_eq!(shown(&queue), [3, 4, 5]);
    assert!(!stream.is_behind());
}

#[test]
fn who_leaves_gets_neither_the_departure_nor_what_follows() {
    let (mut stream, mut out, queue, id) = stream();
    let mut follow = Vec::new();
    stream.arrived(message(2), &mut out, &mut follow);
    stream.arrived(entry(3, Content::Leave { user: USER }), &mut out, &mut follow);
    stream.arrived(message(4), &mut out, &mut follow);
    assert_eq!(shown(&queue), [2]);
    assert_eq!(follow, [Follow::Left { session: id, at: Sequence(2) }]);
}
