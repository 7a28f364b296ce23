//! Reads, at the end, what the cluster has stored: the truth that everything else is compared with.

mod partition;

use crate::plan::Plan;
use crate::recorder::Recorder;
use crate::rest::api::{DeadLetter, Partitions, QueueDepth};
use crate::rest::{Api, RestError};
use crate::targets::Targets;
use partition::{Outcome, Reading};
use ports::Machine;
use protocol::partition::partition_of;
use protocol::{ConversationId, Partition, limits};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use verify::history::What;

/// Partitions that are read at once.
const AT_ONCE: u32 = 8;
/// How long one answer is asked for again and again.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the cluster may go on working off what it has taken, after the load.
const QUIET_PATIENCE: Duration = Duration::from_mins(1);
/// Queues that have not become shorter for so long are not worked off any more.
const STUCK: Duration = Duration::from_secs(20);
/// So many partitions in a row without an answer end the final reads: each took half a minute.
const SILENCE: u32 = 2 * AT_ONCE;
/// How long the dead letters and the depth of their queue may take to agree, and the name of that queue.
const AGREED: Duration = Duration::from_secs(15);
const DEAD: &str = "dead";
/// Between two looks at the queues.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// The conversations to read.
struct Wanted {
    plan: Arc<Plan>,
    /// Made during the run; none of the plan's.
    made: BTreeSet<ConversationId>,
}

impl Wanted {
    /// Those in a partition of `total`, ascending.
    fn of(&self, partition: Partition, total: u16) -> impl Iterator<Item = ConversationId> {
        let is_planned = |id: &ConversationId| !self.plan.conversation(*id).members.is_empty();
        let ids = (1..=u64::from(self.plan.conversations())).map(ConversationId);
        ids.filter(move |id| partition_of(*id, total) == partition).filter(is_planned).chain(
            self.made.iter().copied().filter(move |id| partition_of(*id, total) == partition),
        )
    }
}

/// Waits until no message waits in a queue, then reads every conversation whole, its cursors, the
/// dead letters, the queues and the owners; beside the conversations of the plan those that were made during
/// the run. Reading earlier would miss what is accepted meanwhile.
/// Whatever does not answer is recorded as such where a history has a word for it, and returned as
/// one sentence each.
pub async fn final_reads(
    machine: Machine,
    plan: Arc<Plan>,
    targets: Targets,
    recorder: Arc<dyn Recorder>,
    made: BTreeSet<ConversationId>,
) -> Vec<String> {
    let api = Api::new(machine.clone(), Arc::new(targets));
    let mut all = Vec::new();
    match wait_for_quiet(&api).await {
        Ok(Quiet::Reached) => {}
        Ok(Quiet::Approached | Quiet::Stuck) => all.push(format!(
            "messages are still waiting in queues {QUIET_PATIENCE:?} after the load"
        )),
        Err(error) => all.push(format!("how many messages wait in queues: {error}")),
    }
    let wanted = Arc::new(Wanted { plan, made });
    all.extend(read_all((&machine, &api), &wanted, &recorder).await);
    // What came meanwhile from those who were refused for a while is worked off, too.
    let quiet = wait_for_quiet(&api).await.unwrap_or(Quiet::Approached);
    for (what, outcome) in [
        ("dead letters and queues", read_queues(&api, recorder.as_ref(), quiet).await),
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

async fn wait_for_quiet(api: &Api) -> Result<Quiet, RestError> {
    let began = Instant::now();
    let (mut least, mut least_at) = (u64::MAX, began);
    loop {
        let queues = api.queues(PATIENCE).await?;
        let waiting =
            queues.iter().filter(|queue| is_worked_off(queue)).map(|queue| queue.messages);
        let waiting: u64 = waiting.sum();
        if waiting == 0 {
            return Ok(Quiet::Reached);
        }
        if waiting < least {
            (least, least_at) = (waiting, Instant::now());
        }
        if began.elapsed() >= QUIET_PATIENCE {
            let goes_on = least_at.elapsed() < STUCK;
            return Ok(if goes_on { Quiet::Approached } else { Quiet::Stuck });
        }
        sleep(LOOK_AGAIN).await;
    }
}

fn is_worked_off(queue: &QueueDepth) -> bool {
    ["inbound-", "notify-"].iter().any(|kind| queue.queue.starts_with(kind))
}

/// Reads all partitions, so many at a time; what is in doubt.
async fn read_all(
    (machine, api): (&Machine, &Api),
    wanted: &Arc<Wanted>,
    recorder: &Arc<dyn Recorder>,
) -> Vec<String> {
    let total = match api.partitions(PATIENCE).await {
        Ok(Partitions { total: 0, .. }) => {
            return vec![
                "the cluster does not say how many partitions it has: it is older than this program, or \
                 another one, and cannot be read in bulk"
                    .to_owned(),
            ];
        }
        Ok(partitions) => partitions.total,
        Err(error) => return vec![format!("the number of partitions: {error}")],
    };
    let next = Arc::new(AtomicU32::new(0));
    let silence = Arc::new(AtomicU32::new(0));
    let (doubt, mut doubts) = mpsc::channel(64);
    for _ in 0..AT_ONCE.min(total.into()) {
        let (machine, api, wanted) = (machine.clone(), api.clone(), wanted.clone());
        let (recorder, next) = (recorder.clone(), next.clone());
        let (silence, doubt) = (silence.clone(), doubt.clone());
        machine.clone().spawn("final reads", async move {
            while silence.load(Ordering::Relaxed) < SILENCE
                && let Ok(number) = u16::try_from(next.fetch_add(1, Ordering::Relaxed))
                && number < total
            {
                let which = (Partition(number), total);
                let access = (machine.clone(), api.clone());
                let Outcome { doubts, is_silent } =
                    Reading::read(access, &wanted, recorder.clone(), which).await;
                if is_silent {
                    silence.fetch_add(1, Ordering::Relaxed);
                } else {
                    silence.store(0, Ordering::Relaxed);
                }
                for one in doubts {
                    if doubt.send(one).await.is_err() {
                        return;
                    }
                }
            }
        });
    }
    drop(doubt);
    let mut all = Vec::new();
    while let Some(doubt) = doubts.recv().await {
        all.push(doubt);
    }
    if silence.load(Ordering::Relaxed) >= SILENCE {
        all.push("the final reads were abandoned: the cluster no longer answers".to_owned());
    }
    all
}

/// The dead letters and the queues, until as many letters are listed as their queue is said to have, or for a
/// while: a list may put in order what it finds, and RabbitMQ counts its queues every five seconds.
async fn read_queues(api: &Api, recorder: &dyn Recorder, quiet: Quiet) -> Result<(), RestError> {
    let began = Instant::now();
    let (letters, queues) = loop {
        let letters = dead_letters(api).await?;
        let queues = api.queues(PATIENCE).await?;
        let told = queues.iter().find(|queue| queue.queue == DEAD).map_or(0, |dead| dead.messages);
        if told <= letters.len() as u64 || began.elapsed() >= AGREED {
            break (letters, queues);
        }
        // A list costs more than a look.
        sleep(5 * LOOK_AGAIN).await;
    };
    for letter in letters {
        let about = letter.record.unwrap_or_default();
        recorder.record(What::DeadLetter {
            queue: letter.queue.as_str().into(),
            reason: letter.reason.as_str().into(),
            author: about.author,
            message: about.client_message_id,
            conversation: about.conversation,
        });
    }
    for queue in queues {
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

/// All dead letters, page by page.
async fn dead_letters(api: &Api) -> Result<Vec<DeadLetter>, RestError> {
    let mut all: Vec<DeadLetter> = Vec::new();
    loop {
        let after = all.last().map_or(0, |last| last.id);
        let letters = api.dead_letters(after, limits::MAX_PAGE, PATIENCE).await?;
        // Ids rise; anything else would go round in circles.
        if letters.last().is_none_or(|last| last.id <= after) {
            return Ok(all);
        }
        all.extend(letters);
    }
}

async fn read_partitions(api: &Api, recorder: &dyn Recorder) -> Result<(), RestError> {
    for status in api.partitions(PATIENCE).await?.partitions {
        let (partition, owner, epoch) = (status.partition, status.owner, status.epoch);
        recorder.record(What::Owner { partition, owner, epoch });
    }
    Ok(())
}
