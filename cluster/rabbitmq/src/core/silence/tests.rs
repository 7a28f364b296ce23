//! When a consumer counts as lost, and what excuses it.

use super::*;

const PREFETCH: u16 = 4;

/// What happens, each a second after the one before.
#[derive(Clone, Copy, Debug)]
enum Event {
    Delivered,
    Settled,
    Nothing,
}
use Event::{Delivered, Nothing, Settled};

/// Looks every second at a queue that always says `ready`; the seconds at which it was asked, and the one at
/// which the consumer was found lost.
fn check(ready: u32, events: &[Event], asked: &[u64], lost: Option<u64>) {
    let mut silence = Silence::new(PREFETCH);
    let mut progress = Progress::default();
    let mut questions = Vec::new();
    let mut found = None;
    for (event, second) in events.iter().zip(1..) {
        match event {
            Delivered => progress.delivered += 1,
            Settled => progress.settled += 1,
            Nothing => {}
        }
        let now = Duration::from_secs(second);
        if silence.next(now, progress) == Next::Ask {
            questions.push(second);
            if silence.answered(now, progress, ready) {
                found = found.or(Some(second));
            }
        }
    }
    assert_eq!((questions.as_slice(), found), (asked, lost), "{ready} {events:?}");
}

#[test]
fn a_consumer_without_the_messages_that_are_ready_is_lost() {
    check(1, &[Nothing; 8], &[3, 6], Some(6));
    // It had some before, and has room for more.
    check(7, &[&[Delivered; 3][..], &[Nothing; 6]].concat(), &[6, 9], Some(9));
    check(7, &[&[Delivered, Settled][..], &[Nothing; 6]].concat(), &[5, 8], Some(8));
}

#[test]
fn an_empty_queue_is_asked_again_and_again_and_nothing_more() {
    check(0, &[Nothing; 10], &[3, 6, 9], None);
}

#[test]
fn a_consumer_that_holds_all_it_may_is_never_asked_about() {
    let full = [Delivered; PREFETCH as usize];
    check(9, &[&full[..], &[Nothing; 20]].concat(), &[], None);
    // With room again, it has as long as any other.
    let with_room = [&full[..], &[Nothing; 20], &[Settled], &[Nothing; 6]].concat();
    check(9, &with_room, &[28, 31], Some(31));
}

#[test]
fn a_slow_consumer_is_given_time_by_whatever_moves() {
    let slow = [Delivered, Nothing, Nothing, Settled, Nothing, Nothing].repeat(5);
    check(9, &slow, &[], None);
    // Between two questions as well.
    let late = [Nothing, Nothing, Nothing, Nothing, Delivered].repeat(3);
    check(9, &late, &[3, 8, 13], None);
}

#[test]
fn what_comes_during_a_question_makes_its_answer_void() {
    let mut silence = Silence::new(PREFETCH);
    let at = Duration::from_secs;
    let none = Progress::default();
    let one = Progress { delivered: 1, settled: 0 };
    assert_eq!(silence.next(at(3), none), Next::Ask);
    assert!(!silence.answered(at(3), none, 2));
    assert_eq!(silence.next(at(4), none), Next::Wait(at(6)));
    assert_eq!(silence.next(at(6), none), Next::Ask);
    assert!(!silence.answered(at(7), one, 2));
    assert_eq!(silence.next(at(7), one), Next::Wait(at(10)));
    assert_eq!(silence.next(at(10), one), Next::Ask);
    assert!(!silence.answered(at(10), one, 1));
    assert!(silence.answered(at(13), one, 1));
}

#[test]
fn one_answer_that_nothing_is_ready_clears_a_suspicion() {
    let mut silence = Silence::new(PREFETCH);
    let answers = [1, 0, 1, 0, 2, 1];
    let found: Vec<bool> = answers
        .iter()
        .zip(1..)
        .map(|(ready, n)| silence.answered(n * PATIENCE, Progress::default(), *ready))
        .collect();
    assert_eq!(found, [false, false, false, false, false, true]);
}
