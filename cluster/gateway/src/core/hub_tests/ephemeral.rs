//! Receipts and typing.

use super::{Answer, Bench, CONVERSATION, Client, Mishap};
use crate::core::calls::Call;
use crate::core::hub_model::config;
use protocol::design::Receipts as Choice;
use protocol::frames::client::{Receipt, Typing};
use protocol::frames::server::{ErrorCode, Receipts};
use protocol::records::ToGateway;
use protocol::{
    ClientFrame, ClientMessageId, Content, ConversationId, Sequence, ServerFrame, UserId,
};

#[test]
fn receipts_are_coalesced_and_checked() {
    let mut bench = Bench::new(config(1_000));
    let client = bench.connect(1);
    client.hear();
    let receipt = |delivered, read| {
        let (delivered, read) = (Sequence(delivered), Sequence(read));
        ClientFrame::Receipt(Receipt { conversation: CONVERSATION, delivered, read })
    };
    for (delivered, read) in [(1, 1), (2, 1), (1, 0)] {
        bench.say(&client, receipt(delivered, read));
    }
    bench.now_ms += 300;
    bench.tick();
    let calls = bench.hub.take_calls();
    let [Call::Receipts(items)] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!((items.len(), items[0].delivered, items[0].read), (1, Sequence(2), Sequence(1)));
    for wrong in [receipt(1, 2), receipt(3, 1)] {
        bench.say(&client, wrong);
        let (frames, _) = client.hear();
        assert!(matches!(&frames[0], ServerFrame::Error(e) if e.code == ErrorCode::BadValue));
    }
    bench.say(&client, ClientFrame::Typing(Typing { conversation: ConversationId(99) }));
    let (frames, _) = client.hear();
    assert!(matches!(&frames[0], ServerFrame::Error(e) if e.code == ErrorCode::NotAttached));
}

#[test]
fn typing_is_throttled() {
    let mut bench = Bench::new(config(1_000));
    let client = bench.connect(1);
    let typing = || ClientFrame::Typing(Typing { conversation: CONVERSATION });
    bench.say(&client, typing());
    bench.say(&client, typing());
    assert_eq!(bench.hub.take_calls(), [Call::Typing(CONVERSATION, UserId(1))]);
}

/// What a client hears of user 1, of three members, when an owner tells these cursors, one after the other.
fn told(bench: &mut Bench, client: &Client, pairs: &[(u64, u64)]) -> Vec<(u64, u64)> {
    for (delivered, read) in pairs {
        let (delivered, read) = (Sequence(*delivered), Sequence(*read));
        let receipts = Receipts { conversation: CONVERSATION, user: UserId(1), delivered, read };
        bench.hub.delivery(ToGateway::Receipts(receipts, 3));
    }
    let pair = |frame: &ServerFrame| match frame {
        ServerFrame::Receipts(receipts) => Some((receipts.delivered.0, receipts.read.0)),
        _ => None,
    };
    client.hear().0.iter().filter_map(pair).collect()
}

#[test]
fn an_owner_that_tells_its_receipts_again_takes_no_cursor_back() {
    let mut bench = Bench::new(config(1_000));
    let client = bench.connect(2);
    let heard = told(&mut bench, &client, &[(1, 1), (2, 1), (2, 2), (1, 1), (2, 1), (2, 2)]);
    assert_eq!(heard, [(1, 1), (2, 1), (2, 2)]);
    // Whoever comes later is spared the repetition too.
    let later = bench.connect(3);
    assert_eq!(told(&mut bench, &later, &[(1, 1)]), []);
    assert_eq!(told(&mut bench, &client, &[(1, 5)]), [(2, 5)], "each cursor for itself");
}

#[test]
fn of_many_members_only_the_authors_are_told_who_has_got_their_messages() {
    let mut few = config(1_000);
    few.limits.receipts_audience = 2;
    let mut bench = Bench::new(few);
    let user = UserId(3);
    bench.world.append(CONVERSATION, user, ClientMessageId(0), Content::Join { user });
    let [_, author, other] = [1, 2, 3].map(|user| bench.connect(user));
    bench.send(&author, 1);
    bench.work();
    let hears = |client: &Client| *client.entries().last().expect("it was delivered");
    let sent = hears(&author);
    assert_eq!(hears(&other), sent);
    assert_eq!(told(&mut bench, &author, &[(sent, sent - 1)]), [(sent, sent - 1)]);
    assert_eq!(told(&mut bench, &other, &[]), [], "the message is not theirs");
    assert_eq!(told(&mut bench, &author, &[(sent, sent)]), [(sent, sent)], "read, too");
    assert_eq!(told(&mut bench, &author, &[(sent + 1, sent + 1)]), [], "it covers nothing new");
}

#[test]
fn where_the_last_receipt_wins_cursors_fall() {
    let mut bad = config(1_000);
    bad.design.receipts = Choice::Overwrite;
    let mut bench = Bench::new(bad);
    let client = bench.connect(2);
    assert_eq!(told(&mut bench, &client, &[(2, 2), (1, 1)]), [(2, 2), (1, 1)]);
}

#[test]
fn a_session_is_told_nothing_between_two_memberships() {
    let mut bench = Bench::new(config(1_000));
    let client = bench.connect(2);
    client.hear();
    let user = UserId(2);
    let changes = [Content::Leave { user }, Content::Join { user }];
    for change in changes.clone().into_iter().chain(changes) {
        bench.world.append(CONVERSATION, user, ClientMessageId(0), change);
    }
    for record in std::mem::take(&mut bench.world.queue) {
        bench.hub.delivery(record);
    }
    bench.world.calls.extend(bench.hub.take_calls());
    bench.world.execute(Mishap::None);
    for answer in std::mem::take(&mut bench.world.answers) {
        let Answer::Attached(call, answers) = answer else { panic!("an attachment is asked for") };
        bench.hub.attached(call, answers);
    }
    // The second membership is there, and the page that shows the first one's end is still to come.
    assert_eq!(told(&mut bench, &client, &[(2, 1)]), []);
    bench.work();
    assert_eq!(told(&mut bench, &client, &[(3, 1)]), [(3, 1)]);
}
