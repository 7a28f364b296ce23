//! The clients of `rdkafka` and how they are set.

use crate::config::{Acks, KafkaConfig, Mechanism};
use crate::core::topology::{Place, RECORD_MAX, Topology};
use ports::{Machine, Telemetry};
use rdkafka::admin::AdminClient;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::FutureProducer;
use rdkafka::{ClientConfig, ClientContext, Offset, Statistics, TopicPartitionList};
use std::sync::Arc;
use std::time::Duration;

/// How long a publish may be under way before it ends as `Unknown`.
pub const PUBLISH_TIMEOUT: Duration = Duration::from_secs(8);
/// How long a question to Kafka may take.
pub const ASK_TIMEOUT: Duration = Duration::from_secs(3);
/// Most bytes that a client has read ahead of its consumer, beyond one message.
const READ_AHEAD_KBYTES: u32 = 8 * 1024;

/// Writes what a client says into our log, and counts.
#[derive(Clone)]
pub struct Context {
    node: Arc<str>,
    telemetry: Arc<dyn Telemetry>,
    /// A node has many clients, and all of them say the same: one of them is listened to.
    speaks: bool,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let node = &self.node;
        // What a client cannot do it says as an error too; the log repeats that for every attempt.
        if (level as i32) < RDKafkaLogLevel::Error as i32 {
            tracing::error!(%node, facility, message, "librdkafka");
        } else {
            tracing::debug!(%node, facility, message, "librdkafka");
        }
    }

    fn stats(&self, _: Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        if !self.speaks {
            return tracing::debug!(node = %self.node, %error, reason, "Kafka");
        }
        tracing::warn!(node = %self.node, %error, reason, "Kafka");
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.telemetry.count("broker_links_lost", 1);
        }
    }
}

impl ConsumerContext for Context {}

/// A client that reads.
pub type Reading = BaseConsumer<Context>;
/// A client that publishes.
pub type Publishing = FutureProducer<Context>;

/// Makes clients. None of them waits for a connection.
pub struct Clients {
    config: ClientConfig,
    acks: Acks,
    group: String,
    context: Context,
}

impl Clients {
    pub fn new(machine: &Machine, config: &KafkaConfig, topology: &Topology) -> Self {
        let (node, telemetry) = (Arc::clone(&machine.name), Arc::clone(&machine.telemetry));
        let context = Context { node, telemetry, speaks: false };
        let (common, acks) = (common(machine, config), config.acks);
        Self { config: common, acks, group: topology.group(), context }
    }

    /// For what must be kept: `acks=all`, and the idempotent producer, which neither doubles nor reorders
    /// what it sends again.
    pub fn durable(&self) -> KafkaResult<Publishing> {
        let mut config = self.publishing();
        match self.acks {
            Acks::All => config.set("enable.idempotence", "true").set("acks", "all"),
            // Without idempotence only one request at a time keeps the order.
            Acks::Leader => config.set("acks", "1").set("max.in.flight", "1"),
        };
        config.create_with_context(Context { speaks: true, ..self.context.clone() })
    }

    /// For what may be lost: the leader's word is enough, and nothing is sent again, because that could
    /// change the order.
    pub fn transient(&self) -> KafkaResult<Publishing> {
        let mut config = self.publishing();
        config.set("acks", "1").set("message.send.max.retries", "0");
        config.create_with_context(self.context.clone())
    }

    fn publishing(&self) -> ClientConfig {
        let mut config = self.config.clone();
        config
            .set("message.timeout.ms", PUBLISH_TIMEOUT.as_millis().to_string())
            .set("message.max.bytes", RECORD_MAX.to_string())
            // A batch waits so long for more: the rest of one call.
            .set("queue.buffering.max.ms", "1")
            .set("queue.buffering.max.messages", "100000")
            .set("queue.buffering.max.kbytes", "131072");
        config
    }

    /// Reads and asks. Its place in the group is never used: partitions are assigned by hand.
    pub fn reading(&self) -> KafkaResult<Reading> {
        let mut config = self.config.clone();
        config
            .set("group.id", &self.group)
            .set("allow.auto.create.topics", "false")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // Whoever reads looks anew where the partition begins and ends.
            .set("auto.offset.reset", "error")
            // A commit that finds no coordinator gives up after this.
            .set("session.timeout.ms", "6000")
            // A consumer that has enough in hand reads nothing for as long as it likes; a day is the most.
            .set("max.poll.interval.ms", "86400000")
            .set("check.crcs", "true")
            .set("queued.min.messages", "1000")
            .set("queued.max.messages.kbytes", READ_AHEAD_KBYTES.to_string())
            .set("fetch.message.max.bytes", "1048576")
            .set("fetch.wait.max.ms", "500")
            .set("fetch.error.backoff.ms", "50")
            .set("fetch.queue.backoff.ms", "50");
        config.create_with_context(self.context.clone())
    }

    /// Makes topics and removes records.
    pub fn admin(&self) -> KafkaResult<AdminClient<Context>> {
        self.config.create_with_context(self.context.clone())
    }
}

fn common(machine: &Machine, from: &KafkaConfig) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", from.servers.join(","))
        .set("client.id", &*machine.name)
        .set("socket.timeout.ms", "6000")
        .set("socket.connection.setup.timeout.ms", "5000")
        .set("socket.nagle.disable", "true")
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000")
        .set("retry.backoff.ms", "50")
        .set("topic.metadata.refresh.interval.ms", "10000");
    let secured = match (&from.encryption, &from.credentials) {
        (None, None) => "plaintext",
        (None, Some(_)) => "sasl_plaintext",
        (Some(_), None) => "ssl",
        (Some(_), Some(_)) => "sasl_ssl",
    };
    config.set("security.protocol", secured);
    if let Some(authority) = from.encryption.as_ref().and_then(|it| it.authority.as_deref()) {
        config.set("ssl.ca.pem", authority);
    }
    if let Some(credentials) = &from.credentials {
        let mechanism = match credentials.mechanism {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
        };
        config
            .set("sasl.mechanism", mechanism)
            .set("sasl.username", &credentials.user)
            .set("sasl.password", credentials.password.expose());
    }
    config
}

/// Whether reading cannot go on after this: the partition is gone, or what is to be read next is, or came damaged:
/// librdkafka would leave it out, and it may be whole where it is fetched from next.
pub fn ends(error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageConsumptionFatal(_))
        || matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::UnknownTopicOrPartition
                    | RDKafkaErrorCode::UnknownPartition
                    | RDKafkaErrorCode::AutoOffsetReset
                    | RDKafkaErrorCode::OffsetOutOfRange
                    | RDKafkaErrorCode::LogTruncation
                    | RDKafkaErrorCode::BadMessage
            )
        )
}

/// Begins to read a partition at an offset.
pub fn assign(client: &Reading, place: &Place, offset: u64) -> KafkaResult<()> {
    client.assign(&one(place, offset)?)
}

/// A partition and an offset.
pub fn one(place: &Place, offset: u64) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&place.topic, place.partition, at(offset))?;
    Ok(list)
}

/// The offsets of a partition's first record and of its end.
pub fn bounds(client: &Reading, place: &Place) -> KafkaResult<(u64, u64)> {
    let (low, high) = client.fetch_watermarks(&place.topic, place.partition, ASK_TIMEOUT)?;
    Ok((number(low), number(high)))
}

/// As an offset of a record; Kafka counts to 2^63.
pub const fn at(offset: u64) -> Offset {
    Offset::Offset(offset.cast_signed())
}

/// Offsets of records are never negative.
pub fn number(offset: i64) -> u64 {
    u64::try_from(offset).unwrap_or(0)
}
