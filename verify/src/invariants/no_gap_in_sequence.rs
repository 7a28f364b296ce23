//! **No gap.** After a device has got to sequence n of a conversation (shown it, or its first stream
//! began behind n) the next it shows is n + 1, and a stream that begins anew does not begin behind
//! more than n; unless every sequence that was jumped over is explained: the user was not a member
//! there, or departed between it and what follows the jump, or retention removed it.
//!
//! A stream may begin anew below n: the client drops what it has shown. Behind a `Detached` the
//! device has no cursor any more, and its next stream is a first one again. Streaming: 4 bytes per
//! (device, conversation); each jump is kept until the end, when memberships and retention are known.

use super::{Check, about_entry};
use crate::ground::recent::About;
use crate::ground::{Ground, Step, short};
use crate::history::event::{Event, What};
use crate::suspicions::Suspicions;
use crate::tally::Tally;

#[derive(Default)]
pub(crate) struct Invariant {
    jumps: Suspicions,
}

impl Check for Invariant {
    fn observe(&mut self, ground: &Ground, step: &Step, event: &Event, tally: &mut Tally) {
        let before = step.before;
        match &event.is {
            What::Shown { entry, .. } => {
                tally.judged += 1;
                if before.known && !before.left && step.sequence > before.last + 1 {
                    let span = (before.last + 1, step.sequence - 1);
                    let mut about = about_entry(step, entry);
                    about.other = Some(before.last);
                    self.jumps.add(ground, step.who, span, step.sequence, about, || {
                        format!(
                            "{} showed sequence {} of conversation {} after {}",
                            ground.device_name(step.device),
                            entry.sequence,
                            entry.conversation,
                            before.last
                        )
                    });
                }
            }
            What::Attached { conversation, from, .. } => {
                let from = short(*from);
                if before.known && !before.left && from > before.last {
                    let about = About {
                        device: Some(step.device),
                        conversation: Some(step.conversation),
                        sequence: Some(from),
                        other: Some(before.last),
                        ..About::default()
                    };
                    let span = (before.last + 1, from);
                    self.jumps.add(ground, step.who, span, from + 1, about, || {
                        format!(
                            "the stream of conversation {conversation} began anew behind {from} on \
                             {}, which had got to {}",
                            ground.device_name(step.device),
                            before.last
                        )
                    });
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self, ground: &Ground, tally: &mut Tally) {
        self.jumps.resolve(ground, tally);
    }
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::Builder;
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
        assert_eq!(clean(NAME, &resumed.finish()).judged, 9);
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
    fn retention_explains_a_jump() {
        let skipped = talk().lose(2, 1).say(1, 1).say(3, 1);
        let removed = attached_behind(skipped, 6).say(1, 1).finish().tampered(|events| {
            for event in events {
                if let What::StoredAll { first, .. } = &mut event.is {
                    *first = Sequence(7);
                }
            }
        });
        clean(NAME, &removed);
    }
}
