//! **A member who is away is notified.** A(m, q) of a message => for every member u at q who never departs later,
//! other than the author: a device of u shows m or a read of u has it, or the push provider takes a
//! notification (u, m), before more than `pushed_us` have passed since max(A, H).
//!
//! - It does not matter why nobody showed m: no device of u was connected, or a session that looked
//!   alive had swallowed it. Nor does it help to show m, or to push it, when that time has passed.
//! - Without `pushed_us` in the header `stuck_us` counts.
//! - Judged: (member, message) that no device of the member had shown when the users were last watched, and
//!   whose time had passed; and those that were shown, read or taken too late.
//! - Excused: all missing notifications of as many messages as gave way in full queues (`shed`:
//!   `push_jobs`), those that most members miss; and as many more as there are dead letters of a
//!   notification queue (`notify...`), and as were shed of dead letters and `pushes`. These were given up
//!   under documented bounds, and counted. What was shown or read too late is missing like what nobody heard of; what was taken
//!   too late had not been given up. Edits, deletions, joins and departures make no notification. What
//!   users whom the scenario makes slow show too late, or have a session for in the end.
//! - Broken by: a history whose pushes were removed; a member who is away for a minute, is not pushed, and
//!   reads then. Not by: a member who comes back within the time and reads.
//!
//! Streaming: 16 bytes per (user, conversation) with pushes; judged at the end, or when it is compacted: a member who did not show it has a notification then.

use super::Check;
use crate::given_up::{GivenUp, Message};
use crate::history::event::{Event, What};
use crate::state::members::Member;
use crate::state::merge::Slots;
use crate::state::recent::About;
use crate::state::{State, Step, short};
use crate::tally::Tally;

/// What was told too late and is kept until memberships are known. A sound run has none.
const MOST_LATE: usize = 1 << 16;
/// How somebody was told too late who was notified after all.
const TAKEN: &str = "taken";

#[derive(Default)]
pub(crate) struct Invariant {
    given_up: GivenUp,
    late: Vec<Late>,
    unkept: u64,
}

/// A message that a member was told too late: told when, and by what.
struct Late {
    who: u32,
    sequence: u32,
    life: (u64, u64),
    how: &'static str,
}

impl Check for Invariant {
    fn observe(&mut self, state: &State, step: &Step, event: &Event, _: &mut Tally) {
        match &event.is {
            What::Shown { .. } if !step.was_shown && !state.is_slow(step.device) => {
                self.told(state, step.who, step.sequence, "shown");
            }
            What::Read { .. } if !step.was_read && !state.is_slow(step.device) => {
                self.told(state, step.who, step.sequence, "read");
            }
            What::Pushed { user, conversation, sequence, taken: true, .. } if !step.was_pushed => {
                let who = state.pairs.find(user.0 as u32 - 1, conversation.0 as u32 - 1);
                if let Some(who) = who {
                    self.told(state, who, short(*sequence), TAKEN);
                }
            }
            other => self.given_up.observe(other),
        }
    }

    fn compact(&mut self, state: &State, conversation: usize, to: u32, tally: &mut Tally) {
        // Who did not show it was told: otherwise it would not be compacted.
        for &who in state.pairs.of_conversation(conversation) {
            let from = state.logs[conversation].compacted_to();
            let pushed = &state.pairs.members[who as usize].pushed;
            if pushed.count(to) > 0 {
                let told = unshown(state, who, from, to).filter(|&at| pushed.contains(at));
                tally.judged += told.count() as u64;
            }
        }
    }

    fn merge(&mut self, other: Self, slots: &Slots, _: &State, _: &mut Tally) {
        self.given_up.merge(other.given_up);
        let late = other.late.into_iter();
        self.late.extend(late.map(|late| Late { who: slots.member(late.who), ..late }));
        self.unkept += other.unkept;
    }

    fn finish(&mut self, state: &State, tally: &mut Tally) {
        let mut late = std::mem::take(&mut self.late);
        late.retain(|late| state.is_owed(late.who, late.sequence));
        let members = || 0..state.pairs.members.len() as u32;
        let mut excuses = self.given_up.excuses(|| {
            let told_late = late.iter().filter(|late| late.how != TAKEN);
            let untold = members().flat_map(|who| {
                untold(state, who).into_iter().map(move |sequence| (who, sequence))
            });
            let missing = told_late.map(|late| (late.who, late.sequence)).chain(untold);
            missing.map(|(who, sequence)| message(state, who, sequence))
        });
        for late in late {
            let excuse = if late.how == TAKEN {
                None
            } else {
                excuses.take(message(state, late.who, late.sequence))
            };
            if let Some(why) = excuse {
                tally.excuse(why, 1);
                continue;
            }
            tally.judged += 1;
            let member = &state.pairs.members[late.who as usize];
            let about = about(state, late.who, late.sequence, late.life);
            tally.late(state, about, || late.sentence(member));
        }
        tally.excuse("beyond what can be kept", self.unkept);
        for who in members() {
            let member = &state.pairs.members[who as usize];
            for sequence in due(state, who) {
                if member.pushed.contains(sequence) {
                    tally.judged += 1;
                    continue;
                }
                if let Some(why) = excuses.take(message(state, who, sequence)) {
                    tally.excuse(why, 1);
                    continue;
                }
                tally.judged += 1;
                let entry = state.logs[member.conversation as usize].get(sequence);
                let life = (entry.sent_at().unwrap_or(entry.known_at), entry.known_at);
                let about = about(state, who, sequence, life);
                tally.late(state, about, || sentence(member, sequence, entry.known_at));
            }
        }
    }
}

impl Invariant {
    /// A member has a message: if nobody told it before, that should not be too late.
    fn told(&mut self, state: &State, who: u32, sequence: u32, how: &'static str) {
        let member = &state.pairs.members[who as usize];
        let entry = state.logs[member.conversation as usize].get(sequence);
        let is_late = entry.acked != 0
            && entry.is_message
            && entry.author != member.user + 1
            && state.passed(entry.known_at).is_some_and(|passed| passed > allowed(state));
        if !is_late {
            return;
        }
        let sights = |pair: u32| usize::from(state.pairs.pair(pair).shown.contains(sequence));
        let pairs = (0..state.header.devices_per_user).map(|n| state.pairs.pair_of(who, n));
        // What is seen now is among them already.
        let known = pairs.map(sights).sum::<usize>()
            + usize::from(member.read.contains(sequence))
            + usize::from(member.pushed.contains(sequence));
        if known > 1 {
            return;
        }
        if self.late.len() == MOST_LATE {
            self.unkept += 1;
            return;
        }
        self.late.push(Late { who, sequence, life: (entry.known_at, state.now), how });
    }
}

impl Late {
    fn sentence(&self, who: &Member) -> String {
        let (user, conversation) = (who.user + 1, who.conversation + 1);
        let [accepted, told] = [self.life.0, self.life.1].map(|at| at as f64 / 1e6);
        let what = match self.how {
            TAKEN => "a notification was taken",
            "read" => "the user read it",
            _ => "a device of the user showed it",
        };
        format!(
            "sequence {} of conversation {conversation} was accepted at {accepted:.3} s; user {user} \
             heard nothing of it until {what} at {told:.3} s",
            self.sequence
        )
    }
}

/// How long the cluster has.
fn allowed(state: &State) -> u64 {
    let deadlines = &state.header.deadlines;
    deadlines.pushed_us.unwrap_or(deadlines.stuck_us)
}

fn message(state: &State, who: u32, sequence: u32) -> Message {
    (state.pairs.members[who as usize].conversation as usize, sequence)
}

fn about(state: &State, who: u32, sequence: u32, life: (u64, u64)) -> About {
    let (conversation, sequence) = message(state, who, sequence);
    About {
        conversation: Some(conversation),
        sequence: Some(sequence),
        life: Some(life),
        ..About::default()
    }
}

/// What a user should have been notified of, since no device has shown it and no read had it in time.
fn due(state: &State, who: u32) -> Vec<u32> {
    let (member, allowed) = (&state.pairs.members[who as usize], allowed(state));
    let log = &state.logs[member.conversation as usize];
    let head = log.known_head.min(log.reach());
    // A change of membership that was kept aside turned out to be a message.
    let compacted_to = log.compacted_to();
    let aside = log.far().filter(|&at| at <= compacted_to && log.get(at).is_change);
    let aside = aside.filter(|&at| unshown(state, who, at.saturating_sub(1), at).next().is_some());
    let is_due = |&sequence: &u32| {
        let entry = log.get(sequence);
        !is_slow_and_there(state, member.user)
            && entry.acked != 0
            && entry.is_message
            && entry.author != member.user + 1
            && state.passed(entry.known_at).is_some_and(|passed| passed > allowed)
            && state.is_owed(who, sequence)
    };
    aside.chain(unshown(state, who, compacted_to, head)).filter(is_due).collect()
}

/// Whether a user whom the scenario makes slow is there in the end: whatever it has not shown waits for it alone.
fn is_slow_and_there(state: &State, user: u32) -> bool {
    let devices = state.header.devices_per_user as usize;
    let mut devices = user as usize * devices..(user as usize + 1) * devices;
    devices.any(|device| state.is_slow(device) && state.devices[device].open)
}

/// Of that, what no notification was taken of.
fn untold(state: &State, who: u32) -> Vec<u32> {
    let mut due = due(state, who);
    due.retain(|&sequence| !state.pairs.members[who as usize].pushed.contains(sequence));
    due
}

/// The sequences behind one that no device of a user has shown, and no read of the user had.
fn unshown(state: &State, who: u32, from: u32, head: u32) -> impl Iterator<Item = u32> {
    let mut unshown = Vec::new();
    let member = &state.pairs.members[who as usize];
    member.read.for_each_hole(from + 1, head, |sequence| {
        let shown = (0..state.header.devices_per_user).any(|device| {
            let pair = state.pairs.pair_of(who, device);
            state.pairs.pair(pair).shown.contains(sequence)
        });
        if !shown {
            unshown.push(sequence);
        }
    });
    unshown.into_iter()
}

fn sentence(who: &Member, sequence: u32, known_at: u64) -> String {
    format!(
        "sequence {sequence} of conversation {} was accepted at {:.3} s; no device of user {} showed \
         it, and no notification was taken",
        who.conversation + 1,
        known_at as f64 / 1e6,
        who.user + 1
    )
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::{Builder, History};
    use crate::history::event::Shed;
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
    fn who_hears_of_it_too_late_should_have_been_pushed() {
        let late = || talk().heal().wait(2_000_000);
        let told = |run: &History| finding(NAME, run).evidence.first().map(|e| e.what.clone());
        let says = |run: Builder, how: &str| {
            let finding = violated(NAME, &run.finish());
            assert!(
                finding.violations == 1 && finding.evidence[0].what.contains(how),
                "{finding:?}"
            );
        };
        says(late().connect(3, 1).deliver(1), "showed it at");
        says(late().connect(3, 1).read(3, 1, 1, 0).read(3, 1, 1, 0), "read it at");
        says(pushed(late(), 3, 4, true), "was taken at");
        let in_time = pushed(talk().heal(), 3, 4, true).wait(2_000_000);
        assert_eq!(told(&in_time.connect(3, 1).deliver(1).finish()), None);
        // Before the heal nothing is too late.
        assert_eq!(told(&talk().wait(2_000_000).connect(3, 1).deliver(1).finish()), None);
    }

    #[test]
    fn a_missing_or_refused_push_is_noticed() {
        violated(NAME, &talk().finish());
        violated(NAME, &pushed(talk(), 3, 4, false).finish());
        violated(NAME, &pushed(talk(), 2, 4, true).finish());
    }

    #[test]
    fn what_waits_for_a_slow_user_who_is_there_is_not_missing() {
        let slow = |run: Builder| {
            let mut history = run.finish();
            history.header.slow_users = 3;
            finding(NAME, &history).violations
        };
        assert_eq!((slow(talk()), slow(talk().connect(3, 1))), (1, 0));
        violated(NAME, &talk().connect(3, 1).finish());
    }

    fn letter() -> What {
        What::DeadLetter {
            queue: "notify-0".into(),
            reason: "5 attempts failed".into(),
            author: None,
            message: None,
            conversation: None,
        }
    }

    fn shed(what: Shed, count: u64) -> What {
        What::Shed { node: "broker-1".into(), what, count }
    }

    fn violations(run: Builder) -> u64 {
        finding(NAME, &run.finish()).violations
    }

    #[test]
    fn a_push_that_was_given_up_with_a_reason_is_excused() {
        assert_eq!(violations(talk().push(letter())), 0);
        let returns_late = talk().heal().wait(2_000_000).connect(3, 1).deliver(1);
        assert_eq!(
            (violations(returns_late.clone()), violations(returns_late.push(letter()))),
            (1, 0)
        );
    }

    #[test]
    fn as_many_messages_as_gave_way_are_excused_for_all_and_no_more() {
        // Three messages that two members miss, and one that one of them misses.
        let talk = || {
            let all = Builder::new(4, 1).group(1, &[1, 2, 3, 4]).connect_all();
            let away = all.lose(3, 1).say(1, 1).lose(4, 1);
            away.say(1, 1).say(1, 1).say(1, 1)
        };
        assert_eq!(violations(talk()), 7);
        for (messages, letters, left) in [(1, 0, 5), (3, 0, 1), (4, 0, 0), (3, 1, 0), (2, 2, 1)] {
            let given_up = [(Shed::PushJobs, messages), (Shed::DeadLetters, letters)];
            let run = given_up.into_iter().fold(talk(), |run, (what, n)| run.push(shed(what, n)));
            assert_eq!(violations(run), left, "{messages} messages and {letters} more");
        }
        let taken_late = pushed(self::talk().heal().wait(2_000_000), 3, 4, true);
        assert_eq!(violations(taken_late.push(shed(Shed::PushJobs, 9))), 1, "it did not give way");
    }
}
