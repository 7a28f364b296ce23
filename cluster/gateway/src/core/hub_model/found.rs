//! What the model has found, where the file of seeds beside this crate does not hold it.

use super::Op::{
    Answer, Connect, Deliver, Disconnect, DropDeliveries, Event, Execute, Join, Leave, LoseLink,
    LoseQueue, Read, Relink, Resubscribe, Send,
};
use super::run;

/// The user left before the session was attached. When the user was back, the news of the first joining,
/// long late, began the stream there, before what the device had shown.
#[test]
fn old_news_of_a_joining_does_not_take_a_stream_back() {
    let ops = [
        Leave(3, 1),
        Connect(3),
        Join(3, 4),
        Execute(3),
        Answer(0),
        Execute(3),
        Join(3, 1),
        Deliver(1),
        Read(3, 1),
        Connect(0),
        Answer(0),
        Read(3, 3),
        Connect(3),
        Execute(0),
        Execute(0),
        Execute(3),
        Leave(3, 4),
        Answer(2_086_271_748_982_970_845),
        Execute(3),
        Join(3, 4),
    ];
    run(4_096, &ops);
}

/// The page of a repair was under way when the owner said that the user was no longer a member, and ended
/// before a message that was still for the user.
#[test]
fn a_page_from_before_an_expulsion_does_not_end_a_stream() {
    let ops = [
        Execute(0),
        Leave(1, 1),
        Connect(3),
        Leave(3, 2),
        Connect(3),
        Connect(4),
        Relink,
        Execute(0),
        Answer(0),
        Execute(3),
        Connect(2),
        Execute(3),
        Answer(11_181_366_963_317_018_030),
        Connect(1),
        Execute(3),
        Execute(0),
        Send(0, 1),
        Read(3, 1),
        Send(3, 1),
        Execute(0),
        Answer(272_920_612_419_177_398),
        Answer(3_874_153_040_730_510_084),
        Answer(9_814_665_313_359_798_613),
        Connect(2),
        Execute(3),
        Execute(3),
        LoseQueue,
        Resubscribe,
        Event,
        Execute(0),
        Connect(0),
        Execute(0),
        Relink,
        Execute(0),
        Join(1, 2),
        Answer(9_852_911_535_489_625_140),
        Join(3, 2),
        Answer(464_800_857_374_557_786),
        Answer(0),
        Answer(0),
        Execute(3),
        Answer(3_316_363_776_186_971_066),
        Execute(0),
        Disconnect(0),
        Execute(0),
        Read(1, 1),
        Join(1, 1),
        LoseQueue,
        Answer(4_961_049_109_227_623_643),
        Send(1, 3),
        Execute(3),
        Execute(1),
        Send(0, 1),
        Leave(3, 1),
        Send(0, 1),
    ];
    run(12, &ops);
}

/// The owner was asked before the user joined again, its answer comes behind a lookup that knows of it.
#[test]
fn a_joining_that_only_a_lookup_tells_is_not_forgotten() {
    let mut ops = vec![Event; 9];
    ops.extend([Connect(1), Execute(9), Answer(0), Execute(9), Answer(0)]);
    ops.extend([Leave(1, 2), Deliver(1), Execute(9), LoseLink, Join(1, 2), Relink]);
    ops.extend([Event, Event, Execute(9), Answer(1), Answer(0)]);
    run(4_096, &ops);
}

/// A repair was under way when the only session went, and its page came when the session was back.
#[test]
fn a_page_for_an_earlier_stream_does_not_end_a_later_one() {
    let mut ops = vec![Connect(1), Execute(9), Answer(0), Execute(9), Answer(0)];
    ops.extend([Leave(1, 4), Leave(1, 3), DropDeliveries(1), Deliver(1), Execute(9)]);
    ops.extend([Disconnect(1), Execute(9), Connect(1), Execute(9), Answer(1), Execute(9)]);
    ops.extend([Answer(1), LoseQueue, Join(1, 4), Leave(1, 2), Resubscribe, Execute(9)]);
    ops.extend([Answer(1), Answer(0)]);
    run(4_096, &ops);
}

/// A call came to the wrong owner first, and was made again when its session was gone.
#[test]
fn nobody_stays_attached_who_has_no_session() {
    let ops =
        [Connect(1), Execute(9), Answer(0), Disconnect(1), Execute(19), Execute(9), Execute(9)];
    run(4_096, &ops);
}
