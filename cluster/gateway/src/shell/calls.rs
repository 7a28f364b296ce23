//! Makes the hub's calls, in the order in which the hub decided on them, and brings the answers back.

use super::front::Front;
use crate::core::Call;
use crate::core::calls::{AttachCall, LookupCall, PublishRef, RangeCall};
use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use ports::broker::{Confirms, Inbound, PublishError};
use ports::{BoxFuture, CallError, Conversations};
use protocol::store_calls::{AttachedItem, RangePage, UserConversation};
use protocol::{Partition, UserId};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Before the owners are asked again whether they are there.
const PROBE: Duration = Duration::from_millis(100);
/// Users are numbered from 1.
const NOBODY: UserId = UserId(0);

/// Publications in one batch.
const BATCH: usize = 256;

/// Whose messages, and the messages.
type Batch = (Vec<PublishRef>, Vec<(Partition, Bytes)>);

enum Answer {
    Published(Vec<PublishRef>, Confirms),
    LookedUp(LookupCall, Result<Vec<UserConversation>, CallError>),
    Attached(AttachCall, Vec<AttachedItem>),
    Ranged(RangeCall, Result<RangePage, CallError>),
}

/// The one task that talks to the broker's publishing side and to the owners.
pub struct Caller {
    front: Arc<Front>,
    inbound: Arc<dyn Inbound>,
    conversations: Arc<dyn Conversations>,
    under_way: FuturesUnordered<BoxFuture<'static, Answer>>,
}

impl Caller {
    /// A caller.
    pub fn new(
        front: Arc<Front>,
        inbound: Arc<dyn Inbound>,
        conversations: Arc<dyn Conversations>,
    ) -> Self {
        Self { front, inbound, conversations, under_way: FuturesUnordered::new() }
    }

    /// Runs for ever.
    pub async fn run(mut self) {
        let front = self.front.clone();
        loop {
            tokio::select! {
                biased;
                Some(answer) = self.under_way.next() => self.bring(answer),
                calls = front.calls() => self.make(calls),
            }
        }
    }

    fn make(&mut self, calls: Vec<Call>) {
        let mut batch: Batch = Default::default();
        for call in calls {
            match call {
                Call::Publish(call) => {
                    batch.0.push(call.of);
                    batch.1.push((call.partition, call.message));
                    if batch.0.len() >= BATCH {
                        self.publish(std::mem::take(&mut batch));
                    }
                }
                Call::OfUsers(call) => {
                    let answer = self.conversations.of_users(call.users.clone());
                    self.expect(async move { Answer::LookedUp(call, answer.await) });
                }
                Call::Attach(call) => {
                    let answer = self.conversations.attach(call.items());
                    self.expect(async move { Answer::Attached(call, answer.await) });
                }
                Call::Range(call) => {
                    let answer = self.conversations.range(call.query);
                    self.expect(async move { Answer::Ranged(call, answer.await) });
                }
                Call::Detach(items) => self.conversations.detach(items),
                Call::Receipts(items) => self.conversations.receipts(items),
                Call::Typing(conversation, user) => self.conversations.typing(conversation, user),
            }
        }
        self.publish(batch);
    }

    fn publish(&mut self, (refs, messages): Batch) {
        if !refs.is_empty() {
            let confirms = self.inbound.publish(messages);
            self.expect(async move { Answer::Published(refs, confirms.await) });
        }
    }

    fn expect(&mut self, answer: impl Future<Output = Answer> + Send + 'static) {
        self.under_way.push(Box::pin(answer));
    }

    fn bring(&self, answer: Answer) {
        self.front.with(|hub| match answer {
            Answer::Published(refs, confirms) => {
                // A confirm that is missing says nothing.
                let missing = std::iter::repeat(Err(PublishError::Unknown));
                for (of, confirm) in refs.into_iter().zip(confirms.into_iter().chain(missing)) {
                    hub.published(of, confirm);
                }
            }
            Answer::LookedUp(call, found) => hub.looked_up(&call, found),
            Answer::Attached(call, answers) => hub.attached(call, answers),
            Answer::Ranged(call, page) => hub.ranged(&call, page),
        });
    }
}

/// Asks every owner, as a login does, until all have answered: before, the gateway is not ready.
pub async fn reach(front: Arc<Front>, conversations: Arc<dyn Conversations>) {
    while conversations.of_users(vec![NOBODY]).await.is_err() {
        sleep(PROBE).await;
    }
    front.reached_all();
}
