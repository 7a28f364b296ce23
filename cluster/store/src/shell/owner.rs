//! The owner of a node's partitions: one task that decides the order of everything.
//!
//! # The serial order
//! The owner sends jobs to the writer, one at a time, and gets a report of each: that is a round. A
//! round applies all waiting commands and commits them in one write; right after that write, from one
//! view of the engine, it answers waiting attaches. When the report comes, the owner, without waiting
//! for anything in between,
//! 1. turns the round's effects into publications with the attachments as they stand (a `Leave` ends
//!    its member's attachments behind its own publication), and queues them for the publisher;
//! 2. registers the attachments that the round answered, and sends the answers.
//!
//! # Why nothing falls between backlog and stream
//! Let an attach be answered in round `k` with the head `h`. `h` is the durable head after round
//! `k`'s commit, so every entry up to `h` was committed in a round `<= k` and can be read: it belongs
//! to the backlog. Every entry behind `h` is committed in a round `> k`, whose effects are turned
//! into publications after step 2 of round `k`: it is published to the gateway. There is no third
//! kind. Entries up to `h` may still be on their way to the gateway if another of its users had the
//! conversation attached before, or if a publication is repeated; the gateway drops them by their
//! sequence. The membership is read in the same instant: a `Leave` in a round `<= k` refuses the
//! attach, one in a later round finds the attachment and ends it.
//!
//! An attach is answered only under a lease that the engine confirms in the same view, so no other node
//! had committed an entry by then. Once another one owns the partition, this one's attachments end, and
//! the gateways attach again there.
//!
//! With `accept = before_persist` effects are published before the commit, but step 2 still comes
//! after it, so the argument holds.
//!
//! # Order of publications
//! Rounds are serial and the publisher has one queue, so the entries of a conversation are published
//! in the order of their sequences. The next round runs while the previous ones wait for confirms,
//! up to `owner_window` of them.

use super::input::{Consumer, Input};
use super::listeners::Listeners;
use super::pending::Pending;
use super::publisher::Post;
use super::round::{Done, Job, Settlements};
use super::steps::{self, FannedOut};
use super::writer::{Report, WriterHandle};
use crate::config::{ServeError, StoreConfig};
use crate::core::command::Effect;
use crate::core::fanout;
use crate::wire::Answer;
use ports::directory::Owner as PartitionOwner;
use ports::message_store::{Fenced, Lease};
use ports::{Machine, Shutdown};
use protocol::store_calls::PartitionStatus;
use protocol::trace::Step;
use protocol::{Epoch, Partition};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Cursors alone do not hurry: they wait this long for messages to share a commit with.
const RECEIPTS_PAUSE: Duration = Duration::from_millis(50);
/// After a round of at least so many commands the next one gathers for a while: every commit costs
/// the same few pages and one forced write, however many share it.
const GATHER_FROM: usize = 16;
/// How long. At ten thousand messages a second this makes groups of a hundred instead of thirty, for
/// half the processor time per message.
const GATHER: Duration = Duration::from_millis(6);
/// How often gateways are told the heads of what has grown. With a gateway's patience for what is on
/// its way, an entry that fan-out lost is read after two seconds.
const HEADS_EVERY: Duration = Duration::from_secs(1);
/// How long the last confirms may take after a shutdown was asked for; what is unconfirmed by then
/// is delivered again to the next life.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(3);

/// The owner's belongings.
pub struct Owner {
    /// The node's machine.
    pub machine: Machine,
    /// The node's configuration.
    pub config: StoreConfig,
    /// Everything that happens.
    pub inbox: mpsc::UnboundedReceiver<Input>,
    /// The writer.
    pub writer: WriterHandle,
    /// Whether the writer has a job.
    pub is_writing: bool,
    /// The publisher.
    pub posts: mpsc::UnboundedSender<Post>,
    /// Whoever claims and renews partitions, told what was refused.
    pub ownership: mpsc::UnboundedSender<Fenced>,
    /// The subscribers' epochs; `None`: the partition is not this node's.
    pub epochs: BTreeMap<Partition, watch::Sender<Option<Epoch>>>,
    /// For calls that only read.
    pub status: watch::Sender<Vec<PartitionStatus>>,
    /// For everybody who asks.
    pub leases: watch::Sender<Leases>,
    /// What waits for a round.
    pub pending: Pending,
    /// Who listens.
    pub listeners: Listeners,
    /// Partitions that became this node's, for the next round.
    pub acquired: Vec<Lease>,
    /// Partitions that ceased to be, for the next round.
    pub lost: Vec<Partition>,
    /// Posts that are not confirmed.
    pub unconfirmed: usize,
    /// When heads are told next, if anything has grown.
    pub heads_at: Option<Instant>,
    /// When cursors began to wait.
    pub receipts_since: Option<Instant>,
    /// Until when the next round gathers commands.
    pub gather_until: Option<Instant>,
}

/// Which partitions are this node's.
#[derive(Clone, Debug, Default)]
pub struct Leases {
    /// What was free when the node began is in its keeping.
    pub is_ready: bool,
    /// By the engine's count.
    pub owned: Arc<BTreeMap<Partition, Epoch>>,
    /// What was given up, and to whom.
    pub given_up: BTreeMap<Partition, PartitionOwner>,
}

impl Leases {
    /// Before the writer has taken up what was acquired first.
    pub fn until_adopted(first: &[Lease]) -> Self {
        Self { is_ready: first.is_empty(), ..Self::default() }
    }
}

impl Owner {
    /// Runs until the shutdown is asked for, then shuts down cleanly; or until the engine fails.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), ServeError> {
        let mut asked = Box::pin(shutdown.requested());
        let mut deadline = None;
        loop {
            if !self.is_writing {
                self.next_round(deadline.is_some());
            }
            if deadline.is_some() && !self.is_writing && self.unconfirmed == 0 {
                return Ok(());
            }
            self.publish_ephemeral();
            let (alarm, heads_at) = (self.alarm(), self.heads_at);
            let is_idle = !self.is_writing && deadline.is_none();
            tokio::select! {
                biased;
                () = &mut asked, if deadline.is_none() => {
                    deadline = Some(Instant::now() + SHUTDOWN_GRACE);
                }
                () = until(deadline) => return Ok(()),
                report = self.writer.reports.recv() => match report {
                    Some(report) => self.reported(report)?,
                    None => return Err(ServeError::WorkerGone),
                },
                () = until(heads_at) => {
                    self.heads_at = None;
                    self.listeners.tell_heads();
                }
                input = self.inbox.recv() => match input {
                    Some(input) => self.take(input)?,
                    None => return Ok(()),
                },
                () = until(alarm), if is_idle => self.gather_until = None,
            }
        }
    }

    fn take(&mut self, input: Input) -> Result<(), ServeError> {
        match input {
            // Under an epoch that is over they come again, behind what is before them.
            Input::Deliveries(from, _) if !self.consumes(from) => {}
            Input::Deliveries(from, deliveries) => {
                for trace in self.pending.deliveries(from, deliveries) {
                    self.machine.traces.begins(trace, Step::Sequence);
                }
            }
            Input::Acquired(lease) => self.acquired.push(lease),
            Input::Lost(fenced) => {
                self.lost.push(fenced.partition);
                self.step_down(fenced);
            }
            Input::Failed(error) => return Err(ServeError::Engine(error.into())),
            Input::Request(partition, request, reply) => {
                self.pending.request(partition, request, reply);
            }
            Input::Receipts(items) => {
                self.pending.receipts(items);
                if self.pending.has_receipts() {
                    self.receipts_since.get_or_insert_with(Instant::now);
                }
            }
            Input::Subscription(event) => self.pending.event(event),
            Input::Confirmed => self.unconfirmed = self.unconfirmed.saturating_sub(1),
        }
        Ok(())
    }

    /// Sends the next job, if there is something to do. During a shutdown nothing new is begun.
    fn next_round(&mut self, ending: bool) {
        while let Some(event) = self.pending.take_event() {
            self.listeners.event(event);
        }
        if ending || self.is_gathering() {
            return;
        }
        let mut job = Job::default();
        let receipts_due = self.receipts_since.is_some_and(|at| at.elapsed() >= RECEIPTS_PAUSE);
        let open = self.unconfirmed < self.config.limits.owner_window;
        if open && (self.pending.waiting() > 0 || receipts_due) {
            job.commands = self.pending.take_commands(self.config.limits.group_commit.max(1));
            job.receipts = self.pending.take_receipts();
            self.receipts_since = None;
        }
        let most = self.config.limits.attach_batch;
        if open {
            job.departures = self.listeners.absences.over(self.listeners.now_ms(), most);
        }
        job.attaches = self.pending.take_attaches(most);
        job.acquired = std::mem::take(&mut self.acquired);
        job.lost = std::mem::take(&mut self.lost);
        if job.is_empty() {
            return;
        }
        let limit = u64::from(self.config.limits.inbound_prefetch) * self.epochs.len() as u64
            + self.config.limits.backlog as u64;
        let waiting = self.pending.waiting() as u64;
        self.machine.telemetry.gauge("store_commands_waiting", waiting, limit);
        // A writer that is gone is noticed by the end of its reports.
        let _ = self.writer.jobs.send(job);
        self.is_writing = true;
    }

    /// When the next round may become possible although nothing comes in. While it gathers, cursors
    /// and departures that are due wait for its end: an alarm that has passed must make a round possible.
    fn alarm(&self) -> Option<Instant> {
        let open = self.unconfirmed < self.config.limits.owner_window;
        let receipts_due = self.receipts_since.map(|since| since + RECEIPTS_PAUSE);
        let over = self.listeners.absences.next_ms().map(|ms| self.listeners.at(ms));
        let due = receipts_due.into_iter().chain(over).min();
        self.gather_until.or(due.filter(|_| open))
    }

    /// Whether the next round waits for more to share its commit.
    fn is_gathering(&self) -> bool {
        self.gather_until.is_some_and(|until| Instant::now() < until)
            && self.pending.waiting() < self.config.limits.group_commit
    }

    fn reported(&mut self, report: Report) -> Result<(), ServeError> {
        match report {
            Report::Failed(error) => return Err(ServeError::Engine(error.into())),
            Report::Early(effects, settlements) => {
                self.publish(effects, settlements, FannedOut::default());
            }
            Report::Done(done) => {
                self.is_writing = false;
                self.finish(*done);
            }
        }
        Ok(())
    }

    fn finish(&mut self, done: Done) {
        let Done { effects, settlements, outcomes, misdirected, attached, missed, .. } = done;
        for Lease { partition, epoch } in done.acquired {
            // Unless it was lost meanwhile.
            if !self.lost.contains(&partition) {
                self.begin(partition, epoch);
            }
        }
        let traced = steps::durable(&self.machine, done.sequenced, done.write);
        self.publish(effects, settlements, traced);
        for (reply, outcome) in outcomes {
            reply.outcome(outcome);
        }
        for (reply, not_owned) in misdirected {
            reply.send(Answer::NotOwner(not_owned));
        }
        for answer in attached {
            self.listeners.register(answer);
        }
        if !missed.is_empty() {
            let jobs = fanout::missed(missed, self.config.notify_queues);
            self.post(Post { jobs, ..Post::default() });
        }
        self.status.send_replace(done.status);
        self.leases.send_if_modified(|leases| !std::mem::replace(&mut leases.is_ready, true));
        for fenced in done.fenced {
            // It lives as long as the owner.
            let _ = self.ownership.send(fenced);
            self.step_down(fenced);
        }
        let telemetry = &self.machine.telemetry;
        telemetry.count("store_commands", done.commands as u64);
        for (name, by) in [
            ("store_evicted_conversations", done.evicted),
            ("store_refused_calls", self.pending.take_refused()),
            ("store_shed_notifications", done.left_out),
        ] {
            if by > 0 {
                telemetry.count(name, by);
            }
        }
        self.gather_until = (done.commands >= GATHER_FROM).then(|| Instant::now() + GATHER);
    }

    fn consumes(&self, Consumer { partition, epoch, .. }: Consumer) -> bool {
        self.leases.borrow().owned.get(&partition) == Some(&epoch)
    }

    /// A partition is in the writer's keeping: its queue can be consumed.
    fn begin(&mut self, partition: Partition, epoch: Epoch) {
        self.listeners.own(partition);
        self.pending.drop_deliveries(partition);
        self.leases.send_modify(|leases| {
            Arc::make_mut(&mut leases.owned).insert(partition, epoch);
            leases.given_up.remove(&partition);
        });
        if let Some(sender) = self.epochs.get(&partition) {
            sender.send_replace(Some(epoch));
        }
    }

    /// A partition is somebody else's: its queue is given up, and so are its listeners.
    fn step_down(&mut self, fenced: Fenced) {
        let Fenced { partition, current } = fenced;
        tracing::warn!(%partition, owner = %current.owner, epoch = %current.epoch, "stepping down");
        if let Some(sender) = self.epochs.get(&partition) {
            sender.send_replace(None);
        }
        // A round that was under way for long may be fenced by this node's own newer lease.
        self.acquired.retain(|lease| lease.partition != partition || lease.epoch >= current.epoch);
        self.pending.drop_deliveries(partition);
        self.listeners.disown(partition);
        self.leases.send_modify(|leases| {
            Arc::make_mut(&mut leases.owned).remove(&partition);
            leases.given_up.extend(current.known().map(|owner| (partition, owner)));
        });
        self.status.send_modify(|all| all.retain(|status| status.partition != partition));
    }

    /// Step 1 of the module's order.
    fn publish(&mut self, effects: Vec<Effect>, settlements: Settlements, mut traced: FannedOut) {
        if effects.is_empty() && settlements.is_empty() {
            // What they led to went out before they were durable.
            traced.confirmed(&self.machine);
            return;
        }
        let attachments = &mut self.listeners.attachments;
        let fanned = fanout::fan_out(effects, attachments, self.config.notify_queues);
        if attachments.has_grown() {
            self.heads_at.get_or_insert_with(|| Instant::now() + HEADS_EVERY);
        }
        self.listeners.joined(fanned.joined);
        self.listeners.expelled(fanned.expelled);
        let (messages, jobs) = (fanned.messages, fanned.jobs);
        self.post(Post { messages, jobs, settlements, traced });
    }

    fn post(&mut self, post: Post) {
        self.unconfirmed += 1;
        if self.unconfirmed == self.config.limits.owner_window {
            self.machine.telemetry.count("store_windows_filled", 1);
        }
        // The publisher lives as long as the owner.
        let _ = self.posts.send(post);
    }

    /// Publishes presence and typing notices, while the broker keeps up.
    fn publish_ephemeral(&mut self) {
        if self.listeners.ephemeral.is_empty() {
            return;
        }
        if self.unconfirmed < self.config.limits.owner_window {
            let ephemeral = std::mem::take(&mut self.listeners.ephemeral);
            self.post(Post { messages: ephemeral, ..Post::default() });
        } else if self.listeners.ephemeral.len() > self.config.limits.notices {
            let dropped = self.listeners.ephemeral.len() as u64;
            self.machine.telemetry.count("store_dropped_notices", dropped);
            self.listeners.ephemeral.clear();
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
