//! Claims about measuring, on small streams of events.

use super::Measurements;
use crate::measured::{Measured, Recovery};
use crate::sample::header;
use protocol::{
    ClientMessageId, ConversationId, DeviceId, Epoch, GatewayId, Incarnation, NodeNumber,
    RejectReason, Sequence, SessionId, UserId,
};
use verify::history::event::{Device, Event, Phase, Said, Seen, What};

const CONVERSATION: ConversationId = ConversationId(1);

fn device(user: u64, device: u32) -> Device {
    Device { user: UserId(user), device: DeviceId(device) }
}

fn id(device: Device, counter: u64) -> ClientMessageId {
    ClientMessageId((u64::from(device.device.0) << 40) | counter)
}

fn opened(device: Device) -> What {
    let (gateway, incarnation, session) = (GatewayId(1), Incarnation(1), SessionId(1));
    What::Opened { device, gateway, incarnation, session }
}

fn sent(device: Device, counter: u64, intended: u64) -> What {
    let said = Said::Message { hash: counter, parent: None };
    let message = id(device, counter);
    What::Sent { device, conversation: CONVERSATION, message, said, intended }
}

fn accepted(device: Device, counter: u64) -> What {
    What::Accepted {
        device,
        conversation: CONVERSATION,
        message: id(device, counter),
        sequence: Sequence(counter),
        epoch: Epoch(1),
        owner: NodeNumber(1),
    }
}

fn shown(on: Device, author: Device, counter: u64) -> What {
    let entry = Seen {
        conversation: CONVERSATION,
        sequence: Sequence(counter),
        epoch: Epoch(1),
        owner: NodeNumber(1),
        author: author.user,
        message: id(author, counter),
        said: Said::Message { hash: counter, parent: None },
    };
    What::Shown { device: on, entry }
}

fn began(fault: u32) -> What {
    What::FaultBegan {
        fault,
        kind: "pause".into(),
        target: "store-1".into(),
        drawn: false,
        injected: None,
    }
}

fn measure(events: impl IntoIterator<Item = (u64, What)>) -> Measured {
    let mut measurements = Measurements::new(&header(3, 2));
    for (at, is) in events {
        measurements.observe(&Event { at, is });
    }
    measurements.finish()
}

#[test]
fn latency_counts_from_the_intended_time() {
    let (ada, bob) = (device(1, 1), device(2, 1));
    let measured = measure([
        (0, opened(ada)),
        (0, opened(bob)),
        // Held up for 700 microseconds by whatever it should measure.
        (1_700, sent(ada, 1, 1_000)),
        (1_900, accepted(ada, 1)),
        (2_000, shown(ada, ada, 1)),
        (2_100, shown(bob, ada, 1)),
    ]);
    assert_eq!(measured.accept.all.max_us, Some(900));
    assert_eq!(measured.deliver.all.max_us, Some(1_100));
    assert_eq!(measured.deliver.all.count, 1, "the sender's own device is no delivery");
    assert_eq!(measured.lateness.max_us, Some(700));
    assert_eq!(measured.totals.echoed, 1);
}

#[test]
fn latency_is_also_counted_from_when_operations_were_sent() {
    let (ada, bob) = (device(1, 1), device(2, 1));
    let measured = measure([
        (0, opened(ada)),
        (0, opened(bob)),
        (65_000, sent(ada, 1, 1_000)),
        (66_000, accepted(ada, 1)),
        (67_000, shown(bob, ada, 1)),
        (70_000, sent(ada, 2, 70_000)),
        (75_000, accepted(ada, 2)),
    ]);
    let (accept, deliver) = (measured.accept, measured.deliver);
    assert_eq!((accept.all.max_us, accept.from_sent.all.max_us), (Some(65_000), Some(5_000)));
    assert_eq!((deliver.all.max_us, deliver.from_sent.calm.max_us), (Some(66_000), Some(2_000)));
    assert_eq!(accept.from_sent.operations.send.count, 2);
}

#[test]
fn another_device_of_the_sender_is_a_delivery() {
    let (phone, laptop) = (device(1, 1), device(1, 2));
    let measured = measure([
        (0, opened(phone)),
        (0, opened(laptop)),
        (10, sent(phone, 1, 10)),
        (30, shown(laptop, phone, 1)),
    ]);
    assert_eq!(measured.deliver.all.max_us, Some(20));
}

#[test]
fn only_the_first_accepted_counts() {
    let ada = device(1, 1);
    let measured = measure([
        (0, opened(ada)),
        (10, sent(ada, 1, 10)),
        (20, accepted(ada, 1)),
        (9_000, accepted(ada, 1)),
    ]);
    assert_eq!(measured.accept.all.count, 1);
    assert_eq!(measured.accept.all.max_us, Some(10));
    assert_eq!((measured.totals.accepted, measured.totals.accepted_again), (1, 1));
}

#[test]
fn an_unanswered_operation_counts_with_the_time_it_waited() {
    let ada = device(1, 1);
    let unanswered = |counter| What::Unanswered {
        device: ada,
        conversation: CONVERSATION,
        message: id(ada, counter),
    };
    let measured = measure([
        (0, opened(ada)),
        (10, sent(ada, 1, 10)),
        (20, accepted(ada, 1)),
        (30, sent(ada, 2, 30)),
        (9_030, unanswered(2)),
    ]);
    assert_eq!(measured.accept.all.count, 2);
    assert_eq!(measured.accept.all.max_us, Some(9_000));
    assert_eq!((measured.totals.accepted, measured.totals.unanswered), (1, 1));
    assert_eq!(measured.seconds[0].accept_p99_us, Some(10), "nothing was answered then");
}

#[test]
fn a_device_that_was_not_there_yet_is_not_late() {
    let (ada, bob) = (device(1, 1), device(2, 1));
    let measured = measure([
        (0, opened(ada)),
        (10, sent(ada, 1, 10)),
        (5_000, opened(bob)),
        (6_000, shown(bob, ada, 1)),
    ]);
    assert_eq!(measured.deliver.all.count, 0);
    assert_eq!((measured.totals.delivered, measured.totals.caught_up), (1, 1));
}

#[test]
fn whoever_was_no_member_in_between_is_not_late() {
    let (ada, bob) = (device(1, 1), device(2, 1));
    let asked = |add| What::MemberAsked { conversation: CONVERSATION, user: bob.user, add };
    let measured = measure([
        (0, asked(true)),
        (0, opened(ada)),
        (0, opened(bob)),
        (10, sent(ada, 1, 10)),
        (20, asked(false)),
        // Still on its way when the departure was asked for.
        (25, shown(bob, ada, 1)),
        (30, sent(ada, 2, 30)),
        (16_000, asked(true)),
        (16_005, asked(true)),
        (16_010, shown(bob, ada, 2)),
        (16_020, sent(ada, 3, 16_002)),
        (16_030, shown(bob, ada, 3)),
    ]);
    assert_eq!((measured.deliver.all.count, measured.totals.caught_up), (2, 1));
    assert_eq!(measured.deliver.all.max_us, Some(28));
}

#[test]
fn a_device_that_lost_its_connection_is_late() {
    let (ada, bob) = (device(1, 1), device(2, 1));
    let measured = measure([
        (0, opened(ada)),
        (0, opened(bob)),
        (5, What::Closed { device: bob, code: 0 }),
        (10, sent(ada, 1, 10)),
        (5_000, opened(bob)),
        (6_010, shown(bob, ada, 1)),
    ]);
    assert_eq!(measured.deliver.all.max_us, Some(6_000));
}

#[test]
fn what_went_past_a_device_that_was_put_away_is_nobodys_latency() {
    let (ada, bob) = (device(1, 1), device(2, 1));
    let measured = measure([
        (0, opened(ada)),
        (0, opened(bob)),
        (5, What::Closed { device: bob, code: 1000 }),
        (10, sent(ada, 1, 10)),
        (5_000, What::Back { device: bob }),
        (5_010, sent(ada, 2, 5_010)),
        (5_600, opened(bob)),
        (6_010, shown(bob, ada, 1)),
        (6_020, shown(bob, ada, 2)),
    ]);
    assert_eq!((measured.deliver.all.count, measured.totals.caught_up), (1, 1));
    assert_eq!(measured.deliver.all.max_us, Some(1_010), "to connect counts in full");
}

#[test]
fn latency_under_a_fault_is_told_apart() {
    let ada = device(1, 1);
    let mut events = vec![(0, opened(ada))];
    // Over before the fault, within it, begun in it and over later, begun after its end.
    for (counter, from, to) in [(1, 10, 90), (2, 110, 150), (3, 190, 250), (4, 260, 300)] {
        events.push((from, sent(ada, counter, from)));
        events.push((to, accepted(ada, counter)));
    }
    events.push((100, began(0)));
    events.push((200, What::FaultEnded { fault: 0, effect: 3 }));
    events.sort_by_key(|(at, _)| *at);
    let measured = measure(events);
    assert_eq!(measured.accept.calm.count, 2);
    assert_eq!(measured.accept.under_fault.count, 2);
    assert_eq!(measured.faults[0].to_us, Some(200));
    assert_eq!(measured.faults[0].effect, Some(3));
}

#[test]
fn a_fault_without_an_end_stays_open() {
    let measured = measure([(5, began(0)), (10, began(1))]);
    assert_eq!(measured.faults.len(), 2);
    assert!(measured.faults.iter().all(|band| band.to_us.is_none() && band.effect.is_none()));
}

#[test]
fn seconds_have_no_holes() {
    let (ada, bob) = (device(1, 1), device(2, 1));
    let measured = measure([
        (0, opened(ada)),
        (100, opened(bob)),
        (500_000, sent(ada, 1, 500_000)),
        (3_200_000, accepted(ada, 1)),
        (3_300_000, What::Closed { device: bob, code: 0 }),
        (3_400_000, What::Phase(Phase::End)),
    ]);
    let rows: Vec<_> =
        measured.seconds.iter().map(|s| (s.sent, s.accepted, s.connected, s.closed)).collect();
    assert_eq!(rows, [(1, 0, 2, 0), (0, 0, 2, 0), (0, 0, 2, 0), (0, 1, 1, 1)]);
    assert_eq!(measured.seconds[1].accept_p50_us, None);
    let median = measured.seconds[3].accept_p50_us.unwrap_or_default();
    assert!((2_700_000..=2_702_700).contains(&median), "{median}");
}

#[test]
fn a_stream_without_events_measures_nothing() {
    let measured = measure([]);
    assert_eq!(measured, Measured::default());
}

#[test]
fn what_is_forgotten_is_counted_as_untimed() {
    let (ada, bob) = (device(1, 1), device(2, 1));
    let mut measurements = Measurements::with_window(&header(3, 2), 2);
    let events = [opened(ada), opened(bob), sent(ada, 1, 9), sent(ada, 2, 9), sent(ada, 3, 9)];
    for is in events.into_iter().chain([accepted(ada, 1), shown(bob, ada, 1), shown(bob, ada, 2)]) {
        measurements.observe(&Event { at: 9, is });
    }
    let measured = measurements.finish();
    assert_eq!(measured.totals.untimed, 2);
    assert_eq!(measured.totals.accepted, 1);
    assert_eq!(measured.deliver.all.count, 1);
}

#[test]
fn rejections_are_counted_by_reason() {
    let ada = device(1, 1);
    let reason = RejectReason::RateLimited;
    let message = id(ada, 1);
    let rejected = What::Rejected { device: ada, conversation: CONVERSATION, message, reason };
    let measured = measure([(1, rejected.clone()), (2, rejected)]);
    assert_eq!(measured.totals.rejected.get("rate_limited"), Some(&2));
    assert_eq!(measured.seconds[0].rejected, 2);
}

#[test]
fn a_gauge_keeps_its_highest_value() {
    let gauge = |value| What::Gauge {
        node: "gateway-1".into(),
        name: "session_queue_frames".into(),
        value,
        limit: 100,
    };
    let measured = measure([(1, gauge(5)), (2, gauge(70)), (3, gauge(20))]);
    assert_eq!(measured.levels.len(), 1);
    assert_eq!((measured.levels[0].highest, measured.levels[0].limit), (70, 100));
}

/// Ten messages a second, answered after so many milliseconds each.
fn talk(seconds: std::ops::Range<u64>, ms: u64) -> Vec<(u64, What)> {
    let ada = device(1, 1);
    let one = |tenth: u64| {
        let at = tenth * 100_000;
        [(at, sent(ada, tenth + 1, at)), (at + ms * 1_000, accepted(ada, tenth + 1))]
    };
    let mut events: Vec<_> = (seconds.start * 10..seconds.end * 10).flat_map(one).collect();
    events.sort_by_key(|(at, _)| *at);
    events
}

#[test]
fn recovery_is_that_of_the_last_of_several_faults() {
    let fault = |at, number| (at, began(number));
    let ended = |at, number| (at, What::FaultEnded { fault: number, effect: 1 });
    let run = |last: u64| {
        let mut events = vec![(0, What::Phase(Phase::Load))];
        events.extend(talk(0..5, 10));
        events.extend([fault(5_000_000, 1), ended(5_500_000, 1), fault(5_600_000, 2)]);
        events.push(ended(6_000_000, 2));
        events.extend(talk(6..8, 700));
        events.extend(talk(9..last, 10));
        events.sort_by_key(|(at, _)| *at);
        measure(events)
    };
    let back = run(14);
    let recoveries = |run: &Measured| run.faults.iter().map(|f| f.recovery).collect::<Vec<_>>();
    assert_eq!(recoveries(&back), [Recovery::Unknown, Recovery::After(3_000_000)]);
    assert_eq!(back.recovery(), Recovery::After(3_000_000));
    assert_eq!((back.accept.calm.count, back.accept.under_fault.count), (50 + 50 - 30, 20 + 30));
    assert_eq!(run(10).recovery(), Recovery::Never);
    let calm = measure(talk(0..5, 10));
    assert_eq!((calm.recovery(), calm.baseline), (Recovery::Unknown, None));
}
