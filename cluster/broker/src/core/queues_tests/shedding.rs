//! What gives way when there is no room.

use super::*;

fn dead(world: &World) -> Vec<String> {
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    world.queues.dead_letters(0, 9).iter().map(|dead| text(&dead.message)).collect()
}

#[test]
fn the_oldest_dead_letter_gives_way_however_it_came() {
    let mut world = World::new(with(BrokerLimits { dead_letters: 2, ..BrokerLimits::default() }));
    let consumer = world.consume(QUEUE);
    for text in ["first", "second", "third"] {
        world.publish(QUEUE, text);
        world.write();
        world.die(consumer);
        world.write();
    }
    assert_eq!(dead(&world), ["second", "third"]);
    // One of them is being written again when it gives way.
    let ids: Vec<u64> = world.queues.dead_letters(0, 9).iter().map(|dead| dead.id).collect();
    let again = world.queues.dead_letters(0, 1).remove(0);
    let mut records = world.group();
    records.push(Record::DeadLetter { key: None, dead: again });
    assert_eq!(world.put(4, "fourth"), Placed::Pending);
    assert_eq!(world.queues.dead_letters(ids[0] - 1, 1)[0].id, ids[1], "not listed any more");
    assert!(!world.queues.requeue_dead_letter(ids[0]));
    world.commit(records);
    world.write();
    for _ in 0..2 {
        assert_eq!(dead(&world), ["third", "fourth"]);
        assert_eq!(world.queues.depths(), [(Name::DeadLetters, 2)]);
        world.restart();
    }
    assert_eq!(world.queues.changes().shed_dead_letters, 0, "of this life");
}

#[test]
fn the_oldest_job_gives_way_unless_somebody_has_it_in_hand() {
    let limits = BrokerLimits { notify_queue_messages: 3, ..BrokerLimits::default() };
    let mut world = World::new(with(limits));
    let consumer = world.queues.consume(QUEUE, ConsumerOptions::newest(1)).unwrap();
    for text in ["1", "2", "3", "4", "5"] {
        assert_eq!(world.publish(QUEUE, text), Placed::Pending);
        world.write();
        world.queues.take(consumer, FOREVER);
    }
    assert_eq!(world.queues.changes().shed_jobs, 2);
    assert_eq!(world.queues.depths(), [(QUEUE, 3)]);
    world.restart();
    let consumer = world.consume(QUEUE);
    assert_eq!(world.texts(consumer), ["1", "4", "5"]);
    // Nobody else has any: then there is no room for a newer one.
    assert_eq!(world.publish(QUEUE, "6"), Placed::Refused(PublishError::Full));
    assert_eq!(world.queues.changes().shed_jobs, 1);
}

#[test]
fn neither_jobs_nor_dead_letters_take_the_room_of_the_chat() {
    let limits = BrokerLimits { durable_bytes: 1_000, ..BrokerLimits::default() };
    let mut world = World::new(with(limits));
    for n in 0..100 {
        assert_eq!(world.publish(QUEUE, "18 bytes of a job."), Placed::Pending);
        assert_eq!(world.put(n, "15 bytes: dead."), Placed::Pending);
        world.write();
    }
    // 50 bytes each, and a quarter of the room.
    assert_eq!(world.queues.depths(), [(QUEUE, 5), (Name::DeadLetters, 5)]);
    for _ in 0..10 {
        assert_eq!(world.publish(ORDERED, "18 bytes of a chat"), Placed::Pending);
    }
    assert_eq!(world.publish(ORDERED, "one too many"), Placed::Refused(PublishError::Full));
}
