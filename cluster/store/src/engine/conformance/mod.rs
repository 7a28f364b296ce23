//! What every engine must do, whatever stands behind the port.
//!
//! An engine's tests run the suite with one line, `store::conformance!(name, make)`, where `make` is a
//! function that returns an engine in which nothing was ever stored. An engine that outlives its process
//! also runs `store::durable!(name, place)`: `place` makes a [`Durable`], an empty place that is opened
//! again and again. What engines show is compared with the engine in memory, batch by batch.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]
#![allow(missing_docs, reason = "a claim is its name")]

pub mod accidents;
pub mod changes;
pub mod durable;
pub mod owners;
pub mod rows;

pub use durable::Durable;

use ports::message_store::{Claim, Lease, MessageStore};
use protocol::{NodeNumber, Partition};

/// The partition of most claims.
pub const PARTITION: Partition = Partition(1);
/// Another one.
pub const OTHER: Partition = Partition(2);
/// The node of most claims.
pub const NODE: NodeNumber = NodeNumber(1);

/// Takes a partition from whoever has it.
pub fn acquire(store: &dyn MessageStore, partition: Partition) -> Lease {
    let seen = store.view().unwrap().ownership(partition).unwrap();
    let claim = Claim { partition, owner: NODE, seen };
    store.acquire(&claim).unwrap().expect("nobody else claims it")
}

/// Runs the suite against an engine: `$make` makes an empty one.
#[macro_export]
macro_rules! conformance {
    ($name:ident, $make:expr) => {
        $crate::conformance!(@ $name, $make;
            rows::a_stale_lease_writes_nothing_and_holds_up_nobody,
            rows::a_lease_of_the_future_writes_nothing,
            rows::of_many_batches_the_fenced_ones_alone_are_left_out,
            rows::two_batches_under_one_lease_are_written_in_their_order,
            rows::the_same_batch_again_changes_nothing,
            rows::a_large_batch_is_written_whole,
            rows::a_trim_removes_what_is_before_it,
            rows::a_user_has_the_conversations_of_the_present,
            rows::a_user_has_the_conversations_of_all_partitions,
            rows::many_are_asked_about_at_once,
            rows::an_accepted_key_brings_its_entry_along,
            rows::the_largest_numbers_are_kept,
            owners::a_claim_upon_old_news_fails,
            owners::only_the_owner_renews,
            owners::of_many_claims_one_succeeds,
            owners::owners_that_race_leave_no_gap,
        );
    };
    (@ $name:ident, $make:expr; $($suite:ident::$claim:ident,)*) => {
        mod $name {
            #[test]
            fn shows_what_the_engine_in_memory_shows() {
                $crate::conformance::rows::shows_what_the_engine_in_memory_shows(&$make);
            }
            $(
                #[test]
                fn $claim() {
                    $crate::conformance::$suite::$claim(&$make());
                }
            )*
        }
    };
}

/// Runs the suite of what outlives its process: `$place` makes an empty place.
#[macro_export]
macro_rules! durable {
    ($name:ident, $place:expr) => {
        $crate::durable!(@ $name, $place;
            what_is_committed_is_there_after_reopening,
            a_lease_outlives_its_engine,
            a_view_stays_as_it_was,
        );
    };
    (@ $name:ident, $place:expr; $($claim:ident,)*) => {
        mod $name {
            $(
                #[test]
                fn $claim() {
                    $crate::conformance::durable::$claim(&$place());
                }
            )*
        }
    };
}

#[cfg(test)]
crate::conformance!(memory, crate::engine::MemoryStore::default);
