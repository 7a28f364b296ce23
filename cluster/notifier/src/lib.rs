//! Push notifications for offline members: retry, backoff, circuit breaker, dead letters.
//!
//! Consumes push jobs from the broker and posts each to one HTTP provider, at least once, with an
//! idempotency key. Who gets a push is the owner's decision; how it reaches a phone is the provider's.
//!
//! A job is about one message and all members who are to be told of it. Each of them has an end of its
//! own: the push is taken, or of no use any more, or becomes a dead letter after `attempts_max` attempts.
//! When all have one, the delivery is settled. Until then attempts are counted in memory: after the loss
//! of the broker, or a restart, they are counted from zero again, and what a restarted notifier does not
//! remember as taken it pushes again, under the same idempotency key.
//!
//! Without a provider every push is discarded, and counted: left in its queue it would be there for
//! ever.
//!
//! The circuit breaker keeps a dead provider from using attempts up: while it is open, deliveries are
//! held, unsettled, and a failed probe is not counted against the job that it was made with.

pub mod core;
mod shell;

pub use core::breaker::BreakerConfig;
pub use shell::serve::{NotifierConfig, ServeError, serve};
