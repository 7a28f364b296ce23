//! The embedded broker: durable queues, confirms, redelivery, dead letters.
