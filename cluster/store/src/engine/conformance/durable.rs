//! What outlives the process that committed it.

use super::changes::{Change, batch, groups, rows_shown};
use super::{OTHER, PARTITION, acquire};
use ports::message_store::{Batch, Lease, MessageStore};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use protocol::{ConversationId, Sequence};

/// A place for rows.
pub trait Durable {
    /// What opens it.
    type Engine: MessageStore;

    /// Opens it, as a new process would. The engine before is dropped by then.
    fn open(&self) -> Self::Engine;
}

pub fn what_is_committed_is_there_after_reopening(place: &impl Durable) {
    let config = ProptestConfig { cases: 8, ..ProptestConfig::default() };
    // The cases share the place: each goes on with the rows of those before.
    let reopened = TestRunner::new(config).run(&groups(), |groups| {
        let engine = place.open();
        let leases = [PARTITION, OTHER].map(|partition| acquire(&engine, partition));
        for group in &groups {
            let both = leases.iter().zip(group);
            let group: Vec<(Lease, Batch)> =
                both.map(|(lease, changes)| (*lease, batch(changes, lease.partition))).collect();
            prop_assert_eq!(engine.commit(&group), Ok(Vec::new()));
        }
        let before = rows_shown(&engine);
        drop(engine);
        prop_assert_eq!(before, rows_shown(&place.open()));
        Ok(())
    });
    reopened.unwrap();
}

pub fn a_lease_outlives_its_engine(place: &impl Durable) {
    let engine = place.open();
    let (old, lease) = (acquire(&engine, PARTITION), acquire(&engine, PARTITION));
    drop(engine);
    let engine = place.open();
    let rows = batch(&[Change::Entry(1, 1)], PARTITION);
    assert_eq!(engine.commit(&[(lease, rows.clone())]), Ok(Vec::new()));
    let fenced = engine.commit(&[(old, rows)]).unwrap();
    assert_eq!(fenced.len(), 1);
    assert_eq!(fenced[0].current.epoch, lease.epoch);
}

pub fn a_view_stays_as_it_was(place: &impl Durable) {
    let store = place.open();
    let lease = acquire(&store, PARTITION);
    let view = store.view().unwrap();
    let (conversation, first) = (ConversationId(1), Sequence(3));
    let batch = Batch { deletions: [(conversation, first)].into(), ..Batch::default() };
    assert_eq!(store.commit(&[(lease, batch)]), Ok(Vec::new()));
    let newer = acquire(&store, PARTITION);
    assert_eq!(view.is_deleted(PARTITION, conversation, first), Ok(false));
    assert_eq!(view.ownership(PARTITION).unwrap().epoch, lease.epoch);
    let now = store.view().unwrap();
    assert_eq!(now.is_deleted(PARTITION, conversation, first), Ok(true));
    assert_eq!(now.ownership(PARTITION).unwrap().epoch, newer.epoch);
}
