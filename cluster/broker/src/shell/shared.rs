//! The core behind a mutex, and what wakes whom when it changes.

use crate::core::{
    Changes, ConsumerId, ConsumerOptions, Delivery, Placed, Queues, Record, Settlement, Taken,
};
use bytes::Bytes;
use ports::broker::{
    Confirms, ConsumeError, ConsumerLost, DeadLetter, NewDeadLetter, PublishError, Queue,
};
use ports::{Machine, entered};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{Notify, oneshot};

/// The state of a broker, shared by its tasks, consumers and links.
pub struct Shared {
    pub machine: Machine,
    state: Mutex<State>,
    /// There is something to write.
    pub to_write: Notify,
    /// What gave way in this life.
    shed: AtomicU64,
}

struct State {
    queues: Queues,
    /// Records that the next group will write.
    pending: Vec<Record>,
    /// Somebody waits for them.
    urgent: bool,
    /// Who: told whether the group became durable.
    waiting: Vec<oneshot::Sender<bool>>,
    consumers: BTreeMap<ConsumerId, Arc<Notify>>,
    /// The writer is gone, and nothing can become durable any more.
    closed: bool,
}

/// The confirms of a batch, where `Unknown` means "when the group is durable", and that group.
pub type Placement = (Confirms, Option<oneshot::Receiver<bool>>);

/// Records that are written together.
pub struct Group {
    pub records: Vec<Record>,
    pub waiting: Vec<oneshot::Sender<bool>>,
}

/// Whether and when the writer should write.
pub enum Work {
    Now,
    Soon,
    Nothing,
}

impl Shared {
    pub fn new(machine: Machine, queues: Queues) -> Self {
        let state = State {
            queues,
            pending: Vec::new(),
            urgent: false,
            waiting: Vec::new(),
            consumers: BTreeMap::new(),
            closed: false,
        };
        Self { machine, state: Mutex::new(state), to_write: Notify::new(), shed: AtomicU64::new(0) }
    }

    /// Puts a batch in line.
    pub fn publish(&self, batch: impl ExactSizeIterator<Item = (Queue, Bytes)>) -> Placement {
        self.place(batch, |queues, (queue, message)| queues.publish(queue, message))
    }

    /// Puts a dead letter in line; one confirm.
    pub fn put(&self, dead: NewDeadLetter) -> Placement {
        let now_ms = self.machine.clock.now_ms();
        self.place(std::iter::once(dead), |queues, dead| queues.put(dead, now_ms))
    }

    fn place<T>(
        &self,
        batch: impl ExactSizeIterator<Item = T>,
        mut place: impl FnMut(&mut Queues, T) -> Placed,
    ) -> Placement {
        let mut state = self.lock();
        if state.closed {
            return (vec![Err(PublishError::Unknown); batch.len()], None);
        }
        let mut durable = false;
        let confirms = batch
            .map(|item| match place(&mut state.queues, item) {
                Placed::Done => Ok(()),
                Placed::Refused(error) => Err(error),
                Placed::Pending => {
                    durable = true;
                    Err(PublishError::Unknown)
                }
            })
            .collect();
        let group = durable.then(|| state.wait_for_group());
        self.follow(state);
        (confirms, group)
    }

    pub fn consume(
        &self,
        queue: Queue,
        options: ConsumerOptions,
    ) -> Result<(ConsumerId, Arc<Notify>), ConsumeError> {
        let mut state = self.lock();
        if state.closed {
            return Err(ConsumeError::Unavailable);
        }
        let id = state.queues.consume(queue, options).map_err(|Taken| ConsumeError::Taken)?;
        let wake = Arc::new(Notify::new());
        state.consumers.insert(id, Arc::clone(&wake));
        self.follow(state);
        Ok((id, wake))
    }

    pub fn take(&self, id: ConsumerId, max_bytes: u64) -> Result<Vec<Delivery>, ConsumerLost> {
        let mut state = self.lock();
        let deliveries = state.queues.take(id, max_bytes).ok_or(ConsumerLost)?;
        self.follow(state);
        Ok(deliveries)
    }

    pub fn hungry(&self, id: ConsumerId) -> Result<bool, ConsumerLost> {
        self.lock().queues.hungry(id).ok_or(ConsumerLost)
    }

    pub fn settle(&self, id: ConsumerId, settlements: Vec<Settlement>) {
        let now_ms = self.machine.clock.now_ms();
        let mut state = self.lock();
        state.queues.settle(id, settlements, now_ms);
        self.follow(state);
    }

    pub fn lose(&self, id: ConsumerId) {
        let mut state = self.lock();
        state.queues.lose(id);
        self.follow(state);
    }

    pub fn dead_letters(&self, after: u64, limit: u32) -> Vec<DeadLetter> {
        self.lock().queues.dead_letters(after, limit)
    }

    /// `None` if there is no such dead letter; else whether it has gone back, when the group is written.
    pub fn requeue_dead_letter(&self, id: u64) -> Option<oneshot::Receiver<bool>> {
        let mut state = self.lock();
        let group = state.queues.requeue_dead_letter(id).then(|| state.wait_for_group());
        self.follow(state);
        group
    }

    pub fn depths(&self) -> Vec<(Queue, u64)> {
        self.lock().queues.depths()
    }

    /// Looks at the queues.
    pub fn read<T>(&self, look: impl FnOnce(&Queues) -> T) -> T {
        look(&self.lock().queues)
    }

    /// Everything that was said so far is to be written now.
    pub fn flush(&self) -> oneshot::Receiver<bool> {
        let mut state = self.lock();
        state.urgent = true;
        let group = state.wait_for_group();
        drop(state);
        self.to_write.notify_one();
        group
    }

    pub fn work(&self) -> Work {
        let state = self.lock();
        if state.urgent {
            Work::Now
        } else if !state.pending.is_empty() || state.queues.has_marks() {
            Work::Soon
        } else if state.queues.wants_compaction() {
            Work::Now
        } else {
            Work::Nothing
        }
    }

    /// The next group, of everything that is pending.
    pub fn take_group(&self) -> Group {
        let mut state = self.lock();
        state.queues.complete_group();
        let state = &mut *state;
        state.pending.append(&mut state.queues.changes().records);
        state.urgent = false;
        Group {
            records: std::mem::take(&mut state.pending),
            waiting: std::mem::take(&mut state.waiting),
        }
    }

    /// A group is durable; the last segment that is not needed any more, if that has changed.
    pub fn commit(&self, records: Vec<Record>, segment: u32, length: u64) -> Option<u32> {
        let mut state = self.lock();
        let given_up = state.queues.commit(records, segment, length);
        self.follow(state);
        given_up
    }

    /// A group could not be written.
    pub fn abandon(&self, records: Vec<Record>) {
        let mut state = self.lock();
        let mut again = state.queues.abandon(records);
        again.append(&mut state.pending);
        state.pending = again;
    }

    /// Nothing becomes durable from now on, and every consumer is lost.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.waiting.clear();
        let consumers: Vec<ConsumerId> = state.consumers.keys().copied().collect();
        for id in consumers {
            state.queues.lose(id);
        }
        self.follow(state);
    }

    /// Does what the core asks for after a change.
    fn follow(&self, mut state: MutexGuard<'_, State>) {
        let State { queues, pending, urgent, consumers, .. } = &mut *state;
        let changes = queues.changes();
        // Notifying is cheap and idempotent: a task that is awake already takes no harm.
        let records = !changes.records.is_empty() || changes.urgent;
        pending.append(&mut changes.records);
        *urgent |= std::mem::take(&mut changes.urgent);
        for id in changes.wake.drain(..) {
            if let Some(consumer) = consumers.get(&id) {
                consumer.notify_one();
            }
        }
        for id in changes.lost.drain(..) {
            if let Some(consumer) = consumers.remove(&id) {
                consumer.notify_one();
            }
        }
        let counts = Counts::take(changes);
        let write = records || queues.has_marks();
        drop(state);
        if write {
            self.to_write.notify_one();
        }
        counts.report(self);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        entered(self.state.lock())
    }
}

impl State {
    fn wait_for_group(&mut self) -> oneshot::Receiver<bool> {
        let (sender, receiver) = oneshot::channel();
        if !self.closed {
            self.waiting.push(sender);
        }
        receiver
    }
}

/// What has been counted since the last report.
struct Counts([(&'static str, u64); 9]);

impl Counts {
    fn take(changes: &mut Changes) -> Self {
        let take = std::mem::take::<u64>;
        Self([
            ("broker_published_messages", take(&mut changes.published)),
            ("broker_redelivered_messages", take(&mut changes.redelivered)),
            ("broker_dead_lettered_messages", take(&mut changes.dead_lettered)),
            ("broker_dropped_messages", take(&mut changes.dropped)),
            ("broker_refused_messages", take(&mut changes.refused)),
            ("broker_shed_notifications", take(&mut changes.shed_jobs)),
            ("broker_shed_dead_letters", take(&mut changes.shed_dead_letters)),
            ("broker_rotated_segments", take(&mut changes.rotated)),
            ("broker_log_compactions", take(&mut changes.compacted)),
        ])
    }

    fn report(self, shared: &Shared) {
        for (name, by) in self.0.into_iter().filter(|(_, by)| *by > 0) {
            shared.machine.telemetry.count(name, by);
            if name.contains("_shed_") {
                let before = shared.shed.fetch_add(by, Ordering::Relaxed);
                // At the first, and whenever there are twice as many: not a line for each.
                if before == 0 || before.ilog2() < (before + by).ilog2() {
                    tracing::warn!(what = name, all = before + by, "no room: the oldest gave way");
                }
            }
        }
    }
}
