//! **Nobody present is pushed.** A notification (u, m) that the push provider is handed => m is an
//! accepted or seen message, u is a member at its sequence and not its author; and not: a device of u had
//! the conversation's stream in one session from before S(m) until the notification, and showed m in
//! that session. All notifications of one (u, m) carry one idempotency key; and one that was taken
//! comes again only if its answer may have been lost: a fault was active since, or within `stuck_us`
//! before.
//!
//! - Judged: notifications handed to the provider.
//! - Excused: a key of a notification that lies more than 65,536 others back. Presence where S(m) is not
//!   known, since m was accepted after its device had given it up.
//! - Broken by: a notification of a message that no conversation has; the same one five times. Not by: a
//!   notification to a user who comes back just then.
//!
//! Streaming: the keys of the last notifications, and those whose user looked present when they came.

use super::Check;
use crate::ground::pairs::Standing;
use crate::ground::recent::About;
use crate::ground::{Ground, Step, short};
use crate::history::event::{Event, What};
use crate::tally::Tally;
use std::collections::{BTreeMap, VecDeque};

/// Notifications whose key is remembered.
const KEYS: usize = 1 << 16;
/// Notifications to users who look present that are kept until it is clear whether they were. A sound
/// run has next to none.
const SUSPECTS: usize = 1 << 16;

/// A (user and conversation, sequence).
type Target = (u32, u32);

/// A notification to somebody with a stream.
struct Suspect {
    device: usize,
    session: u32,
    attached_at: u64,
    shown: bool,
}

#[derive(Default)]
pub(crate) struct Invariant {
    keys: BTreeMap<Target, u64>,
    recent: VecDeque<Target>,
    /// When each of the last ones was taken.
    taken: BTreeMap<Target, u64>,
    suspects: BTreeMap<Target, Suspect>,
    all: Vec<Target>,
    unkept: u64,
}

impl Check for Invariant {
    fn observe(&mut self, ground: &Ground, step: &Step, event: &Event, tally: &mut Tally) {
        match &event.is {
            What::Pushed { user, conversation, sequence, key, taken } => {
                tally.judged += 1;
                let who = ground.pairs.find(user.0 as u32 - 1, conversation.0 as u32 - 1);
                let Some(who) = who else {
                    tally.violated_by(ground, event, || {
                        format!(
                            "user {user} was pushed about conversation {conversation} of others"
                        )
                    });
                    return;
                };
                self.repeated(ground, event, (who, short(*sequence)), (*key, *taken), tally);
                self.suspect(ground, (who, short(*sequence)));
            }
            What::Shown { .. } if !self.suspects.is_empty() => {
                let session = ground.devices[step.device].session;
                if let Some(suspect) = self.suspects.get_mut(&(step.who, step.sequence))
                    && (suspect.device, suspect.session) == (step.device, session)
                {
                    suspect.shown = true;
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self, ground: &Ground, tally: &mut Tally) {
        for (&(who, sequence), suspect) in &self.suspects {
            let state = &ground.pairs.whos[who as usize];
            let entry = ground.logs[state.conversation as usize].get(sequence);
            let was_present = entry.sent_at().is_some_and(|sent_at| suspect.attached_at < sent_at);
            if suspect.shown && was_present {
                report(ground, (who, sequence), tally, "who had its stream all the time");
            }
        }
        self.all.sort_unstable();
        self.all.dedup();
        for &(who, sequence) in &self.all {
            let state = &ground.pairs.whos[who as usize];
            let log = &ground.logs[state.conversation as usize];
            let entry = log.get(sequence);
            if entry.author == state.user + 1 && entry.is_message {
                report(ground, (who, sequence), tally, "its author");
            } else if entry.seen == 0 && entry.acked == 0 {
                // Only a log that was read whole says that there is no such message.
                if log.whole == Some(true)
                    && !ground.is_removed(state.conversation as usize, sequence)
                {
                    report(ground, (who, sequence), tally, "and there is no such message");
                }
            } else if !entry.is_message {
                report(ground, (who, sequence), tally, "and it is no message");
            } else if ground.standing(who, sequence) == Standing::Outside {
                report(ground, (who, sequence), tally, "who was no member there");
            }
        }
        if self.unkept > 0 {
            tally.excuse("beyond what can be kept", self.unkept);
        }
    }
}

impl Invariant {
    /// One key for all notifications of a target; none comes again without a cause.
    fn repeated(
        &mut self,
        ground: &Ground,
        event: &Event,
        target: Target,
        (key, taken): (u64, bool),
        tally: &mut Tally,
    ) {
        if let Some(&known) = self.keys.get(&target) {
            if key != 0 && known != 0 && known != key {
                tally.violated_by(ground, event, || {
                    format!("{}, under another idempotency key than before", name(ground, target))
                });
            }
            let before = self.taken.get(&target);
            let patience = ground.header.deadlines.stuck_us;
            let is_calm = |at: u64| ground.run.is_calm_since(at.saturating_sub(patience));
            if taken && before.is_some_and(|&at| is_calm(at)) {
                tally.violated_by(ground, event, || {
                    format!("{} again, and nothing can have lost the answer", name(ground, target))
                });
            }
        } else {
            self.keys.insert(target, key);
            self.recent.push_back(target);
            self.all.push(target);
            if self.recent.len() > KEYS
                && let Some(oldest) = self.recent.pop_front()
            {
                self.keys.remove(&oldest);
                self.taken.remove(&oldest);
            }
        }
        if taken {
            self.taken.entry(target).or_insert(ground.now);
        }
    }

    /// Remembers a notification to somebody one of whose devices has the stream.
    fn suspect(&mut self, ground: &Ground, (who, sequence): Target) {
        let streaming = (0..ground.header.devices_per_user)
            .map(|device| ground.pairs.pair_of(who, device))
            .filter(|&pair| ground.is_attached(pair))
            .min_by_key(|&pair| ground.pairs.pair(pair).stream.attached_at);
        let Some(pair) = streaming else { return };
        if self.suspects.len() >= SUSPECTS {
            self.unkept += 1;
            return;
        }
        let (device, state) = (ground.device_of_pair(pair), ground.pairs.pair(pair));
        self.suspects.entry((who, sequence)).or_insert(Suspect {
            device,
            session: ground.devices[device].session,
            attached_at: state.stream.attached_at,
            shown: state.shown.contains(sequence),
        });
    }
}

fn name(ground: &Ground, (who, sequence): Target) -> String {
    let state = &ground.pairs.whos[who as usize];
    let (user, conversation) = (state.user + 1, state.conversation + 1);
    format!("user {user} was pushed about sequence {sequence} of conversation {conversation}")
}

fn report(ground: &Ground, target: Target, tally: &mut Tally, why: &str) {
    let conversation = ground.pairs.whos[target.0 as usize].conversation as usize;
    let entry = ground.logs[conversation].get(target.1);
    let about = About {
        conversation: Some(conversation),
        sequence: Some(target.1),
        life: (entry.acked_at > 0).then_some((entry.acked_at, entry.acked_at)),
        ..About::default()
    };
    tally.violated(ground, about, || format!("{}, {why}", name(ground, target)));
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::Builder;
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
    fn a_push_about_nothing_or_to_a_stranger_is_noticed() {
        violated(NAME, &pushed(talk(), 3, 9, 7).finish());
        violated(NAME, &pushed(talk(), 3, 1, 7).finish());
        violated(NAME, &pushed(talk(), 4, 4, 7).finish());
        violated(NAME, &pushed(talk(), 1, 4, 7).finish());
        let left = talk().change_member(1, 3, false).say(1, 1);
        violated(NAME, &pushed(left, 3, 6, 7).finish());
    }

    #[test]
    fn a_push_again_needs_a_cause_and_the_same_key() {
        violated(NAME, &pushed(pushed(talk(), 3, 4, 7), 3, 4, 7).finish());
        let cut = || talk().fault(1, "cut", "notifier-1", 1_000);
        clean(NAME, &pushed(pushed(cut(), 3, 4, 7), 3, 4, 7).finish());
        let other_key = pushed(pushed(cut(), 3, 4, 7), 3, 4, 8).finish();
        assert_eq!(finding(NAME, &other_key).violations, 1);
    }
}
