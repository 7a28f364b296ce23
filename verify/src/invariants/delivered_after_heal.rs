//! **All is delivered after the heal.** K(q) => a device d shows q, for every d that must see it, before
//! d has been connected for more than `delivered_us` since max(K, H, u's last join).
//! What its author was never told is owed to all the same, once anybody has seen it.
//!
//! - Time without a session does not count, but neither does a new session or a new stream begin it
//!   anew: a device that comes back again and again is late when its sessions together are too long.
//!   Whether d ever got a stream of the conversation does not matter either.
//! - d must see q as defined by `accepted_message_survives`; what a device shows is judged when it is
//!   shown, whether or not it must see it, with u's last join before that; but not if u is known to have
//!   departed behind q by then: it was not owed any more.
//! - Judged: entries shown after the heal, and at the end those that were not shown and are overdue.
//! - Excused: what was not shown, and had less than that time before the users were last watched;
//!   what a device shows that had no stream when it was compacted.
//! - Broken by: a device that connects again, gets no stream of one conversation, and shows others.
//!   Not by: a device that was away, and shows it within the time after its return.
//!
//! Streaming: the time of K per sequence, 8 bytes in the log; the sessions of each device since
//! the heal.

use super::{Check, about_entry};
use crate::history::event::{Event, What};
use crate::state::recent::About;
use crate::state::{State, Step};
use crate::tally::Tally;

#[derive(Default)]
pub(crate) struct Invariant;

impl Check for Invariant {
    fn observe(&mut self, state: &State, step: &Step, event: &Event, tally: &mut Tally) {
        let What::Shown { entry, .. } = &event.is else { return };
        if state.run.healed_at.is_none() || step.was_shown || state.is_slow(step.device) {
            return;
        }
        if step.is_compacted {
            return tally.compacted(1);
        }
        let user = &state.pairs.members[step.who as usize];
        if user.departs(step.sequence, u32::MAX) {
            return;
        }
        tally.judged += 1;
        let allowed = state.header.deadlines.delivered_us;
        let since = step.log.known_at.max(user.changed_at);
        // Most of the time so little has passed that sessions need not be looked at.
        if !state.is_due_to_all(&step.log)
            || state.passed(since).is_none_or(|passed| passed <= allowed)
        {
            return;
        }
        let Some(waited) = state.waited(step.device, since).filter(|waited| *waited > allowed)
        else {
            return;
        };
        tally.late(state, about_entry(step, entry), || {
            format!(
                "{} showed sequence {} of conversation {} {} ms too late",
                state.device_name(step.device),
                entry.sequence,
                entry.conversation,
                (waited - allowed) / 1_000
            )
        });
    }

    fn finish(&mut self, state: &State, tally: &mut Tally) {
        let mut overdue = 0;
        let undue = state.for_each_overdue(|pair, sequence, waited| {
            overdue += 1;
            let who = &state.pairs.members[(pair / state.header.devices_per_user) as usize];
            let (conversation, device) = (who.conversation as usize, state.device_of_pair(pair));
            let entry = state.logs[conversation].get(sequence);
            let about = About {
                device: Some(device),
                conversation: Some(conversation),
                sequence: Some(sequence),
                life: Some((entry.known_at, entry.known_at)),
                ..About::default()
            };
            tally.late(state, about, || {
                format!(
                    "{} has not shown sequence {sequence} of conversation {}, which was {} at \
                     {:.3} s, in {:.3} s with a session since",
                    state.device_name(device),
                    conversation + 1,
                    entry.known_as(),
                    entry.known_at as f64 / 1e6,
                    waited as f64 / 1e6
                )
            });
        });
        tally.judged += overdue;
        tally.excuse("had too little time", undue);
    }
}

#[cfg(test)]
mod tests {
    use crate::history::builder::Builder;
    use crate::invariants::tests::{clean, finding, violated};

    const NAME: &str = "delivered_after_heal";

    fn accepted() -> Builder {
        Builder::new(2, 1)
            .group(1, &[1, 2])
            .connect_all()
            .send(1, 1)
            .commit(1)
            .accept(1)
            .deliver_to(1, 1, 1)
    }

    #[test]
    fn what_was_held_up_by_faults_may_arrive_after_the_heal() {
        let late = accepted().wait(60_000_000).heal().wait(900_000).deliver(1);
        assert_eq!(clean(NAME, &late.finish()).judged, 1);
    }

    #[test]
    fn what_arrives_too_late_or_never_is_noticed() {
        violated(NAME, &accepted().heal().wait(1_100_000).deliver(1).finish());
        violated(NAME, &accepted().heal().finish());
    }

    #[test]
    fn what_nobody_was_told_is_owed_once_it_is_seen_or_answered() {
        let joined = || Builder::new(3, 1).group(1, &[1, 2]).connect_all().heal();
        let join = || joined().say(1, 1).change_member(1, 3, true).attach(3, 1, 1);
        violated(NAME, &join().finish());
        clean(NAME, &join().deliver(1).finish());
        // Nobody but the final read has seen it: it may have been stored just then.
        let unseen = joined().say(1, 1).send(1, 1).commit(1);
        clean(NAME, &unseen.clone().finish());
        let seen = || unseen.clone().deliver_to(1, 1, 1);
        violated(NAME, &seen().finish());
        clean(NAME, &seen().wait(900_000).deliver(1).finish());
        violated(NAME, &seen().wait(1_100_000).deliver(1).finish());
        let mut old = seen().finish();
        old.header.format = 1;
        clean(NAME, &old);
    }

    #[test]
    fn what_a_former_member_gets_at_a_return_is_not_late() {
        let left = accepted().lose(2, 1).heal().change_member(1, 2, false);
        let left = left.deliver_to(1, 1, 1).connect(2, 1);
        let late = |run: Builder| run.wait(1_100_000).attach(2, 1, 1).show(2, 1, 1, 3).finish();
        assert_eq!(finding(NAME, &late(left)).violations, 0);
        violated(NAME, &late(accepted().heal()));
    }

    #[test]
    fn a_device_that_was_away_has_its_time_from_its_return() {
        let back = accepted().lose(2, 1).heal().wait(2_000_000).connect(2, 1).deliver(1);
        clean(NAME, &back.finish());
        let gone = finding(NAME, &accepted().lose(2, 1).heal().finish());
        assert_eq!((gone.judged, gone.violations), (0, 0), "{gone:?}");
    }
}
