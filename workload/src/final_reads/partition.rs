//! One partition read whole, through as many streams as it takes.

use super::Wanted;
use crate::recorder::Recorder;
use crate::rest::bulk::{Exported, ExportedEnd, Line};
use crate::rest::{Api, RestError};
use crate::seen;
use ports::Machine;
use protocol::backoff::Backoff;
use protocol::partition::partition_of;
use protocol::store_calls::ExportPlace;
use protocol::{ConversationId, Epoch, Partition, Sequence};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use verify::history::What;

/// How long a partition is asked for again and again without anything new.
const PATIENCE: Duration = Duration::from_secs(30);
/// Before a stream that was cut is asked for again; doubles up to the longest.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Conversations that are named in one doubt.
const NAMED: usize = 8;

/// Why a partition was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There was no answer, or none of use.
    #[error(transparent)]
    Rest(#[from] RestError),
    /// Somebody else has owned the partition since: entries may be missing.
    #[error("it was read under epoch {now}, after {before}")]
    Stale {
        /// Of an earlier page.
        before: Epoch,
        /// Of this page.
        now: Epoch,
    },
    /// Where a conversation is to be found is not known, then.
    #[error("conversation {0} is in it, and should not be")]
    Elsewhere(ConversationId),
}

impl ReadError {
    /// Whether it may go on later.
    const fn may_retry(&self) -> bool {
        match self {
            Self::Rest(error) => error.may_retry(),
            Self::Stale { .. } => true,
            Self::Elsewhere(_) => false,
        }
    }
}

/// What came of a partition.
#[derive(Default)]
pub struct Outcome {
    /// One sentence each.
    pub doubts: Vec<String>,
    /// Nothing came for so long that it was given up.
    pub is_silent: bool,
}

/// A partition, as far as it was read.
pub struct Reading {
    machine: Machine,
    api: Api,
    recorder: Arc<dyn Recorder>,
    partition: Partition,
    total: u16,
    /// The conversations of the plan that are in it and not read yet, the first one last.
    expected: Vec<ConversationId>,
    /// Where the next stream begins.
    place: ExportPlace,
    epoch: Epoch,
    /// Made before the run, and not there any more.
    gone: Vec<ConversationId>,
    progress_at: Instant,
}

impl Reading {
    /// Reads a partition of `total`. Whatever is in it is read after this, so only what was accepted
    /// before can be missing.
    pub async fn read(
        (machine, api): (Machine, Api),
        wanted: &Wanted,
        recorder: Arc<dyn Recorder>,
        (partition, total): (Partition, u16),
    ) -> Outcome {
        let mut expected: Vec<_> = wanted.of(partition, total).collect();
        for conversation in expected.iter().copied() {
            recorder.record(What::StoredBegan { conversation });
        }
        expected.reverse();
        let reading = Self {
            machine,
            api,
            recorder,
            partition,
            total,
            expected,
            place: ExportPlace::default(),
            epoch: Epoch(0),
            gone: Vec::new(),
            progress_at: Instant::now(),
        };
        reading.run().await
    }

    async fn run(mut self) -> Outcome {
        if self.expected.is_empty() {
            return Outcome::default();
        }
        let mut backoff = Backoff::new(PAUSE, PAUSE_MAX);
        let failed = loop {
            let before = self.progress_at;
            let Err(error) = self.stream().await else { break None };
            if self.progress_at > before {
                backoff.reset();
            }
            let pause = backoff.next(self.machine.entropy.next_u64());
            if !error.may_retry() || self.progress_at.elapsed() + pause >= PATIENCE {
                break Some(error);
            }
            tracing::debug!(%error, partition = %self.partition, "reading on");
            sleep(pause).await;
        };
        self.outcome(failed)
    }

    /// Reads one stream, to the end of the partition or to where it is cut.
    async fn stream(&mut self) -> Result<(), ReadError> {
        let patience = PATIENCE.saturating_sub(self.progress_at.elapsed());
        let mut lines = self.api.export(self.partition, self.place, patience).await?;
        loop {
            match lines.next().await? {
                Line::Page(now) if now < self.epoch => {
                    return Err(ReadError::Stale { before: self.epoch, now });
                }
                Line::Page(epoch) => self.epoch = epoch,
                Line::Conversation(part) => {
                    self.take(part)?;
                    self.progress_at = Instant::now();
                }
                Line::End => {
                    self.miss(None);
                    return Ok(());
                }
            }
        }
    }

    fn take(&mut self, part: Exported) -> Result<(), ReadError> {
        let Exported { id, head, first, entries, end } = part;
        if partition_of(id, self.total) != self.partition {
            return Err(ReadError::Elsewhere(id));
        }
        self.miss(Some(id));
        let begun = if self.place.conversation == id { self.place.after } else { Sequence::START };
        let last = entries.last().map_or(begun, |last| last.sequence);
        // Others may be in the partition that are not of this run.
        if self.expected.last() == Some(&id) {
            for entry in &entries {
                self.recorder.record(What::Stored { entry: seen::seen(entry) });
            }
            if let Some(end) = &end {
                self.expected.pop();
                self.finish(id, (first, head), last >= head, end);
            }
        }
        self.place = if end.is_some() {
            ExportPlace::behind(id)
        } else {
            ExportPlace { conversation: id, after: last }
        };
        Ok(())
    }

    /// A conversation was read to its end. Without its last entry before the head there is a hole in the
    /// store, and not everything was read.
    fn finish(
        &self,
        conversation: ConversationId,
        (first, head): (Sequence, Sequence),
        whole: bool,
        end: &ExportedEnd,
    ) {
        self.recorder.record(What::StoredAll { conversation, first, head, whole });
        for cursor in &end.receipts {
            let (user, delivered, read) = (cursor.user, cursor.delivered, cursor.read);
            self.recorder.record(What::StoredCursor { conversation, user, delivered, read });
        }
        self.recorder.record(What::StoredCursorsAll { conversation });
    }

    /// The stream has gone past these without them. Only conversations that were made are expected, so
    /// they were lost with all that was accepted in them: an answer, not the lack of one.
    fn miss(&mut self, until: Option<ConversationId>) {
        while let Some(conversation) =
            self.expected.pop_if(|id| until.is_none_or(|until| *id < until))
        {
            let (first, head) = (Sequence::START.next(), Sequence::START);
            self.recorder.record(What::StoredAll { conversation, first, head, whole: true });
            self.gone.push(conversation);
        }
    }

    fn outcome(self, failed: Option<ReadError>) -> Outcome {
        let mut doubts = Vec::new();
        for conversation in self.gone.iter().take(NAMED) {
            doubts.push(format!("conversation {conversation}: the cluster no longer knows it"));
        }
        let partition = self.partition;
        if let Some(more) = self.gone.len().checked_sub(NAMED + 1) {
            let more = more + 1;
            doubts
                .push(format!("partition {partition}: the cluster no longer knows {more} others"));
        }
        let Some(error) = failed else { return Outcome { doubts, is_silent: false } };
        let left = self.expected.len();
        for conversation in self.expected.into_iter().rev() {
            let (first, head) = (Sequence::START, Sequence::START);
            self.recorder.record(What::StoredAll { conversation, first, head, whole: false });
        }
        doubts.push(format!("partition {partition}: {left} conversations were not read: {error}"));
        Outcome { doubts, is_silent: error.may_retry() }
    }
}
