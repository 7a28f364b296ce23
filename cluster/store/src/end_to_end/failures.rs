//! What failures cost: nothing, or what a bad design choice gives away.

use super::*;
use crate::{OpenError, ServeError};
use fakes::START_MS;
use ports::CallError;
use ports::message_store::StoreError;

#[tokio::test(start_paused = true)]
async fn a_crash_before_the_confirm_is_replayed_under_the_same_sequence() {
    let mut world = World::new(Design::default());
    world.start().await;
    let mut gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    settle().await;
    world.broker.told(GATEWAY);
    gateway.events();
    world.broker.withhold(u32::MAX, false);
    world.say(1, CONVERSATION, 5);
    settle().await;
    assert_eq!(world.broker.depth(inbound()), 1, "not acknowledged before the confirm");
    world.kill().await;
    world.broker.withhold(0, false);
    world.start().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let one = NodeNumber(1);
    assert_eq!(gateway.events(), [StoreEvent::Lost(one), StoreEvent::Back(one)]);
    let told = world.broker.told(GATEWAY);
    assert_eq!(accepted(&told), [(5, 3, 1)], "the epoch of the one who sequenced it");
    assert_eq!(pushes(&world), [(2, 3)]);
    assert_eq!(world.broker.depth(inbound()), 0);
    assert_eq!(gateway.stored().await, [1, 2, 3]);
    let epochs: Vec<_> = gateway.conversations.status().await.iter().map(|s| s.epoch).collect();
    assert_eq!(epochs, [Epoch(2); 4]);
}

#[tokio::test(start_paused = true)]
async fn unconfirmed_publications_are_repeated_in_their_order() {
    for stored in [false, true] {
        let mut world = World::new(Design::default());
        world.start().await;
        let gateway = Gateway::new(&world).await;
        gateway.create(&[1, 2]).await;
        gateway.attach(2, None).await;
        settle().await;
        world.broker.told(GATEWAY);
        world.broker.withhold(3, stored);
        for message in 1..=4 {
            world.say(1, CONVERSATION, message);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        settle().await;
        let mut seen = entries(&world.broker.told(GATEWAY));
        if stored {
            assert!(seen.len() > 4, "repeated: {seen:?}");
            // Dropped by sequence, as receivers do, they are in order.
            let mut newest = 0;
            seen.retain(|sequence| {
                let new = *sequence == newest.max(2) + 1;
                newest = newest.max(*sequence);
                new
            });
        }
        assert_eq!(seen, [3, 4, 5, 6]);
        assert_eq!(world.broker.depth(inbound()), 0);
    }
}

/// Flips a bit in each page of the database, whether somebody has it open or not.
fn rot_all_pages(disk: &dyn ports::Disk) {
    let file = disk.open("store.redb").unwrap();
    for at in (8_300..file.len().unwrap()).step_by(4_100) {
        let mut byte = [0];
        file.read_at(at, &mut byte).unwrap();
        file.write_at(at, &[byte[0] ^ 1]).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_ends_with_the_damage_that_it_meets() {
    for meets in ["a read", "a command", "a checkpoint"] {
        let mut world = World::new(Design::default());
        world.config.limits.cache_bytes = 0;
        world.config.limits.checkpoint_groups = 1;
        world.start().await;
        let gateway = Gateway::new(&world).await;
        gateway.create(&[1, 2]).await;
        world.stop().await;
        let (node, _trigger) = world.node().await;
        let met = async {
            // Between two looks at whether a checkpoint is due.
            tokio::time::sleep(Duration::from_millis(3_050)).await;
            if meets == "a checkpoint" {
                world.say(1, CONVERSATION, 1);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            rot_all_pages(&world.memory.disk);
            if meets == "a read" {
                let info = gateway.conversations.info(CONVERSATION, None).await;
                assert_eq!(info.err(), Some(CallError::Unavailable));
            }
            if meets == "a command" {
                world.say(1, CONVERSATION, 1);
            }
            tokio::time::sleep(Duration::from_mins(10)).await;
        };
        tokio::select! {
            ended = node => {
                let error = ended.expect_err("it was not asked to end");
                let ServeError::Engine(OpenError::Engine(StoreError::Corrupt(why))) = error else {
                    panic!("{error:?}");
                };
                let says = "is not as it was written; restore";
                assert!(why.contains(says), "{meets}: {why}");
            }
            () = met => panic!("{meets}: it goes on for ever"),
        }
    }
}

/// The next message waits for neither, and a restart finds nothing to wait for.
#[tokio::test(start_paused = true)]
async fn the_chat_goes_on_without_room_for_pushes_and_dead_letters() {
    let none =
        BrokerLimits { notify_queue_messages: 0, dead_letters: 0, ..BrokerLimits::default() };
    let mut world = World::with(Design::default(), none);
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2, 3]).await;
    gateway.attach(2, None).await;
    world.broker.told(GATEWAY);
    for message in 1..=50 {
        let format = if message % 5 == 0 { 99 } else { 1 };
        let action = Action::Send { body: "?".to_owned(), reply_to: None, format };
        world.send(1, CONVERSATION, message, action);
    }
    settle().await;
    let told = world.broker.told(GATEWAY);
    assert_eq!((accepted(&told).len(), refused(&told).len()), (40, 10));
    assert_eq!(world.broker.depth(inbound()), 0);
    assert_eq!((pushes(&world), world.broker.dead()), (vec![], vec![]));
    assert_eq!(world.memory.telemetry.counted("broker_shed_notifications"), 40);
    assert_eq!(world.memory.telemetry.counted("broker_shed_dead_letters"), 10);
    assert_eq!(world.memory.telemetry.counted("store_publications_repeated"), 0);
}

#[tokio::test(start_paused = true)]
async fn an_owner_whose_queue_is_taken_gets_it_back_under_the_epoch_that_it_has() {
    let mut world = World::new(Design::default());
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    world.broker.take_over(inbound(), Epoch(8));
    world.say(1, CONVERSATION, 9);
    settle().await;
    assert_eq!(world.broker.depth(inbound()), 1);
    world.broker.give_back();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(world.broker.depth(inbound()), 0);
    assert_eq!(accepted(&world.broker.told(GATEWAY)), [(9, 3, 1)]);
}

#[tokio::test(start_paused = true)]
async fn an_orderly_end_leaves_nothing_to_repeat() {
    let mut world = World::new(Design::default());
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    for message in 1..=50 {
        world.say(1, CONVERSATION, message);
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    world.stop().await;
    let done = accepted(&world.broker.told(GATEWAY)).len();
    assert_eq!(world.broker.depth(inbound()), 50 - done as u64, "what was told is acknowledged");
    world.start().await;
    settle().await;
    let rest = accepted(&world.broker.told(GATEWAY));
    assert_eq!(rest.len(), 50 - done);
}

#[tokio::test(start_paused = true)]
async fn only_early_answers_are_lost_with_the_power() {
    for accept in [design::Accept::AfterPersist, design::Accept::BeforePersist] {
        let mut world = World::new(Design { accept, ..Design::default() });
        world.start().await;
        let gateway = Gateway::new(&world).await;
        gateway.create(&[1, 2]).await;
        settle().await;
        world.broker.told(GATEWAY);
        world.say(1, CONVERSATION, 9);
        // Long enough for the answer, not for the write that comes behind it.
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert_eq!(accepted(&world.broker.told(GATEWAY)), [(9, 3, 1)]);
        assert_eq!(world.broker.depth(inbound()), 0, "settled");
        world.kill().await;
        world.start().await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let expected: &[u64] =
            if accept == design::Accept::AfterPersist { &[1, 2, 3] } else { &[1, 2] };
        assert_eq!(gateway.stored().await, expected);
    }
}

/// Two messages, the second one sent again to the next life of the owner.
async fn entries_after_a_resend_to_the_next_life(deduplication: design::Deduplication) -> Vec<u64> {
    let mut world = World::new(Design { deduplication, ..Design::default() });
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    world.say(1, CONVERSATION, 5);
    settle().await;
    world.say(1, CONVERSATION, 5);
    settle().await;
    world.kill().await;
    world.start().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    world.say(1, CONVERSATION, 5);
    settle().await;
    gateway.stored().await
}

#[tokio::test(start_paused = true)]
async fn only_durable_keys_recognise_a_resend_in_the_next_life() {
    use design::Deduplication;
    let stored = entries_after_a_resend_to_the_next_life;
    assert_eq!(stored(Deduplication::Durable).await, [1, 2, 3]);
    assert_eq!(stored(Deduplication::Memory).await, [1, 2, 3, 4]);
    assert_eq!(stored(Deduplication::Off).await, [1, 2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_node_leaves_the_others_at_work() {
    let mut first = World::of(2, Design::default());
    let mut second = first.neighbour(2);
    first.start().await;
    second.start().await;
    let gateway = Gateway::new(&first).await;
    let ids: Vec<ConversationId> = (1..=12).map(ConversationId).collect();
    for conversation in &ids {
        let request = CreateConversation {
            conversation: *conversation,
            kind: ConversationKind::Direct,
            creator: UserId(1),
            members: vec![UserId(1), UserId(2)],
        };
        gateway.conversations.create(vec![request]).await.remove(0).expect("made");
    }
    let mine = gateway.conversations.of_users(vec![UserId(1)]).await.expect("both answer");
    assert_eq!(mine.len(), ids.len());
    let items: Vec<AttachItem> = ids
        .iter()
        .map(|conversation| AttachItem {
            conversation: *conversation,
            user: UserId(1),
            after: None,
            presence: false,
            again: false,
        })
        .collect();
    let order = |answers: Vec<protocol::store_calls::AttachedItem>| -> Vec<ConversationId> {
        answers.iter().map(|answer| answer.conversation).collect()
    };
    assert_eq!(order(gateway.conversations.attach(items.clone()).await), ids);
    second.kill().await;
    settle().await;
    let home = |id: &ConversationId| {
        let partition = partition::partition_of(*id, crate::world::PARTITIONS);
        crate::StaticDirectory::new(2).home(partition)
    };
    let left: Vec<_> = ids.iter().copied().filter(|id| home(id) == NodeNumber(1)).collect();
    assert!(!left.is_empty() && left.len() < ids.len());
    assert_eq!(order(gateway.conversations.attach(items).await), left, "the others are missing");
    let lost = gateway.conversations.of_users(vec![UserId(1)]).await;
    assert_eq!(lost, Err(ports::CallError::Unavailable), "half an answer is none");
    assert_eq!(gateway.conversations.status().await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_message_stays_deleted_in_the_next_life() {
    let mut world = World::new(Design::default());
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    let target = Sequence(3);
    let edit = |world: &World, message| {
        let body = "back again".to_owned();
        world.send(1, CONVERSATION, message, Action::Edit { target, body });
    };
    let delete = |world: &World, message| {
        world.send(1, CONVERSATION, message, Action::Delete { target });
    };
    // In one batch: the owner has not written the deletion yet when the rest comes.
    world.say(1, CONVERSATION, 1);
    edit(&world, 2);
    delete(&world, 3);
    edit(&world, 4);
    delete(&world, 5);
    // The same deletion again is no second one.
    delete(&world, 3);
    settle().await;
    let told = world.broker.told(GATEWAY);
    assert_eq!(accepted(&told), [(1, 3, 1), (2, 4, 1), (3, 5, 1), (3, 5, 1)]);
    assert_eq!(
        refused(&told),
        [(4, RejectReason::NoSuchMessage), (5, RejectReason::NoSuchMessage)]
    );
    world.kill().await;
    world.start().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    world.broker.told(GATEWAY);
    edit(&world, 6);
    delete(&world, 7);
    settle().await;
    let told = world.broker.told(GATEWAY);
    assert_eq!(accepted(&told), []);
    assert_eq!(
        refused(&told),
        [(6, RejectReason::NoSuchMessage), (7, RejectReason::NoSuchMessage)]
    );
    assert_eq!(gateway.stored().await, [1, 2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_message_stays_refused_behind_an_admission() {
    let mut world = World::new(Design::default());
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    world.say(3, CONVERSATION, 5);
    settle().await;
    gateway.change(3, true).await;
    // A second copy: its gateway did not see the confirm of the first.
    world.say(3, CONVERSATION, 5);
    world.say(3, CONVERSATION, 6);
    settle().await;
    let told = world.broker.told(GATEWAY);
    let refused = told.iter().filter(|told| matches!(told, ToGateway::Rejected(..))).count();
    assert_eq!(refused, 2);
    assert_eq!(accepted(&told), [(6, 4, 1)]);
}

#[tokio::test(start_paused = true)]
async fn who_joins_before_a_replay_is_not_pushed_what_was_said_before() {
    let mut world = World::new(Design::default());
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    settle().await;
    world.broker.withhold(u32::MAX, false);
    world.say(1, CONVERSATION, 5);
    settle().await;
    gateway.change(3, true).await;
    gateway.change(2, false).await;
    gateway.change(2, true).await;
    world.kill().await;
    world.broker.withhold(0, false);
    pushes(&world);
    world.start().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(accepted(&world.broker.told(GATEWAY)), [(5, 3, 1)]);
    assert_eq!(pushes(&world), [] as [(u64, u64); 0]);
}

#[tokio::test(start_paused = true)]
async fn bad_choices_take_decisions_back() {
    let forgotten = Design { refusal: design::Refusal::Forgotten, ..Design::default() };
    let mut world = World::new(forgotten);
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    world.say(3, CONVERSATION, 5);
    settle().await;
    gateway.change(3, true).await;
    world.say(3, CONVERSATION, 5);
    settle().await;
    let told = world.broker.told(GATEWAY);
    assert_eq!(refused(&told), [(5, RejectReason::NotMember)]);
    assert_eq!(accepted(&told), [(5, 4, 1)], "the copy, although the sender was refused");

    let overwritten = Design {
        deletion: design::Deletion::Overwritten,
        epochs: design::Epochs::Clock,
        ..Design::default()
    };
    let mut world = World::new(overwritten);
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    let target = Sequence(3);
    world.say(1, CONVERSATION, 1);
    world.send(1, CONVERSATION, 2, Action::Delete { target });
    world.send(1, CONVERSATION, 3, Action::Edit { target, body: "back again".to_owned() });
    settle().await;
    let told = world.broker.told(GATEWAY);
    let accepted = accepted(&told);
    let epoch = accepted[0].2;
    assert!((START_MS..START_MS + 100).contains(&epoch), "{epoch}");
    assert_eq!(accepted, [(1, 3, epoch), (2, 4, epoch), (3, 5, epoch)]);
}
