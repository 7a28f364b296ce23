//! One consumer of a partition: a thread that reads it, commits what is settled, and looks whether it is
//! still the one.

use super::claiming::{LOOK, STRIDE, claim, commit, committed, report_missing};
use super::clients::{ASK_TIMEOUT, Reading, assign, bounds, ends, number};
use super::uplink::Uplink;
use crate::core::claim::Claim;
use crate::core::topology::Place;
use crate::core::window::{Read, Window};
use bytes::Bytes;
use ports::broker::ConsumeError;
use protocol::limits;
use rdkafka::Message;
use rdkafka::error::KafkaResult;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

/// What is settled is committed as often at most: a commit is a write of its own for Kafka.
const COMMIT_EVERY: Duration = Duration::from_millis(100);
/// A claim is renewed, and others are looked for, as often.
const RENEW_EVERY: Duration = Duration::from_secs(1);
/// How long an answer to that is waited for if the last one did not come: nothing is read meanwhile.
const ASK_AGAIN: Duration = Duration::from_millis(300);
/// So often; then it may be late as usual, once, before the claim ends.
const ASK_SHORTLY: u32 = 2;
/// How long one wait for messages or for settlements takes.
const TICK: Duration = Duration::from_millis(50);
/// Most messages that are handed over at once.
const BATCH: usize = 256;
/// So many settled messages are worth a removal.
const WORTH_REMOVING: u64 = 1_000;

/// A message that is handed out.
pub struct Delivery {
    pub offset: u64,
    pub redelivered: bool,
    pub message: Bytes,
}

/// What becomes of deliveries.
pub enum Settle {
    /// Everything up to this one is done.
    Through(u64),
    /// This one is done.
    One(u64),
}

/// What is read, and for whom.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub place: Place,
    pub epoch: u64,
    pub prefetch: u32,
    /// Of so many that wait the oldest gives way; otherwise nothing does.
    pub most: Option<u64>,
}

/// The async end. Dropping it, and every clone of `settle`, gives the partition up.
pub struct Deliveries {
    pub settle: Sender<Settle>,
    batches: mpsc::UnboundedReceiver<Vec<Delivery>>,
}

impl Deliveries {
    /// The next ones, at least one, as many as are there; `None`: it is lost. Cancel safe.
    pub async fn next(&mut self) -> Option<Vec<Delivery>> {
        let mut all = self.batches.recv().await?;
        while let Ok(more) = self.batches.try_recv() {
            all.extend(more);
        }
        Some(all)
    }
}

/// Claims a partition and begins to read it.
pub async fn begin(uplink: &Arc<Uplink>, wanted: Wanted) -> Result<Deliveries, ConsumeError> {
    let thread = uplink.machine.tasks.worker("kafka reader");
    let claiming = async {
        uplink.ready().await;
        loop {
            match claim(uplink, &*thread, &wanted).await {
                Ok(claimed) => return claimed,
                Err(error) => tracing::warn!(?wanted, %error, "cannot consume yet"),
            }
            sleep(LOOK).await;
        }
    };
    let claimed = timeout(limits::CALL_TIMEOUT, claiming).await;
    let (window, mine, end) = claimed.map_err(|_| ConsumeError::Unavailable)??;
    let (settle, settled) = channel();
    let (out, batches) = mpsc::unbounded_channel();
    let reading = Reader {
        uplink: Arc::clone(uplink),
        removed: 0,
        wanted,
        window,
        mine,
        end,
        out,
        settled,
        looked: Instant::now(),
        unanswered: 0,
        changed: false,
    };
    // Nobody waits for it: it ends when the other ends are dropped.
    drop(thread.run(Box::new(move || reading.run())));
    Ok(Deliveries { settle, batches })
}

struct Reader {
    uplink: Arc<Uplink>,
    wanted: Wanted,
    window: Window,
    /// As it was committed.
    mine: Claim,
    /// Of the partition, a moment ago.
    end: u64,
    out: mpsc::UnboundedSender<Vec<Delivery>>,
    settled: Receiver<Settle>,
    /// When it last was looked who has the partition.
    looked: Instant,
    /// How often Kafka has not answered that since.
    unanswered: u32,
    /// Something was settled since.
    changed: bool,
    /// Up to where messages were removed, as far as this consumer knows.
    removed: u64,
}

/// Why reading ends.
enum Ended {
    /// Nobody wants it any more.
    GivenUp,
    /// Another consumer has it, or it cannot be read.
    Lost,
}

impl Reader {
    fn run(mut self) {
        let place = self.wanted.place.clone();
        let client = self.uplink.clients.reading().and_then(|client| {
            assign(&client, &place, self.window.next())?;
            Ok(client)
        });
        let client = match client {
            Ok(client) => client,
            Err(error) => return tracing::error!(?place, %error, "cannot read"),
        };
        match self.work(&client) {
            Ended::GivenUp => self.give_up(),
            // The other end finds its channel closed.
            Ended::Lost => tracing::warn!(?place, "the consumer is lost"),
        }
    }

    fn work(&mut self, client: &Reading) -> Ended {
        loop {
            if let Err(ended) = self.settle_all() {
                return ended;
            }
            let exhausted = self.window.next() >= self.mine.mark;
            let is_awaited = (self.changed || exhausted) && self.unanswered == 0;
            let due = if is_awaited { COMMIT_EVERY } else { RENEW_EVERY };
            if self.looked.elapsed() >= due {
                let kept = self.keep();
                // Only now: nothing is read while Kafka does not answer.
                self.looked = Instant::now();
                if let Err(ended) = kept {
                    return ended;
                }
            }
            let exhausted = self.window.next() >= self.mine.mark;
            let worked = if self.window.room() == 0 || exhausted || self.out.is_closed() {
                self.wait()
            } else {
                self.read(client)
            };
            if let Err(ended) = worked {
                return ended;
            }
        }
    }

    fn settle_all(&mut self) -> Result<(), Ended> {
        loop {
            match self.settled.try_recv() {
                Ok(settle) => self.settle(&settle),
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => return Err(Ended::GivenUp),
            }
        }
    }

    fn settle(&mut self, settle: &Settle) {
        self.changed |= match settle {
            Settle::Through(offset) => self.window.settle_through(*offset),
            Settle::One(offset) => self.window.settle(*offset),
        };
    }

    fn wait(&mut self) -> Result<(), Ended> {
        match self.settled.recv_timeout(TICK) {
            Ok(settle) => self.settle(&settle),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(Ended::GivenUp),
        }
        Ok(())
    }

    fn read(&mut self, client: &Reading) -> Result<(), Ended> {
        let mut batch = Vec::new();
        let mut patience = TICK;
        while batch.len() < BATCH && self.window.room() > 0 && self.window.next() < self.mine.mark {
            match client.poll(patience) {
                None => break,
                Some(Ok(message)) => batch.extend(self.arrived(&message)),
                Some(Err(error)) if ends(&error) => {
                    tracing::error!(place = ?self.wanted.place, %error, "cannot read on");
                    return Err(Ended::Lost);
                }
                // It connects again on its own.
                Some(Err(error)) => tracing::debug!(place = ?self.wanted.place, %error, "reading"),
            }
            patience = Duration::ZERO;
        }
        if !batch.is_empty() {
            // The other end may have been dropped: then nothing of this was handed out.
            let _ = self.out.send(batch);
        }
        Ok(())
    }

    fn arrived(&mut self, message: &impl Message) -> Option<Delivery> {
        let offset = number(message.offset());
        if offset < self.window.next() {
            return None;
        }
        report_missing(&self.uplink, &self.wanted, self.window.skip_to(offset));
        let waiting = self.window.waiting_from(offset, self.end);
        let gives_way = self.wanted.most.is_some_and(|most| waiting > most);
        match self.window.read(offset, gives_way) {
            Read::Settled => None,
            Read::GivesWay => {
                self.changed = true;
                self.uplink.machine.telemetry.count("broker_shed_notifications", 1);
                None
            }
            Read::HandOut { redelivered } => {
                let message = Bytes::copy_from_slice(message.payload().unwrap_or_default());
                Some(Delivery { offset, redelivered, message })
            }
        }
    }

    /// Looks who has the partition, and commits. Without an answer nothing changes: nobody else gets one
    /// either, or takes it over and is found later.
    fn keep(&mut self) -> Result<(), Ended> {
        let (uplink, place) = (Arc::clone(&self.uplink), self.wanted.place.clone());
        let kept = self.is_mine().and_then(|is_mine| {
            if !is_mine {
                return Ok(Err(Ended::Lost));
            }
            if self.wanted.most.is_some() {
                self.end = bounds(&uplink.offsets, &place)?.1;
            }
            let mark = (self.window.next() + STRIDE).max(self.window.mark());
            self.say(self.mine.holder, mark)?;
            Ok(Ok(()))
        });
        self.unanswered = if kept.is_ok() { 0 } else { self.unanswered + 1 };
        match kept {
            Ok(kept) => {
                self.changed = kept.is_err();
                kept
            }
            Err(error) => {
                tracing::warn!(?place, %error, "cannot commit yet");
                Ok(())
            }
        }
    }

    fn is_mine(&self) -> KafkaResult<bool> {
        // All partitions have one coordinator: while it is away, those whose leaders are there are read on, for some of
        // the time.
        let is_patient = self.unanswered.is_multiple_of(ASK_SHORTLY + 1);
        let patience = if is_patient { ASK_TIMEOUT } else { ASK_AGAIN };
        let found = committed(&self.uplink.offsets, &self.wanted.place, patience)?;
        let other = found.and_then(|found| found.claim);
        Ok(!other.is_some_and(|other| other.takes_from(&self.mine)))
    }

    fn say(&mut self, holder: u64, mark: u64) -> KafkaResult<()> {
        let claim = Claim {
            epoch: self.mine.epoch,
            holder,
            at_ms: self.uplink.machine.clock.now_ms(),
            mark,
            progress: self.window.progress(),
        };
        commit(&self.uplink.offsets, &self.wanted.place, &claim)?;
        let base = claim.progress.base();
        if base >= self.removed + WORTH_REMOVING {
            self.uplink.remove_before(&self.wanted.place, base);
            self.removed = base;
        }
        self.mine = claim;
        Ok(())
    }

    /// The next consumer need not wait, and knows exactly what was handed out.
    fn give_up(mut self) {
        // What is still to be read again keeps its mark.
        let mark = self.window.next().max(self.window.mark());
        let given_up =
            self.is_mine().and_then(|is_mine| if is_mine { self.say(0, mark) } else { Ok(()) });
        if let Err(error) = given_up {
            tracing::warn!(place = ?self.wanted.place, %error, "the partition is free later only");
        }
    }
}
