//! What becomes of a message: stored, told, refused, dead.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_message_is_stored_fanned_out_accepted_and_pushed() {
    let mut world = World::new(Design::default());
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2, 3]).await;
    let attached = gateway.attach(1, None).await;
    assert_eq!((attached.from, attached.head), (Sequence(3), Sequence(3)));
    gateway.attach(2, None).await;
    world.broker.told(GATEWAY);
    world.say(1, CONVERSATION, 77);
    settle().await;
    let told = world.broker.told(GATEWAY);
    assert_eq!(entries(&told), [4]);
    assert_eq!(accepted(&told), [(77, 4, 1)]);
    assert_eq!(pushes(&world), [(3, 4)]);
    assert_eq!(world.broker.depth(inbound()), 0, "acknowledged");
    assert_eq!(gateway.stored().await, [1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_resend_gets_the_same_answer_and_no_second_entry() {
    let mut world = World::new(Design::default());
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    gateway.attach(2, None).await;
    world.broker.told(GATEWAY);
    // Twice in one batch, and once later.
    world.say(1, CONVERSATION, 5);
    world.say(1, CONVERSATION, 5);
    settle().await;
    world.say(1, CONVERSATION, 5);
    settle().await;
    let told = world.broker.told(GATEWAY);
    assert_eq!(accepted(&told), [(5, 3, 1); 3]);
    assert_eq!(entries(&told), [3]);
    assert_eq!(gateway.stored().await, [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn poison_goes_to_the_dead_letters_and_nothing_overtakes_it() {
    let mut world = World::new(Design::default());
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    gateway.attach(2, None).await;
    world.broker.told(GATEWAY);
    world.say(1, CONVERSATION, 1);
    let body = "?".to_owned();
    world.send(1, CONVERSATION, 2, Action::Send { body, reply_to: None, format: 9 });
    world.broker.put(inbound(), bytes::Bytes::from_static(b"\xff\xff"));
    world.say(1, CONVERSATION, 3);
    settle().await;
    let told = world.broker.told(GATEWAY);
    let words: Vec<String> = told
        .iter()
        .map(|told| match told {
            ToGateway::Accepted(_, a) => format!("accepted {}", a.client_message_id),
            ToGateway::Rejected(_, r) => {
                assert_eq!(r.reason, RejectReason::DeadLettered);
                format!("rejected {}", r.client_message_id)
            }
            ToGateway::Entry(e) => format!("entry {}", e.sequence),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(words, ["entry 3", "accepted 1", "rejected 2", "entry 4", "accepted 3"]);
    let dead = world.broker.dead();
    assert_eq!(dead.len(), 2);
    assert_eq!(Queue::from(dead[0].0), inbound());
    assert_eq!(dead[0].1, "unknown format 9");
    assert!(dead[1].1.contains("does not decode"), "{dead:?}");
    assert_eq!(world.broker.depth(inbound()), 0);
}

#[tokio::test(start_paused = true)]
async fn dropped_poison_leaves_no_trace() {
    let design = Design { poison: design::Poison::Drop, ..Design::default() };
    let mut world = World::new(design);
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    gateway.attach(2, None).await;
    world.broker.told(GATEWAY);
    let body = "?".to_owned();
    world.send(1, CONVERSATION, 2, Action::Send { body, reply_to: None, format: 9 });
    settle().await;
    assert_eq!(world.broker.told(GATEWAY), []);
    assert_eq!(world.broker.dead(), []);
    assert_eq!(world.broker.depth(inbound()), 0);
}

#[tokio::test(start_paused = true)]
async fn an_id_has_one_answer_also_if_it_was_poison_first() {
    let mut world = World::new(Design::default());
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    gateway.attach(2, None).await;
    world.broker.told(GATEWAY);
    let poison = |id| {
        let body = "?".to_owned();
        world.send(1, CONVERSATION, id, Action::Send { body, reply_to: None, format: 9 });
    };
    // Twice in one batch, then as a good one, then as it was: a requeued letter is no other case.
    poison(5);
    poison(5);
    settle().await;
    world.say(1, CONVERSATION, 5);
    settle().await;
    poison(5);
    settle().await;
    let told = world.broker.told(GATEWAY);
    let dead = |told: &ToGateway| match told {
        ToGateway::Rejected(_, r) => {
            Some((r.client_message_id.0, r.reason == RejectReason::DeadLettered))
        }
        _ => None,
    };
    assert_eq!(told.iter().map(dead).collect::<Vec<_>>(), [Some((5, true)); 4]);
    assert_eq!(world.broker.dead().len(), 1, "one letter, however often it came");
    assert_eq!(gateway.stored().await, [1, 2]);
    assert_eq!(world.broker.depth(inbound()), 0);
}

#[tokio::test(start_paused = true)]
async fn poison_under_an_accepted_id_gets_the_acceptance_again() {
    let mut world = World::new(Design::default());
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    gateway.attach(2, None).await;
    world.broker.told(GATEWAY);
    world.say(1, CONVERSATION, 5);
    let body = "?".to_owned();
    world.send(1, CONVERSATION, 5, Action::Send { body, reply_to: None, format: 9 });
    settle().await;
    assert_eq!(accepted(&world.broker.told(GATEWAY)), [(5, 3, 1); 2]);
    assert_eq!(world.broker.dead(), []);
    assert_eq!(world.broker.depth(inbound()), 0);
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_poison_outlives_the_owner() {
    let mut world = World::new(Design::default());
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    let body = "?".to_owned();
    world.send(1, CONVERSATION, 5, Action::Send { body, reply_to: None, format: 9 });
    settle().await;
    world.kill().await;
    world.start().await;
    settle().await;
    world.broker.told(GATEWAY);
    world.say(1, CONVERSATION, 5);
    settle().await;
    let told = world.broker.told(GATEWAY);
    assert!(
        matches!(&told[..], [ToGateway::Rejected(_, r)] if r.reason == RejectReason::DeadLettered),
        "{told:?}"
    );
    assert_eq!(gateway.stored().await, [1, 2]);
}
