//! Publishes what the owner decided, in its order, and acknowledges deliveries once it is confirmed.
//!
//! Several posts are under way at a time. When one of them is not confirmed, nothing new is published
//! until everything under way is resolved and what is unconfirmed was repeated, together and in its
//! order: so a connection that breaks does not let a later entry overtake an earlier one. What is
//! repeated may arrive twice; receivers drop by sequence, and dead letters have keys.
//!
//! A broker that has no room for a job or a dead letter has shed it, and counted it: that is an answer,
//! and nothing waits for it. The chat does not depend on a push provider, nor on who empties the dead
//! letters.

use super::input::{Consumer, Input};
use super::round::Settlements;
use super::steps::FannedOut;
use ports::broker::{Brokers, Confirms, FanoutMessage, Job, PublishError};
use ports::{BoxFuture, Machine};
use protocol::backoff::Backoff;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::sync::mpsc;

/// The first pause before unconfirmed publications are repeated; doubles up to the longest.
const PAUSE: Duration = Duration::from_millis(20);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// What is published in one instant, and the deliveries that are done once it is confirmed.
#[derive(Default)]
pub struct Post {
    /// For gateways.
    pub messages: Vec<FanoutMessage>,
    /// For notifiers.
    pub jobs: Vec<Job>,
    /// Of the deliveries that led to it.
    pub settlements: Settlements,
    /// Of these, the traced ones.
    pub traced: FannedOut,
}

/// For a subscriber: up to where one of its subscriptions is done.
pub type Acknowledgement = (Consumer, u64);

/// The task's belongings.
pub struct Publisher {
    /// The node's machine, for jitter and numbers.
    pub machine: Machine,
    /// Where to publish.
    pub brokers: Brokers,
    /// The owner's posts, in order.
    pub posts: mpsc::UnboundedReceiver<Post>,
    /// The subscribers.
    pub done: BTreeMap<protocol::Partition, mpsc::UnboundedSender<Acknowledgement>>,
    /// Told of every confirmed post.
    pub owner: mpsc::UnboundedSender<Input>,
}

struct UnderWay {
    post: Post,
    confirmed: BoxFuture<'static, Confirmed>,
}

/// What the broker said of a post.
struct Confirmed {
    messages: bool,
    jobs: Confirms,
    dead: Confirms,
}

impl Post {
    fn is_confirmed(&self) -> bool {
        self.messages.is_empty() && self.jobs.is_empty() && self.settlements.dead.is_empty()
    }

    /// Keeps what must be repeated.
    fn keep_unconfirmed(&mut self, confirmed: &Confirmed) {
        if confirmed.messages {
            self.messages.clear();
        }
        keep_unconfirmed(&mut self.jobs, &confirmed.jobs);
        keep_unconfirmed(&mut self.settlements.dead, &confirmed.dead);
    }

    /// One post of two, for everything but the acknowledgements.
    fn append(&mut self, mut later: Self) {
        self.messages.append(&mut later.messages);
        self.jobs.append(&mut later.jobs);
        self.settlements.dead.append(&mut later.settlements.dead);
        self.traced.append(&mut later.traced);
    }

    fn len(&self) -> usize {
        self.messages.len() + self.jobs.len() + self.settlements.dead.len()
    }
}

/// A broker that confirms too few has confirmed nothing of the rest.
fn keep_unconfirmed<T>(items: &mut Vec<T>, confirms: &Confirms) {
    let mut confirms = confirms.iter();
    items.retain(|_| matches!(confirms.next(), None | Some(Err(PublishError::Unknown))));
}

impl Publisher {
    /// Runs until the owner is gone.
    pub async fn run(mut self) {
        let mut under_way: VecDeque<UnderWay> = VecDeque::new();
        loop {
            let first = under_way.front_mut();
            tokio::select! {
                biased;
                confirmed = async {
                    match first {
                        Some(first) => (&mut first.confirmed).await,
                        None => std::future::pending().await,
                    }
                } => {
                    let Some(UnderWay { mut post, .. }) = under_way.pop_front() else { continue };
                    post.keep_unconfirmed(&confirmed);
                    if post.is_confirmed() {
                        post.traced.confirmed(&self.machine);
                        self.done(post.settlements.through);
                    } else {
                        self.repeat(post, &mut under_way).await;
                    }
                }
                post = self.posts.recv() => match post {
                    Some(post) => {
                        let confirmed = self.publish(&post);
                        under_way.push_back(UnderWay { post, confirmed });
                    }
                    None => return,
                },
            }
        }
    }

    /// Everything is in line when this returns.
    fn publish(&self, post: &Post) -> BoxFuture<'static, Confirmed> {
        let Brokers { fanout, jobs, dead_letters, .. } = &self.brokers;
        let messages = (!post.messages.is_empty()).then(|| fanout.publish(post.messages.clone()));
        let jobs = (!post.jobs.is_empty()).then(|| jobs.publish(post.jobs.clone()));
        let dead: Vec<_> =
            post.settlements.dead.iter().map(|dead| dead_letters.put(dead.clone())).collect();
        Box::pin(async move {
            let mut confirmed = Confirmed { messages: true, jobs: Vec::new(), dead: Vec::new() };
            if let Some(messages) = messages {
                confirmed.messages = messages.await.is_ok();
            }
            if let Some(jobs) = jobs {
                confirmed.jobs = jobs.await;
            }
            for dead in dead {
                confirmed.dead.push(dead.await);
            }
            confirmed
        })
    }

    /// Resolves everything under way, then repeats what is unconfirmed until nothing is.
    async fn repeat(&self, first: Post, under_way: &mut VecDeque<UnderWay>) {
        let mut posts = vec![first];
        for UnderWay { mut post, confirmed } in under_way.drain(..) {
            post.keep_unconfirmed(&confirmed.await);
            posts.push(post);
        }
        let mut all_through = Vec::new();
        let mut unconfirmed = Post::default();
        for mut post in posts {
            all_through.push(std::mem::take(&mut post.settlements.through));
            unconfirmed.append(post);
        }
        let mut backoff = Backoff::new(PAUSE, PAUSE_MAX);
        while !unconfirmed.is_confirmed() {
            self.machine.telemetry.count("store_publications_repeated", unconfirmed.len() as u64);
            tokio::time::sleep(backoff.next(self.machine.entropy.next_u64())).await;
            let confirmed = self.publish(&unconfirmed).await;
            unconfirmed.keep_unconfirmed(&confirmed);
        }
        unconfirmed.traced.confirmed(&self.machine);
        for through in all_through {
            self.done(through);
        }
    }

    fn done(&self, through: BTreeMap<Consumer, u64>) {
        for (consumer, through) in through {
            if let Some(subscriber) = self.done.get(&consumer.partition) {
                // Both ends live in the same node; at its end neither is missed.
                let _ = subscriber.send((consumer, through));
            }
        }
        let _ = self.owner.send(Input::Confirmed);
    }
}
