//! **Reads never go back.** Let f be the highest sequence of a conversation that any device of a user
//! has shown, received, read, or was told of (in an answer to a send in it, or as the head of a read). A read
//! that begins then names a head of at least f, and contains every entry up to f that it covers and at
//! which the user is a member. Whatever the user has seen, its entries lie behind `after`, each behind the
//! one before, and between them none is missing at which the user is a member. And the head of the final read, if it is whole, is not below the highest
//! f of all users when it began.
//!
//! - What a read covers is defined by `own_message_visible`; what retention removed may be missing. With
//!   `retention` in the header nothing before the first entry of a read is judged by the last one.
//! - `attached.head` is not judged: a gateway may attach a second device to a stream that lags behind,
//!   and the device loses nothing by that (what it shows is judged by `no_gap_in_sequence`).
//! - Judged: reads, and conversations that were read whole at the end.
//! - Excused: where the log was not read, and it stays unknown whether the user was a member, a hole in
//!   a read is a reason for an unknown verdict.
//! - Broken by: a read with head 3 after the user has seen 4. Not by: a final read with head 3 that
//!   began before 4 was accepted.
//!
//! Streaming: 4 bytes per (user, conversation), and one set of intervals per read under way; a hole is kept
//! until memberships and retention are known.

use super::Check;
use crate::history::event::{Event, What};
use crate::state::merge::Slots;
use crate::state::recent::About;
use crate::state::{State, Step, short};
use crate::suspicions::Suspicions;
use crate::tally::Tally;

#[derive(Default)]
pub(crate) struct Invariant {
    missing: Suspicions,
}

impl Check for Invariant {
    fn observe(&mut self, state: &State, step: &Step, event: &Event, tally: &mut Tally) {
        let What::ReadEnded { conversation, head, whole, .. } = &event.is else { return };
        let Some(read) = step.read.as_ref() else { return };
        tally.judged += 1;
        let head = short(*head);
        let about = |sequence| About {
            device: Some(step.device),
            conversation: Some(step.conversation),
            sequence: Some(sequence),
            ..About::default()
        };
        if head < read.floor {
            tally.violated(state, about(read.floor), || {
                format!(
                    "{} read conversation {conversation} with head {head}, and its user had seen {}",
                    state.device_name(step.device),
                    read.floor
                )
            });
        }
        if read.unsorted > 0 {
            tally.violated(state, about(read.unsorted), || {
                format!(
                    "{} read conversation {conversation} behind {}, and got {} when it had come to {}",
                    state.device_name(step.device),
                    read.after,
                    read.unsorted,
                    read.last
                )
            });
        }
        let high = read.covers(head, *whole).min(read.floor);
        let mut spans = Vec::new();
        read.entries.for_each_gap(read.after + 1, high, |span| spans.push(span));
        let is_kept = state.header.retention.is_none();
        let low = if is_kept { read.after + 1 } else { read.first.max(read.after + 1) };
        read.entries.for_each_gap(low.max(high + 1), read.last, |span| spans.push(span));
        for span in spans {
            self.missing.add(state, step.who, span, 0, about(span.0), || {
                format!(
                    "{} read conversation {conversation} up to {} without {}, and its user had seen {}",
                    state.device_name(step.device),
                    read.last,
                    span.0,
                    read.floor
                )
            });
        }
    }

    fn merge(&mut self, other: Self, slots: &Slots, _: &State, _: &mut Tally) {
        self.missing.merge(other.missing, slots);
    }

    fn finish(&mut self, state: &State, tally: &mut Tally) {
        self.missing.resolve(state, tally);
        for (conversation, log) in state.logs.iter().enumerate() {
            let (floor, user) = log.floor;
            if floor == 0 || log.whole != Some(true) || state.read_began(conversation).is_none() {
                continue;
            }
            tally.judged += 1;
            if log.head < floor {
                let life = log.get(floor).known_at;
                let about = About {
                    conversation: Some(conversation),
                    sequence: Some(floor),
                    life: (life > 0).then_some((life, life)),
                    ..About::default()
                };
                tally.violated(state, about, || {
                    format!(
                        "conversation {} ends at {} in the store, and user {user} had seen {floor}",
                        conversation + 1,
                        log.head
                    )
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::{Builder, History};
    use crate::history::event::Phase;
    use crate::invariants::tests::{clean, judge, violated};
    use crate::verdict::Verdict;
    use protocol::{ConversationId, Sequence};

    const NAME: &str = "reads_never_go_back";

    fn talk() -> Builder {
        Builder::with_devices(2, 2, 1)
            .group(1, &[1, 2])
            .connect_all()
            .say(1, 1)
            .say(2, 1)
            .lose(1, 2)
            .connect(1, 2)
            .read(1, 2, 1, 0)
    }

    #[test]
    fn a_read_of_everything_seen_is_clean() {
        assert_eq!(clean(NAME, &talk().finish()).judged, 2, "a read and a conversation");
    }

    #[test]
    fn a_head_that_fell_is_noticed_in_a_read_and_in_the_store() {
        for in_store in [false, true] {
            let fallen = talk().finish().tampered(|events| {
                for event in events {
                    match &mut event.is {
                        What::ReadEnded { head, .. } if !in_store => *head = Sequence(3),
                        What::StoredAll { head, .. } if in_store => *head = Sequence(3),
                        _ => {}
                    }
                }
            });
            violated(NAME, &fallen);
        }
    }

    #[test]
    fn a_read_that_lacks_what_another_device_showed_is_noticed() {
        let hole = talk().finish().tampered(|events| {
            events.retain(|e| !matches!(&e.is, What::Read { entry, .. } if entry.sequence.0 == 3));
        });
        violated(NAME, &hole);
    }

    #[test]
    fn a_page_with_a_hole_is_noticed_though_its_reader_had_seen_nothing() {
        // Nobody of user 3's devices has a stream, and a page ends where it likes.
        let page = |lacks: u64, whole: bool| {
            let run = Builder::new(3, 1).group(1, &[1, 2, 3]).phase(Phase::Load).connect(1, 1);
            let read = run.say(1, 1).say(1, 1).say(1, 1).open(3, 1).read(3, 1, 1, 0);
            read.finish().tampered(|events| {
                events.retain(
                    |e| !matches!(&e.is, What::Read { entry, .. } if entry.sequence.0 == lacks),
                );
                for event in events {
                    if let What::ReadEnded { whole: w, .. } = &mut event.is {
                        *w = whole;
                    }
                }
            })
        };
        clean(NAME, &page(9, true));
        clean(NAME, &page(6, false));
        violated(NAME, &page(5, false));
        violated(NAME, &page(3, true));
        let removed = |first: u64| {
            let mut history = page(3, true).tampered(|events| {
                events.retain(
                    |e| !matches!(&e.is, What::Stored { entry } if entry.sequence.0 < first),
                );
                for event in events {
                    if let What::StoredAll { first: f, .. } = &mut event.is {
                        *f = Sequence(first);
                    }
                }
            });
            history.header.retention = Some(6 - first + 1);
            history
        };
        clean(NAME, &removed(4));
    }

    #[test]
    fn the_entries_of_a_page_rise() {
        let page = |sequences: [u64; 3], after: u64| {
            let run = talk();
            let (device, conversation) = (run.device(1, 2), ConversationId(1));
            let (request, after) = (99, Sequence(after));
            let began = run.push(What::ReadBegan { device, request, conversation, after });
            let read = sequences.iter().fold(began, |run, &sequence| {
                let entry = run.log(1)[sequence as usize - 1];
                run.push(What::Read { device, request, entry })
            });
            let head = Sequence(4);
            let ended = What::ReadEnded { device, request, conversation, head, whole: false };
            read.push(ended).finish()
        };
        clean(NAME, &page([2, 3, 4], 1));
        violated(NAME, &page([2, 3, 4], 2));
        violated(NAME, &page([2, 4, 3], 1));
        violated(NAME, &page([2, 3, 3], 1));
    }

    fn without_final_reads(run: Builder) -> History {
        run.finish().tampered(|events| {
            events.retain(|e| !matches!(e.is, What::Stored { .. } | What::StoredAll { .. }));
        })
    }

    #[test]
    fn what_lies_before_a_join_is_not_owed_even_if_the_log_was_never_read() {
        let joined = || Builder::new(2, 1).group(1, &[1]).connect_all().say(1, 1);
        let told = without_final_reads(
            joined().change_member(1, 2, true).attach(2, 1, 1).deliver(1).read(2, 1, 1, 0),
        );
        clean(NAME, &told);
        assert_eq!(judge(&told).verdict, Verdict::Unknown);
        // The answer to the change is lost as well: it may have been made at any time.
        let untold = told.tampered(|events| {
            events.retain(|e| !matches!(&e.is, What::MemberChanged { user, .. } if user.0 == 2));
        });
        clean(NAME, &untold);
        assert_eq!(judge(&untold).verdict, Verdict::Unknown);
    }

    #[test]
    fn a_hole_within_a_membership_is_noticed_even_if_the_log_was_never_read() {
        let hole = without_final_reads(talk()).tampered(|events| {
            events.retain(|e| !matches!(&e.is, What::Read { entry, .. } if entry.sequence.0 == 3));
        });
        violated(NAME, &hole);
    }

    #[test]
    fn what_lies_outside_the_membership_may_be_missing() {
        let back = Builder::new(2, 1)
            .group(1, &[1, 2])
            .connect_all()
            .change_member(1, 2, false)
            .say(1, 1)
            .change_member(1, 2, true)
            .say(1, 1)
            .read(2, 1, 1, 0);
        clean(NAME, &back.finish());
    }
}
