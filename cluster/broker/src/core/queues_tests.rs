//! All queues together, with a log that is a list of records.

mod shedding;

use super::changes::{Placed, Rules};
use super::message::{ConsumerId, ConsumerOptions, Settlement};
use super::queues::Queues;
use super::record::Record;
use super::replay::Replay;
use bytes::Bytes;
use ports::broker::{JobSettlement, NewDeadLetter, Origin, PublishError, Queue as Name};
use protocol::design::Poison;
use protocol::limits::BrokerLimits;
use protocol::{Epoch, Partition};

const QUEUE: Name = Name::Jobs(1);
const ORDERED: Name = Name::Inbound(Partition(1));
const FOREVER: u64 = u64::MAX;

fn rules() -> Rules {
    with(BrokerLimits::default())
}

/// Rules with a log that is compacted soon.
fn with(limits: BrokerLimits) -> Rules {
    let limits = BrokerLimits { segment_bytes: 1_000, ..limits };
    Rules { limits, ..Rules::default() }
}

/// Queues, and every record that they had written, by segment.
struct World {
    queues: Queues,
    log: Vec<(u32, Vec<Record>)>,
    length: u64,
    now_ms: u64,
}

impl World {
    fn new(rules: Rules) -> Self {
        Self { queues: Queues::new(rules), log: vec![(1, Vec::new())], length: 0, now_ms: 1_000 }
    }

    fn publish(&mut self, queue: Name, text: &str) -> Placed {
        self.queues.publish(queue, Bytes::copy_from_slice(text.as_bytes()))
    }

    fn put(&mut self, key: u128, text: &str) -> Placed {
        let (origin, message) = (Origin::Jobs(1), Bytes::copy_from_slice(text.as_bytes()));
        let dead = NewDeadLetter { origin, key, reason: "bad".to_owned(), attempts: 1, message };
        self.queues.put(dead, self.now_ms)
    }

    /// The next message of a consumer dies.
    fn die(&mut self, consumer: ConsumerId) {
        let (tag, reason) = (self.take(consumer)[0].0, "bad".to_owned());
        let died = Settlement::One(JobSettlement::DeadLetter { tag, reason });
        self.queues.settle(consumer, vec![died], self.now_ms);
    }

    fn consume(&mut self, queue: Name) -> ConsumerId {
        self.queues.consume(queue, ConsumerOptions::newest(100)).unwrap()
    }

    fn take(&mut self, consumer: ConsumerId) -> Vec<(u64, String)> {
        let deliveries = self.queues.take(consumer, FOREVER).unwrap();
        let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        deliveries.iter().map(|delivery| (delivery.tag, text(&delivery.message))).collect()
    }

    fn texts(&mut self, consumer: ConsumerId) -> Vec<String> {
        self.take(consumer).into_iter().map(|(_, text)| text).collect()
    }

    /// The records of the next group.
    fn group(&mut self) -> Vec<Record> {
        self.queues.complete_group();
        std::mem::take(&mut self.queues.changes().records)
    }

    /// Writes a group.
    fn write(&mut self) {
        let records = self.group();
        self.commit(records);
    }

    fn commit(&mut self, records: Vec<Record>) {
        if self.length >= 1_000 {
            self.log.push((self.log.last().unwrap().0 + 1, Vec::new()));
            self.length = 0;
        }
        let (segment, written) = self.log.last_mut().unwrap();
        written.extend(records.iter().cloned());
        self.length +=
            records.iter().map(|r| postcard::to_stdvec(r).unwrap().len() as u64).sum::<u64>();
        if let Some(through) = self.queues.commit(records, *segment, self.length) {
            self.log.retain(|(segment, _)| *segment > through);
        }
    }

    /// The next life.
    fn restart(&mut self) {
        let mut replay = Replay::default();
        for (segment, records) in &self.log {
            for record in records {
                replay.apply(record.clone(), *segment);
            }
            let length = records.iter().map(|r| postcard::to_stdvec(r).unwrap().len() as u64).sum();
            replay.set_length(*segment, length);
        }
        self.queues = replay.finish(self.queues.rules());
    }

    fn close_segment(&mut self) {
        self.length = 1_000;
    }

    /// Fills the log with what a consumer of `ORDERED` settles at once.
    fn give_up_first_segment(&mut self, consumer: ConsumerId) {
        let mut filler = 0;
        while self.log[0].0 == 1 {
            self.publish(ORDERED, "a message that fills the log and is settled at once");
            self.write();
            let last = self.take(consumer).last().unwrap().0;
            self.queues.settle(consumer, vec![Settlement::Through(last)], 5);
            filler += 1;
            assert!(filler < 1_000);
        }
    }
}

#[test]
fn a_slow_queue_does_not_pin_the_log() {
    let mut world = World::new(rules());
    world.publish(ORDERED, "slow");
    let busy = world.consume(QUEUE);
    for round in 0..2_000 {
        world.publish(QUEUE, &format!("message {round}"));
        world.write();
        let last = world.take(busy).last().unwrap().0;
        world.queues.settle(busy, vec![Settlement::Through(last)], world.now_ms);
        assert!(world.log.len() <= 7, "{} segments", world.log.len());
    }
    assert!(world.log[0].0 > 45, "segment {}", world.log[0].0);
    world.restart();
    let slow = world.consume(ORDERED);
    assert_eq!(world.texts(slow), ["slow"]);
    let busy = world.consume(QUEUE);
    world.write();
    assert!(world.texts(busy).len() <= 1, "the last settlement was not written");
}

/// A broker whose live data alone looked like a log that is too long would rewrite it for ever.
#[test]
fn rewriting_comes_to_an_end() {
    let mut world = World::new(rules());
    let consumer = world.consume(QUEUE);
    for _ in 0..90 {
        world.publish(QUEUE, "");
        world.write();
        let (tag, reason) = (world.take(consumer)[0].0, "r".repeat(2_000));
        let settlement = Settlement::One(JobSettlement::DeadLetter { tag, reason });
        world.queues.settle(consumer, vec![settlement], 1_780_000_000_000);
        world.write();
    }
    let mut rewritten = 0;
    while world.queues.wants_compaction() {
        world.write();
        rewritten += 1;
        assert!(rewritten < 200, "no end");
    }
    let live: u64 = world.queues.live_bytes();
    for dead in world.queues.dead_letters(0, 100) {
        assert_eq!(dead.reason.len(), protocol::limits::MAX_REASON_BYTES);
        assert!(world.queues.requeue_dead_letter(dead.id));
        world.write();
    }
    assert!(world.queues.live_bytes() < live / 10);
    world.restart();
    let restored = world.queues.live_bytes();
    let again = world.consume(QUEUE);
    let last = world.take(again).last().unwrap().0;
    world.queues.settle(again, vec![Settlement::Through(last)], 0);
    assert_eq!((restored, world.queues.live_bytes()), (90 * 32, 0));
}

#[test]
fn numbers_are_not_used_again_when_the_log_is_empty() {
    let mut world = World::new(rules());
    let consumer = world.consume(QUEUE);
    world.publish(QUEUE, "poison");
    world.write();
    world.die(consumer);
    world.write();
    let dead = world.queues.dead_letters(0, 9)[0].id;
    assert!(world.queues.requeue_dead_letter(dead));
    world.write();
    let tag = world.take(consumer)[0].0;
    world.queues.settle(consumer, vec![Settlement::One(JobSettlement::Done { tag })], 5);
    // The rest of the segment is settled; it is given up after the next one begins.
    world.close_segment();
    world.write();
    world.close_segment();
    world.write();
    assert!(world.log[0].0 > 1, "{:?}", world.log);
    world.restart();
    let consumer = world.consume(QUEUE);
    world.publish(QUEUE, "poison again");
    world.write();
    world.die(consumer);
    world.write();
    assert!(world.queues.dead_letters(0, 9)[0].id > dead);
}

/// One that is on its way back when its segment is given up must not stay behind.
#[test]
fn a_leaving_dead_letter_is_kept_as_a_message() {
    let mut world = World::new(rules());
    let consumer = world.consume(QUEUE);
    world.publish(QUEUE, "poison");
    world.write();
    world.die(consumer);
    world.write();
    let dead = world.queues.dead_letters(0, 9)[0].id;
    // Fill the log until its segment is worth giving up, with nothing written since.
    let mut filler = 0;
    while !world.queues.wants_compaction() {
        world.publish(QUEUE, "a message that fills the log and is settled at once");
        let records = world.group();
        world.commit(records);
        let last = world.take(consumer).last().unwrap().0;
        world.queues.settle(consumer, vec![Settlement::Through(last)], 5);
        filler += 1;
        assert!(filler < 1_000);
    }
    assert!(world.queues.requeue_dead_letter(dead));
    world.write();
    assert!(world.log[0].0 > 1, "nothing was given up");
    assert_eq!(world.queues.dead_letters(0, 9), []);
    world.restart();
    assert_eq!(world.queues.dead_letters(0, 9), []);
    let consumer = world.consume(QUEUE);
    assert_eq!(world.texts(consumer), ["poison"]);
}

#[test]
fn a_dead_letter_is_listed_when_it_is_durable() {
    let mut world = World::new(rules());
    let consumer = world.consume(QUEUE);
    world.publish(QUEUE, "poison");
    world.write();
    world.die(consumer);
    let records = world.group();
    assert_eq!(world.queues.dead_letters(0, 9), []);
    let records = world.queues.abandon(records);
    assert_eq!(world.queues.dead_letters(0, 9), []);
    world.commit(records);
    assert_eq!(world.queues.dead_letters(0, 9).len(), 1);
    world.restart();
    assert_eq!(world.queues.dead_letters(0, 9).len(), 1);
}

#[test]
fn a_dropped_poison_message_is_gone() {
    let mut world = World::new(Rules { poison: Poison::Drop, ..rules() });
    let consumer = world.consume(QUEUE);
    world.publish(QUEUE, "poison");
    world.write();
    world.die(consumer);
    world.write();
    world.restart();
    assert_eq!((world.queues.dead_letters(0, 9), world.queues.depths()), (vec![], vec![]));
}

#[test]
fn what_is_put_is_listed_once() {
    let mut world = World::new(with(BrokerLimits { dead_letters: 2, ..BrokerLimits::default() }));
    assert_eq!(world.put(1, "one"), Placed::Pending);
    assert_eq!(world.put(2, "two"), Placed::Pending);
    assert_eq!(world.put(3, "three"), Placed::Refused(PublishError::Full), "neither is durable");
    let records = world.group();
    assert_eq!(world.queues.abandon(records), []);
    assert_eq!(world.queues.dead_letters(0, 9), []);
    // Again before anybody knows whether the first one has become durable.
    assert_eq!((world.put(4, "four"), world.put(4, "four")), (Placed::Pending, Placed::Pending));
    let live = world.queues.live_bytes();
    world.write();
    assert_eq!(world.put(4, "four"), Placed::Done);
    for _ in 0..2 {
        let listed = world.queues.dead_letters(0, 9);
        assert_eq!((listed.len(), &listed[0].message[..]), (1, &b"four"[..]));
        assert_eq!(world.queues.live_bytes() - live, 32 + 4 + 3);
        world.restart();
    }
    // What went back may die again.
    let dead = world.queues.dead_letters(0, 9)[0].id;
    assert!(world.queues.requeue_dead_letter(dead));
    assert_eq!(world.put(4, "four"), Placed::Pending);
    world.write();
    for _ in 0..2 {
        assert!(world.queues.dead_letters(0, 9)[0].id > dead);
        assert_eq!(world.queues.depths(), [(QUEUE, 1), (Name::DeadLetters, 1)]);
        world.restart();
    }
}

#[test]
fn a_dead_letter_that_is_written_again_keeps_its_key() {
    let mut world = World::new(rules());
    world.put(7, "poison");
    world.write();
    world.close_segment();
    let consumer = world.consume(ORDERED);
    world.give_up_first_segment(consumer);
    world.restart();
    assert_eq!(world.put(7, "poison"), Placed::Done);
}

/// One that was put again before it was durable, by two owners perhaps.
#[test]
fn of_two_copies_of_a_dead_letter_the_first_stays_the_one_that_is_listed() {
    [false, true].into_iter().for_each(first_stays);
}

/// Also if the broker dies before it has written that the second one does not count.
fn first_stays(dies: bool) {
    let mut world = World::new(rules());
    world.put(7, "poison");
    let first = world.group();
    world.put(7, "poison");
    world.commit(first);
    let listed = world.queues.dead_letters(0, 9);
    world.close_segment();
    // The second copy's segment is worth more than its room, so it stays when the first is given up.
    for _ in 0..4 {
        world.publish(QUEUE, &"x".repeat(300));
    }
    world.write();
    if dies {
        world.restart();
    }
    let consumer = world.consume(ORDERED);
    world.give_up_first_segment(consumer);
    assert_eq!(world.log[0].0, 2);
    world.restart();
    assert_eq!(world.queues.dead_letters(0, 9), listed);
    assert!(world.queues.requeue_dead_letter(listed[0].id));
}

#[test]
fn an_epoch_is_a_hint_among_live_consumers() {
    let mut world = World::new(rules());
    let options = |epoch| ConsumerOptions { prefetch: 1, epoch: Epoch(epoch) };
    let newer = world.queues.consume(ORDERED, options(7)).unwrap();
    assert!(world.queues.consume(ORDERED, options(6)).is_err());
    world.queues.lose(newer);
    assert!(world.queues.consume(ORDERED, options(6)).is_ok());
}

#[test]
fn nobody_consumes_dead_letters() {
    let options = ConsumerOptions::newest(1);
    assert!(World::new(rules()).queues.consume(Name::DeadLetters, options).is_err());
}
