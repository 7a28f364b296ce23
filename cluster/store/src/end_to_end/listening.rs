//! Who hears what: attachments, membership, receipts, presence.

use super::*;

#[tokio::test(start_paused = true)]
async fn nothing_falls_between_backlog_and_stream() {
    for delay in 0..30 {
        let mut world = World::new(Design::default());
        world.start().await;
        let gateway = Gateway::new(&world).await;
        gateway.create(&[1, 2]).await;
        settle().await;
        let speak = async {
            for message in 1..=20 {
                world.say(1, CONVERSATION, message);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let attach = async {
            tokio::time::sleep(Duration::from_millis(delay)).await;
            gateway.attach(2, Some(2)).await
        };
        let ((), attached) = tokio::join!(speak, attach);
        settle().await;
        let mut stream: Vec<u64> = attached.entries.iter().map(|e| e.sequence.0).collect();
        assert_eq!(stream.last().copied().unwrap_or(2), attached.head.0);
        let live = entries(&world.broker.told(GATEWAY));
        stream.extend(live.iter().filter(|sequence| **sequence > attached.head.0));
        assert_eq!(stream, (3..=22).collect::<Vec<_>>(), "delay {delay}");
    }
}

#[tokio::test(start_paused = true)]
async fn gateways_are_told_the_heads_of_what_has_grown() {
    let mut world = World::new(Design::default());
    world.start().await;
    let mut gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    let attached = gateway.attach(2, None).await;
    gateway.events();
    for message in 1..=3 {
        world.say(1, CONVERSATION, message);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let sequence = Sequence(attached.head.0 + 3);
    let heads = vec![Head { conversation: CONVERSATION, sequence }];
    assert_eq!(gateway.events(), [StoreEvent::Heads(heads)]);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(gateway.events(), [], "nothing has grown since");
}

#[tokio::test(start_paused = true)]
async fn members_come_and_go_in_the_stream() {
    let mut world = World::new(Design::default());
    world.start().await;
    let mut gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    gateway.attach(1, None).await;
    gateway.events();
    assert_eq!(gateway.change(3, true).await, Sequence(3));
    assert_eq!(gateway.change(3, true).await, Sequence(3), "the same again");
    settle().await;
    let events = gateway.events();
    assert!(
        matches!(events[..], [StoreEvent::Joined(j)] if j.user == UserId(3) && j.joined.0 == 3),
        "{events:?}"
    );
    let attached = gateway.attach(3, Some(0)).await;
    assert_eq!(attached.from, Sequence(2), "behind nothing that came before the membership");
    world.broker.told(GATEWAY);
    assert_eq!(gateway.change(3, false).await, Sequence(4));
    settle().await;
    let told = world.broker.told(GATEWAY);
    let left = |told: &ToGateway| matches!(told, ToGateway::Entry(e) if e.content == Content::Leave { user: UserId(3) });
    assert!(told.iter().any(left), "{told:?}");
    // Not a member, so no push; not attached either.
    world.say(1, CONVERSATION, 9);
    settle().await;
    assert_eq!(pushes(&world), [(2, 5)]);
    let of_three = gateway.conversations.of_users(vec![UserId(3)]).await.unwrap();
    assert_eq!(of_three, []);
    let query = RangeQuery {
        conversation: CONVERSATION,
        user: Some(UserId(3)),
        after: Sequence(0),
        limit: 50,
    };
    let page = gateway.conversations.range(query).await.unwrap();
    assert_eq!(page.entries.iter().map(|e| e.sequence.0).collect::<Vec<_>>(), [3]);
}

#[tokio::test(start_paused = true)]
async fn whoever_links_while_somebody_joins_hears_of_it() {
    for delay in 0..8 {
        let mut world = World::new(Design::default());
        world.start().await;
        let gateway = Gateway::new(&world).await;
        gateway.create(&[1, 2]).await;
        settle().await;
        let other = world.conversations();
        let mut events = other.announce(GatewayId(2), Incarnation(1));
        let join = async {
            tokio::time::sleep(Duration::from_millis(delay)).await;
            gateway.change(3, true).await
        };
        let look = async {
            assert_eq!(events.recv().await, Some(StoreEvent::Back(NodeNumber(1))));
            other.of_users(vec![UserId(3)]).await.expect("the node answers")
        };
        let (_, found) = tokio::join!(join, look);
        settle().await;
        let told = events.try_recv().ok();
        assert!(!found.is_empty() || matches!(told, Some(StoreEvent::Joined(_))), "delay {delay}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_link_takes_its_attachments_along() {
    let mut world = World::new(Design::default());
    world.start().await;
    let mut gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    gateway.attach(2, None).await;
    gateway.events();
    world.memory.network.cut();
    settle().await;
    let one = NodeNumber(1);
    assert_eq!(gateway.events(), [StoreEvent::Lost(one), StoreEvent::Back(one)]);
    world.broker.told(GATEWAY);
    world.say(1, CONVERSATION, 9);
    settle().await;
    assert_eq!(entries(&world.broker.told(GATEWAY)), [] as [u64; 0]);
    assert_eq!(pushes(&world), [(2, 3)]);
    let attached = gateway.attach(2, Some(2)).await;
    assert_eq!(attached.entries.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn receipts_rise_and_are_told_to_the_others() {
    let mut world = World::new(Design::default());
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    gateway.attach(1, None).await;
    settle().await;
    world.broker.told(GATEWAY);
    let report = |delivered, read| report(2, delivered, read);
    gateway.conversations.receipts(vec![report(2, 1)]);
    settle().await;
    gateway.conversations.receipts(vec![report(1, 1), report(9, 0)]);
    settle().await;
    let cursors = gateway.conversations.cursors(CONVERSATION, Some(UserId(1))).await.unwrap();
    assert_eq!(cursors, [report(2, 1)], "never above the head, never back");
    let told = world.broker.told(GATEWAY);
    assert!(
        matches!(&told[..], [ToGateway::Receipts(r, 2)] if r.delivered == Sequence(2)),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn watchers_learn_who_is_there_and_who_types() {
    let mut world = World::new(Design::default());
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    gateway.attach(1, None).await;
    settle().await;
    world.broker.told(GATEWAY);
    gateway.attach(2, None).await;
    gateway.conversations.typing(CONVERSATION, UserId(2));
    gateway.conversations.typing(CONVERSATION, UserId(3));
    gateway.conversations.detach(vec![DetachItem {
        conversation: CONVERSATION,
        user: UserId(2),
        arrived: Some(Sequence(2)),
    }]);
    settle().await;
    let told: Vec<(u64, Option<bool>)> = world
        .broker
        .told(GATEWAY)
        .iter()
        .map(|told| match told {
            ToGateway::Presence(p) => (p.user.0, Some(p.online)),
            ToGateway::Typing(t) => (t.user.0, None),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [(2, Some(true)), (1, Some(true)), (2, None), (2, Some(false))];
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn retention_removes_entries_and_no_sequences() {
    let mut world = World::new(Design::default());
    world.config.retention = Some(4);
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    for message in 1..=10 {
        world.say(1, CONVERSATION, message);
    }
    settle().await;
    assert_eq!(gateway.stored().await, [9, 10, 11, 12]);
    let attached = gateway.attach(2, Some(3)).await;
    assert_eq!((attached.from, attached.head), (Sequence(8), Sequence(12)));
    // Its entry is gone, its answer is not.
    world.broker.told(GATEWAY);
    world.say(1, CONVERSATION, 1);
    settle().await;
    assert_eq!(accepted(&world.broker.told(GATEWAY)), [(1, 3, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_cursor_beyond_the_head_starts_at_the_head() {
    let mut world = World::new(Design::default());
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    for after in [2, 3, 99_999_999, u64::MAX] {
        let attached = gateway.attach(2, Some(after)).await;
        assert_eq!((attached.from, attached.head), (Sequence(2), Sequence(2)), "{after}");
    }
    world.broker.told(GATEWAY);
    world.say(1, CONVERSATION, 5);
    settle().await;
    assert_eq!(entries(&world.broker.told(GATEWAY)), [3], "and the stream goes on behind it");
}
