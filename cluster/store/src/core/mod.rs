//! The decisions of an owner, without I/O, clocks, randomness or tasks.

pub mod absences;
pub mod attachments;
pub mod command;
pub mod conversation;
pub mod fanout;
pub mod intake;
mod membership;
pub mod missed;
#[cfg(test)]
mod model;
pub mod overlay;
pub mod pages;
pub mod partition;
mod receipts;
mod remembered;
mod retention;
mod sequencing;
mod step;
