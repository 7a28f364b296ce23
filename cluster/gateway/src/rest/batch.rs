//! Many conversations in one request: for services that prepare much.
//!
//! A request that cannot be understood is refused as a whole, and says which item it is about; what the
//! owners then say of each conversation stands beside it.

use super::Rest;
use super::caller::{ADMIN, Caller, Role};
use super::conversations::NewConversation;
use super::input::{self, Fields, Json};
use super::problem::{Kind, Problem};
use axum::extract::State;
use axum::response::Json as Answer;
use ports::CallError;
use protocol::ids::MAX_CLIENT_CHOSEN_ID;
use protocol::store_calls::{CreateConversation, CreatedConversation, Membership};
use protocol::{ConversationId, Sequence, UserId, limits};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What new conversations are to be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    conversations: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct Item {
    id: ConversationId,
    kind: String,
    members: Vec<UserId>,
    creator: Option<UserId>,
}

/// The same, as far as it must be known to say what is wrong with it.
#[derive(Deserialize)]
struct Anything {
    conversations: Vec<Value>,
}

impl Fields for Anything {
    const FIELDS: &'static [&'static str] = Batch::FIELDS;
}

impl Fields for Batch {
    const FIELDS: &'static [&'static str] = &["conversations"];

    fn read(body: &[u8]) -> Result<Self, Problem> {
        serde_json::from_slice(body).map_err(|error| why(body, &error))
    }
}

/// What is wrong with a body that cannot be read, and with which item.
fn why(body: &[u8], error: &serde_json::Error) -> Problem {
    let Anything { conversations } = match input::parse(body) {
        Ok(anything) => anything,
        Err(problem) => return problem,
    };
    let wrong = |item: Value| serde_json::from_value::<Item>(item).err();
    let mut wrong = conversations.into_iter().map(wrong).enumerate();
    let first = wrong.find_map(|(place, error)| {
        let problem = Problem::new(Kind::Unprocessable, error?.to_string());
        Some(problem.of_item(place))
    });
    // Only a field that stands twice is lost when its object is read as a map.
    first.unwrap_or_else(|| Problem::new(Kind::Malformed, error.to_string()))
}

/// What became of each, in their order.
#[derive(Serialize)]
pub struct Outcomes {
    outcomes: Vec<Outcome>,
}

#[derive(Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Outcome {
    /// Its members have joined in their order, the first at 1.
    Created {
        id: ConversationId,
        head: Sequence,
    },
    /// It was made before, and may have changed since.
    Exists {
        id: ConversationId,
        head: Sequence,
        members: Vec<Membership>,
    },
    Refused {
        id: ConversationId,
        problem: Problem,
    },
}

impl Outcome {
    fn of(id: ConversationId, outcome: Result<CreatedConversation, CallError>) -> Self {
        match outcome {
            Ok(CreatedConversation { is_new: true, info }) => Self::Created { id, head: info.head },
            Ok(CreatedConversation { is_new: false, info }) => {
                Self::Exists { id, head: info.head, members: info.members }
            }
            Err(error) => Self::Refused { id, problem: error.into() },
        }
    }
}

/// `POST /v1/conversations:batch`
pub async fn create(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
    Json(batch): Json<Batch>,
) -> Result<Answer<Outcomes>, Problem> {
    caller.service(&[ADMIN])?;
    let requests = batch.requests()?;
    let ids: Vec<ConversationId> = requests.iter().map(|request| request.conversation).collect();
    let outcomes = rest.state.conversations.create(requests).await;
    let outcomes = ids.into_iter().zip(outcomes).map(|(id, outcome)| Outcome::of(id, outcome));
    Ok(Answer(Outcomes { outcomes: outcomes.collect() }))
}

impl Batch {
    /// The requests to the owners, if all of them can be granted.
    fn requests(self) -> Result<Vec<CreateConversation>, Problem> {
        if self.conversations.len() > limits::MAX_BATCH {
            let most = limits::MAX_BATCH;
            return Err(Problem::new(Kind::Unprocessable, format!("at most {most} conversations")));
        }
        let mut seen = BTreeSet::new();
        let items = self.conversations.into_iter().enumerate();
        items
            .map(|(place, Item { id, kind, members, creator })| {
                let wrong = |detail| Err(Problem::new(Kind::Unprocessable, detail));
                let request = if !(1..=MAX_CLIENT_CHOSEN_ID).contains(&id.0) {
                    wrong(format!("id is a number from 1 to {MAX_CLIENT_CHOSEN_ID}"))
                } else if !seen.insert(id) {
                    wrong(format!("the id {id} stands twice"))
                } else {
                    NewConversation { kind, members, creator }.request(id, Role::Service)
                };
                request.map_err(|problem: Problem| problem.of_item(place))
            })
            .collect()
    }
}
