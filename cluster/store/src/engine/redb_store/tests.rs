//! The suite of the port, and what only this engine does.

use super::*;
use crate::engine::conformance::changes::{compare, groups};
use crate::engine::conformance::{Durable, acquire};
use fakes::FakeDisk;
use proptest::prelude::*;
use protocol::{ConversationId, Sequence};

fn redb() -> RedbStore {
    RedbStore::open(Arc::new(FakeDisk::default()), Fsync::Always).unwrap()
}

/// Its disk.
#[derive(Default)]
struct Place(Arc<FakeDisk>);

impl Durable for Place {
    type Engine = RedbStore;

    fn open(&self) -> RedbStore {
        RedbStore::open(Arc::clone(&self.0) as _, Fsync::Always).unwrap()
    }
}

crate::conformance!(engine, super::redb);
crate::durable!(reopened, super::Place::default);

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn checkpoints_and_views_change_nothing_that_is_shown(
        groups in groups(),
        doings in prop::collection::vec((any::<bool>(), any::<bool>()), 7),
    ) {
        let engine = redb();
        let mut doings = doings.into_iter();
        let mut looking = None;
        compare(&engine, &groups, |_| {
            let (look, checkpoint) = doings.next().unwrap_or_default();
            // A view makes the next commit begin a new layer.
            looking = look.then(|| engine.view().unwrap());
            // What the last checkpoint wrote is given up when others have committed since.
            engine.release();
            if checkpoint {
                engine.checkpoint().unwrap();
            }
        })?;
        drop(looking);
    }
}

#[test]
fn a_view_stays_as_it_was() {
    let store = redb();
    let lease = acquire(&store, Partition(0));
    let view = store.view().unwrap();
    let (conversation, first) = (ConversationId(1), Sequence(3));
    let batch = Batch { trims: [(conversation, first)].into(), ..Batch::default() };
    let deleted = Batch { deletions: [(conversation, first)].into(), ..batch };
    assert_eq!(store.commit(&[(lease, deleted)]), Ok(Vec::new()));
    assert_eq!(view.is_deleted(Partition(0), conversation, first), Ok(false));
    let now = store.view().unwrap();
    assert_eq!(now.is_deleted(Partition(0), conversation, first), Ok(true));
}
