//! **Nobody present is pushed.** A notification (u, m) that the push provider is handed => m is an
//! accepted or seen message, u is a member at its sequence and not its author; and not: a device of u had
//! the conversation's stream in one session from before S(m) until `stuck_us` after the notification
//! (or to a goodbye before that, or to the end of the watch), and showed m in that session. A session
//! that ends sooner was dead to its gateway, which could not know what arrived. None is handed over before
//! S(m). All notifications of one (u, m) carry one idempotency key, and those of another one another; and
//! one that was taken is taken again only as often as its answer or
//! its job may have been lost: five times (the attempts at one job) for each fault on a notifier, a
//! broker or a client host (they carry the provider), once for each other fault, that was active since
//! `stuck_us` before it was taken first.
//!
//! - That m is no message, or that u is no member, is judged where the log was read whole, up to the head
//!   that was read or before that read began, and retention left it; or where m was seen or accepted and is an edit, a deletion or a change of membership.
//! - Judged: notifications handed to the provider.
//! - Excused: presence of users whom the scenario makes slow (their session may have ended before they
//!   notice), presence if faults on gateways, stores, brokers or notifiers, with less than 5 s between
//!   them, had lasted for 10 s and not ended `stuck_us` before the notification (docs/running.md: for so
//!   long a notifier waits for a store's word, and for half as much again a store for a gateway), presence in a history of format 1 (clusters of that time pushed to whoever was there after
//!   a store's restart), and where S(m) is not known, since m was never accepted, or after its device had
//!   given it up; a key of a notification that lies more than 65,536 others back;
//!   the first notification of a message that was compacted before.
//!   In a run whose generator met a limit of its own, that somebody was present is a doubt.
//! - Broken by: a notification of a message that no conversation has; the same one five times. Not by: a
//!   notification to a user who comes back just then.
//!
//! Streaming: the keys of the last notifications, and those whose user looked present when they came.

use super::Check;
use crate::addressees::{fault, premature, stranger};
use crate::history::event::{Event, What};
use crate::presence::Presence;
use crate::state::merge::Slots;
use crate::state::recent::About;
use crate::state::{State, Step, short};
use crate::tally::Tally;
use std::collections::{BTreeMap, VecDeque};

/// Notifications whose key is remembered.
const KEYS: usize = 1 << 16;
/// Attempts that a notifier makes at one job (docs/running.md).
const ATTEMPTS: u64 = 5;

/// Whether a fault on these nodes may lose the answers of the push provider, or the acknowledgement of its
/// jobs.
fn may_lose_answers(target: &str) -> bool {
    ["notifier", "broker", "clients"].iter().any(|role| target.contains(role))
}

/// A (user and conversation, sequence).
pub(crate) type Target = (u32, u32);

#[derive(Default)]
pub(crate) struct Invariant {
    keys: BTreeMap<Target, u64>,
    /// Whose each of these keys is.
    owners: BTreeMap<u64, Target>,
    recent: VecDeque<Target>,
    /// When each of the last ones was taken first, and how often again.
    taken: BTreeMap<Target, (u64, u64)>,
    presence: Presence,
    /// When all that are not compacted were handed over first.
    all: BTreeMap<Target, u64>,
    /// Of the compacted ones those to users who are no members as far as one can tell.
    strangers: Vec<Target>,
}

impl Check for Invariant {
    fn observe(&mut self, state: &State, step: &Step, event: &Event, tally: &mut Tally) {
        match &event.is {
            What::Pushed { user, conversation, sequence, key, taken } => {
                tally.judged += 1;
                let who = state.pairs.find(user.0 as u32 - 1, conversation.0 as u32 - 1);
                let Some(who) = who else {
                    tally.violated_by(state, event, || {
                        format!(
                            "user {user} was pushed about conversation {conversation} of others"
                        )
                    });
                    return;
                };
                self.repeated(state, event, (who, short(*sequence)), (*key, *taken), tally);
                self.presence.pushed(state, (who, short(*sequence)));
            }
            What::Closed { .. } | What::Opened { .. } | What::Shown { .. } => {
                self.presence.observe(state, step, event);
            }
            _ => {}
        }
    }

    fn follow(&mut self, state: &State, step: &Step, event: &Event) {
        self.presence.observe(state, step, event);
    }

    fn compact(&mut self, state: &State, conversation: usize, to: u32, tally: &mut Tally) {
        for &who in state.pairs.of_conversation(conversation) {
            let span = (who, 0)..=(who, to);
            let log = &state.logs[conversation];
            let span_of_all = self.all.range(span).map(|(&target, &at)| (target, at));
            // What stays of the log is judged at the end.
            let compacted: Vec<(Target, u64)> =
                span_of_all.filter(|((_, at), _)| !log.get(*at).stays()).collect();
            for (target, at) in compacted {
                self.all.remove(&target);
                if let Some(why) = fault(state, target, at).or_else(|| premature(state, target, at))
                {
                    report(state, target, tally, why);
                } else if !state.pairs.members[who as usize].is_in(target.1) {
                    self.strangers.push(target);
                }
            }
        }
        self.presence.compact(state, conversation, to);
    }

    fn merge(&mut self, other: Self, slots: &Slots, state: &State, tally: &mut Tally) {
        let at = |(who, sequence): Target| (slots.member(who), sequence);
        for (key, owner) in other.owners {
            let (first, second) = (*self.owners.entry(key).or_insert(at(owner)), at(owner));
            if first != second {
                tally.violated(state, about(state, second), || shared_key(state, second, first));
            }
        }
        self.presence.merge(other.presence, slots);
        self.all.extend(other.all.into_iter().map(|(target, when)| (at(target), when)));
        self.strangers.extend(other.strangers.into_iter().map(at));
    }

    fn finish(&mut self, state: &State, tally: &mut Tally) {
        for (target, at) in self.presence.finish(state, tally) {
            let mut about = about(state, target);
            about.life = about.life.map(|(from, _)| (from, at));
            // A store gives a silent gateway up after a while, and silent it may be for want of a processor.
            tally.late(state, about, || {
                format!("{}, who had its stream all the time", name(state, target))
            });
        }
        for (&target, &at) in &self.all {
            let why = fault(state, target, at).or_else(|| premature(state, target, at));
            if let Some(why) = why.or_else(|| stranger(state, target)) {
                report(state, target, tally, why);
            }
        }
        for &target in &self.strangers {
            if let Some(why) = stranger(state, target) {
                report(state, target, tally, why);
            }
        }
    }
}

impl Invariant {
    /// One key for all notifications of a target; none comes again without a cause.
    fn repeated(
        &mut self,
        state: &State,
        event: &Event,
        target: Target,
        (key, taken): (u64, bool),
        tally: &mut Tally,
    ) {
        if let Some(known) = self.keys.get_mut(&target) {
            if *known == 0 {
                *known = key;
                self.owned(state, event, target, key, tally);
            } else if key != 0 && *known != key {
                tally.violated_by(state, event, || {
                    format!("{}, under another idempotency key than before", name(state, target))
                });
            }
        } else {
            self.keys.insert(target, key);
            self.owned(state, event, target, key, tally);
            self.recent.push_back(target);
            let conversation = state.pairs.members[target.0 as usize].conversation as usize;
            if !state.logs[conversation].is_compacted(target.1) {
                self.all.entry(target).or_insert(state.now);
            } else if state.pairs.members[target.0 as usize].is_in(target.1) {
                tally.compacted(1);
            } else {
                self.strangers.push(target);
            }
            if self.recent.len() > KEYS
                && let Some(oldest) = self.recent.pop_front()
            {
                let key = self.keys.remove(&oldest).unwrap_or(0);
                if self.owners.get(&key) == Some(&oldest) {
                    self.owners.remove(&key);
                }
                self.taken.remove(&oldest);
            }
        }
        if taken {
            self.again(state, target, tally);
        }
    }

    /// A key is that of one notification, and of no other one.
    fn owned(&mut self, state: &State, event: &Event, target: Target, key: u64, tally: &mut Tally) {
        if key == 0 {
            return;
        }
        let owner = *self.owners.entry(key).or_insert(target);
        if owner != target {
            tally.violated_by(state, event, || shared_key(state, target, owner));
        }
    }

    /// A notification is taken: how often may it be?
    fn again(&mut self, state: &State, target: Target, tally: &mut Tally) {
        let Some((first_at, again)) = self.taken.get_mut(&target) else {
            self.taken.insert(target, (state.now, 0));
            return;
        };
        *again += 1;
        let patience = state.header.deadlines.stuck_us;
        let allowed: u64 = state
            .run
            .faults_since(first_at.saturating_sub(patience))
            .map(|fault| if may_lose_answers(&fault.target) { ATTEMPTS } else { 1 })
            .sum();
        if *again > allowed {
            let again = *again;
            tally.late(state, about(state, target), || {
                format!(
                    "{}, for the {}. time, and nothing can have lost that many answers",
                    name(state, target),
                    again + 1
                )
            });
        }
    }
}

fn shared_key(state: &State, target: Target, owner: Target) -> String {
    format!("{}, under the idempotency key under which {}", name(state, target), name(state, owner))
}

fn name(state: &State, (who, sequence): Target) -> String {
    let member = &state.pairs.members[who as usize];
    let (user, conversation) = (member.user + 1, member.conversation + 1);
    format!("user {user} was pushed about sequence {sequence} of conversation {conversation}")
}

fn about(state: &State, target: Target) -> About {
    let conversation = state.pairs.members[target.0 as usize].conversation as usize;
    let entry = state.logs[conversation].get(target.1);
    About {
        conversation: Some(conversation),
        sequence: Some(target.1),
        life: (entry.known_at > 0).then_some((entry.known_at, entry.known_at)),
        ..About::default()
    }
}

fn report(state: &State, target: Target, tally: &mut Tally, why: &str) {
    tally.violated(state, about(state, target), || format!("{}, {why}", name(state, target)));
}

#[cfg(test)]
mod tests {
    use crate::history::builder::Builder;
    use crate::history::{Event, What};
    use crate::invariants::tests::{clean, finding, violated};
    use protocol::{ConversationId, Sequence, UserId};

    const NAME: &str = "nobody_present_is_pushed";

    fn talk() -> Builder {
        Builder::new(4, 1).group(1, &[1, 2, 3]).connect_all().lose(3, 1).say(1, 1)
    }

    fn pushed(builder: Builder, user: u64, sequence: u64, key: u64) -> Builder {
        let (conversation, sequence) = (ConversationId(1), Sequence(sequence));
        builder.push(What::Pushed { user: UserId(user), conversation, sequence, key, taken: true })
    }

    #[test]
    fn a_push_to_whoever_is_away_is_clean() {
        assert_eq!(clean(NAME, &pushed(talk(), 3, 4, 7).finish()).judged, 1);
    }

    #[test]
    fn what_came_behind_the_final_read_is_unknown() {
        let pushed_about_5 = |at_the_end: bool| {
            let history = talk().finish();
            let is = What::Pushed {
                user: UserId(3),
                conversation: ConversationId(1),
                sequence: Sequence(5),
                key: 7,
                taken: true,
            };
            history.tampered(|events| {
                let stored = |e: &Event| matches!(e.is, What::StoredBegan { .. });
                let began = events.iter().position(stored).expect("a final read");
                let position = if at_the_end { events.len() - 1 } else { began };
                let at = events[position - 1].at;
                events.insert(position, Event { at, is });
            })
        };
        assert_eq!(finding(NAME, &pushed_about_5(true)).violations, 0);
        violated(NAME, &pushed_about_5(false));
    }

    #[test]
    fn a_push_to_somebody_present_is_noticed_also_if_it_comes_first() {
        violated(NAME, &pushed(talk(), 2, 4, 7).finish());
        let early = Builder::new(2, 1).group(1, &[1, 2]).connect_all().send(1, 1).commit(1);
        violated(NAME, &pushed(early.accept(1), 2, 3, 7).deliver(1).finish());
    }

    #[test]
    fn a_push_that_meets_a_return_is_clean() {
        let back = talk().connect(3, 1).deliver(1);
        clean(NAME, &pushed(back, 3, 4, 7).finish());
    }

    #[test]
    fn who_is_out_of_reach_for_ten_seconds_may_be_pushed() {
        let cut = |seconds: u64, behind: u64| {
            let run = Builder::new(3, 1).group(1, &[1, 2, 3]).connect_all();
            let cut = run.send(1, 1).fault(1, "cut", "gateway-1", seconds * 1_000_000);
            let told = cut.wait(behind).commit(1).accept(1);
            pushed(told, 2, 4, 7).deliver(1).finish()
        };
        assert_eq!(finding(NAME, &cut(11, 0)).violations, 0);
        assert_eq!(finding(NAME, &cut(11, 0)).judged, 1);
        violated(NAME, &cut(9, 0));
        violated(NAME, &cut(11, 2_000_000));
    }

    #[test]
    fn a_push_about_nothing_or_to_a_stranger_is_noticed() {
        violated(NAME, &pushed(talk(), 3, 9, 7).finish());
        violated(NAME, &pushed(talk(), 3, 1, 7).finish());
        violated(NAME, &pushed(talk(), 4, 4, 7).finish());
        violated(NAME, &pushed(talk(), 1, 4, 7).finish());
        let left = talk().change_member(1, 3, false).say(1, 1);
        violated(NAME, &pushed(left, 3, 6, 7).finish());
    }

    #[test]
    fn a_push_before_the_message_is_sent_is_noticed() {
        let run = || Builder::new(3, 1).group(1, &[1, 2, 3]).connect_all().lose(3, 1);
        violated(NAME, &pushed(run(), 3, 4, 7).say(1, 1).finish());
        let sent = pushed(run().send(1, 1), 3, 4, 7);
        clean(NAME, &sent.commit(1).accept(1).deliver(1).finish());
        // When it was sent is not known of what nobody was told.
        let untold = pushed(run(), 3, 4, 7).send(1, 1).commit(1).deliver(1).finish();
        assert_eq!(finding(NAME, &untold).violations, 0);
    }

    #[test]
    fn a_key_belongs_to_one_notification() {
        let two = |users: [u64; 2], sequences: [u64; 2], keys: [u64; 2]| {
            let run = Builder::new(4, 1).group(1, &[1, 2, 3]).connect_all();
            let run = run.lose(2, 1).lose(3, 1).say(1, 1).say(1, 1);
            let run = pushed(run, users[0], sequences[0], keys[0]);
            pushed(run, users[1], sequences[1], keys[1]).finish()
        };
        clean(NAME, &two([2, 3], [4, 4], [7, 8]));
        clean(NAME, &two([2, 3], [4, 4], [0, 0]));
        violated(NAME, &two([2, 3], [4, 4], [7, 7]));
        violated(NAME, &two([3, 3], [4, 5], [7, 7]));
    }

    #[test]
    fn a_push_again_needs_a_cause_and_the_same_key() {
        violated(NAME, &pushed(pushed(talk(), 3, 4, 7), 3, 4, 7).finish());
        let cut = || talk().fault(1, "cut", "notifier-1", 1_000);
        clean(NAME, &pushed(pushed(cut(), 3, 4, 7), 3, 4, 7).finish());
        let five = |fault: &str| {
            let once = talk().fault(1, fault, "store-1", 1_000);
            (0..5).fold(once, |run, _| pushed(run, 3, 4, 7)).finish()
        };
        violated(NAME, &five("kill"));
        let other_key = pushed(pushed(cut(), 3, 4, 7), 3, 4, 8).finish();
        assert_eq!(finding(NAME, &other_key).violations, 1);
    }
}
