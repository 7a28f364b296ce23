//! Calls that only read: answered from one view of the engine, beside the commits.
//!
//! What a caller was told is durable by then, so a view that is taken later always shows it.

use crate::config::StoreConfig;
use crate::core::conversation::Conversation;
use crate::core::{missed, pages};
use crate::wire::{Answer, Call};
use ports::CallError;
use ports::conversations::Refusal;
use ports::message_store::{MessageStore, StoreError, StoreView};
use protocol::store_calls::PushRef;
use protocol::{ConversationId, Partition, UserId, partition};

/// Answers a call that only reads; blocks.
pub fn answer(store: &dyn MessageStore, config: &StoreConfig, call: &Call) -> Answer {
    let answered = store.view().and_then(|view| answer_from(&*view, config, call));
    match answered {
        Ok(Ok(answer)) => answer,
        Ok(Err(refusal)) => Answer::Failed(CallError::Refused(refusal)),
        Err(error) => {
            tracing::warn!(%error, "a read failed");
            Answer::Failed(CallError::Unavailable)
        }
    }
}

fn answer_from(
    view: &dyn StoreView,
    config: &StoreConfig,
    call: &Call,
) -> Result<Result<Answer, Refusal>, StoreError> {
    let home = |id: ConversationId| partition::partition_of(id, config.partitions_total);
    match call {
        Call::OfUsers(users) => {
            let mut all = Vec::new();
            for user in users {
                all.extend(view.conversations_of(*user)?);
            }
            Ok(Ok(Answer::OfUsers(all)))
        }
        Call::Range(query) => {
            Ok(pages::range(view, home(query.conversation), query)?.map(Answer::Page))
        }
        Call::Info(id, user) => {
            Ok(seen_by(view, home(*id), *id, *user)?.map(|found| Answer::Info(found.info(*id))))
        }
        Call::Cursors(id, user) => match seen_by(view, home(*id), *id, *user)? {
            Ok(_) => Ok(Ok(Answer::Cursors(view.cursors(*id)?))),
            Err(refusal) => Ok(Err(refusal)),
        },
        Call::Attach(_)
        | Call::Create(_)
        | Call::ChangeMember(_)
        | Call::Pushes(_)
        | Call::Status => {
            unreachable!("the link server sends these elsewhere")
        }
    }
}

/// Which of these pushes are of use; `None`: the engine cannot say now. Blocks.
pub fn open(store: &dyn MessageStore, pushes: Vec<PushRef>) -> Option<Vec<(PushRef, bool)>> {
    let answered = store.view().and_then(|view| {
        pushes.into_iter().map(|push| Ok((push, missed::is_open(&*view, &push)?))).collect()
    });
    answered.inspect_err(|error| tracing::warn!(%error, "a read failed")).ok()
}

/// The conversation, if a service asks or a member. To a stranger there is none; a former member is
/// told so.
fn seen_by(
    view: &dyn StoreView,
    partition: Partition,
    id: ConversationId,
    user: Option<UserId>,
) -> Result<Result<Conversation, Refusal>, StoreError> {
    let Some(found) = Conversation::load(view, partition, id)? else {
        return Ok(Err(Refusal::NoSuchConversation));
    };
    Ok(match user {
        None => Ok(found),
        Some(user) if found.joined(user).is_some() => Ok(found),
        Some(user) if found.intervals(user).is_empty() => Err(Refusal::NoSuchConversation),
        Some(_) => Err(Refusal::NotMember),
    })
}
