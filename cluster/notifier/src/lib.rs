//! Push notifications for offline members: retry, backoff, circuit breaker, dead letters.
//!
//! Consumes push jobs from the broker and posts each to one HTTP provider, at least once, with an
//! idempotency key. Who gets a push is the owner's decision; how it reaches a phone is the provider's.
//!
//! Two limits end a job. The broker takes a delivery back at most `limits::DELIVERY_LIMIT` times and
//! then makes a dead letter of it, with a reason of its own that knows nothing of the provider. So the
//! notifier gives up first: after `attempts_max` attempts, and never later than the broker would.
//! Attempts are remembered per job, bounded by `Delivery::redelivered`, which alone would also count
//! deliveries that were lost with a connection. A notifier that has forgotten a job (it was restarted)
//! may try it more often than `attempts_max`; the broker's limit still holds, for it is durable.
//!
//! Without a provider every push is discarded, and counted: left in its queue it would be there for
//! ever, and a full durable queue stops the owners.
//!
//! The circuit breaker keeps a dead provider from using attempts up: while it is open, deliveries are
//! held, unsettled, and a failed probe is not counted against the job that it was made with.

pub mod core;
mod shell;

pub use core::breaker::BreakerConfig;
pub use shell::serve::{NotifierConfig, ServeError, serve};
