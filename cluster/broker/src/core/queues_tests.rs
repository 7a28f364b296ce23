//! All queues together, with a log that is a list of records.

use super::changes::{Placed, Rules};
use super::message::ConsumerId;
use super::queues::Queues;
use super::record::Record;
use super::replay::Replay;
use bytes::Bytes;
use ports::broker::{Publication, PublishError, Queue as Name, Settlement, SubscribeOptions};
use protocol::design::Poison;
use protocol::limits::BrokerLimits;
use protocol::{Epoch, GatewayId, Incarnation, Partition};
use std::time::Duration;

const QUEUE: Name = Name::Inbound(Partition(1));
const FOREVER: u64 = u64::MAX;

fn rules() -> Rules {
    with(BrokerLimits::default())
}

/// Rules with a log that is compacted soon.
fn with(limits: BrokerLimits) -> Rules {
    let limits = BrokerLimits { delivery_limit: 3, segment_bytes: 1_000, ..limits };
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
        let message = Bytes::copy_from_slice(text.as_bytes());
        self.queues.publish(Publication { to: queue.into(), message }, self.now_ms)
    }

    fn subscribe(&mut self, queue: Name) -> ConsumerId {
        let options = SubscribeOptions { prefetch: 100, epoch: Epoch(1) };
        self.queues.subscribe(queue, options).unwrap()
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
        self.queues = replay.finish(self.queues.rules(), self.now_ms);
    }

    fn close_segment(&mut self) {
        self.length = 1_000;
    }
}

#[test]
fn a_slow_queue_does_not_pin_the_log() {
    let mut world = World::new(rules());
    world.publish(Name::Notify(1), "slow");
    let busy = world.subscribe(QUEUE);
    for round in 0..2_000 {
        world.publish(QUEUE, &format!("message {round}"));
        world.write();
        let last = world.take(busy).last().unwrap().0;
        world.queues.settle(busy, vec![Settlement::AckThrough(last)], world.now_ms);
        assert!(world.log.len() <= 7, "{} segments", world.log.len());
    }
    assert!(world.log[0].0 > 50);
    world.restart();
    let slow = world.subscribe(Name::Notify(1));
    assert_eq!(world.texts(slow), ["slow"]);
    let busy = world.subscribe(QUEUE);
    world.write();
    assert!(world.texts(busy).len() <= 1, "the last settlement was not written");
}

/// A broker whose live data alone looked like a log that is too long would rewrite it for ever.
#[test]
fn rewriting_comes_to_an_end() {
    let mut world = World::new(rules());
    let consumer = world.subscribe(QUEUE);
    for round in 0..90 {
        world.publish(QUEUE, "");
        world.write();
        let tag = world.take(consumer)[0].0;
        let settlement = match round % 3 {
            0 => Settlement::Retry { tag, after: Duration::from_secs(1_000_000) },
            _ => Settlement::DeadLetter { tag, reason: "r".repeat(2_000) },
        };
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
    for letter in world.queues.dead_letters(0, 100) {
        assert_eq!(letter.reason.len(), protocol::limits::MAX_REASON_BYTES);
        assert!(world.queues.requeue_dead_letter(letter.id));
        world.write();
    }
    assert!(world.queues.live_bytes() < live / 10);
    world.restart();
    let restored = world.queues.live_bytes();
    let again = world.subscribe(QUEUE);
    let last = world.take(again).last().unwrap().0;
    world.queues.settle(again, vec![Settlement::AckThrough(last)], 0);
    // The delayed third is left.
    assert_eq!((restored, world.queues.live_bytes()), (90 * 32, 30 * 32));
}

#[test]
fn numbers_are_not_used_again_when_the_log_is_empty() {
    let mut world = World::new(rules());
    let consumer = world.subscribe(QUEUE);
    world.publish(QUEUE, "poison");
    world.write();
    let tag = world.take(consumer)[0].0;
    let reason = "bad".to_owned();
    world.queues.settle(consumer, vec![Settlement::DeadLetter { tag, reason }], 5);
    world.write();
    let letter = world.queues.dead_letters(0, 9)[0].id;
    assert!(world.queues.requeue_dead_letter(letter));
    world.write();
    let tag = world.take(consumer)[0].0;
    world.queues.settle(consumer, vec![Settlement::Ack(tag)], 5);
    // The rest of the segment is settled; it is given up after the next one begins.
    world.close_segment();
    world.write();
    world.close_segment();
    world.write();
    assert!(world.log[0].0 > 1, "{:?}", world.log);
    world.restart();
    let consumer = world.subscribe(QUEUE);
    world.publish(QUEUE, "poison again");
    world.write();
    let tag = world.take(consumer)[0].0;
    let reason = "bad".to_owned();
    world.queues.settle(consumer, vec![Settlement::DeadLetter { tag, reason }], 5);
    world.write();
    assert!(world.queues.dead_letters(0, 9)[0].id > letter);
}

/// A letter that is on its way back when its segment is given up must not stay behind.
#[test]
fn a_leaving_letter_is_kept_as_a_message() {
    let mut world = World::new(rules());
    let consumer = world.subscribe(QUEUE);
    world.publish(QUEUE, "poison");
    world.write();
    let tag = world.take(consumer)[0].0;
    let reason = "bad".to_owned();
    world.queues.settle(consumer, vec![Settlement::DeadLetter { tag, reason }], 5);
    world.write();
    let letter = world.queues.dead_letters(0, 9)[0].id;
    // Fill the log until the segment of the letter is worth giving up, with nothing written since.
    let mut filler = 0;
    while !world.queues.wants_compaction() {
        world.publish(QUEUE, "a message that fills the log and is settled at once");
        let records = world.group();
        world.commit(records);
        let last = world.take(consumer).last().unwrap().0;
        world.queues.settle(consumer, vec![Settlement::AckThrough(last)], 5);
        filler += 1;
        assert!(filler < 1_000);
    }
    assert!(world.queues.requeue_dead_letter(letter));
    world.write();
    assert!(world.log[0].0 > 1, "nothing was given up");
    assert_eq!(world.queues.dead_letters(0, 9), []);
    world.restart();
    assert_eq!(world.queues.dead_letters(0, 9), []);
    let consumer = world.subscribe(QUEUE);
    assert_eq!(world.texts(consumer), ["poison"]);
}

#[test]
fn a_dead_letter_is_listed_when_it_is_durable() {
    let mut world = World::new(rules());
    let consumer = world.subscribe(QUEUE);
    world.publish(QUEUE, "poison");
    world.write();
    let tag = world.take(consumer)[0].0;
    let reason = "bad".to_owned();
    world.queues.settle(consumer, vec![Settlement::DeadLetter { tag, reason }], 5);
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
fn a_message_waits_while_the_dead_letters_are_full() {
    let mut world = World::new(with(BrokerLimits { dead_letters: 1, ..BrokerLimits::default() }));
    let consumer = world.subscribe(QUEUE);
    for text in ["first", "second"] {
        world.publish(QUEUE, text);
        world.write();
        let tag = world.take(consumer)[0].0;
        let reason = "bad".to_owned();
        world.queues.settle(consumer, vec![Settlement::DeadLetter { tag, reason }], world.now_ms);
        world.write();
    }
    assert_eq!(world.queues.dead_letters(0, 9).len(), 1);
    assert_eq!(world.texts(consumer), Vec::<String>::new());
    world.restart();
    world.queues.tick(world.now_ms + 1_000);
    let consumer = world.subscribe(QUEUE);
    assert_eq!(world.texts(consumer), ["second"]);
}

#[test]
fn a_dropped_poison_message_is_gone() {
    let mut world = World::new(Rules { poison: Poison::Drop, ..rules() });
    let consumer = world.subscribe(QUEUE);
    world.publish(QUEUE, "poison");
    world.write();
    let tag = world.take(consumer)[0].0;
    world.queues.settle(consumer, vec![Settlement::DeadLetter { tag, reason: String::new() }], 5);
    world.write();
    world.restart();
    assert_eq!((world.queues.dead_letters(0, 9), world.queues.depths()), (vec![], vec![]));
}

#[test]
fn a_dead_letter_of_a_gateway_goes_back_while_the_gateway_lives() {
    let mut world = World::new(rules());
    let name = Name::Gateway(GatewayId(1), Incarnation(7));
    let gateway = world.subscribe(name);
    for text in ["one", "two"] {
        assert_eq!(world.publish(name, text), Placed::Done);
        let tag = world.take(gateway)[0].0;
        let reason = "bad".to_owned();
        world.queues.settle(gateway, vec![Settlement::DeadLetter { tag, reason }], 5);
        world.write();
    }
    let letters = world.queues.dead_letters(0, 9);
    assert!(world.queues.requeue_dead_letter(letters[0].id));
    world.write();
    assert_eq!(world.texts(gateway), ["one"]);
    world.queues.lose(gateway);
    assert!(!world.queues.requeue_dead_letter(letters[1].id));
    world.restart();
    assert_eq!(world.queues.dead_letters(0, 9), letters[1..]);
}

#[test]
fn what_is_published_to_the_dead_letters_is_one() {
    let mut world = World::new(with(BrokerLimits { dead_letters: 2, ..BrokerLimits::default() }));
    assert_eq!(world.publish(Name::Dead, "one"), Placed::Pending);
    assert_eq!(world.publish(Name::Dead, "two"), Placed::Pending);
    assert_eq!(world.publish(Name::Dead, "three"), Placed::Refused(PublishError::Full));
    let records = world.group();
    assert_eq!(world.queues.abandon(records), []);
    assert_eq!(world.publish(Name::Dead, "four"), Placed::Pending);
    world.write();
    world.restart();
    let letters = world.queues.dead_letters(0, 9);
    assert_eq!((letters.len(), &letters[0].message[..]), (1, &b"four"[..]));
}

#[test]
fn a_clock_that_was_set_back_does_not_stretch_a_delay() {
    let mut world = World::new(rules());
    world.now_ms = 1_000_000;
    let delay = Some(Duration::from_secs(5));
    let to = ports::Destination { queue: QUEUE, delay };
    world.queues.publish(Publication { to, message: Bytes::new() }, world.now_ms);
    world.write();
    world.now_ms = 10_000;
    world.restart();
    assert_eq!(world.queues.next_due(), Some(15_000));
    world.now_ms = 1_005_000;
    world.restart();
    assert_eq!(world.queues.next_due(), None);
    assert_eq!(world.queues.depths(), [(QUEUE, 1)]);
}

#[test]
fn epochs_are_remembered() {
    let mut world = World::new(rules());
    let options = |epoch| SubscribeOptions { prefetch: 1, epoch: Epoch(epoch) };
    world.queues.subscribe(QUEUE, options(7)).unwrap();
    world.write();
    world.restart();
    assert!(world.queues.subscribe(QUEUE, options(6)).is_err());
    world.queues.subscribe(QUEUE, options(7)).unwrap();
}

#[test]
fn nobody_consumes_dead_letters() {
    let options = SubscribeOptions { prefetch: 1, epoch: Epoch(1) };
    assert!(World::new(rules()).queues.subscribe(Name::Dead, options).is_err());
}
