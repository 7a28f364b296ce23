//! The exchanges and queues of a cluster, as data.

use ports::broker::{GatewayLife, Queue};
use protocol::limits::BrokerLimits;
use protocol::{GatewayId, Partition};

/// Returns of a message after which RabbitMQ takes it out of a queue: more than can happen. A quorum
/// queue without any limit has one of 20 from RabbitMQ 4.0 on, and before that puts what is returned at
/// its end instead of its head.
const RETURNS_MAX: i64 = i32::MAX as i64;
/// Most dead letters: whoever lists them holds all of them unacknowledged, and a channel holds 65,535.
const DEAD_LETTERS_MAX: usize = 60_000;
/// Most lines to partitions: a connection has 2,047 channels at most (`channel_max`).
const INBOUND_LINES: u16 = 64;
/// Notices of what gave way that wait to be counted.
const SHED_MAX: i64 = 100_000;

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Destination {
    /// A partition's queue.
    Inbound(Partition),
    /// A queue of jobs.
    Jobs(u16),
    /// The dead letters.
    Dead,
    /// The queue of one life of a gateway, if it is there.
    Gateway(GatewayLife),
    /// Every queue of a gateway: that it has a new consumer.
    Takeover(GatewayId),
}

/// A line of messages that are published in their order, on a channel of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LineKey {
    /// Of a partition, or of a few.
    Inbound(u16),
    /// Of a queue of jobs.
    Jobs(u16),
    /// Of the dead letters.
    Dead,
    /// Of everything for gateways.
    Gateways,
}

impl Destination {
    /// What it shares a line with.
    pub const fn line(self) -> LineKey {
        match self {
            Self::Inbound(partition) => LineKey::Inbound(partition.0 % INBOUND_LINES),
            Self::Jobs(queue) => LineKey::Jobs(queue),
            Self::Dead => LineKey::Dead,
            Self::Gateway(_) | Self::Takeover(_) => LineKey::Gateways,
        }
    }

    /// Whether what is sent there is kept until somebody has it, or may be lost.
    pub const fn is_kept(self) -> bool {
        !matches!(self, Self::Gateway(_) | Self::Takeover(_))
    }
}

/// The names of one cluster's exchanges and queues, and how they are made.
#[derive(Clone, Debug)]
pub struct Topology {
    prefix: String,
    limits: BrokerLimits,
    quorum_queues: bool,
}

/// An exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Its name.
    pub name: String,
    /// Whether it sends everything to all of its queues; otherwise the routing key says to which.
    pub fanout: bool,
    /// Beyond its name.
    pub arguments: Arguments,
}

/// A durable queue: a quorum queue, unless the cluster's choice is another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurableQueue {
    /// Its name.
    pub name: String,
    /// Where its messages come from: an exchange and a routing key.
    pub from: (String, String),
    /// Beyond its name.
    pub arguments: Arguments,
}

/// `x-...` arguments.
pub type Arguments = Vec<(&'static str, Argument)>;

/// The value of an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// A number.
    Number(i64),
    /// A flag.
    Flag(bool),
    /// A text.
    Text(String),
}

impl Topology {
    /// The topology of the cluster whose names begin so.
    pub const fn new(prefix: String, limits: BrokerLimits) -> Self {
        Self { prefix, limits, quorum_queues: true }
    }

    /// The same, with queues that have copies on other nodes or not.
    pub fn with_quorum_queues(self, quorum_queues: bool) -> Self {
        Self { quorum_queues, ..self }
    }

    fn name(&self, what: &str) -> String {
        format!("{}.{what}", self.prefix)
    }

    /// For everything durable. What it cannot route goes to `unrouted` instead of into the void.
    pub fn durable(&self) -> String {
        self.name("durable")
    }

    /// For what gateways are told.
    pub fn gateways(&self) -> String {
        self.name("gateways")
    }

    /// What came for a queue that was not there.
    pub fn unrouted(&self) -> String {
        self.name("unrouted")
    }

    /// What gave way in a full queue, until it is counted.
    pub fn shed(&self) -> String {
        self.name("shed")
    }

    /// Held by whoever reads all dead letters.
    pub fn dead_lock(&self) -> String {
        self.name("dead.lock")
    }

    /// The queue of a gateway's life; `nonce` tells it from one that was there before.
    pub fn gateway_queue(&self, life: GatewayLife, nonce: u64) -> String {
        let GatewayLife { gateway, incarnation } = life;
        self.name(&format!("gateway.{gateway}.{incarnation}.{nonce:016x}"))
    }

    /// The arguments of such a queue: in memory, and the oldest gives way.
    pub fn gateway_arguments(&self) -> Arguments {
        vec![
            ("x-queue-type", Argument::Text("classic".into())),
            ("x-max-length", number(self.limits.gateway_queue_messages)),
            ("x-max-length-bytes", number(self.limits.gateway_queue_bytes)),
        ]
    }

    /// The arguments of the lock: in memory, for one connection.
    pub fn lock_arguments() -> Arguments {
        vec![("x-queue-type", Argument::Text("classic".into()))]
    }

    /// The exchange and the routing key of a message.
    pub fn route(&self, to: Destination) -> (String, String) {
        match to {
            Destination::Inbound(_) | Destination::Jobs(_) | Destination::Dead => {
                (self.durable(), key(to))
            }
            Destination::Gateway(_) | Destination::Takeover(_) => (self.gateways(), key(to)),
        }
    }

    /// The exchanges, each behind those that it names.
    pub fn exchanges(&self) -> [Exchange; 3] {
        let exchange = |name, fanout| Exchange { name, fanout, arguments: Arguments::new() };
        let alternate = vec![("alternate-exchange", Argument::Text(self.unrouted()))];
        [
            exchange(self.unrouted(), true),
            Exchange { arguments: alternate, ..exchange(self.durable(), false) },
            exchange(self.gateways(), false),
        ]
    }

    /// The queues that are there before anybody asks for them.
    pub fn standing_queues(&self) -> [DurableQueue; 3] {
        let plain = |name: String, from, rest: Arguments| DurableQueue {
            name,
            from,
            arguments: [self.kept(), rest].concat(),
        };
        let unrouted = plain(self.unrouted(), (self.unrouted(), String::new()), Arguments::new());
        let dead = self.sent_to(Destination::Dead, self.dead_arguments());
        let bounded = vec![
            ("x-max-length", Argument::Number(SHED_MAX)),
            ("x-overflow", Argument::Text("drop-head".into())),
        ];
        let shed = plain(self.shed(), (self.durable(), SHED_KEY.to_owned()), bounded);
        [unrouted, dead, shed]
    }

    /// The queue of a durable destination; a gateway's is made by the gateway.
    pub fn queue(&self, to: Destination) -> Option<DurableQueue> {
        let arguments = match to {
            Destination::Inbound(_) => self.refusing(),
            Destination::Jobs(_) => self.giving_way(self.limits.notify_queue_messages),
            Destination::Dead => self.dead_arguments(),
            Destination::Gateway(_) | Destination::Takeover(_) => return None,
        };
        Some(self.sent_to(to, arguments))
    }

    fn sent_to(&self, to: Destination, arguments: Arguments) -> DurableQueue {
        DurableQueue { name: self.name(&key(to)), from: self.route(to), arguments }
    }

    fn dead_arguments(&self) -> Arguments {
        self.giving_way(self.limits.dead_letters.min(DEAD_LETTERS_MAX))
    }

    /// How many messages a queue holds before it refuses more; `None`: it never does.
    pub const fn most(&self, to: Destination) -> Option<usize> {
        match to {
            Destination::Inbound(_) => Some(self.limits.durable_queue_messages),
            _ => None,
        }
    }

    /// What keeps a durable queue. RabbitMQ refuses a classic queue with arguments of quorum queues.
    fn kept(&self) -> Arguments {
        if !self.quorum_queues {
            return vec![("x-queue-type", Argument::Text("classic".into()))];
        }
        vec![
            ("x-queue-type", Argument::Text("quorum".into())),
            ("x-delivery-limit", Argument::Number(RETURNS_MAX)),
        ]
    }

    /// One consumer at a time; publishers are refused when it is full; nothing leaves it but by an
    /// acknowledgement, and if an operator's policy says otherwise, into the dead letters.
    fn refusing(&self) -> Arguments {
        let mut own = vec![
            ("x-single-active-consumer", Argument::Flag(true)),
            ("x-max-length", number(self.limits.durable_queue_messages)),
            ("x-max-length-bytes", number(self.limits.durable_bytes)),
            ("x-overflow", Argument::Text("reject-publish".into())),
            ("x-dead-letter-exchange", Argument::Text(self.durable())),
            ("x-dead-letter-routing-key", Argument::Text(key(Destination::Dead))),
        ];
        if self.quorum_queues {
            own.push(("x-dead-letter-strategy", Argument::Text("at-least-once".into())));
        }
        [self.kept(), own].concat()
    }

    /// The oldest gives way, and is counted.
    fn giving_way(&self, messages: usize) -> Arguments {
        let own = vec![
            ("x-max-length", number(messages)),
            ("x-max-length-bytes", number(self.limits.durable_bytes / 4)),
            ("x-overflow", Argument::Text("drop-head".into())),
            ("x-dead-letter-exchange", Argument::Text(self.durable())),
            ("x-dead-letter-routing-key", Argument::Text(SHED_KEY.into())),
        ];
        [self.kept(), own].concat()
    }

    /// Where a message was sent that nothing of the durable exchange could be found for.
    pub fn durable_destination(&self, routing_key: &str) -> Option<Destination> {
        match self.queue_named(&self.name(routing_key))? {
            Queue::Inbound(partition) => Some(Destination::Inbound(partition)),
            Queue::Jobs(queue) => Some(Destination::Jobs(queue)),
            Queue::DeadLetters => Some(Destination::Dead),
            Queue::Gateway(_) => None,
        }
    }

    /// The queue of the port that a queue here is, if it is one.
    pub fn queue_named(&self, name: &str) -> Option<Queue> {
        let key = name.strip_prefix(&self.prefix)?.strip_prefix('.')?;
        let mut parts = key.split('.');
        let number = |text: Option<&str>| text?.parse::<u16>().ok();
        let queue = match parts.next()? {
            "inbound" => Queue::Inbound(Partition(number(parts.next())?)),
            "notify" => Queue::Jobs(number(parts.next())?),
            "dead" => Queue::DeadLetters,
            "gateway" => {
                let gateway = GatewayId(number(parts.next())?);
                let incarnation = protocol::Incarnation(parts.next()?.parse().ok()?);
                parts.next()?;
                Queue::Gateway(GatewayLife { gateway, incarnation })
            }
            _ => return None,
        };
        parts.next().is_none().then_some(queue)
    }
}

/// The routing key of a notice that something gave way.
pub const SHED_KEY: &str = "shed";

/// The routing key of a destination.
fn key(to: Destination) -> String {
    match to {
        Destination::Inbound(partition) => format!("inbound.{partition}"),
        Destination::Jobs(queue) => format!("notify.{queue}"),
        Destination::Dead => "dead".into(),
        Destination::Gateway(GatewayLife { gateway, incarnation }) => {
            format!("{gateway}.{incarnation}")
        }
        Destination::Takeover(gateway) => gateway.to_string(),
    }
}

fn number(value: impl TryInto<i64>) -> Argument {
    Argument::Number(value.try_into().unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
