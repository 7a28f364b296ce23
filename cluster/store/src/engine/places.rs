//! A disk belongs to one store node of one cluster.

use super::RedbStore;
use super::conformance::acquire;
use super::{OpenError, Place};
use fakes::FakeDisk;
use protocol::design::Fsync;
use protocol::limits::StoreLimits;
use protocol::{NodeNumber, Partition};
use std::sync::Arc;

const MADE: Place = Place { number: NodeNumber(1), stores: 3, partitions: 16 };

fn open(disk: &FakeDisk, place: Place) -> Result<RedbStore, OpenError> {
    RedbStore::open_at(Arc::new(disk.clone()), Fsync::Always, place, StoreLimits::default())
}

#[test]
fn a_disk_of_another_place_is_refused_with_both_numbers() {
    let disk = FakeDisk::default();
    open(&disk, MADE).unwrap().close().unwrap();
    for (asked, number) in [
        (Place { stores: 2, ..MADE }, "1 of 2 with 16"),
        (Place { partitions: 32, ..MADE }, "1 of 3 with 32"),
        (Place { number: NodeNumber(2), ..MADE }, "2 of 3 with 16"),
    ] {
        let error = open(&disk, asked).err().expect("refused");
        assert_eq!(error, OpenError::OtherPlace { made: MADE, asked });
        let text = error.to_string();
        assert!(text.contains("1 of 3 with 16") && text.contains(number), "{text}");
        assert!(text.contains("start with 3 stores and 16 partitions"), "{text}");
    }
    open(&disk, MADE).expect("what was refused has changed nothing");
}

#[test]
fn a_disk_from_before_places_belongs_to_the_first_that_opens_it() {
    let disk = FakeDisk::default();
    let old = RedbStore::open(Arc::new(disk.clone()), Fsync::Always).unwrap();
    let lease = acquire(&old, Partition(3));
    old.close().unwrap();
    let store = open(&disk, MADE).expect("adopted");
    assert!(acquire(&store, Partition(3)).epoch > lease.epoch, "with its rows");
    drop(store);
    let left = disk.after_power_loss(&mut |_| 1);
    let error = open(&left, Place { stores: 4, ..MADE }).err().expect("durable at once");
    assert!(matches!(error, OpenError::OtherPlace { made: MADE, .. }), "{error}");
}
