//! Messages as AMQP has them: what stands in their properties.

use crate::core::dead::{Dead, origin_of, origin_text};
use bytes::Bytes;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use ports::broker::DeadLetter;
use protocol::trace::TraceParent;

/// The delivery mode of messages that are written to disk.
const PERSISTENT: u8 = 2;
const TAKEOVER: &str = "takeover";

const ID: &str = "fracas-id";
const ORIGIN: &str = "fracas-origin";
const KEY: &str = "fracas-key";
const REASON: &str = "fracas-reason";
const ATTEMPTS: &str = "fracas-attempts";
const AT_MS: &str = "fracas-at-ms";
/// What the reader of a message continues: https://www.w3.org/TR/trace-context-amqp/
const TRACE_PARENT: &str = "traceparent";

/// Of a message that is kept. `id` names it for as long as it is anywhere.
pub fn durable(id: u128) -> BasicProperties {
    BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_message_id(format!("{id:032x}").into())
}

/// Of a message that may be lost.
pub fn transient() -> BasicProperties {
    BasicProperties::default()
}

/// The same of a message that is traced.
pub fn traced(properties: BasicProperties, parent: Option<TraceParent>) -> BasicProperties {
    let Some(parent) = parent else { return properties };
    let mut headers = properties.headers().clone().unwrap_or_default();
    headers.insert(TRACE_PARENT.into(), AMQPValue::LongString(parent.to_string().into()));
    properties.with_headers(headers)
}

/// Says that a gateway has a new consumer, the one with this nonce.
pub fn takeover(nonce: u64) -> BasicProperties {
    BasicProperties::default()
        .with_type(TAKEOVER.into())
        .with_message_id(format!("{nonce:016x}").into())
}

/// The nonce of the new consumer, if that is what a message says.
pub fn taken_over_by(properties: &BasicProperties) -> Option<u64> {
    properties.kind().as_ref().filter(|kind| kind.as_str() == TAKEOVER)?;
    u64::from_str_radix(properties.message_id().as_ref()?.as_str(), 16).ok()
}

/// What names a message, if it is one of ours.
pub fn id(properties: &BasicProperties) -> Option<u128> {
    u128::from_str_radix(properties.message_id().as_ref()?.as_str(), 16).ok()
}

/// How often a message was handed out before, as far as RabbitMQ knows.
pub fn redelivered(delivery: &Delivery) -> u32 {
    let headers = delivery.properties.headers().as_ref();
    let count = headers.and_then(|headers| number(headers, "x-delivery-count")).unwrap_or(0);
    u32::try_from(count).unwrap_or(u32::MAX).max(u32::from(delivery.redelivered))
}

/// Of a dead letter; its message is the body.
pub fn of_dead(dead: &Dead) -> BasicProperties {
    let DeadLetter { id, origin, reason, attempts, at_ms, message: _ } = &dead.letter;
    let mut headers = FieldTable::default();
    let number = |number: u64| AMQPValue::LongLongInt(i64::try_from(number).unwrap_or(i64::MAX));
    let text = |text: String| AMQPValue::LongString(text.into());
    for (name, value) in [
        (ID, number(*id)),
        (ORIGIN, text(origin_text(*origin))),
        (KEY, text(format!("{:032x}", dead.key))),
        (REASON, text(reason.clone())),
        (ATTEMPTS, number(u64::from(*attempts))),
        (AT_MS, number(*at_ms)),
    ] {
        headers.insert(name.into(), value);
    }
    durable(u128::from(*id)).with_headers(headers)
}

/// The dead letter that a message is; `None`: none of ours.
pub fn dead(properties: &BasicProperties, message: &Bytes) -> Option<Dead> {
    let headers = properties.headers().as_ref()?;
    let letter = DeadLetter {
        id: number(headers, ID)?,
        origin: origin_of(&text(headers, ORIGIN)?)?,
        reason: text(headers, REASON)?,
        attempts: u32::try_from(number(headers, ATTEMPTS)?).ok()?,
        at_ms: number(headers, AT_MS)?,
        message: message.clone(),
    };
    Some(Dead { letter, key: u128::from_str_radix(&text(headers, KEY)?, 16).ok()? })
}

/// The queue and the reason of a message that RabbitMQ itself took out of a queue.
pub fn taken_out(properties: &BasicProperties) -> Option<(String, String)> {
    let headers = properties.headers().as_ref()?;
    Some((text(headers, "x-first-death-queue")?, text(headers, "x-first-death-reason")?))
}

fn value<'a>(headers: &'a FieldTable, name: &str) -> Option<&'a AMQPValue> {
    headers.inner().get(&ShortString::from(name))
}

fn text(headers: &FieldTable, name: &str) -> Option<String> {
    match value(headers, name)? {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        _ => None,
    }
}

fn number(headers: &FieldTable, name: &str) -> Option<u64> {
    let number = match value(headers, name)? {
        AMQPValue::LongLongInt(number) => *number,
        AMQPValue::LongInt(number) => i64::from(*number),
        AMQPValue::LongUInt(number) => i64::from(*number),
        AMQPValue::ShortInt(number) => i64::from(*number),
        AMQPValue::ShortUInt(number) => i64::from(*number),
        AMQPValue::ShortShortInt(number) => i64::from(*number),
        AMQPValue::ShortShortUInt(number) => i64::from(*number),
        _ => return None,
    };
    u64::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ports::broker::{NewDeadLetter, Origin};
    use protocol::Partition;
    use protocol::trace::{SpanId, TraceId};

    #[test]
    fn a_dead_letter_is_read_back() {
        let message = Bytes::from_static(b"\x00\xff");
        let new = NewDeadLetter {
            origin: Origin::Inbound(Partition(3)),
            key: u128::MAX - 1,
            reason: "no such format: \u{e9}".into(),
            attempts: u32::MAX,
            message: message.clone(),
        };
        let written = Dead::new(1 << 52, 1_700_000_000_000, new);
        let properties = of_dead(&written);
        assert_eq!(dead(&properties, &message), Some(written));
        assert_eq!(id(&properties), Some(1 << 52));
        assert_eq!(dead(&durable(7), &message), None);
    }

    #[test]
    fn a_traced_message_says_what_its_reader_continues() {
        let parent = TraceParent { trace: TraceId(7), span: SpanId(9) };
        let properties = traced(durable(5), Some(parent));
        let headers = properties.headers().as_ref().unwrap();
        let expected = "00-00000000000000000000000000000007-0000000000000009-01";
        assert_eq!(text(headers, TRACE_PARENT).as_deref(), Some(expected));
        assert_eq!(id(&properties), Some(5));
        assert_eq!(traced(durable(5), None), durable(5));
    }

    #[test]
    fn a_takeover_is_told_from_a_record() {
        assert_eq!(taken_over_by(&takeover(u64::MAX)), Some(u64::MAX));
        assert_eq!(taken_over_by(&transient()), None);
        assert_eq!(taken_over_by(&durable(5)), None);
    }
}
