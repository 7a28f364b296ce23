//! What the bad choices for streams give away, and what owners hear of those who go.

use super::*;
use ports::StoreEvent;
use protocol::design::{Delivery, Design, Membership};
use protocol::frames::client::Receipt;
use protocol::store_calls::{DetachItem, UserConversation};
use protocol::{NodeNumber, Sequence};

fn bench(design: Design) -> (Bench, Client) {
    let mut bench = Bench::new(HubConfig { design, ..config(4_096) });
    bench.connect(1);
    let client = bench.connect(2);
    client.hear();
    (bench, client)
}

fn message(bench: &mut Bench, id: u64) {
    let content = Content::Message { body: format!("message {id}"), reply_to: None };
    bench.world.append(CONVERSATION, UserId(1), ClientMessageId(id), content);
}

#[test]
fn a_lost_entry_is_repaired_unless_entries_are_handed_out_as_they_come() {
    for (delivery, expected) in
        [(Delivery::InOrder, &[3, 4, 5][..]), (Delivery::AtArrival, &[4, 5])]
    {
        let (mut bench, client) = bench(Design { delivery, ..Design::default() });
        message(&mut bench, 1);
        bench.world.queue.clear();
        message(&mut bench, 2);
        message(&mut bench, 3);
        bench.pass(2_000);
        assert_eq!(client.entries(), expected);
    }
}

/// No later entry shows the gap, so the owner's word of its head must.
#[test]
fn the_last_entries_and_answers_that_were_lost_are_found_by_the_head() {
    let (mut bench, client) = bench(Design::default());
    bench.send(&client, 1);
    bench.world.calls.extend(bench.hub.take_calls());
    bench.world.execute(Mishap::None);
    bench.world.queue.clear();
    bench.pass(1_000);
    assert!(client.entries().is_empty());
    bench.world.tell_heads();
    let heads = bench.world.events.pop_back().expect("something has grown");
    bench.hub.store_event(heads);
    bench.pass(900);
    assert!(client.entries().is_empty(), "it may be on its way");
    bench.pass(2_000);
    let (frames, _) = client.hear();
    let entry =
        frames.iter().any(|frame| matches!(frame, ServerFrame::Entry(e) if e.sequence.0 == 3));
    let accepted = frames.iter().any(|frame| matches!(frame, ServerFrame::Accepted(_)));
    assert!(entry && accepted, "{frames:?}");
}

#[test]
fn a_departure_ends_the_stream_unless_the_membership_is_cached() {
    for (membership, expected) in [(Membership::Followed, &[][..]), (Membership::Cached, &[3, 4])] {
        let (mut bench, client) = bench(Design { membership, ..Design::default() });
        let content = Content::Leave { user: UserId(2) };
        bench.world.append(CONVERSATION, UserId(2), ClientMessageId(0), content);
        message(&mut bench, 1);
        bench.pass(300);
        assert_eq!(client.entries(), expected);
    }
}

fn detached(bench: &mut Bench) -> Vec<DetachItem> {
    let items = |call| match call {
        Call::Detach(items) => items,
        _ => Vec::new(),
    };
    bench.hub.take_calls().into_iter().flat_map(items).collect()
}

#[test]
fn owners_hear_what_arrived_also_when_they_come_back() {
    for back in [StoreEvent::Back(NodeNumber(1)), StoreEvent::Moved] {
        let (mut bench, client) = bench(Design::default());
        message(&mut bench, 1);
        message(&mut bench, 2);
        bench.work();
        let (delivered, read) = (Sequence(3), Sequence(0));
        let receipt = Receipt { conversation: CONVERSATION, delivered, read };
        bench.say(&client, ClientFrame::Receipt(receipt));
        bench.work();
        bench.hub.gone(client.id);
        let gone =
            DetachItem { conversation: CONVERSATION, user: UserId(2), arrived: Some(Sequence(3)) };
        assert_eq!(detached(&mut bench), [gone]);
        bench.hub.store_event(back.clone());
        assert_eq!(detached(&mut bench), [gone], "it may not have heard of it");
        bench.connect(2);
        bench.hub.store_event(back);
        assert_eq!(detached(&mut bench), []);
    }
}

#[test]
fn an_answered_ping_says_what_arrived() {
    let mut bench = Bench::new(HubConfig { heartbeat_ms: 1_000, ..config(4_096) });
    let client = bench.connect(2);
    message(&mut bench, 1);
    bench.pass(1_500);
    message(&mut bench, 2);
    bench.work();
    let (frames, _) = client.hear();
    let ping = frames.iter().find_map(|frame| match frame {
        ServerFrame::Ping(nonce) => Some(*nonce),
        _ => None,
    });
    bench.say(&client, ClientFrame::Pong(ping.expect("a silent session is pinged")));
    bench.hub.gone(client.id);
    let arrived: Vec<_> = detached(&mut bench).iter().map(|item| item.arrived).collect();
    assert_eq!(arrived, [Some(Sequence(3))], "the message before the ping, not the one behind it");
}

/// What was only sent may have gone to a connection that is dead: should the gateway die, too, it is pushed.
#[test]
fn an_attachment_that_is_made_again_says_what_has_arrived() {
    let (mut bench, client) = bench(Design::default());
    message(&mut bench, 1);
    message(&mut bench, 2);
    bench.work();
    let (delivered, read) = (Sequence(3), Sequence(0));
    let receipt = Receipt { conversation: CONVERSATION, delivered, read };
    bench.say(&client, ClientFrame::Receipt(receipt));
    bench.hub.subscribed();
    let attach = |call| match call {
        Call::Attach(call) => call.items(),
        _ => Vec::new(),
    };
    let items: Vec<_> = bench.hub.take_calls().into_iter().flat_map(attach).collect();
    let arrived: Vec<_> = items.iter().map(|item| (item.user.0, item.after, item.again)).collect();
    assert_eq!(arrived, [(1, Some(Sequence(2)), true), (2, Some(Sequence(3)), true)]);
}

/// A device that is told that its user has left forgets how far it had got: what an earlier session showed must not
/// come again.
#[test]
fn old_news_of_a_joining_is_no_place_where_a_session_has_been() {
    for is_back in [false, true] {
        let mut bench = Bench::new(config(4_096));
        let user = UserId(1);
        let change = |bench: &mut Bench, content| {
            bench.world.append(CONVERSATION, user, ClientMessageId(0), content);
        };
        let news = |bench: &mut Bench, joined| {
            let joined = UserConversation { user, conversation: CONVERSATION, joined };
            bench.hub.store_event(StoreEvent::Joined(joined));
            bench.work();
        };
        change(&mut bench, Content::Leave { user });
        let client = bench.connect(1);
        client.hear();
        let mut heard = Vec::new();
        if is_back {
            change(&mut bench, Content::Join { user });
        }
        // Of the first joining, which another gateway has told an earlier session of.
        news(&mut bench, Sequence(1));
        heard.extend(client.hear().0);
        if !is_back {
            assert_eq!(heard, []);
            change(&mut bench, Content::Join { user });
        }
        news(&mut bench, Sequence(4));
        heard.extend(client.hear().0);
        let [ServerFrame::Attached(attached), ServerFrame::Entry(entry)] = &heard[..] else {
            panic!("{is_back}: {heard:?}")
        };
        assert_eq!((attached.from, entry.sequence), (Sequence(3), Sequence(4)));
    }
}
