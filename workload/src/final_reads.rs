//! Reads, at the end, what the cluster has stored: the truth that everything else is compared with.

use crate::plan::Plan;
use crate::recorder::Recorder;
use crate::rest::api::QueueDepth;
use crate::rest::{Api, RestError};
use crate::seen;
use crate::targets::Targets;
use ports::Machine;
use protocol::{ConversationId, Sequence, limits};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use verify::history::What;

/// Conversations that are read at once.
const AT_ONCE: u32 = 16;
/// How long one answer is asked for again and again.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a final read is in doubt.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    /// It was made before the run, and is not there any more.
    #[error("the cluster no longer knows it")]
    Gone,
    /// It was not read.
    #[error(transparent)]
    Rest(#[from] RestError),
}

impl ReadError {
    /// Whether the cluster did not answer in time.
    const fn is_silence(&self) -> bool {
        matches!(self, Self::Rest(error) if error.may_retry())
    }
}

/// How long the cluster may go on working off what it has taken, after the load.
const QUIET_PATIENCE: Duration = Duration::from_mins(1);
/// Queues that have not become shorter for so long are not worked off any more.
const STUCK: Duration = Duration::from_secs(20);
/// So many conversations in a row without an answer end the final reads: each one took `PATIENCE`.
const SILENCE: u32 = 2 * AT_ONCE;
/// Between two looks at the queues.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Waits until no message waits in a queue, then reads every conversation whole, its cursors, the
/// dead letters, the queues and the owners. Reading earlier would miss what is accepted meanwhile.
/// Whatever does not answer is recorded as such where a history has a word for it, and returned as
/// one sentence each.
pub async fn final_reads(
    machine: Machine,
    plan: Arc<Plan>,
    targets: Targets,
    recorder: Arc<dyn Recorder>,
) -> Vec<String> {
    let api = Api::new(machine.clone(), Arc::new(targets));
    let mut all = Vec::new();
    let quiet = wait_for_quiet(&api).await;
    if quiet != Quiet::Reached {
        all.push(format!("messages are still waiting in queues {QUIET_PATIENCE:?} after the load"));
    }
    let next = Arc::new(AtomicU32::new(1));
    let silence = Arc::new(AtomicU32::new(0));
    let (doubt, mut doubts) = mpsc::channel(64);
    for _ in 0..AT_ONCE.min(plan.conversations()) {
        let (api, plan, recorder) = (api.clone(), plan.clone(), recorder.clone());
        let (next, silence, doubt) = (next.clone(), silence.clone(), doubt.clone());
        machine.spawn("final reads", async move {
            while silence.load(Ordering::Relaxed) < SILENCE {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number > plan.conversations() {
                    return;
                }
                let conversation = ConversationId(u64::from(number));
                if plan.conversation(conversation).members.is_empty() {
                    continue;
                }
                let failed = read_conversation(&api, recorder.as_ref(), conversation).await.err();
                if failed.as_ref().is_some_and(ReadError::is_silence) {
                    silence.fetch_add(1, Ordering::Relaxed);
                } else {
                    silence.store(0, Ordering::Relaxed);
                }
                if let Some(error) = failed
                    && doubt.send(format!("conversation {conversation}: {error}")).await.is_err()
                {
                    return;
                }
            }
        });
    }
    drop(doubt);
    while let Some(doubt) = doubts.recv().await {
        all.push(doubt);
    }
    if silence.load(Ordering::Relaxed) >= SILENCE {
        all.push("the final reads were abandoned: the cluster no longer answers".to_owned());
    }
    // What came meanwhile from those who were refused for a while is worked off, too.
    let quiet = wait_for_quiet(&api).await;
    for (what, outcome) in [
        ("dead letters", read_dead_letters(&api, recorder.as_ref()).await),
        ("queues", read_queues(&api, recorder.as_ref(), quiet).await),
        ("partitions", read_partitions(&api, recorder.as_ref()).await),
    ] {
        if let Err(error) = outcome {
            all.push(format!("{what}: {error}"));
        }
    }
    all
}

/// How far the queues of owners and notifiers have run empty. An owner settles a message when its entry
/// is stored and published, so an empty queue has nothing under way behind it; a notifier keeps a
/// notification for as long as it is undecided whether its member is away.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quiet {
    /// They are empty.
    Reached,
    /// They are not, but work goes on, as far as can be seen: how much is left says nothing.
    Approached,
    /// Nothing is worked off any more.
    Stuck,
}

async fn wait_for_quiet(api: &Api) -> Quiet {
    let began = Instant::now();
    let (mut least, mut least_at) = (u64::MAX, began);
    loop {
        let Ok(queues) = api.queues(PATIENCE).await else { return Quiet::Approached };
        let waiting =
            queues.iter().filter(|queue| is_worked_off(queue)).map(|queue| queue.messages);
        let waiting: u64 = waiting.sum();
        if waiting == 0 {
            return Quiet::Reached;
        }
        if waiting < least {
            (least, least_at) = (waiting, Instant::now());
        }
        if began.elapsed() >= QUIET_PATIENCE {
            return if least_at.elapsed() < STUCK { Quiet::Approached } else { Quiet::Stuck };
        }
        sleep(LOOK_AGAIN).await;
    }
}

fn is_worked_off(queue: &QueueDepth) -> bool {
    ["inbound-", "notify-"].iter().any(|kind| queue.queue.starts_with(kind))
}

async fn read_conversation(
    api: &Api,
    recorder: &dyn Recorder,
    conversation: ConversationId,
) -> Result<(), ReadError> {
    recorder.record(What::StoredBegan { conversation });
    let (mut first, mut head, mut after) = (Sequence::START, Sequence::START, Sequence::START);
    let outcome = loop {
        let page = match api.entries(conversation, after, limits::MAX_PAGE, PATIENCE).await {
            Ok(page) => page,
            // Only conversations that were made are read, so this one was lost with all that was
            // accepted in it: an answer, not the lack of one.
            Err(error) if error.is_not_found() && after == Sequence::START => {
                let (first, head) = (Sequence::START.next(), Sequence::START);
                recorder.record(What::StoredAll { conversation, first, head, whole: true });
                return Err(ReadError::Gone);
            }
            Err(error) => break Err(error),
        };
        (first, head) = (page.first, page.head);
        for entry in &page.entries {
            recorder.record(What::Stored { entry: seen::seen(entry) });
        }
        match page.entries.last() {
            Some(last) if last.sequence < head => after = last.sequence,
            // The oldest entries may have been removed by retention between two pages.
            None if after < first && first <= head => after = Sequence(first.0.max(1) - 1),
            last => {
                // An empty page before the head is a hole in the store: not everything was read.
                let whole = last.map_or(after, |last| last.sequence) >= head;
                break Ok(whole);
            }
        }
        if page.entries.is_empty() && after.next() != first {
            break Ok(false);
        }
    };
    let whole = *outcome.as_ref().unwrap_or(&false);
    recorder.record(What::StoredAll { conversation, first, head, whole });
    outcome?;
    for item in api.receipts(conversation, PATIENCE).await? {
        let (user, delivered, read) = (item.user, item.delivered, item.read);
        recorder.record(What::StoredCursor { conversation, user, delivered, read });
    }
    recorder.record(What::StoredCursorsAll { conversation });
    Ok(())
}

async fn read_dead_letters(api: &Api, recorder: &dyn Recorder) -> Result<(), RestError> {
    let mut after = 0;
    loop {
        let letters = api.dead_letters(after, limits::MAX_PAGE, PATIENCE).await?;
        let Some(last) = letters.last() else { return Ok(()) };
        // Ids rise; anything else would go round in circles.
        if last.id <= after {
            return Ok(());
        }
        after = last.id;
        for letter in &letters {
            let about = letter.record.unwrap_or_default();
            recorder.record(What::DeadLetter {
                queue: letter.queue.as_str().into(),
                reason: letter.reason.as_str().into(),
                author: about.author,
                message: about.client_message_id,
                conversation: about.conversation,
            });
        }
    }
}

async fn read_queues(api: &Api, recorder: &dyn Recorder, quiet: Quiet) -> Result<(), RestError> {
    for queue in api.queues(PATIENCE).await? {
        let messages = match quiet {
            // That it was empty was seen a moment ago.
            Quiet::Reached if is_worked_off(&queue) => 0,
            Quiet::Approached if is_worked_off(&queue) => continue,
            _ => queue.messages,
        };
        recorder.record(What::InFlight { queue: queue.queue.into(), messages });
    }
    Ok(())
}

async fn read_partitions(api: &Api, recorder: &dyn Recorder) -> Result<(), RestError> {
    for status in api.partitions(PATIENCE).await? {
        let (partition, owner, epoch) = (status.partition, status.owner, status.epoch);
        recorder.record(What::Owner { partition, owner, epoch });
    }
    Ok(())
}
