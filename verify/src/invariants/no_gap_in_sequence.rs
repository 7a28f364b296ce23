//! **No gap.** After a device has got to sequence n of a conversation (shown it, or its first stream
//! began behind n) the next it shows is n + 1, and a stream that begins anew does not begin behind
//! more than n; and a stream that ends by `detached` in the session in which it began has shown
//! everything up to the departure. Nor does the first stream of a device begin behind anything, from
//! the first message on, to which no device of the user has got: what a device without a cursor skips,
//! its receipts would call delivered. No stream begins behind more than the head that is named with it.
//! The stored log of a conversation that was read whole has every sequence from 1 to its head.
//!
//! - Explained: a sequence at which the user was not a member, or that lies before a departure which
//!   lies before what follows the jump; what retention removed (see `accepted_message_survives`).
//! - A stream may begin anew below n: the device drops what it has shown. Behind a `detached` the
//!   device has no cursor any more, and its next stream is a first one again.
//! - Judged: entries shown, and sequences of the stored logs.
//! - Excused: in a history of format 1, a stream that begins beyond its head. What the
//!   first stream of a device skips, if the message was accepted or seen only later, or is compacted, or
//!   in a history of format 1 (clusters of that time began at the head). Nothing else. A jump where the
//!   log was not read and membership is unknown is a reason for an unknown verdict.
//! - Broken by: a device that shows 6 after 4; a store whose log lacks a departure. Not by: a device
//!   that shows 6 after 4, and whose user joined at 6.
//!
//! Streaming: 4 bytes per (device, conversation); each jump is kept until the end, when memberships and
//! retention are known.

use super::{Check, about_entry};
use crate::history::event::{Event, What};
use crate::state::members::Standing;
use crate::state::merge::Slots;
use crate::state::recent::About;
use crate::state::{State, Step, short};
use crate::stored_log;
use crate::suspicions::Suspicions;
use crate::tally::Tally;
use crate::verdict::Evidence;
use protocol::Sequence;

/// Streams that ended before their user's departure was reached: so many are kept. In a sound run
/// there are none: a stream that ends has shown everything.
const MOST_DEPARTURES: usize = 1 << 16;
/// Of these, so many with the evidence of the moment.
const MOST_WITH_EVIDENCE: usize = 64;

#[derive(Default)]
pub(crate) struct Invariant {
    jumps: Suspicions,
    departures: Vec<Departure>,
}

/// A stream that ended by `detached`: everything up to the departure should have been shown.
struct Departure {
    who: u32,
    last: u32,
    evidence: Option<Box<Evidence>>,
}

impl Departure {
    fn judge(self, state: &State, tally: &mut Tally) {
        let who = &state.pairs.members[self.who as usize];
        let conversation = who.conversation as usize;
        let Some(departure) = who.departure_behind(self.last) else { return };
        let span = (self.last + 1, departure - 1);
        let missing = state.first_owed(self.who, span, 0, Standing::Member);
        let Some(sequence) = missing else { return };
        let late = || {
            let what = format!(
                "user {} of conversation {} left at {departure}, and missed {sequence}",
                who.user + 1,
                conversation + 1
            );
            let (conversation, sequence) = (Some(conversation), Some(sequence));
            state.evidence(what, About { conversation, sequence, ..About::default() })
        };
        tally.confirmed(|| self.evidence.map_or_else(late, |evidence| *evidence));
    }
}

impl Check for Invariant {
    fn observe(&mut self, state: &State, step: &Step, event: &Event, tally: &mut Tally) {
        let before = step.before;
        match &event.is {
            What::Shown { entry, .. } => {
                tally.judged += 1;
                if before.known && !before.left && step.sequence > before.last + 1 {
                    let span = (before.last + 1, step.sequence - 1);
                    let mut about = about_entry(step, entry);
                    about.other = Some(before.last);
                    self.jumps.add(state, step.who, span, step.sequence, about, || {
                        format!(
                            "{} showed sequence {} of conversation {} after {}",
                            state.device_name(step.device),
                            entry.sequence,
                            entry.conversation,
                            before.last
                        )
                    });
                }
            }
            What::Attached { conversation, from, head, .. } => {
                let from = short(*from);
                if from > short(*head) && state.header.format >= 2 {
                    beyond_head(state, step, (from, *head), tally);
                }
                if let Some((first, reached)) = skipped(state, step, from) {
                    let about = About {
                        device: Some(step.device),
                        conversation: Some(step.conversation),
                        sequence: Some(from),
                        other: Some(first - 1),
                        ..About::default()
                    };
                    self.jumps.add(state, step.who, (first, from), from + 1, about, || {
                        format!(
                            "the stream of conversation {conversation} began behind {from} on {}: \
                             no device that it goes on from had got further than {reached}",
                            state.device_name(step.device),
                        )
                    });
                }
            }
            What::Detached { conversation, .. } if ends_its_stream(state, step) => {
                let about = About {
                    device: Some(step.device),
                    conversation: Some(step.conversation),
                    other: Some(before.last),
                    ..About::default()
                };
                let what = format!(
                    "{} had shown conversation {conversation} up to {} only when its user had left",
                    state.device_name(step.device),
                    before.last
                );
                if self.departures.len() < MOST_DEPARTURES {
                    let evidence = (self.departures.len() < MOST_WITH_EVIDENCE)
                        .then(|| Box::new(state.evidence(what, about)));
                    self.departures.push(Departure { who: step.who, last: before.last, evidence });
                }
            }
            _ => {}
        }
    }

    fn merge(&mut self, other: Self, slots: &Slots, _: &State, _: &mut Tally) {
        self.jumps.merge(other.jumps, slots);
        let departures = other.departures.into_iter();
        self.departures.extend(departures.map(|d| Departure { who: slots.member(d.who), ..d }));
        self.departures.truncate(MOST_DEPARTURES);
    }

    fn finish(&mut self, state: &State, tally: &mut Tally) {
        self.jumps.resolve(state, tally);
        for departure in self.departures.drain(..) {
            departure.judge(state, tally);
        }
        for (conversation, log) in state.logs.iter().enumerate() {
            if log.whole == Some(true) {
                stored_log::judge(state, conversation, tally);
            }
        }
    }
}

/// A stream begins behind more than its head.
fn beyond_head(state: &State, step: &Step, (from, head): (u32, Sequence), tally: &mut Tally) {
    let about = About {
        device: Some(step.device),
        conversation: Some(step.conversation),
        sequence: Some(from),
        ..About::default()
    };
    tally.violated(state, about, || {
        format!(
            "the stream of conversation {} began behind {from} on {}, which is beyond its head {head}",
            step.conversation + 1,
            state.device_name(step.device)
        )
    });
}

/// What a stream that begins behind `from` leaves out: from where on, and what it should go on from. For a
/// first stream this is as far as any device of the user had got; what is no message yet does not count.
fn skipped(state: &State, step: &Step, from: u32) -> Option<(u32, u32)> {
    if step.before.known && !step.before.left {
        return (from > step.before.last).then_some((step.before.last + 1, step.before.last));
    }
    if state.header.format < 2 {
        return None;
    }
    let pairs = (0..state.header.devices_per_user).map(|n| state.pairs.pair_of(step.who, n));
    let others = pairs.filter(|pair| *pair != step.pair);
    let reached = others.map(|pair| state.pairs.pair(pair).stream.last).max().unwrap_or(0);
    let reached = reached.max(step.before.last);
    let log = &state.logs[step.conversation];
    let mut span = reached.max(log.compacted_to()) + 1..=from.min(log.reach());
    span.find(|sequence| log.get(*sequence).is_message).map(|first| (first, reached))
}

/// Whether the stream that ends now began in this session. Otherwise there was none to show anything.
fn ends_its_stream(state: &State, step: &Step) -> bool {
    let device = &state.devices[step.device];
    step.before.known && device.open && step.before.session == device.session
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::Builder;
    use crate::history::event::Phase;
    use crate::invariants::tests::{clean, judge, violated};
    use protocol::{ConversationId, Sequence};

    const NAME: &str = "no_gap_in_sequence";

    fn talk() -> Builder {
        Builder::new(3, 1).group(1, &[1, 2, 3]).connect_all().say(1, 1)
    }

    fn attached_behind(builder: Builder, from: u64) -> Builder {
        let device = builder.device(2, 1);
        let (conversation, head) = (ConversationId(1), Sequence(builder.head(1)));
        builder.push(What::Attached { device, conversation, from: Sequence(from), head })
    }

    #[test]
    fn a_resumed_stream_without_a_gap_is_clean() {
        let resumed = talk().lose(2, 1).say(1, 1).say(3, 1).connect(2, 1).deliver(1);
        assert_eq!(clean(NAME, &resumed.finish()).judged, 9 + 6, "shown and stored");
        clean(NAME, &attached_behind(talk().say(1, 1), 4).finish());
    }

    #[test]
    fn a_jump_is_noticed_even_if_it_is_filled_later() {
        let jump = talk().send(1, 1).commit(1).accept(1).send(1, 1).commit(1).accept(1);
        violated(NAME, &jump.clone().show(2, 1, 1, 6).finish());
        violated(NAME, &jump.show(2, 1, 1, 6).show(2, 1, 1, 5).finish());
    }

    #[test]
    fn a_stream_that_begins_anew_too_far_is_noticed() {
        let skipped = talk().lose(2, 1).say(1, 1).say(3, 1);
        violated(NAME, &attached_behind(skipped, 6).finish());
    }

    #[test]
    fn a_first_stream_that_begins_too_far_is_noticed() {
        let away = || {
            let met = Builder::with_devices(2, 2, 1).group(1, &[1, 2]).phase(Phase::Load);
            met.connect(1, 1).say(1, 1).say(1, 1)
        };
        let second = |builder: Builder, from| {
            let device = builder.device(2, 2);
            let (conversation, head) = (ConversationId(1), Sequence(builder.head(1)));
            let open = builder.open(2, 2);
            open.push(What::Attached { device, conversation, from: Sequence(from), head }).finish()
        };
        clean(NAME, &second(away(), 2));
        let finding = violated(NAME, &second(away(), 4));
        assert!(finding.evidence[0].what.contains("further than 0"), "{finding:?}");
        // The first device has shown one of the two.
        let shown = || away().open(2, 1).attach(2, 1, 1).show(2, 1, 1, 3);
        clean(NAME, &second(shown(), 3));
        violated(NAME, &second(shown(), 4));
        let mut old = second(away(), 4);
        old.header.format = 1;
        clean(NAME, &old);
    }

    #[test]
    fn a_stream_that_begins_beyond_its_head_is_noticed_and_owes_what_it_skips() {
        let ahead = |from: u64, head: u64| {
            let run = Builder::new(2, 1).group(1, &[1, 2]).phase(Phase::Load).connect(1, 1);
            let (device, conversation) = (run.device(2, 1), ConversationId(1));
            let (from, head) = (Sequence(from), Sequence(head));
            let begun = run.open(2, 1).push(What::Attached { device, conversation, from, head });
            begun.heal().say(1, 1).finish()
        };
        clean(NAME, &ahead(2, 2));
        let mut history = ahead(3, 2);
        violated(NAME, &history);
        violated("delivered_after_heal", &history);
        history.header.format = 1;
        clean(NAME, &history);
    }

    #[test]
    fn a_departure_and_a_return_explain_a_jump() {
        let back = talk()
            .change_member(1, 2, false)
            .push(What::Detached { device: talk().device(2, 1), conversation: ConversationId(1) })
            .say(1, 1)
            .change_member(1, 2, true);
        clean(NAME, &attached_behind(back, 6).deliver(1).say(1, 1).finish());
    }

    #[test]
    fn a_departure_while_away_excuses_what_came_before_it() {
        let back = talk()
            .lose(2, 1)
            .say(1, 1)
            .change_member(1, 2, false)
            .say(1, 1)
            .change_member(1, 2, true)
            .connect(3, 1);
        clean(NAME, &attached_behind(back, 7).say(1, 1).finish());
    }

    #[test]
    fn a_departure_that_nobody_saw_makes_a_jump_doubtful() {
        let back = talk()
            .lose(2, 1)
            .change_member(1, 2, false)
            .say(1, 1)
            .change_member(1, 2, true)
            .connect(3, 1);
        let lacks_log = attached_behind(back, 7).say(1, 1).finish().tampered(|events| {
            events.retain(|e| {
                let departure = matches!(&e.is, What::MemberChanged { add: false, .. });
                !departure && !matches!(e.is, What::Stored { .. } | What::StoredAll { .. })
            });
        });
        clean(NAME, &lacks_log);
        let judgement = judge(&lacks_log);
        let open = |doubt: &String| doubt.starts_with("no_gap_in_sequence: 1 suspicions stay open");
        assert!(judgement.doubts.iter().any(open), "{judgement:#?}");
    }

    #[test]
    fn retention_explains_a_jump_and_a_lost_prefix_does_not() {
        let skipped = talk().lose(2, 1).say(1, 1).say(3, 1);
        let mut removed = attached_behind(skipped, 6).say(1, 1).finish().tampered(|events| {
            for event in events.iter_mut() {
                if let What::StoredAll { first, .. } = &mut event.is {
                    *first = Sequence(7);
                }
            }
            events.retain(|e| !matches!(&e.is, What::Stored { entry } if entry.sequence.0 < 7));
        });
        violated(NAME, &removed);
        removed.header.retention = Some(1);
        clean(NAME, &removed);
    }

    #[test]
    fn a_stream_that_ends_before_its_departure_is_noticed() {
        let left = |shown: bool| {
            let told = talk().send(1, 1).commit(1).accept(1).deliver_to(1, 1, 1);
            let told = if shown { told.deliver(1) } else { told.deliver_to(3, 1, 1) };
            let device = told.device(2, 1);
            let left = told.change_member(1, 2, false);
            left.push(What::Detached { device, conversation: ConversationId(1) }).finish()
        };
        clean(NAME, &left(true));
        let finding = violated(NAME, &left(false));
        assert!(finding.evidence[0].what.contains("up to 4 only when"), "{finding:?}");
    }

    #[test]
    fn a_hole_in_the_stored_log_is_noticed() {
        let hole = talk().say(1, 1).finish().tampered(|events| {
            events.retain(|e| !matches!(&e.is, What::Stored { entry } if entry.sequence.0 == 2));
        });
        let finding = violated(NAME, &hole);
        assert!(finding.evidence[0].what.contains("nothing at sequences 2 to 2"), "{finding:?}");
    }
}
