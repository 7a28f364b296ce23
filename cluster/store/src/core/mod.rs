//! The decisions of an owner, without I/O, clocks, randomness or tasks.

pub mod absences;
pub mod attachments;
pub mod command;
pub mod conversation;
pub mod export;
pub mod fanout;
mod membership;
pub mod missed;
#[cfg(test)]
mod model;
pub mod overlay;
pub mod ownership;
pub mod pages;
pub mod partition;
mod receipts;
mod retention;
mod sequencing;
mod step;
