//! Clients that ask too much: refused, in order, with an answer where one is expected.

use super::{Bench, CONVERSATION};
use crate::core::calls::{Call, PublishRef};
use crate::core::hub_model::config;
use crate::core::limits::FRAMES_PER_SEND;
use ports::broker::PublishError;
use protocol::codec::DecodeError;
use protocol::frames::client::{Backlog, Nonce, Typing};
use protocol::frames::server::ErrorCode;
use protocol::{
    ClientFrame, ClientMessageId, CloseCode, Content, RejectReason, Sequence, ServerFrame, UserId,
    limits,
};

/// Users may send once a second, and so many times at once.
fn slow(burst: u32) -> Bench {
    let mut config = config(1_000);
    (config.limits.rate_per_second, config.limits.rate_burst) = (1, burst);
    Bench::new(config)
}

#[test]
fn a_user_beyond_the_rate_is_refused_and_order_is_kept() {
    let mut bench = slow(2);
    let client = bench.connect(1);
    client.hear();
    for message in 1..=3 {
        bench.send(&client, message);
    }
    assert_eq!(client.rejections(), [(3, RejectReason::RateLimited)]);
    // There is a token again, but 3 has not come again: 4 must not overtake it.
    bench.pass(1_000);
    bench.send(&client, 4);
    assert_eq!(client.rejections(), [(4, RejectReason::Unavailable)]);
    bench.send(&client, 3);
    bench.work();
    assert_eq!(client.entries(), [5]);
    let stored: Vec<u64> =
        bench.world.logs[&CONVERSATION].entries.iter().map(|e| e.client_message_id.0).collect();
    assert_eq!(stored, [0, 0, 1, 2, 3]);
}

#[test]
fn a_flood_ends_its_session_only() {
    let mut bench = slow(1);
    let (flooder, other) = (bench.connect(1), bench.connect(2));
    for message in 1..=100 {
        bench.send(&flooder, message);
    }
    assert_eq!(flooder.hear().1, Some(CloseCode::RateLimited));
    assert_eq!(other.hear().1, None);
}

#[test]
fn a_frame_beyond_the_rate_is_answered_if_it_expects_an_answer() {
    let mut bench = slow(1);
    let client = bench.connect(1);
    let ping = || ClientFrame::Ping(Nonce { nonce: 1 });
    for _ in 0..FRAMES_PER_SEND {
        bench.say(&client, ping());
    }
    client.hear();
    bench.say(&client, ping());
    assert_eq!(client.hear(), (Vec::new(), None));
    bench.say(&client, backlog(77, 1));
    bench.say(&client, ClientFrame::Typing(Typing { conversation: CONVERSATION }));
    bench.hub.undecodable(client.id, &DecodeError::UnknownFrame("shout".into()));
    let dropped = "too many frames per second; this one was dropped";
    let expected = [format!("backlog 77: {dropped}"), dropped.to_owned(), dropped.to_owned()];
    assert_eq!(client.errors(), expected.map(|detail| (ErrorCode::Unavailable, detail)));
    bench.send(&client, 1);
    assert_eq!(client.rejections(), [(1, RejectReason::RateLimited)]);
}

fn backlog(request: u32, limit: u32) -> ClientFrame {
    let (conversation, after) = (CONVERSATION, Sequence(0));
    ClientFrame::Backlog(Backlog { request, conversation, after, limit })
}

#[test]
fn a_backlog_of_no_or_too_many_entries_is_a_bad_value() {
    let mut bench = Bench::new(config(1_000));
    let client = bench.connect(1);
    client.hear();
    let refused = "backlog 5: limit is a number from 1 to 200".to_owned();
    let refused = vec![(ErrorCode::BadValue, refused)];
    for (limit, errors, pages) in [
        (0, refused.clone(), 0),
        (1, Vec::new(), 1),
        (limits::MAX_PAGE, Vec::new(), 1),
        (limits::MAX_PAGE + 1, refused.clone(), 0),
        (u32::MAX, refused, 0),
    ] {
        bench.say(&client, backlog(5, limit));
        assert_eq!(client.errors(), errors, "{limit}");
        bench.work();
        let page = |frame: &&ServerFrame| matches!(frame, ServerFrame::Page(p) if p.request == 5);
        assert_eq!(client.hear().0.iter().filter(page).count(), pages, "{limit}");
    }
}

/// Publications that wait for their confirm.
fn asked(bench: &mut Bench) -> Vec<PublishRef> {
    let calls = bench.hub.take_calls().into_iter();
    calls
        .filter_map(|call| match call {
            Call::Publish(call) => Some(call.of),
            _ => None,
        })
        .collect()
}

#[test]
fn the_earliest_refused_message_holds_the_others_back() {
    let mut bench = slow(1);
    let client = bench.connect(1);
    bench.send(&client, 1);
    let published = asked(&mut bench);
    // 2 is refused for its rate while 1 is on its way, and then 1 for want of room.
    bench.send(&client, 2);
    bench.hub.published(published[0], Err(PublishError::Full));
    let refused = [(2, RejectReason::RateLimited), (1, RejectReason::Unavailable)];
    assert_eq!(client.rejections(), refused);
    bench.pass(1_000);
    bench.send(&client, 2);
    assert_eq!(client.rejections(), [(2, RejectReason::Unavailable)], "1 comes first");
    bench.send(&client, 1);
    bench.pass(1_000);
    bench.send(&client, 2);
    bench.work();
    let entries = &bench.world.logs[&CONVERSATION].entries;
    let stored: Vec<u64> = entries.iter().map(|e| e.client_message_id.0).collect();
    assert_eq!(stored, [0, 0, 1, 2]);
}

#[test]
fn a_refused_copy_of_an_answered_message_holds_nothing_back() {
    let mut bench = slow(1);
    let client = bench.connect(1);
    bench.send(&client, 1);
    bench.work();
    // The copy and the answer have crossed: the client will not send 1 a third time.
    bench.send(&client, 1);
    assert_eq!(client.rejections(), [(1, RejectReason::RateLimited)]);
    bench.pass(1_000);
    bench.send(&client, 2);
    bench.work();
    assert_eq!(client.entries(), [4]);
}

#[test]
fn an_answer_ends_what_a_refused_copy_holds_back() {
    let mut bench = slow(1);
    let client = bench.connect(1);
    bench.send(&client, 1);
    // Frames of any kind beyond the rate are dropped before anybody looks whether they are copies.
    for _ in 0..FRAMES_PER_SEND {
        bench.send(&client, 1);
    }
    assert!(client.rejections().contains(&(1, RejectReason::RateLimited)));
    bench.work();
    bench.pass(2_000);
    client.hear();
    bench.send(&client, 2);
    bench.work();
    assert_eq!(client.entries(), [4]);
}

#[test]
fn all_pages_that_may_be_asked_for_have_room() {
    let mut small = config(1_000);
    small.limits.session_queue_bytes = 128 * 1024;
    let mut bench = Bench::new(small);
    for message in 1..=4 {
        let body = "x".repeat(limits::MAX_BODY_BYTES);
        let content = Content::Message { body, reply_to: None };
        bench.world.append(CONVERSATION, UserId(2), ClientMessageId(message), content);
    }
    let client = bench.connect(1);
    client.hear();
    for request in 1..=4 {
        bench.say(&client, backlog(request, 200));
    }
    bench.work();
    let (frames, closed) = client.hear();
    let pages = frames.iter().filter_map(|frame| match frame {
        ServerFrame::Page(page) => Some(page.entries.len()),
        _ => None,
    });
    assert!(pages.clone().all(|entries| entries > 0));
    assert_eq!((pages.count(), closed), (4, None));
}
