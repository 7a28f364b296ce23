//! **No session is stuck.** Whatever a device waits for comes within `stuck_us`, counted from
//! max(the beginning of the wait, H):
//!
//! - a session: since it lost one, said goodbye, failed to get one, or since the users began to connect
//!   (`warm_up`);
//! - a stream of a conversation of which its user is a member after all that is known by then: since its session
//!   began, its user last joined, or the stream ended, within one session;
//! - the end (`detached`) of a stream of a conversation that its user has left for good, after all that is
//!   known by then: since the departure became known, and the stream began;
//! - word of a send, edit or deletion (an answer to the device that sent it): since the invocation or
//!   the last word (a refusal for now) of it or of one before it in its conversation, behind which the
//!   device holds it back; with time without a session left out; no longer when the device gave it up
//!   (`unanswered` before `settle`);
//! - the answer to a read (entries or an error), within one session;
//! - an entry that it must see and has not shown: since K and the device's last progress. Progress is a welcome, a failed attempt, a stream's beginning or end, an entry of a
//!   stream, an answer, an error, a close: being told that something is wrong is not being stuck.
//!
//! For a session all time counts, for everything else the time for which the device is connected. Devices
//! of the users who stay away (`offline_users`; in a history of format 1, of whom no device ever
//! connected) wait for nothing. Users whom the scenario makes slow are left out.
//!
//! - Judged: waits that ended after the heal, and at the end those that go on.
//! - Excused: in a history of format 1, the end of a stream. A user whose departure was asked for without an answer is no certain member, and
//!   a stream that is the first to tell of a join was not waited for, as far as is known. A wait that
//!   began less than `stuck_us` before the users were last watched is not judged.
//! - Broken by: a device that says goodbye and never comes back; a conversation that is attached to
//!   nobody; a read without an answer. Not by: a device that loses its session every few seconds, and
//!   gets another one each time.
//!
//! Streaming: 8 bytes per device, and what waits; looked up when the wait ends, or at the end.

use super::Check;
use crate::history::event::{Event, What};
use crate::part::Scope;
use crate::state::pairs::Stream;
use crate::state::recent::About;
use crate::state::{State, Step};
use crate::tally::Tally;

#[derive(Default)]
pub(crate) struct Invariant;

impl Check for Invariant {
    const SCOPE: Scope =
        Scope::User("a device waits for an entry since its last progress in any conversation");

    fn observe(&mut self, state: &State, step: &Step, event: &Event, tally: &mut Tally) {
        if state.run.healed_at.is_none() {
            return;
        }
        let wait = match &event.is {
            What::Shown { .. } if !step.was_shown => {
                let since = step.log.known_at.max(step.progress_at);
                state.is_due_to_all(&step.log).then_some((since, "an entry"))
            }
            What::Accepted { .. } | What::Rejected { .. } => {
                let open = step.answered.or(step.told);
                open.map(|open| (open.waits_since(), "word of a send"))
            }
            What::Opened { .. } => {
                let is_first = state.devices[step.device].session == 1;
                down_since(state, step.device, is_first, step.down_since)
                    .map(|since| (since, "a session"))
            }
            What::ReadEnded { .. } | What::ReadFailed { .. } => {
                step.read.as_ref().map(|read| (read.began_at, "the answer to a read"))
            }
            What::Attached { .. } => {
                let device = &state.devices[step.device];
                let who = &state.pairs.members[step.who as usize];
                // A stream may be the first to tell of a join: then nobody knows since when it was due.
                if !who.is_member_now() {
                    return;
                }
                let mut since = device.opened_at.max(who.changed_at);
                if step.before.left {
                    since = since.max(step.before.attached_at);
                }
                (step.before.session != device.session).then_some((since, "a stream"))
            }
            What::Detached { .. } => {
                let device = &state.devices[step.device];
                let was_there = device.open && step.before.session == device.session;
                ends_since(state, step.who, &step.before)
                    .filter(|_| was_there)
                    .map(|since| (since, "the end of a stream"))
            }
            _ => return,
        };
        let Some((since, what)) = wait else { return };
        judge(state, step.device, Wait::of(since, what), tally);
    }

    fn finish(&mut self, state: &State, tally: &mut Tally) {
        if state.run.healed_at.is_none() {
            return;
        }
        for (slot, device) in state.devices.iter().enumerate() {
            if !device.open && state.is_expected(slot) {
                let is_first = device.session == 0;
                if let Some(since) = down_since(state, slot, is_first, device.down_since) {
                    judge(state, slot, Wait::of(since, "a session"), tally);
                }
            }
            for open in &device.open_sends {
                let wait =
                    Wait { message: Some(open.id), ..Wait::of(open.waits_since(), "word of") };
                judge(state, slot, wait, tally);
            }
            for since in state.reads.waiting(slot).filter(|_| device.open) {
                judge(state, slot, Wait::of(since, "the answer to a read"), tally);
            }
        }
        for (who, member) in (0..).zip(&state.pairs.members) {
            for number in 0..state.header.devices_per_user {
                let pair = state.pairs.pair_of(who, number);
                let slot = state.device_of_pair(pair);
                let device = &state.devices[slot];
                let stream = &state.pairs.pair(pair).stream;
                if state.is_attached(pair)
                    && let Some(since) = ends_since(state, who, stream)
                {
                    let conversation = Some(member.conversation as usize);
                    let wait = Wait::of(since, "the end of a stream of a conversation");
                    judge(state, slot, Wait { conversation, ..wait }, tally);
                }
                if !device.open || !member.is_member_now() || stream.session == device.session {
                    continue;
                }
                let mut since = device.opened_at.max(member.changed_at);
                if stream.left {
                    since = since.max(stream.attached_at);
                }
                let conversation = Some(member.conversation as usize);
                let wait = Wait::of(since, "a stream of a conversation");
                judge(state, slot, Wait { conversation, ..wait }, tally);
            }
        }
        for (number, pair) in state.pairs.iter() {
            let slot = state.device_of_pair(number);
            let device = &state.devices[slot];
            if !device.open || pair.stream.left {
                continue;
            }
            let mut oldest: Option<u64> = None;
            state.for_each_unshown(number, pair, |_, entry| {
                oldest = Some(oldest.map_or(entry.known_at, |at| at.min(entry.known_at)));
            });
            if let Some(since) = oldest {
                let who = &state.pairs.members[(number / state.header.devices_per_user) as usize];
                let since = since.max(device.progress_at);
                let conversation = Some(who.conversation as usize);
                let wait = Wait::of(since, "an entry");
                judge(state, slot, Wait { conversation, ..wait }, tally);
            }
        }
    }
}

/// Since when a stream should end, since its user has left for good.
fn ends_since(state: &State, who: u32, stream: &Stream) -> Option<u64> {
    let member = &state.pairs.members[who as usize];
    (member.has_left() && state.header.format >= 2)
        .then(|| member.changed_at.max(stream.attached_at))
}

/// Since when a device has waited for a session: for its first one since the users began to connect.
fn down_since(state: &State, device: usize, is_first: bool, down: Option<u64>) -> Option<u64> {
    let begins = state.run.connects_at.filter(|_| is_first && state.is_expected(device));
    begins.into_iter().chain(down).min()
}

/// What a device waits for, since when, and what it is about.
#[derive(Clone, Copy)]
struct Wait {
    since: u64,
    what: &'static str,
    conversation: Option<usize>,
    message: Option<u64>,
}

impl Wait {
    const fn of(since: u64, what: &'static str) -> Self {
        Self { since, what, conversation: None, message: None }
    }
}

/// Judges a wait that goes on until now.
fn judge(state: &State, device: usize, wait: Wait, tally: &mut Tally) {
    let Wait { since, what, conversation, message } = wait;
    let allowed = state.header.deadlines.stuck_us;
    if state.is_slow(device) || state.part.splits_users() {
        return;
    }
    tally.judged += 1;
    if state.passed(since).is_none_or(|passed| passed <= allowed) {
        return;
    }
    // Whoever waits for a session has none; all others wait while they have one.
    let waited =
        if what == "a session" { state.passed(since) } else { state.waited(device, since) };
    let Some(waited) = waited.filter(|waited| *waited > allowed) else { return };
    let user = device as u64 / u64::from(state.header.devices_per_user) + 1;
    let about = About {
        device: Some(device),
        conversation,
        message: message.map(|id| (user, id)),
        // The faults at the beginning of the wait, and while it was not over-long, are named.
        life: Some((since, since.saturating_add(allowed).min(state.now))),
        ..About::default()
    };
    tally.late(state, about, || {
        let which = conversation.map_or_else(String::new, |at| format!(" {}", at + 1));
        let name = message.map_or_else(String::new, |id| format!(" {}", state.name_of(device, id)));
        format!(
            "{} waited {:.3} s for {what}{which}{name}",
            state.device_name(device),
            waited as f64 / 1e6
        )
    });
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::Builder;
    use crate::history::event::{Engine, Phase};
    use crate::invariants::tests::{clean, judge as judge_history, violated};
    use crate::judge::{Judge, JudgeOptions};
    use protocol::{ClientMessageId, ConversationId, RejectReason, Sequence};

    const NAME: &str = "no_stuck_session";

    fn talk() -> Builder {
        Builder::new(2, 1).group(1, &[1, 2]).connect_all().say(1, 1)
    }

    #[test]
    fn a_session_that_gets_on_is_clean() {
        let after_heal = talk().heal().say(1, 1).lose(2, 1).connect(2, 1).say(1, 1);
        assert_eq!(clean(NAME, &after_heal.finish()).judged, 8);
    }

    #[test]
    fn a_half_open_session_is_noticed() {
        violated(NAME, &talk().send(1, 1).commit(1).accept(1).deliver_to(1, 1, 1).finish());
        violated(NAME, &talk().send(1, 1).heal().wait(2_000_000).commit(1).accept(1).finish());
    }

    #[test]
    fn what_a_device_holds_back_itself_is_not_waited_for() {
        let two = |conversation| {
            let groups = Builder::new(2, 2).group(1, &[1, 2]).group(2, &[1, 2]).connect_all();
            let run = groups.send(1, 1);
            let first = run.last_message(1);
            let both = run.send(1, conversation).heal().wait(1_400_000);
            let first = both.commit_message(1, first).accept_message(1, first).deliver(1);
            first.wait(1_400_000).commit(1).accept(1).deliver(conversation).finish()
        };
        clean(NAME, &two(1));
        violated(NAME, &two(2));
        let refused_at = |wait| {
            let run = talk().send(1, 1);
            let first = run.last_message(1);
            let (device, message) = (run.device(1, 1), ClientMessageId(first));
            let (conversation, reason) = (ConversationId(1), RejectReason::Unavailable);
            let told = What::Rejected { device, conversation, message, reason };
            let both = run.send(1, 1).heal().wait(1_400_000).push(told).wait(wait);
            let first = both.commit_message(1, first).accept_message(1, first);
            first.commit(1).accept(1).deliver(1).finish()
        };
        clean(NAME, &refused_at(1_400_000));
        violated(NAME, &refused_at(1_600_000));
    }

    #[test]
    fn a_close_is_progress_and_a_missing_reconnect_is_not() {
        let silent = || talk().send(1, 1).heal().wait(1_400_000);
        clean(NAME, &silent().lose(1, 1).connect(1, 1).commit(1).accept(1).deliver(1).finish());
        violated(NAME, &silent().lose(1, 1).wait(1_600_000).connect(1, 1).finish());
        violated(NAME, &talk().lose(2, 1).finish());
    }

    #[test]
    fn whoever_said_goodbye_comes_back_unless_the_scenario_keeps_the_user_away() {
        let gone = || {
            let device = talk().device(2, 1);
            talk().push(What::Closed { device, code: 1000 }).heal().say(1, 1).finish()
        };
        violated(NAME, &gone());
        let mut away = gone();
        away.header.offline_users = Some(1);
        clean(NAME, &away);
    }

    #[test]
    fn a_device_that_never_connects_is_noticed() {
        let two = || Builder::with_devices(2, 2, 1).group(1, &[1, 2]).connect_all().heal();
        clean(NAME, &two().say(1, 1).finish());
        let mut never = two().say(1, 1).finish().tampered(|events| {
            events.retain(|e| {
                let device = e.is.device();
                device.is_none_or(|device| (device.user.0, device.device.0) != (2, 2))
            });
        });
        violated(NAME, &never);
        never.header.offline_users = None;
        violated(NAME, &never);
        let late = Builder::new(2, 1).group(1, &[1, 2]).phase(Phase::WarmUp).connect(1, 1).heal();
        let soon = late.clone().wait(1_000_000).connect(2, 1).finish();
        clean(NAME, &soon);
        violated(NAME, &late.wait(2_000_000).connect(2, 1).finish());
        never.header.offline_users = Some(1);
        clean(NAME, &never);
    }

    #[test]
    fn a_read_without_an_answer_is_noticed_and_one_with_an_error_is_not() {
        let asked = || {
            let builder = talk().heal();
            let device = builder.device(2, 1);
            let (conversation, after) = (ConversationId(1), Sequence(0));
            builder.push(What::ReadBegan { device, request: 7, conversation, after })
        };
        violated(NAME, &asked().finish());
        let device = asked().device(2, 1);
        let failed = What::ReadFailed { device, request: 7, conversation: ConversationId(1) };
        clean(NAME, &asked().push(failed).finish());
    }

    #[test]
    fn a_run_that_is_stopped_expects_nothing_more() {
        let stopped = |after: u64| {
            let waits = talk().send(1, 1).heal().wait(after);
            waits.push(What::Stopped { why: "SIGTERM".into() }).wait(9_000_000).finish()
        };
        clean(NAME, &stopped(1_000_000));
        violated(NAME, &stopped(2_000_000));
    }

    #[test]
    fn a_generator_at_its_limit_accuses_nobody() {
        let limited = What::GeneratorLimited { limit: "EMFILE".into(), times: 3 };
        let history = talk().lose(2, 1).push(limited).finish();
        let judgement = judge_history(&history);
        assert_eq!(judgement.verdict, crate::Verdict::Unknown, "{judgement:#?}");
        let named = |wanted: &str| judgement.doubts.iter().any(|doubt| doubt.contains(wanted));
        assert!(named("EMFILE, 3 times"), "{judgement:#?}");
        assert!(named("no_stuck_session: 1 things were late"), "{judgement:#?}");
    }

    #[test]
    fn what_is_late_on_real_sockets_is_certain_at_the_end() {
        let mut history = talk().lose(2, 1).heal().wait(3_000_000).connect(2, 1).finish();
        for (engine, certain) in [(Engine::Simulated, 1), (Engine::Real, 0)] {
            history.header.engine = engine;
            let mut judge = Judge::new(&history.header, JudgeOptions::default());
            history.events.iter().for_each(|event| judge.observe(event));
            assert_eq!(judge.violations_so_far(), certain, "{engine:?}");
            assert_eq!(judge.finish().verdict, crate::Verdict::Violated);
        }
    }

    #[test]
    fn a_stream_of_somebody_who_has_left_ends() {
        let left = || talk().heal().say(1, 1).change_member(1, 2, false).deliver(1);
        let detached = |run: Builder| {
            let device = run.device(2, 1);
            run.push(What::Detached { device, conversation: ConversationId(1) })
        };
        clean(NAME, &detached(left().wait(1_400_000)).finish());
        violated(NAME, &detached(left().wait(1_600_000)).finish());
        violated(NAME, &left().finish());
        clean(NAME, &left().lose(2, 1).open(2, 1).finish());
        // Whoever may be back by now, or is back, may go on.
        let (conversation, user) = (ConversationId(1), protocol::UserId(2));
        let asked = What::MemberAsked { conversation, user, add: true };
        clean(NAME, &left().push(asked).finish());
        clean(NAME, &left().change_member(1, 2, true).deliver(1).finish());
        let mut old = left().finish();
        old.header.format = 1;
        clean(NAME, &old);
    }

    #[test]
    fn a_conversation_that_is_not_attached_again_is_noticed() {
        let forgotten = talk().lose(2, 1).connect(2, 1).say(1, 1).finish().tampered(|events| {
            let again = events.iter().rposition(|e| matches!(e.is, What::Attached { .. })).unwrap();
            events.remove(again);
            let shown = events
                .iter()
                .rposition(|e| matches!(&e.is, What::Shown { device, .. } if device.user.0 == 2));
            events.remove(shown.unwrap());
        });
        violated(NAME, &forgotten);
    }
}
