//! A line of messages to be published, and the task that publishes them on a channel in confirm mode.
//!
//! Nothing is published twice here: what was not confirmed when the channel ended is `Unknown`, and its
//! publisher decides.

use super::lines::Publishing;
use super::link;
use crate::core::topology::Destination;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, PublisherConfirm};
use ports::broker::PublishError;
use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

/// Most messages that are published on a channel and not confirmed. A channel that waits for a queue takes 400
/// more at most (`credit_flow`), and then RabbitMQ reads nothing of its whole connection.
const WINDOW: usize = 256;
/// Without any confirm for this long, while some are due and the broker has not said that it is blocked,
/// a channel counts as lost.
pub const SILENCE: Duration = Duration::from_secs(10);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Before a channel takes the place of one that ended.
const PAUSE: Duration = Duration::from_secs(1);

/// A message on its way.
pub struct Outgoing {
    /// Where to.
    pub to: Destination,
    /// Its body.
    pub message: Bytes,
    /// Its properties.
    pub properties: BasicProperties,
    /// Told once; dropped: not known.
    pub confirmed: oneshot::Sender<Result<(), PublishError>>,
}

/// Publishes what comes in line, until the line or the link ends: then nothing is told any more.
pub async fn run(with: Arc<Publishing>, mut line: mpsc::UnboundedReceiver<Outgoing>) {
    let mut lost = with.lost.subscribe();
    let ended = tokio::select! {
        biased;
        _ = lost.wait_for(|lost| *lost) => return,
        ended = publish_all(&with, &mut line) => ended,
    };
    if let Err(error) = ended {
        tracing::warn!(error = %ports::with_causes(&error), "publishing to RabbitMQ ended");
        with.lost.send_replace(true);
    }
}

#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("no confirm for {SILENCE:?}")]
    Silent,
    #[error(transparent)]
    Lost(#[from] lapin::Error),
}

/// On one channel after another, for as long as the connection is of use: a channel may end for what is wrong with
/// its queue, and where others get confirms, it is the queue that is silent.
async fn publish_all(
    with: &Publishing,
    line: &mut mpsc::UnboundedReceiver<Outgoing>,
) -> Result<(), Ended> {
    let mut is_given_up = false;
    loop {
        let opening = async {
            let channel = with.connection.create_channel().await?;
            if is_given_up {
                // Perhaps because an exchange was deleted by hand.
                link::make_exchanges(&channel, &with.topology).await?;
            }
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok(channel)
        };
        let channel = with.answered(opening).await?;
        let (declared, taken) = (BTreeSet::new(), BTreeSet::new());
        let ended = Publisher { with, channel: channel.clone(), declared, taken }.run(line).await;
        let is_of_the_queue = match &ended {
            Ok(()) => false,
            Err(Ended::Silent) => !with.is_silent(),
            Err(Ended::Lost(_)) => with.connection.status().connected(),
        };
        if !is_of_the_queue {
            return ended;
        }
        if let Err(error) = ended {
            tracing::warn!(error = %ports::with_causes(&error), "a channel to RabbitMQ is given up");
        }
        give_up(channel, line).await;
        is_given_up = true;
    }
}

/// Ends when RabbitMQ has closed the channel, which it does when it goes on with its queue: until then it counts
/// among those of the connection. What comes in line meanwhile is unknown.
async fn give_up(channel: Channel, line: &mut mpsc::UnboundedReceiver<Outgoing>) {
    let mut closing = pin!(async {
        // One that cannot be closed is closed.
        let _ = channel.close(200, "given up".into()).await;
        sleep(PAUSE).await;
    });
    while timeout(LOOK, closing.as_mut()).await.is_err() {
        while line.try_recv().is_ok() {}
    }
}

impl Publishing {
    /// The answer to something that was asked, in time; a broker that takes nothing is waited for.
    async fn answered<T>(&self, asked: impl Future<Output = lapin::Result<T>>) -> Result<T, Ended> {
        let mut asked = pin!(asked);
        loop {
            match timeout(SILENCE, asked.as_mut()).await {
                Ok(answer) => return Ok(answer?),
                // Those who wait for what is published have deadlines of their own.
                Err(_) if self.connection.status().blocked() => {}
                Err(_) => return Err(Ended::Silent),
            }
        }
    }
}

struct Publisher<'a> {
    with: &'a Publishing,
    channel: Channel,
    /// What is certainly there, because this channel has asked for it.
    declared: BTreeSet<Destination>,
    /// What has taken a message of this channel.
    taken: BTreeSet<Destination>,
}

impl Publisher<'_> {
    async fn run(mut self, line: &mut mpsc::UnboundedReceiver<Outgoing>) -> Result<(), Ended> {
        let mut under_way = FuturesUnordered::new();
        let mut progress = Instant::now();
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                Some((to, confirmed, told)) = under_way.next() => {
                    progress = Instant::now();
                    self.with.progressed();
                    let told: lapin::Result<Confirmation> = told;
                    if let Some(result) = self.result(to, &told?).await? {
                        answer(confirmed, result);
                    }
                }
                // Before what comes in line, which may come more often than this.
                _ = looks.tick(), if !under_way.is_empty() => {
                    if self.with.connection.status().blocked() {
                        progress = Instant::now();
                    } else if progress.elapsed() > SILENCE {
                        return Err(Ended::Silent);
                    }
                }
                next = line.recv(), if under_way.len() < WINDOW => {
                    let Some(outgoing) = next else { return Ok(()) };
                    // Whoever waited was told that it is unknown, and may have put it in line again.
                    if outgoing.confirmed.is_closed() && outgoing.to.is_kept() {
                        continue;
                    }
                    let to = outgoing.to;
                    let began = Instant::now();
                    let (confirmed, confirm) = self.publish(outgoing).await?;
                    // A connection that was blocked takes something again: confirms follow.
                    if under_way.is_empty() || began.elapsed() > LOOK {
                        progress = Instant::now();
                    }
                    under_way.push(async move { (to, confirmed, confirm.await) });
                }
            }
        }
    }

    /// Ends when the message is written to the connection.
    async fn publish(
        &mut self,
        outgoing: Outgoing,
    ) -> Result<(oneshot::Sender<Result<(), PublishError>>, PublisherConfirm), Ended> {
        let Outgoing { to, message, properties, confirmed } = outgoing;
        let Publisher { with, channel, declared, .. } = self;
        let publishing = async {
            if let Some(queue) = with.topology.queue(to).filter(|_| !declared.contains(&to)) {
                link::declare(channel, queue).await?;
                declared.insert(to);
            }
            let (exchange, key) = with.topology.route(to);
            let (exchange, key) = (exchange.into(), key.into());
            let options = BasicPublishOptions::default();
            channel.basic_publish(exchange, key, options, &message, properties).await
        };
        Ok((confirmed, with.answered(publishing).await?))
    }

    /// What a confirmation says; `None`: nothing.
    ///
    /// What a queue refuses is certainly not stored. But RabbitMQ refuses not only where a queue is full: the
    /// first message of a channel to a queue whose leader is away is refused as well (`rabbit_fifo_client`:
    /// its publisher could not be registered). A message that cannot be routed is never returned: the
    /// alternate exchange takes it.
    async fn result(
        &mut self,
        to: Destination,
        confirmation: &Confirmation,
    ) -> Result<Option<Result<(), PublishError>>, Ended> {
        Ok(match confirmation {
            Confirmation::Ack(None) => {
                self.taken.insert(to);
                Some(Ok(()))
            }
            Confirmation::Nack(None) => {
                let is_full = match self.with.topology.most(to) {
                    // It knows this channel.
                    Some(_) if self.taken.contains(&to) => true,
                    Some(most) => self.waiting(to).await? >= most,
                    // Its oldest messages give way.
                    None => false,
                };
                Some(Err(if is_full { PublishError::Full } else { PublishError::Unknown }))
            }
            // A returned message may be attached to another one's confirm.
            Confirmation::Ack(Some(_))
            | Confirmation::Nack(Some(_))
            | Confirmation::NotRequested => None,
        })
    }

    /// How many messages wait in a queue, 0 if its leader is away.
    async fn waiting(&self, to: Destination) -> Result<usize, Ended> {
        let Some(queue) = self.with.topology.queue(to) else { return Ok(0) };
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        let asking = self.channel.queue_declare(queue.name.into(), options, FieldTable::default());
        Ok(self.with.answered(asking).await?.message_count() as usize)
    }
}

fn answer(confirmed: oneshot::Sender<Result<(), PublishError>>, result: Result<(), PublishError>) {
    // The caller may have stopped waiting.
    let _ = confirmed.send(result);
}
