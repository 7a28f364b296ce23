//! Clients that ask too much: refused, in order, with an answer where one is expected.

use super::{Bench, CONVERSATION};
use crate::core::hub_model::config;
use crate::core::limits::FRAMES_PER_SEND;
use protocol::codec::DecodeError;
use protocol::frames::client::{Backlog, Nonce, Typing};
use protocol::frames::server::ErrorCode;
use protocol::{ClientFrame, CloseCode, RejectReason, Sequence, ServerFrame, limits};

#[test]
fn a_user_beyond_the_rate_is_refused_and_order_is_kept() {
    let mut bench = Bench::new(config(1_000));
    bench.hub.config.rate.burst = 2;
    bench.hub.config.rate.per_second = 1;
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
    let mut bench = Bench::new(config(1_000));
    bench.hub.config.rate.burst = 1;
    bench.hub.config.rate.per_second = 1;
    let (flooder, other) = (bench.connect(1), bench.connect(2));
    for message in 1..=100 {
        bench.send(&flooder, message);
    }
    assert_eq!(flooder.hear().1, Some(CloseCode::RateLimited));
    assert_eq!(other.hear().1, None);
}

#[test]
fn a_frame_beyond_the_rate_is_answered_if_it_expects_an_answer() {
    let mut bench = Bench::new(config(1_000));
    bench.hub.config.rate.burst = 1;
    bench.hub.config.rate.per_second = 1;
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
    bench.hub.undecodable(bench.now(), client.id, &DecodeError::UnknownFrame("shout".into()));
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
