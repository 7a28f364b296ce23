//! **Whoever is away is told.** A(m, q) of a message => for every member u at q who never departs later,
//! other than the author: a device of u shows m or a read of u has it, or the push provider takes a
//! notification (u, m). It is due when more than `pushed_us` have passed since max(A, H).
//!
//! - It does not matter why nobody showed m: no device of u ever connected, or a session that looked
//!   alive had swallowed it.
//! - Without `pushed_us` in the header `stuck_us` counts.
//! - Judged: (member, message) whose time had passed when the users were last watched, and that no device
//!   of the member had shown.
//! - Excused: as many as there are dead letters of a notification queue (`notify...`): these were given
//!   up with a reason. Edits, deletions, joins and departures make no notification.
//! - Broken by: a history whose pushes were removed. Not by: a member who comes back and reads.
//!
//! Streaming: 16 bytes per (user, conversation) with pushes; judged at the end, or when it is settled (see
//! `ground::settled`): a member who did not show it has a notification then.

use super::Check;
use crate::ground::pairs::Who;
use crate::ground::recent::About;
use crate::ground::{Ground, Step};
use crate::history::event::{Event, What};
use crate::tally::Tally;

#[derive(Default)]
pub(crate) struct Invariant {
    given_up: u64,
}

impl Check for Invariant {
    fn observe(&mut self, _: &Ground, _: &Step, event: &Event, _: &mut Tally) {
        if let What::DeadLetter { queue, .. } = &event.is {
            self.given_up += u64::from(queue.starts_with("notify"));
        }
    }

    fn settle(&mut self, ground: &Ground, conversation: usize, to: u32, tally: &mut Tally) {
        // Who did not show it was told: otherwise it would not be settled.
        for &who in ground.pairs.of_conversation(conversation) {
            let from = ground.logs[conversation].settled_to();
            let pushed = &ground.pairs.whos[who as usize].pushed;
            if pushed.count(to) > 0 {
                let told = unshown(ground, who, from, to).filter(|&at| pushed.contains(at));
                tally.judged += told.count() as u64;
            }
        }
    }

    fn finish(&mut self, ground: &Ground, tally: &mut Tally) {
        let deadlines = &ground.header.deadlines;
        let allowed = deadlines.pushed_us.unwrap_or(deadlines.stuck_us);
        for (who, state) in (0..).zip(&ground.pairs.whos) {
            let log = &ground.logs[state.conversation as usize];
            let head = log.acked_head.min(log.reach());
            // A change of membership that was kept aside turned out to be a message.
            let settled_to = log.settled_to();
            let aside = log.far().filter(|&at| at <= settled_to && log.get(at).is_change);
            let aside =
                aside.filter(|&at| unshown(ground, who, at.saturating_sub(1), at).next().is_some());
            for sequence in aside.chain(unshown(ground, who, settled_to, head)) {
                let entry = log.get(sequence);
                let is_due = entry.acked != 0
                    && entry.is_message
                    && entry.author != state.user + 1
                    && ground.passed(entry.acked_at).is_some_and(|passed| passed > allowed)
                    && ground.is_owed(who, sequence);
                if !is_due {
                    continue;
                }
                tally.judged += 1;
                if state.pushed.contains(sequence) {
                    continue;
                }
                if self.given_up > 0 {
                    self.given_up -= 1;
                    tally.judged -= 1;
                    tally.excuse("dead letters", 1);
                    continue;
                }
                let about = About {
                    conversation: Some(state.conversation as usize),
                    sequence: Some(sequence),
                    life: Some((entry.sent_at().unwrap_or(entry.acked_at), entry.acked_at)),
                    ..About::default()
                };
                tally.late(ground, about, || sentence(state, sequence, entry.acked_at));
            }
        }
    }
}

/// The sequences behind one that no device of a user has shown, and no read of the user had.
fn unshown(ground: &Ground, who: u32, from: u32, head: u32) -> impl Iterator<Item = u32> {
    let mut unshown = Vec::new();
    let state = &ground.pairs.whos[who as usize];
    state.read.for_each_hole(from + 1, head, |sequence| {
        let shown = (0..ground.header.devices_per_user).any(|device| {
            let pair = ground.pairs.pair_of(who, device);
            ground.pairs.pair(pair).shown.contains(sequence)
        });
        if !shown {
            unshown.push(sequence);
        }
    });
    unshown.into_iter()
}

fn sentence(who: &Who, sequence: u32, acked_at: u64) -> String {
    format!(
        "sequence {sequence} of conversation {} was accepted at {:.3} s; no device of user {} showed \
         it, and no notification was taken",
        who.conversation + 1,
        acked_at as f64 / 1e6,
        who.user + 1
    )
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::Builder;
    use crate::invariants::tests::{clean, finding, violated};
    use protocol::{ConversationId, Sequence, UserId};

    const NAME: &str = "away_member_is_pushed";

    fn talk() -> Builder {
        Builder::new(3, 1).group(1, &[1, 2, 3]).connect_all().lose(3, 1).say(1, 1)
    }

    fn pushed(builder: Builder, user: u64, sequence: u64, taken: bool) -> Builder {
        let (conversation, sequence) = (ConversationId(1), Sequence(sequence));
        builder.push(What::Pushed { user: UserId(user), conversation, sequence, key: 7, taken })
    }

    #[test]
    fn a_push_or_a_return_tells_whoever_was_away() {
        assert_eq!(clean(NAME, &pushed(talk(), 3, 4, true).finish()).judged, 1);
        let back = talk().connect(3, 1).deliver(1).finish();
        assert_eq!(finding(NAME, &back).judged, 0);
        assert_eq!(finding(NAME, &talk().connect(3, 1).read(3, 1, 1, 0).finish()).judged, 0);
    }

    #[test]
    fn a_missing_or_refused_push_is_noticed() {
        violated(NAME, &talk().finish());
        violated(NAME, &pushed(talk(), 3, 4, false).finish());
        violated(NAME, &pushed(talk(), 2, 4, true).finish());
    }

    #[test]
    fn a_push_that_was_given_up_with_a_reason_is_excused() {
        let letter = What::DeadLetter {
            queue: "notify-0".into(),
            reason: "5 attempts failed".into(),
            author: None,
            message: None,
            conversation: None,
        };
        assert_eq!(finding(NAME, &talk().push(letter).finish()).violations, 0);
    }
}
