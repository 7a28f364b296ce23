//! A line of messages to be published, and the task that publishes them on a channel in confirm mode.
//!
//! Nothing is published twice here: what was not confirmed when the channel ended is `Unknown`, and its
//! publisher decides.

use super::link;
use crate::core::topology::{Destination, Topology};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::options::{BasicPublishOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, ConnectionStatus, PublisherConfirm};
use ports::Machine;
use ports::broker::PublishError;
use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

/// Most messages that are published and not confirmed: more bring no higher rate.
const WINDOW: usize = 1_024;
/// Without any confirm for this long, while some are due and the broker has not said that it is blocked,
/// the connection counts as lost.
const SILENCE: Duration = Duration::from_secs(10);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(500);

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

/// Where messages stand in line.
#[derive(Clone)]
pub struct Line(mpsc::UnboundedSender<Outgoing>);

impl Line {
    /// Puts a message in line; without a task at its other end it is dropped, and so unknown.
    pub fn put(&self, outgoing: Outgoing) {
        let _ = self.0.send(outgoing);
    }
}

/// Starts the task of a line; when it ends on its own, `lost` becomes true.
pub fn start(
    machine: &Machine,
    channel: Channel,
    status: ConnectionStatus,
    topology: Arc<Topology>,
    lost: watch::Sender<bool>,
) -> Line {
    let (sender, line) = mpsc::unbounded_channel();
    let (declared, taken) = (BTreeSet::new(), BTreeSet::new());
    let publisher = Publisher { channel, status, topology, declared, taken };
    machine.spawn("rabbitmq publisher", async move {
        if let Err(error) = publisher.run(line).await {
            tracing::warn!(error = %ports::with_causes(&error), "publishing to RabbitMQ ended");
            lost.send_replace(true);
        }
    });
    Line(sender)
}

#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("no confirm for {SILENCE:?}")]
    Silent,
    #[error(transparent)]
    Lost(#[from] lapin::Error),
}

struct Publisher {
    channel: Channel,
    status: ConnectionStatus,
    topology: Arc<Topology>,
    /// What is certainly there, because this channel has asked for it.
    declared: BTreeSet<Destination>,
    /// What has taken a message of this channel.
    taken: BTreeSet<Destination>,
}

impl Publisher {
    async fn run(mut self, mut line: mpsc::UnboundedReceiver<Outgoing>) -> Result<(), Ended> {
        let mut under_way = FuturesUnordered::new();
        let mut progress = Instant::now();
        loop {
            tokio::select! {
                biased;
                Some((to, confirmed, told)) = under_way.next() => {
                    progress = Instant::now();
                    let told: lapin::Result<Confirmation> = told;
                    if let Some(result) = self.result(to, &told?).await? {
                        answer(confirmed, result);
                    }
                }
                next = line.recv(), if under_way.len() < WINDOW => {
                    let Some(outgoing) = next else { return Ok(()) };
                    if under_way.is_empty() {
                        progress = Instant::now();
                    }
                    let to = outgoing.to;
                    let (confirmed, confirm) = self.publish(outgoing).await?;
                    under_way.push(async move { (to, confirmed, confirm.await) });
                }
                () = sleep(LOOK), if !under_way.is_empty() => {
                    if self.status.blocked() {
                        progress = Instant::now();
                    } else if progress.elapsed() > SILENCE {
                        return Err(Ended::Silent);
                    }
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
        let queue = self.topology.queue(to).filter(|_| !self.declared.contains(&to));
        if let Some(queue) = queue {
            link::declare(&self.channel, queue).await?;
            self.declared.insert(to);
        }
        let (exchange, key) = self.topology.route(to);
        let options = BasicPublishOptions::default();
        let (exchange, key) = (exchange.into(), key.into());
        let mut publish =
            pin!(self.channel.basic_publish(exchange, key, options, &message, properties));
        loop {
            match timeout(SILENCE, publish.as_mut()).await {
                Ok(published) => return Ok((confirmed, published?)),
                // Its callers do not wait for it: they have deadlines of their own.
                Err(_) if self.status.blocked() => {}
                Err(_) => return Err(Ended::Silent),
            }
        }
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
                let is_full = match self.topology.most(to) {
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
        let Some(queue) = self.topology.queue(to) else { return Ok(0) };
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        let asked = self.channel.queue_declare(queue.name.into(), options, FieldTable::default());
        Ok(asked.await?.message_count() as usize)
    }
}

fn answer(confirmed: oneshot::Sender<Result<(), PublishError>>, result: Result<(), PublishError>) {
    // The caller may have stopped waiting.
    let _ = confirmed.send(result);
}
