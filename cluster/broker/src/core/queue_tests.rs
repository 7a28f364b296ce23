//! A queue against a simple model: one list in the order of the positions.

use super::message::{ConsumerId, ConsumerOptions, Message, Settlement};
use super::queue::{Outcome, Queue};
use bytes::Bytes;
use ports::broker::JobSettlement;
use proptest::prelude::*;
use protocol::Epoch;
use protocol::design::Requeue;

#[derive(Clone, Debug)]
enum Step {
    Push,
    Consume { prefetch: u32, epoch: u64 },
    Lose,
    Take { max_bytes: u64 },
    Done { nth: usize },
    Through { nth: usize },
    DeadLetter { nth: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let nth = 0_usize..6;
    let step = prop_oneof![
        8 => Just(Step::Push),
        2 => (1_u32..6, 0_u64..4).prop_map(|(prefetch, epoch)| Step::Consume { prefetch, epoch }),
        1 => Just(Step::Lose),
        6 => (0_u64..200).prop_map(|max_bytes| Step::Take { max_bytes }),
        2 => nth.clone().prop_map(|nth| Step::Done { nth }),
        1 => nth.clone().prop_map(|nth| Step::Through { nth }),
        1 => nth.prop_map(|nth| Step::DeadLetter { nth }),
    ];
    prop::collection::vec(step, 1..120)
}

#[derive(Clone, Debug)]
struct Entry {
    id: u64,
    handed: u32,
    /// In the consumer's hands.
    tag: Option<u64>,
}

#[derive(Default)]
struct Model {
    /// In the order of delivery.
    line: Vec<Entry>,
    consumer: Option<(ConsumerId, usize, u64)>,
    epoch: u64,
    next: u64,
}

impl Model {
    fn lose(&mut self, requeue: Requeue) {
        if self.consumer.take().is_none() {
            return;
        }
        if requeue == Requeue::Back {
            let (mut held, rest): (Vec<_>, _) =
                self.line.drain(..).partition(|entry| entry.tag.is_some());
            held.sort_by_key(|entry| entry.tag);
            self.line = rest;
            self.line.extend(held);
        }
        self.line.iter_mut().for_each(|entry| entry.tag = None);
    }

    fn held(&self, nth: usize) -> Option<(usize, u64)> {
        let mut held: Vec<(usize, u64)> =
            self.line.iter().enumerate().filter_map(|(at, e)| Some((at, e.tag?))).collect();
        held.sort_by_key(|(_, tag)| *tag);
        held.get(nth).copied()
    }

    fn take(&mut self, max_bytes: u64, weight: u64) -> Vec<(u64, u64, u32)> {
        let Some((_, prefetch, next_tag)) = &mut self.consumer else { return Vec::new() };
        let mut room = *prefetch - self.line.iter().filter(|entry| entry.tag.is_some()).count();
        let (mut taken, mut bytes) = (Vec::new(), 0);
        for entry in self.line.iter_mut().filter(|entry| entry.tag.is_none()) {
            if room == 0 || (!taken.is_empty() && bytes >= max_bytes) {
                break;
            }
            taken.push((*next_tag, entry.id, entry.handed));
            entry.tag = Some(*next_tag);
            entry.handed += 1;
            *next_tag += 1;
            room -= 1;
            bytes += weight;
        }
        taken
    }
}

fn step(queue: &mut Queue, model: &mut Model, step: &Step, requeue: Requeue) {
    let weight = Message::new(0, 0, Bytes::new()).weight();
    match *step {
        Step::Push => {
            model.next += 1;
            queue.push(Message::new(model.next, 1, Bytes::new()));
            model.line.push(Entry { id: model.next, handed: 0, tag: None });
        }
        Step::Consume { prefetch, epoch } => {
            model.next += 1;
            let id = ConsumerId(model.next);
            let kept = model.consumer.is_some() && epoch < model.epoch;
            assert_eq!(queue.is_kept_from(Epoch(epoch)), kept);
            if kept {
                return;
            }
            let options = ConsumerOptions { prefetch, epoch: Epoch(epoch) };
            let taken = queue.consume(id, options, requeue);
            assert_eq!(taken, model.consumer.map(|(id, ..)| id));
            model.lose(requeue);
            model.consumer = Some((id, prefetch as usize, 1));
            model.epoch = epoch;
        }
        Step::Lose => {
            let Some((id, ..)) = model.consumer else { return };
            assert!(queue.lose(id, requeue));
            assert!(!queue.lose(id, requeue), "lost twice");
            model.lose(requeue);
        }
        Step::Take { max_bytes } => {
            let Some((id, ..)) = model.consumer else { return };
            let hungry = queue.hungry();
            let deliveries = queue.take(id, max_bytes).expect("it is active");
            assert_eq!(hungry, (!deliveries.is_empty()).then_some(id));
            let expected = model.take(max_bytes, weight);
            let found = deliveries.iter().map(|d| (d.tag, d.redelivered));
            assert!(found.eq(expected.iter().map(|(tag, _, handed)| (*tag, *handed))));
        }
        _ => settle(queue, model, step),
    }
}

fn settle(queue: &mut Queue, model: &mut Model, step: &Step) {
    let (Step::Done { nth } | Step::Through { nth } | Step::DeadLetter { nth }) = *step else {
        return;
    };
    let (Some((id, ..)), Some((at, tag))) = (model.consumer, model.held(nth)) else { return };
    let (mut done, mut died) = (Vec::new(), Vec::new());
    let settlement = match *step {
        Step::Through { .. } => {
            let gone = |entry: &Entry| entry.tag.is_some_and(|held| held <= tag);
            done.extend(model.line.iter().filter(|entry| gone(entry)).map(|entry| entry.id));
            model.line.retain(|entry| !gone(entry));
            Settlement::Through(tag)
        }
        Step::DeadLetter { .. } => {
            died.push(model.line.remove(at).id);
            Settlement::One(JobSettlement::DeadLetter { tag, reason: String::new() })
        }
        _ => {
            done.push(model.line.remove(at).id);
            Settlement::One(JobSettlement::Done { tag })
        }
    };
    let mut outcomes = Vec::new();
    queue.settle(ConsumerId(u64::MAX), settlement.clone(), &mut outcomes);
    assert_eq!(outcomes, [], "only the active consumer settles");
    queue.settle(id, settlement, &mut outcomes);
    let (mut now_done, mut now_dead) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        match outcome {
            Outcome::Done(message) => now_done.push(message.id),
            Outcome::Died(message, _) => now_dead.push(message.id),
        }
    }
    done.sort_unstable();
    now_done.sort_unstable();
    assert_eq!((now_done, now_dead), (done, died));
}

proptest! {
    #[test]
    fn a_queue_is_one_line(steps in steps(), back in any::<bool>()) {
        let requeue = if back { Requeue::Back } else { Requeue::Front };
        let (mut queue, mut model) = (Queue::default(), Model::default());
        for next in &steps {
            step(&mut queue, &mut model, next, requeue);
            prop_assert_eq!(queue.len(), model.line.len());
            let weight = Message::new(0, 0, Bytes::new()).weight();
            prop_assert_eq!(queue.ready_bytes(), queue.ready() as u64 * weight);
        }
    }
}

#[test]
fn the_back_is_behind_newer_messages() {
    let mut queue = Queue::default();
    let message = |id: u64| Message::new(id, 1, Bytes::from(vec![id as u8]));
    (1..=3).for_each(|id| queue.push(message(id)));
    let options = ConsumerOptions { prefetch: 2, epoch: Epoch(1) };
    queue.consume(ConsumerId(1), options, Requeue::Back);
    queue.take(ConsumerId(1), u64::MAX).unwrap();
    queue.lose(ConsumerId(1), Requeue::Back);
    let options = ConsumerOptions { prefetch: 9, epoch: Epoch(1) };
    queue.consume(ConsumerId(2), options, Requeue::Back);
    let deliveries = queue.take(ConsumerId(2), u64::MAX).unwrap();
    let order: Vec<u8> = deliveries.iter().map(|delivery| delivery.message[0]).collect();
    assert_eq!(order, [3, 1, 2]);
}
