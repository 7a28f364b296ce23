//! The owner of a node's partitions: one task that decides the order of everything.
//!
//! # The serial order
//! The owner runs rounds, one at a time. A round applies all waiting commands and commits them in one
//! write; right after that write, from one view of the engine, it answers waiting attaches. When the
//! round comes back, the owner, without waiting for anything in between,
//! 1. turns the round's effects into publications with the attachments as they stand (a `Leave` ends
//!    its member's attachments behind its own publication), and puts them in the publisher's line;
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
//! With `accept = before_persist` effects are published before the commit, but step 2 still comes
//! after it, so the argument holds.
//!
//! # Order of publications
//! Rounds are serial and the publisher has one line, so the entries of a conversation are published
//! in the order of their sequences. The next round runs while the previous ones wait for confirms,
//! up to `owner_window` of them.

use super::attaching;
use super::input::{Input, Tail};
use super::pending::Pending;
use super::publisher::Post;
use super::round::{self, Done, Progress, Round};
use super::writer::{Applied, Work, Writer};
use crate::config::{ServeError, StoreConfig};
use crate::core::absences::Absences;
use crate::core::attachments::{Attachments, LinkId};
use crate::core::fanout;
use crate::wire::{Answer, FromStore};
use link::LinkSender;
use ports::broker::{FanoutMessage, Job};
use ports::message_store::Lease;
use ports::{BoxFuture, Shutdown, entered};
use protocol::store_calls::{PartitionStatus, UserConversation};
use protocol::{Epoch, Partition};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
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
/// Heads in one message.
const HEADS_MOST: usize = 4_096;
/// How long the last confirms may take after a shutdown was asked for; what is unconfirmed by then
/// is delivered again to the next life.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(3);

/// The owner's belongings.
pub struct Owner {
    /// Shared with the rounds.
    pub desk: round::Desk,
    /// The node's configuration.
    pub config: StoreConfig,
    /// Everything that happens.
    pub inbox: mpsc::UnboundedReceiver<Input>,
    /// The publisher.
    pub posts: mpsc::UnboundedSender<Post>,
    /// The subscribers' epochs.
    pub epochs: BTreeMap<Partition, watch::Sender<Epoch>>,
    /// For `status` calls.
    pub board: Arc<Mutex<Vec<PartitionStatus>>>,
    /// What waits for a round.
    pub pending: Pending,
    /// Who listens.
    pub attachments: Attachments,
    /// Who has just gone.
    pub absences: Absences,
    /// Since when this life of the owner decides.
    pub began: Instant,
    /// The links of announced gateways.
    pub links: BTreeMap<LinkId, LinkSender<FromStore>>,
    /// Presence and typing notices for the next post.
    pub whispers: Vec<FanoutMessage>,
    /// Posts that are not confirmed.
    pub unconfirmed: usize,
    /// The writer, while no round has it.
    pub writer: Option<Writer>,
    /// When heads are told next, if anything has grown.
    pub heads_at: Option<Instant>,
    /// When cursors began to wait.
    pub receipts_since: Option<Instant>,
    /// Until when the next round gathers commands.
    pub gather_until: Option<Instant>,
}

impl Owner {
    /// Runs until the shutdown is asked for, then ends in good order; or until the engine fails.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), ServeError> {
        let mut round: Option<BoxFuture<'static, Progress>> = None;
        let mut asked = Box::pin(shutdown.requested());
        let mut deadline = None;
        loop {
            if round.is_none() {
                round = self.next_round(deadline.is_some());
            }
            if deadline.is_some() && round.is_none() && self.unconfirmed == 0 {
                return Ok(());
            }
            self.whisper();
            let (alarm, heads_at) = (self.alarm(), self.heads_at);
            tokio::select! {
                biased;
                () = &mut asked, if deadline.is_none() => {
                    deadline = Some(Instant::now() + SHUTDOWN_GRACE);
                }
                () = until(deadline) => return Ok(()),
                progress = finished(&mut round) => {
                    round = self.progressed(progress)?;
                }
                () = until(heads_at) => self.tell_heads(),
                input = self.inbox.recv() => match input {
                    Some(input) => self.take(input),
                    None => return Ok(()),
                },
                () = until(alarm), if round.is_none() && deadline.is_none() => self.gather_until = None,
            }
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Deliveries(from, deliveries) => self.pending.deliveries(from, deliveries),
            Input::Request(partition, request, reply) => {
                self.pending.request(partition, request, reply);
            }
            Input::Receipts(items) => {
                self.pending.receipts(items);
                if self.pending.has_receipts() {
                    self.receipts_since.get_or_insert_with(Instant::now);
                }
            }
            Input::Tail(tail) => self.pending.tail(tail),
            Input::Confirmed => self.unconfirmed = self.unconfirmed.saturating_sub(1),
        }
    }

    /// The next round, if there is something to do for it. During a shutdown nothing new is begun.
    fn next_round(&mut self, ending: bool) -> Option<BoxFuture<'static, Progress>> {
        while let Some(tail) = self.pending.take_other_tail() {
            self.other_tail(tail);
        }
        if ending || self.is_gathering() {
            return None;
        }
        let mut work = Work::default();
        let receipts_due = self.receipts_since.is_some_and(|at| at.elapsed() >= RECEIPTS_PAUSE);
        let open = self.unconfirmed < self.config.limits.owner_window;
        if open && (self.pending.has_lines() || receipts_due) {
            work.lines = self.pending.take_lines(self.config.limits.group_commit.max(1));
            work.receipts = self.pending.take_receipts();
            self.receipts_since = None;
        }
        let most = self.config.limits.attach_batch;
        let departures = if open { self.absences.over(self.now_ms(), most) } else { Vec::new() };
        let attaches = self.pending.take_attaches(most);
        let idle = work.lines.is_empty() && work.receipts.is_empty() && attaches.is_empty();
        if idle && departures.is_empty() {
            return None;
        }
        let writer = self.writer.take().expect("no round is under way");
        let telemetry = &self.desk.machine.telemetry;
        let limit = u64::from(self.config.limits.inbound_prefetch) * self.epochs.len() as u64
            + self.config.limits.backlog as u64;
        telemetry.gauge("store_commands_waiting", self.pending.waiting() as u64, limit);
        let round = Round {
            writer,
            work,
            attaches,
            departures,
            acquire: Vec::new(),
            applied: Applied::default(),
            acquired: Vec::new(),
            attached: Vec::new(),
            missed: Vec::new(),
            settled: false,
        };
        Some(Box::pin(round::begin(self.desk.clone(), Box::new(round))))
    }

    /// When the next round may become possible although nothing comes in. While it gathers, cursors
    /// and departures that are due wait for its end: an alarm that has passed must make a round possible.
    fn alarm(&self) -> Option<Instant> {
        let open = self.unconfirmed < self.config.limits.owner_window;
        let receipts_due = self.receipts_since.map(|since| since + RECEIPTS_PAUSE);
        let over = self.absences.next_ms().map(|ms| self.began + Duration::from_millis(ms));
        let due = receipts_due.into_iter().chain(over).min();
        self.gather_until.or(due.filter(|_| open))
    }

    /// Milliseconds since this life of the owner decides.
    pub(super) fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    /// Whether the next round waits for more to share its commit.
    fn is_gathering(&self) -> bool {
        self.gather_until.is_some_and(|until| Instant::now() < until)
            && self.pending.waiting() < self.config.limits.group_commit
    }

    fn progressed(
        &mut self,
        progress: Progress,
    ) -> Result<Option<BoxFuture<'static, Progress>>, ServeError> {
        match progress {
            Progress::Failed(error) => Err(ServeError::Engine(error)),
            Progress::Gone => Err(ServeError::WorkerGone),
            Progress::Early(mut round) => {
                // The bad choice: told, and done with, before it is durable.
                let done = round::done(&round.work, self.config.design.poison);
                self.publish(&mut round, done);
                round.settled = true;
                Ok(Some(Box::pin(round::write_behind(self.desk.clone(), round))))
            }
            Progress::Done(round) => {
                self.finish(*round);
                Ok(None)
            }
        }
    }

    fn finish(&mut self, mut round: Round) {
        for Lease { partition, epoch } in std::mem::take(&mut round.acquired) {
            self.pending.reacquired(partition, epoch);
            if let Some(sender) = self.epochs.get(&partition) {
                sender.send_replace(epoch);
            }
        }
        let done = if round.settled {
            Done::default()
        } else {
            round::done(&round.work, self.config.design.poison)
        };
        self.publish(&mut round, done);
        for (reply, outcome) in std::mem::take(&mut round.applied.outcomes) {
            reply.outcome(outcome);
        }
        let notices = self.config.limits.presence_notices;
        for answer in std::mem::take(&mut round.attached) {
            let (attachments, absences) = (&mut self.attachments, &mut self.absences);
            attaching::register(answer, attachments, absences, notices, &mut self.whispers);
        }
        if !round.missed.is_empty() {
            let queues = self.config.notify_queues;
            let jobs = round.missed.iter().map(|job| fanout::push(job, queues)).collect();
            self.post(Vec::new(), jobs, Done::default());
        }
        *entered(self.board.lock()) = round.writer.status();
        let commands = round.work.lines.len();
        let telemetry = &self.desk.machine.telemetry;
        telemetry.count("store_commands", commands as u64);
        for (name, by) in [
            ("store_evicted_conversations", round.writer.take_evicted()),
            ("store_refused_calls", self.pending.take_refused()),
        ] {
            if by > 0 {
                telemetry.count(name, by);
            }
        }
        self.gather_until = (commands >= GATHER_FROM).then(|| Instant::now() + GATHER);
        self.writer = Some(round.writer);
    }

    /// Step 1 of the module's order.
    fn publish(&mut self, round: &mut Round, done: Done) {
        let effects = std::mem::take(&mut round.applied.effects);
        if effects.is_empty() && done.through.is_empty() {
            return;
        }
        let fanned = fanout::fan_out(effects, &mut self.attachments, self.config.notify_queues);
        if self.attachments.has_grown() {
            self.heads_at.get_or_insert_with(|| Instant::now() + HEADS_EVERY);
        }
        for joined in fanned.joined {
            self.tell_joined(joined);
        }
        self.expelled(fanned.expelled);
        self.post(fanned.messages, fanned.jobs, done);
    }

    fn tell_heads(&mut self) {
        self.heads_at = None;
        for (link, heads) in self.attachments.take_heads() {
            let Some(sender) = self.links.get(&link) else { continue };
            for heads in heads.chunks(HEADS_MOST) {
                // A lost link is noticed by its own task.
                let _ = sender.send(&FromStore::Heads(heads.to_vec()));
            }
        }
    }

    fn tell_joined(&self, joined: UserConversation) {
        for sender in self.links.values() {
            // A lost link is noticed by its own task.
            let _ = sender.send(&FromStore::Joined(joined));
        }
    }

    fn post(&mut self, messages: Vec<FanoutMessage>, jobs: Vec<Job>, done: Done) {
        self.unconfirmed += 1;
        if self.unconfirmed == self.config.limits.owner_window {
            self.desk.machine.telemetry.count("store_windows_filled", 1);
        }
        // The publisher lives as long as the owner.
        let _ = self.posts.send(Post { messages, jobs, done });
    }

    /// Publishes presence and typing notices, while the broker keeps up.
    fn whisper(&mut self) {
        if self.whispers.is_empty() {
            return;
        }
        if self.unconfirmed < self.config.limits.owner_window {
            let whispers = std::mem::take(&mut self.whispers);
            self.post(whispers, Vec::new(), Done::default());
        } else if self.whispers.len() > self.config.limits.notices {
            let dropped = self.whispers.len() as u64;
            self.desk.machine.telemetry.count("store_dropped_notices", dropped);
            self.whispers.clear();
        }
    }

    fn other_tail(&mut self, tail: Tail) {
        match tail {
            Tail::Linked(link, life, sender) => {
                let losses = self.attachments.announce(link, life);
                self.links.retain(|link, _| self.attachments.is_linked(*link));
                self.links.insert(link, sender);
                self.lost(&losses);
            }
            Tail::Unlinked(link) => {
                self.links.remove(&link);
                let losses = self.attachments.lose(link);
                self.lost(&losses);
            }
            Tail::Detach(link, items) => {
                let turns: Vec<_> =
                    items.into_iter().filter_map(|item| self.detach(link, item)).collect();
                attaching::tell(turns, &self.attachments, &mut self.whispers);
            }
            Tail::Pushes(pushes, reply) => {
                let advice = pushes.into_iter().map(|(push, is_open)| self.advice(push, is_open));
                reply.send(Answer::Pushes(advice.collect()));
            }
            Tail::Typing(link, conversation, user) => {
                // Attached implies member, so nothing has to be read.
                if self.attachments.is_attached(link, conversation, user) {
                    self.whispers.extend(fanout::typing(conversation, user, &self.attachments));
                }
            }
            Tail::Attach(..) => unreachable!("an attach is taken by a round"),
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

async fn finished(round: &mut Option<BoxFuture<'static, Progress>>) -> Progress {
    match round {
        Some(running) => {
            let progress = running.await;
            *round = None;
            progress
        }
        None => std::future::pending().await,
    }
}
