//! Makes the plan's conversations, before anybody connects.

use crate::plan::Plan;
use crate::recorder::Recorder;
use crate::rest::{Api, RestError};
use crate::targets::Targets;
use ports::Machine;
use protocol::{ConversationId, Sequence, UserId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use verify::history::What;

/// Requests under way at once.
const AT_ONCE: u32 = 32;
/// How long one conversation is asked for again and again: a fresh cluster takes a while to be ready.
const PATIENCE: Duration = Duration::from_mins(1);

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
    for _ in 0..AT_ONCE.min(plan.conversations()) {
        let (api, plan, recorder) = (api.clone(), plan.clone(), recorder.clone());
        let (next, report) = (next.clone(), report.clone());
        machine.spawn("set up", async move {
            let made = make_in_turn(&api, &plan, recorder.as_ref(), &next).await;
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

async fn make_in_turn(
    api: &Api,
    plan: &Plan,
    recorder: &dyn Recorder,
    next: &AtomicU32,
) -> Result<(), SetUpError> {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number > plan.conversations() {
            return Ok(());
        }
        let conversation = ConversationId(u64::from(number));
        make(api, plan, recorder, conversation).await?;
    }
}

async fn make(
    api: &Api,
    plan: &Plan,
    recorder: &dyn Recorder,
    conversation: ConversationId,
) -> Result<(), SetUpError> {
    let planned = plan.conversation(conversation);
    if planned.members.is_empty() {
        return Ok(());
    }
    let asked = |user: UserId| What::MemberAsked { conversation, user, add: true };
    for user in planned.members {
        recorder.record(asked(*user));
    }
    let made = api.create(planned, PATIENCE).await;
    let info = made.map_err(|source| SetUpError::Refused { conversation, source })?;
    let (head, members) = (info.head, planned.members.len());
    // The joins of its first members are its first entries.
    if head.0 > members as u64 {
        return Err(SetUpError::Used { conversation, head, members });
    }
    for member in info.members.iter().filter(|member| member.left.is_none()) {
        let (user, sequence) = (member.user, member.joined);
        recorder.record(What::MemberChanged { conversation, user, add: true, sequence });
    }
    Ok(())
}
