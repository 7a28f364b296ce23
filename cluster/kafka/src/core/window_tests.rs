//! Windows against a model: a set of what is not settled.

use super::*;
use proptest::prelude::*;

fn handed_out(redelivered: bool) -> Read {
    Read::HandOut { redelivered }
}

#[test]
fn what_is_settled_out_of_order_stays_settled_for_the_next_consumer() {
    let mut window = Window::resume(Progress::at(10), 10, 4);
    for offset in 10..14 {
        assert_eq!(window.read(offset, false), handed_out(false));
    }
    assert_eq!(window.room(), 0);
    assert!(window.settle(11) && window.settle(12) && !window.settle(12));
    let progress = window.progress();
    assert_eq!(progress, Progress { next: 14, open: vec![10..11, 13..14] });
    assert_eq!((progress.base(), progress.waiting(20)), (10, 8));

    let mut next = Window::resume(progress, 14, 4);
    let read: Vec<_> = (10..15).map(|offset| next.read(offset, false)).collect();
    let again = handed_out(true);
    assert_eq!(read, [again, Read::Settled, Read::Settled, again, handed_out(false)]);
}

#[test]
fn what_was_not_read_again_yet_is_not_forgotten() {
    let progress = Progress { next: 14, open: vec![10..11, 13..14] };
    let mut window = Window::resume(progress.clone(), 14, 4);
    assert_eq!(window.progress(), progress);
    window.read(10, false);
    assert_eq!(window.progress(), progress);
    assert!(window.settle_through(10));
    let after = window.progress();
    assert_eq!((after.next, after.open.len(), &after.open[0]), (14, 1, &(13..14)));
    assert!(!window.settle_through(u64::MAX));
}

#[test]
fn what_kafka_no_longer_has_is_counted_unless_it_was_settled() {
    let progress = Progress { next: 14, open: vec![10..11, 13..14] };
    let mut window = Window::resume(progress, 14, 4);
    assert_eq!(window.skip_to(9), 0);
    assert_eq!(window.skip_to(16), 4);
    assert_eq!(window.progress(), Progress::at(16));
}

#[test]
fn the_oldest_gives_way_unless_it_is_in_hand() {
    let mut window = Window::resume(Progress::at(0), 0, 10);
    assert_eq!(window.read(0, false), handed_out(false));
    assert_eq!(window.read(1, true), Read::GivesWay);
    assert_eq!(window.read(2, false), handed_out(false));
    assert_eq!(window.progress(), Progress { next: 3, open: vec![0..1, 2..3] });
}

#[test]
fn what_was_settled_makes_nothing_give_way() {
    let window = Window::resume(Progress { next: 1_000, open: vec![3..4, 90..95] }, 1_000, 10);
    for (offset, end, waiting) in [
        (3, 1_000, 6),
        (92, 1_000, 3),
        (95, 1_000, 0),
        (3, 1_010, 16),
        (1_004, 1_010, 6),
        // An end from before.
        (1_004, 900, 0),
    ] {
        assert_eq!(window.waiting_from(offset, end), waiting, "{offset} of {end}");
    }
    let fresh = Window::resume(Progress::at(10), 10, 10);
    assert_eq!((fresh.waiting_from(10, 15), fresh.waiting_from(14, 15)), (5, 1));
}

proptest! {
    /// Whatever is settled in whichever order, over several lives of the consumer: exactly the rest is open.
    #[test]
    fn exactly_what_was_not_settled_is_open(
        lives in prop::collection::vec(
            (1..40_u64, prop::collection::vec(0..200_u64, 0..40)), 1..6),
    ) {
        let end = 120;
        let mut unsettled: BTreeSet<u64> = (0..end).collect();
        let mut progress = Progress::at(0);
        for (reads, settled) in lives {
            let mut window = Window::resume(progress.clone(), progress.next, u32::MAX);
            let mut held = BTreeSet::new();
            let from = window.next();
            for offset in from..(from + reads).min(end) {
                let expected = unsettled.contains(&offset);
                let read = window.read(offset, false);
                prop_assert_eq!(matches!(read, Read::HandOut { .. }), expected);
                held.extend(expected.then_some(offset));
            }
            for offset in settled {
                prop_assert_eq!(window.settle(offset), held.remove(&offset));
                if window.progress().base() > offset {
                    prop_assert!(!held.contains(&offset));
                }
            }
            unsettled.retain(|offset| *offset >= window.next() || held.contains(offset));
            progress = window.progress();
            let open: BTreeSet<u64> = progress.open.iter().cloned().flatten()
                .chain(progress.next..end).collect();
            prop_assert_eq!(&open, &unsettled);
            prop_assert_eq!(progress.waiting(end), unsettled.len() as u64);
            let next = Window::resume(progress.clone(), 0, 1);
            for from in [0, 30, 90] {
                let later = unsettled.range(from..).count() as u64;
                prop_assert_eq!(next.waiting_from(from, end), later);
            }
        }
    }
}
