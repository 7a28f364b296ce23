//! Two connections to one node of RabbitMQ, one to publish on and one to consume on, and the topology made.
//!
//! RabbitMQ stops reading from a connection that publishes while it has no room (`Connection.Blocked`):
//! acknowledgements on the same connection, which would make room, would wait behind it.

use super::lines::Lines;
use super::wire::{Wire, connect};
use crate::config::RabbitConfig;
use crate::core::topology::{Argument, Arguments, DurableQueue, Topology};
use futures_util::{StreamExt, future};
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionStatus, ExchangeKind};
use ports::Machine;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long closing may take.
const CLOSING: Duration = Duration::from_secs(5);
/// How often a connection is looked at, beside what it says on its own.
const LOOK: Duration = Duration::from_secs(1);

/// Both connections.
pub struct Link {
    /// What is published.
    pub lines: Lines,
    /// Made anew with the next link.
    pub consuming: Connection,
    /// True once the link is lost.
    pub lost: watch::Sender<bool>,
    wires: [Wire; 2],
}

/// Connects to `host:port`, and makes what is always there.
pub async fn open(
    machine: &Machine,
    config: &RabbitConfig,
    topology: &Arc<Topology>,
    address: &str,
) -> lapin::Result<Arc<Link>> {
    let (publishing, one) = connect(machine, config, address, "publishing").await?;
    let (consuming, other) = connect(machine, config, address, "consuming").await?;
    make(&publishing.create_channel().await?, topology).await?;
    let lost = watch::Sender::new(false);
    let lines = Lines::new(machine, publishing, topology, lost.clone());
    Ok(Arc::new(Link { lines, consuming, lost, wires: [one, other] }))
}

/// Makes what is always there, if it is not.
pub async fn make(channel: &Channel, topology: &Topology) -> lapin::Result<()> {
    make_exchanges(channel, topology).await?;
    for queue in topology.standing_queues() {
        declare(channel, queue).await?;
    }
    Ok(())
}

/// Makes the exchanges that are not there: who publishes to one that is missing loses the channel.
pub async fn make_exchanges(channel: &Channel, topology: &Topology) -> lapin::Result<()> {
    for exchange in topology.exchanges() {
        let kind = if exchange.fanout { ExchangeKind::Fanout } else { ExchangeKind::Direct };
        let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
        let arguments = table(exchange.arguments);
        channel.exchange_declare(exchange.name.into(), kind, options, arguments).await?;
    }
    Ok(())
}

/// Makes a durable queue and its binding, if they are not there.
///
/// # Errors
/// It is there with other arguments, among others.
pub async fn declare(channel: &Channel, queue: DurableQueue) -> lapin::Result<()> {
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    let (exchange, key) = queue.from;
    let name = queue.name;
    channel.queue_declare(name.as_str().into(), options, table(queue.arguments)).await?;
    let plain = (QueueBindOptions::default(), FieldTable::default());
    channel.queue_bind(name.into(), exchange.into(), key.into(), plain.0, plain.1).await
}

/// Arguments as `lapin` takes them.
pub fn table(arguments: Arguments) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        let value = match value {
            Argument::Number(number) => AMQPValue::LongLongInt(number),
            Argument::Flag(flag) => AMQPValue::Boolean(flag),
            Argument::Text(text) => AMQPValue::LongString(text.into()),
        };
        table.insert(name.into(), value);
    }
    table
}

impl Link {
    /// Whether RabbitMQ has said that it takes nothing at the moment.
    pub fn is_blocked(&self) -> bool {
        self.publishing().status().blocked()
    }

    fn publishing(&self) -> &Connection {
        &self.lines.with.connection
    }

    /// Closes both connections.
    pub async fn close(&self) {
        let both = [self.publishing(), &self.consuming];
        let closing = future::join_all(both.map(|one| one.close(200, "done".into())));
        // Of one that says nothing no answer comes, and `lapin` looks at its heartbeats no more.
        let _ = tokio::time::timeout(CLOSING, closing).await;
        self.wires.iter().for_each(Wire::cut);
    }

    /// Ends when a connection is lost, or one of the lines has ended. `when_blocked` is called whenever the
    /// broker says so, with its reason.
    pub async fn watch(&self, mut when_blocked: impl FnMut(&str)) {
        let mut lost = self.lost.subscribe();
        let mut told = Box::pin(self.publishing().events_listener());
        let stand = |status: &ConnectionStatus| status.connected();
        while stand(self.publishing().status()) && stand(self.consuming.status()) {
            tokio::select! {
                biased;
                // The sender lives as long as `self`.
                _ = lost.wait_for(|lost| *lost) => return,
                event = told.next() => match event {
                    Some(lapin::Event::ConnectionBlocked(reason)) => when_blocked(&reason),
                    Some(lapin::Event::Error(error)) => {
                        tracing::warn!(%error, "the connection to RabbitMQ is lost");
                        return;
                    }
                    Some(_) => {}
                    None => return,
                },
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}
