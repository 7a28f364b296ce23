//! Refusals, publications without a word, rates.

mod traced;

use super::*;
use crate::core::hub_model::{Shared, config, heard, one_session};
use protocol::frames::client::{Send, plain_text};
use protocol::ids::MAX_CLIENT_CHOSEN_ID;
use protocol::{ClientMessageId, Epoch, NodeNumber, Sequence, limits};

pub const CONVERSATION: ConversationId = ConversationId(1);
pub const USER: UserId = UserId(7);

pub fn send(message: u64, body: &str) -> ClientFrame {
    ClientFrame::Send(Send {
        conversation: CONVERSATION,
        client_message_id: ClientMessageId(message),
        body: body.to_owned(),
        reply_to: None,
        format: plain_text(),
    })
}

fn at(out: &mut Effects<Shared>, now_ms: u64) {
    (out.now_ms, out.now_us) = (now_ms, now_ms * 1_000);
}

fn later(out: &mut Effects<Shared>, ms: u64) {
    at(out, out.now_ms + ms);
}

fn accepted(message: u64) -> Accepted {
    Accepted {
        client_message_id: ClientMessageId(message),
        conversation: CONVERSATION,
        sequence: Sequence(message),
        epoch: Epoch(1),
        owner: NodeNumber(1),
    }
}

/// The messages of refusals for now.
fn refused(queue: &Shared) -> Vec<u64> {
    let refused = |frame| match frame {
        ServerFrame::Rejected(Rejected { client_message_id, reason, retry_after_ms, .. }) => {
            assert_eq!((reason, retry_after_ms), (RejectReason::Unavailable, RETRY_AFTER_MS));
            client_message_id.0
        }
        other => panic!("{other:?}"),
    };
    heard(queue).into_iter().map(refused).collect()
}

#[test]
fn what_can_never_be_accepted_is_refused_for_good() {
    let config = config(10);
    let (mut out, queue, id) = one_session(&config);
    let mut sends = Sends::new(&config);
    for (frame, reason) in [
        (send(0, "x"), RejectReason::BadMessageId),
        (send(MAX_CLIENT_CHOSEN_ID + 1, "x"), RejectReason::BadMessageId),
        (send(1, ""), RejectReason::BodySize),
        (send(1, &"x".repeat(limits::MAX_BODY_BYTES + 1)), RejectReason::BodySize),
    ] {
        assert_eq!(sends.send(&mut out, id, USER, frame), Sent::Handled);
        let frames = heard(&queue);
        let [ServerFrame::Rejected(rejected)] = &frames[..] else { panic!("{frames:?}") };
        assert_eq!((rejected.reason, rejected.retry_after_ms), (reason, 0));
    }
    assert!(out.calls.is_empty());
}

#[test]
fn a_publication_without_a_word_is_made_again_until_it_is_refused_for_now() {
    let config = config(10);
    let (mut out, queue, id) = one_session(&config);
    let mut sends = Sends::new(&config);
    assert_eq!(sends.send(&mut out, id, USER, send(1, "x")), Sent::Taken);
    assert_eq!(sends.send(&mut out, id, USER, send(2, "x")), Sent::Taken);
    let of = PublishRef { session: id, conversation: CONVERSATION, message: ClientMessageId(1) };
    for tried in 1..=UNANSWERED_MS.div_ceil(UNKNOWN_RETRY_MS) {
        sends.look_at(&mut out, id);
        assert_eq!(out.calls.len(), tried as usize);
        let unclear = if tried == 1 { PublishError::Unknown } else { PublishError::Full };
        sends.published(&mut out, of, Err(unclear));
        assert_eq!(heard(&queue), [], "an earlier one may be stored");
        later(&mut out, UNKNOWN_RETRY_MS);
        assert_eq!(out.timers.pop(out.now_ms), Some(Timer::Publish(id)));
        sends.publish_due(&mut out, id);
    }
    sends.look_at(&mut out, id);
    assert_eq!(refused(&queue), [1, 2]);
    assert_eq!(out.counts.unanswered, 2);
}

#[test]
fn a_sender_gets_a_word_in_ten_seconds_whatever_the_owner_does() {
    let config = config(10);
    let (mut out, queue, id) = one_session(&config);
    let mut sends = Sends::new(&config);
    let partition = partition_of(CONVERSATION, sends.config.partitions);
    let of = |message| PublishRef {
        session: id,
        conversation: CONVERSATION,
        message: ClientMessageId(message),
    };
    for message in [1, 2] {
        assert_eq!(sends.send(&mut out, id, USER, send(message, "x")), Sent::Taken);
        sends.published(&mut out, of(message), Ok(()));
        later(&mut out, 1);
    }
    at(&mut out, UNANSWERED_MS - 1);
    sends.look_at(&mut out, id);
    assert_eq!((refused(&queue), sends.without_answers(out.now_ms)), (vec![], vec![]));
    later(&mut out, 1);
    sends.look_at(&mut out, id);
    assert_eq!(refused(&queue), [1, 2], "the sender starts again at the first");
    assert_eq!(sends.without_answers(out.now_ms), [partition]);
    // The owner decides both after all: the broker had them.
    for message in [1, 2] {
        sends.accepted(&mut out, id, accepted(message));
    }
    assert_eq!(sends.without_answers(out.now_ms), []);
    assert!(matches!(heard(&queue)[..], [ServerFrame::Accepted(_), ServerFrame::Accepted(_)]));
    assert_eq!(sends.send(&mut out, id, USER, send(3, "x")), Sent::Taken, "1 holds nobody back");
}

#[test]
fn the_time_until_a_sender_has_word_is_kept() {
    let config = config(10);
    let (mut out, _, id) = one_session(&config);
    let mut sends = Sends::new(&config);
    let us = |us: u64| std::time::Duration::from_micros(us);
    let key = |message| (CONVERSATION, ClientMessageId(message));
    out.now_us = 1_000_250;
    for message in [1, 2, 3] {
        assert_eq!(sends.send(&mut out, id, USER, send(message, "x")), Sent::Taken);
    }
    assert_eq!(sends.send(&mut out, id, USER, send(4, "")), Sent::Handled, "it is not published");
    out.now_us += 4_200;
    sends.decided(&mut out, id, key(1), None);
    out.now_us += 800;
    sends.decided(&mut out, id, key(2), Some(RejectReason::NotMember));
    out.now_us = 11_000_300;
    out.now_ms = 11_000;
    sends.look_at(&mut out, id);
    assert_eq!(out.counts.answered, [us(4_200), us(5_000), us(10_000_050)]);
    assert_eq!((out.counts.unanswered, out.counts.rejections), (1, 2));
}

/// In a storm each of them used to hold back the one before it, for 25 s.
#[test]
fn of_several_that_are_refused_the_first_comes_first() {
    let config = config(10);
    let (mut out, queue, id) = one_session(&config);
    let mut sends = Sends::new(&config);
    for message in 1..=3 {
        assert_eq!(sends.send(&mut out, id, USER, send(message, "x")), Sent::Taken);
        let message = ClientMessageId(message);
        let of = PublishRef { session: id, conversation: CONVERSATION, message };
        sends.published(&mut out, of, Ok(()));
        later(&mut out, 1_000);
    }
    for _ in 0..4 {
        later(&mut out, UNANSWERED_MS - 3_000);
        sends.look_at(&mut out, id);
        later(&mut out, 1_000);
    }
    assert_eq!(refused(&queue), [1, 2, 3]);
    for message in 1..=3 {
        assert_eq!(sends.send(&mut out, id, USER, send(message, "x")), Sent::Taken, "{message}");
    }
}

/// A copy that crosses its answer on the way: the sender is done with it.
#[test]
fn a_copy_of_what_was_answered_holds_nobody_back() {
    let mut config = config(10);
    config.limits.answered = 1;
    let (mut out, queue, id) = one_session(&config);
    let mut sends = Sends::new(&config);
    let take = |sends: &mut Sends, out: &mut Effects<_>, message| {
        assert_eq!(sends.send(out, id, USER, send(message, "x")), Sent::Taken, "{message}");
        let message = ClientMessageId(message);
        let of = PublishRef { session: id, conversation: CONVERSATION, message };
        sends.published(out, of, Ok(()));
    };
    take(&mut sends, &mut out, 1);
    sends.accepted(&mut out, id, accepted(1));
    take(&mut sends, &mut out, 1);
    take(&mut sends, &mut out, 2);
    // Forgets that 1 was decided.
    sends.accepted(&mut out, id, accepted(2));
    at(&mut out, UNANSWERED_MS - 1);
    take(&mut sends, &mut out, 3);
    assert_eq!(heard(&queue).len(), 2);
    later(&mut out, 1);
    sends.look_at(&mut out, id);
    assert_eq!(refused(&queue), [1], "alone");
    take(&mut sends, &mut out, 4);
}

#[test]
fn what_waits_behind_a_copy_that_goes_is_published() {
    let config = config(10);
    let (mut out, queue, id) = one_session(&config);
    let mut sends = Sends::new(&config);
    let of = |message| {
        let message = ClientMessageId(message);
        PublishRef { session: id, conversation: CONVERSATION, message }
    };
    sends.send(&mut out, id, USER, send(1, "x"));
    sends.published(&mut out, of(1), Ok(()));
    sends.accepted(&mut out, id, accepted(1));
    sends.send(&mut out, id, USER, send(1, "x"));
    sends.published(&mut out, of(1), Err(PublishError::Unknown));
    later(&mut out, 1);
    sends.send(&mut out, id, USER, send(2, "x"));
    assert_eq!(heard(&queue).len(), 1);
    out.calls.clear();
    at(&mut out, UNANSWERED_MS);
    sends.look_at(&mut out, id);
    assert_eq!(refused(&queue), [1], "alone");
    let published = |call| match call {
        Call::Publish(call) => call.of,
        other => panic!("{other:?}"),
    };
    assert_eq!(out.calls.drain(..).map(published).collect::<Vec<_>>(), [of(2)]);
}

#[test]
fn a_partition_that_nobody_asks_is_not_called_without_answers_for_ever() {
    let config = config(10);
    let (mut out, _queue, id) = one_session(&config);
    let mut sends = Sends::new(&config);
    assert_eq!(sends.send(&mut out, id, USER, send(1, "x")), Sent::Taken);
    at(&mut out, UNANSWERED_MS);
    sends.look_at(&mut out, id);
    assert_eq!(sends.without_answers(out.now_ms + WITHOUT_ANSWERS_MS - 1).len(), 1);
    assert_eq!(sends.without_answers(out.now_ms + WITHOUT_ANSWERS_MS), []);
}

#[test]
fn a_lost_answer_is_asked_for_within_eight_seconds_whatever_came_before() {
    for unknown in [0, 1, 20] {
        let config = config(10);
        let (mut out, _queue, id) = one_session(&config);
        let mut sends = Sends::new(&config);
        assert_eq!(sends.send(&mut out, id, USER, send(1, "x")), Sent::Taken);
        let message = ClientMessageId(1);
        let of = PublishRef { session: id, conversation: CONVERSATION, message };
        for _ in 0..unknown {
            sends.published(&mut out, of, Err(PublishError::Unknown));
            later(&mut out, UNKNOWN_RETRY_MS);
            sends.publish_due(&mut out, id);
        }
        sends.published(&mut out, of, Ok(()));
        for _ in 0..3 {
            let copies = out.calls.len();
            let patience = if copies == 1 { ANSWER_MS } else { ANSWER_AGAIN_MS };
            later(&mut out, patience - 1);
            sends.publish_due(&mut out, id);
            assert_eq!(out.calls.len(), copies, "an owner gets its time");
            later(&mut out, 1);
            sends.publish_due(&mut out, id);
            assert_eq!(out.calls.len(), copies + 1, "after {unknown} unknown outcomes");
        }
    }
}

#[test]
fn a_client_that_sends_again_gets_a_copy_published_at_its_users_rate() {
    let mut config = config(10);
    (config.limits.rate_per_second, config.limits.rate_burst) = (1, 1);
    let (mut out, queue, id) = one_session(&config);
    let mut sends = Sends::new(&config);
    let message = ClientMessageId(1);
    let of = PublishRef { session: id, conversation: CONVERSATION, message };
    assert_eq!(sends.send(&mut out, id, USER, send(1, "x")), Sent::Taken);
    let mut again = |out: &mut Effects<_>, after_ms: u64| {
        later(out, after_ms);
        assert_eq!(sends.send(out, id, USER, send(1, "x")), Sent::Handled);
        let copies = out.calls.len();
        sends.published(out, of, Ok(()));
        copies
    };
    assert_eq!(again(&mut out, 5_000), 1, "the broker has not said anything yet");
    assert_eq!(again(&mut out, 0), 2, "it has, and the first copy is old");
    assert_eq!(again(&mut out, AGAIN_EVERY_MS - 1), 2, "an owner gets its time");
    assert_eq!(again(&mut out, 1), 3);
    assert!(matches!(sends.send(&mut out, id, USER, send(2, "x")), Sent::TooMany(_)));
    assert_eq!(heard(&queue), []);
}

#[test]
fn a_new_session_does_not_refill_the_rate_of_its_user() {
    let mut config = config(10);
    (config.limits.rate_per_second, config.limits.rate_burst) = (1, 2);
    let (mut out, _queue, id) = one_session(&config);
    let mut sends = Sends::new(&config);
    assert_eq!(sends.send(&mut out, id, USER, send(1, "x")), Sent::Taken);
    sends.close(&mut out, id);
    sends.user_gone(&mut out, USER);
    at(&mut out, 900);
    let (_, _, again) = one_session(&config);
    assert_eq!(sends.send(&mut out, again, USER, send(2, "x")), Sent::Taken);
    assert_eq!(sends.send(&mut out, again, USER, send(3, "x")), Sent::TooMany(100));
    sends.close(&mut out, again);
    sends.user_gone(&mut out, USER);
    for (at_ms, kept) in [(1_000, true), (2_000, false)] {
        assert_eq!(out.timers.pop(at_ms - 1), None);
        assert_eq!(out.timers.pop(at_ms), Some(Timer::Forget(USER)));
        sends.rates.forget(at_ms, USER);
        assert_eq!(!sends.rates.is_empty(), kept, "at {at_ms}");
    }
}
