//! The async parts: consuming a queue, posting to the provider, one life of a notifier.

mod consumer;
mod provider;
pub mod serve;
#[cfg(test)]
mod tests;
