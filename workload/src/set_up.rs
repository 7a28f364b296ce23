//! Makes the plan's conversations, before anybody connects.

use crate::plan::Plan;
use crate::recorder::Recorder;
use crate::rest::bulk::{Made, NewConversations};
use crate::rest::{Api, RestError};
use crate::targets::Targets;
use ports::Machine;
use protocol::backoff::Backoff;
use protocol::{ConversationId, Sequence, limits};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use verify::history::What;

/// Requests under way at once: the owners make one batch while the next one is read.
const AT_ONCE: u32 = 4;
/// Conversations in a request, if there is room.
const BATCH: u32 = limits::MAX_BATCH as u32;
/// How long conversations are asked for again and again: a fresh cluster takes a while to be ready.
const PATIENCE: Duration = Duration::from_mins(1);
/// Before the rest of a batch is asked for again; doubles up to the longest.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// A conversation could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// The cluster did not make it.
    #[error("conversation {conversation} was not created")]
    Refused {
        /// Which.
        conversation: ConversationId,
        /// Why.
        #[source]
        source: RestError,
    },
    /// It is another cluster, or one from before there were batches.
    #[error(
        "the cluster cannot make conversations in bulk (POST /v1/conversations:batch): is it a Fracas \
         cluster, and not older than this program?"
    )]
    Unsupported(#[source] RestError),
    /// It has a history. Ids of conversations and messages begin at 1 in every run, so the cluster
    /// would take this run's messages for repetitions, and the judge would see another run's.
    #[error(
        "conversation {conversation} has {head} entries already, where a new one has {members}, its \
         members: the cluster was used before, and a run needs a fresh one (an empty data folder)"
    )]
    Used {
        /// Which.
        conversation: ConversationId,
        /// Its last sequence.
        head: Sequence,
        /// Its planned members.
        members: usize,
    },
}

/// Makes every conversation of the plan, and records each first member as asked for and added.
pub async fn set_up(
    machine: Machine,
    plan: Arc<Plan>,
    targets: Targets,
    recorder: Arc<dyn Recorder>,
) -> Result<(), SetUpError> {
    let api = Api::new(machine.clone(), Arc::new(targets));
    let next = Arc::new(AtomicU32::new(1));
    let (report, mut reports) = mpsc::channel(1);
    for _ in 0..AT_ONCE.min(plan.conversations().div_ceil(BATCH)) {
        let (next, report) = (next.clone(), report.clone());
        let making = Making {
            machine: machine.clone(),
            api: api.clone(),
            plan: plan.clone(),
            recorder: recorder.clone(),
        };
        machine.spawn("set up", async move {
            let made = making.in_turn(&next).await;
            // If nobody waits for the report, nobody waits for the conversations either.
            let _ = report.send(made).await;
        });
    }
    drop(report);
    while let Some(made) = reports.recv().await {
        made?;
    }
    Ok(())
}

struct Making {
    machine: Machine,
    api: Api,
    plan: Arc<Plan>,
    recorder: Arc<dyn Recorder>,
}

impl Making {
    async fn in_turn(&self, next: &AtomicU32) -> Result<(), SetUpError> {
        loop {
            let first = next.fetch_add(BATCH, Ordering::Relaxed);
            let last = first.saturating_add(BATCH - 1).min(self.plan.conversations());
            if first > last {
                return Ok(());
            }
            let ids = (first..=last).map(|number| ConversationId(number.into()));
            let is_planned = |id: &ConversationId| !self.plan.conversation(*id).members.is_empty();
            self.make_all(ids.filter(is_planned).collect()).await?;
        }
    }

    async fn make_all(&self, mut left: Vec<ConversationId>) -> Result<(), SetUpError> {
        for conversation in left.iter().copied() {
            for user in self.plan.conversation(conversation).members.iter().copied() {
                self.recorder.record(What::MemberAsked { conversation, user, add: true });
            }
        }
        let (began, mut backoff) = (Instant::now(), Backoff::new(PAUSE, PAUSE_MAX));
        while let Some(conversation) = left.first().copied() {
            let patience = PATIENCE.saturating_sub(began.elapsed());
            let Some(source) = self.make(&mut left, patience).await? else { continue };
            let pause = backoff.next(self.machine.entropy.next_u64());
            if began.elapsed() + pause >= PATIENCE {
                return Err(SetUpError::Refused { conversation, source });
            }
            sleep(pause).await;
        }
        Ok(())
    }

    /// Asks once for the first of these, as many as one request takes, and leaves over what was not made;
    /// then the answer is why not, and it may be yet.
    async fn make(
        &self,
        left: &mut Vec<ConversationId>,
        patience: Duration,
    ) -> Result<Option<RestError>, SetUpError> {
        let mut new = NewConversations::new();
        let count = left.iter().take_while(|id| new.push(self.plan.conversation(**id))).count();
        let asked: Vec<ConversationId> = left.drain(..count).collect();
        let refused = |conversation, source| SetUpError::Refused { conversation, source };
        let outcomes = match self.api.create(new, patience).await {
            Ok(outcomes) => outcomes,
            Err(error) if error.is_not_found() => return Err(SetUpError::Unsupported(error)),
            Err(error) => return Err(refused(asked[0], error)),
        };
        let mut why = None;
        for (conversation, outcome) in asked.into_iter().zip(outcomes) {
            match outcome.made() {
                Ok(made) => self.record(conversation, made)?,
                Err(error) if error.may_retry() => {
                    left.push(conversation);
                    why = Some(error);
                }
                Err(error) => return Err(refused(conversation, error)),
            }
        }
        Ok(why)
    }

    fn record(&self, conversation: ConversationId, made: Made) -> Result<(), SetUpError> {
        let planned = self.plan.conversation(conversation).members;
        let Made { head, members } = made;
        // The joins of its first members are its first entries.
        if head.0 > planned.len() as u64 {
            let members = planned.len();
            return Err(SetUpError::Used { conversation, head, members });
        }
        let joined = |user, sequence| {
            self.recorder.record(What::MemberChanged { conversation, user, add: true, sequence });
        };
        match members {
            None => planned.iter().zip(1..).for_each(|(user, at)| joined(*user, Sequence(at))),
            Some(members) => members
                .iter()
                .filter(|member| member.left.is_none())
                .for_each(|member| joined(member.user, member.joined)),
        }
        Ok(())
    }
}
