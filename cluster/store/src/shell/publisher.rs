//! Publishes what the owner decided, in its order, and settles deliveries once it is confirmed.
//!
//! Several posts are under way at a time. When one of them is not confirmed, nothing new is published
//! until everything under way is resolved and the unconfirmed publications were repeated, together
//! and in their order: so a connection that breaks does not let a later entry overtake an earlier one.
//! Repeated publications may arrive twice; receivers drop by sequence.

use super::input::{Input, Subscribed};
use ports::broker::{Confirms, Publication};
use ports::{BoxFuture, Broker, Machine, PublishError, Queue, Settlement};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// The first pause before unconfirmed publications are repeated; doubles up to the longest.
const PAUSE: Duration = Duration::from_millis(20);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Publications of one instant, and the deliveries that are done once they are confirmed.
pub struct Post {
    /// For the broker.
    pub publications: Vec<Publication>,
    /// By subscription.
    pub settlements: BTreeMap<Subscribed, Vec<Settlement>>,
}

/// For a subscriber: settlements of one of its subscriptions.
pub type SettleOrder = (Subscribed, Vec<Settlement>);

/// The task's belongings.
pub struct Publisher {
    /// The node's machine, for jitter and numbers.
    pub machine: Machine,
    /// Where to publish.
    pub broker: Arc<dyn Broker>,
    /// The owner's posts, in order.
    pub posts: mpsc::UnboundedReceiver<Post>,
    /// The subscribers.
    pub settle: BTreeMap<protocol::Partition, mpsc::UnboundedSender<SettleOrder>>,
    /// Told of every confirmed post.
    pub owner: mpsc::UnboundedSender<Input>,
}

struct UnderWay {
    post: Post,
    confirms: BoxFuture<'static, Confirms>,
}

impl Publisher {
    /// Runs until the owner is gone.
    pub async fn run(mut self) {
        let mut under_way: VecDeque<UnderWay> = VecDeque::new();
        loop {
            let first = under_way.front_mut();
            tokio::select! {
                biased;
                confirms = async {
                    match first {
                        Some(first) => (&mut first.confirms).await,
                        None => std::future::pending().await,
                    }
                } => {
                    let Some(UnderWay { mut post, .. }) = under_way.pop_front() else { continue };
                    self.keep_unconfirmed(&mut post.publications, &confirms);
                    if post.publications.is_empty() {
                        self.done(post.settlements);
                    } else {
                        self.repeat(post, &mut under_way).await;
                    }
                }
                post = self.posts.recv() => match post {
                    Some(post) => under_way.push_back(self.publish(post)),
                    None => return,
                },
            }
        }
    }

    fn publish(&self, post: Post) -> UnderWay {
        let confirms = if post.publications.is_empty() {
            Box::pin(std::future::ready(Vec::new()))
        } else {
            self.broker.publish(post.publications.clone())
        };
        UnderWay { post, confirms }
    }

    /// Resolves everything under way, then repeats what is unconfirmed until nothing is.
    async fn repeat(&self, first: Post, under_way: &mut VecDeque<UnderWay>) {
        let mut posts = vec![first];
        for UnderWay { mut post, confirms } in under_way.drain(..) {
            self.keep_unconfirmed(&mut post.publications, &confirms.await);
            posts.push(post);
        }
        let mut unconfirmed = Vec::new();
        let mut settlements = Vec::new();
        for post in posts {
            unconfirmed.extend(post.publications);
            settlements.push(post.settlements);
        }
        let mut pause = PAUSE;
        while !unconfirmed.is_empty() {
            self.machine.telemetry.count("store_publications_repeated", unconfirmed.len() as u64);
            let jitter = self.machine.entropy.below(pause.as_millis() as u64 + 1);
            tokio::time::sleep(pause / 2 + Duration::from_millis(jitter / 2)).await;
            pause = (pause * 2).min(PAUSE_MAX);
            let confirms = self.broker.publish(unconfirmed.clone()).await;
            self.keep_unconfirmed(&mut unconfirmed, &confirms);
        }
        for settlements in settlements {
            self.done(settlements);
        }
    }

    fn done(&self, settlements: BTreeMap<Subscribed, Vec<Settlement>>) {
        for (subscribed, settlements) in settlements {
            if let Some(subscriber) = self.settle.get(&subscribed.partition) {
                // Both ends live in the same node; at its end neither is missed.
                let _ = subscriber.send((subscribed, settlements));
            }
        }
        let _ = self.owner.send(Input::Confirmed);
    }

    /// Keeps what must be repeated. A gateway's queue that is gone or full is the gateway's to repair;
    /// a full durable queue is waited for.
    fn keep_unconfirmed(&self, publications: &mut Vec<Publication>, confirms: &Confirms) {
        let mut confirms = confirms.iter();
        let mut nowhere = 0;
        publications.retain(|publication| {
            let to_gateway = matches!(publication.to.queue, Queue::Gateway(..));
            match confirms.next() {
                Some(Ok(())) => false,
                Some(Err(PublishError::Unroutable)) => {
                    nowhere += u64::from(!to_gateway);
                    false
                }
                Some(Err(PublishError::Full)) => !to_gateway,
                // A broker that confirms too few has confirmed nothing of the rest.
                Some(Err(PublishError::Unknown)) | None => true,
            }
        });
        if nowhere > 0 {
            // Durable queues are made with the cluster: this is a fault of its configuration.
            tracing::error!(publications = nowhere, "no such durable queue");
            self.machine.telemetry.count("store_publications_unroutable", nowhere);
        }
    }
}
