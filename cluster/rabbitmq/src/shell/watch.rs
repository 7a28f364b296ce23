//! Looks after a silent consumer: asks its queue, on its own channel, how many messages are ready.
//!
//! The answer comes behind every delivery that RabbitMQ has sent on this channel, so what is under way is never
//! taken for missing.

use crate::core::silence::{Next, Progress, Silence};
use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use ports::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::{Instant, sleep_until};

/// The watch over one consumer.
pub struct Watch {
    channel: Channel,
    queue: String,
    began: Instant,
    silence: Silence,
    delivered: u64,
    settled: Settled,
    question: Option<BoxFuture<'static, u32>>,
}

/// How many deliveries were acknowledged.
#[derive(Clone, Default)]
pub struct Settled(Arc<AtomicU64>);

impl Settled {
    /// One was, or all up to a tag: tags count the deliveries of a channel from 1. Whoever acknowledges up to a
    /// tag acknowledges nothing singly.
    pub fn count(&self, tag: u64, multiple: bool) {
        if multiple {
            self.0.fetch_max(tag, Ordering::Relaxed);
        } else {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Watch {
    /// Over a consumer that begins now.
    pub fn new(channel: Channel, queue: &str, prefetch: u16, settled: Settled) -> Self {
        let (began, silence) = (Instant::now(), Silence::new(prefetch));
        let queue = queue.to_owned();
        Self { channel, queue, began, silence, delivered: 0, settled, question: None }
    }

    /// So many deliveries were taken.
    pub fn delivered(&mut self, count: usize) {
        self.delivered += count as u64;
    }

    /// Ends when the consumer is to be replaced. To be polled only while nothing is there to be taken. Cancel
    /// safe.
    pub async fn lost(&mut self) {
        loop {
            if let Some(question) = &mut self.question {
                let ready = question.await;
                self.question = None;
                if self.silence.answered(self.began.elapsed(), self.progress(), ready) {
                    let queue = &self.queue;
                    tracing::warn!(queue, ready, "what is ready does not come: consuming anew");
                    return;
                }
            }
            match self.silence.next(self.began.elapsed(), self.progress()) {
                Next::Wait(until) => sleep_until(self.began + until).await,
                Next::Ask => self.question = Some(self.ask()),
            }
        }
    }

    fn progress(&self) -> Progress {
        let settled = self.settled.0.load(Ordering::Relaxed);
        Progress { delivered: self.delivered, settled }
    }

    /// How many messages are ready; none if the queue has no leader, or if it cannot be asked: then the channel
    /// is gone, which its consumer notices by itself.
    fn ask(&self) -> BoxFuture<'static, u32> {
        let (channel, queue) = (self.channel.clone(), self.queue.as_str().into());
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        Box::pin(async move {
            let answer = channel.queue_declare(queue, options, FieldTable::default()).await;
            answer.map_or(0, |queue| queue.message_count())
        })
    }
}
