//! **Every message is accounted for.** Each send ends in one way: accepted, refused for good, or a dead
//! letter with a reason; before its device has been connected for more than `stuck_us` since
//! max(S, H), or since a send before it in its conversation had its end: a device sends there in order,
//! and holds back what is behind. And what was refused for its token (`unauthorised`) comes again, before its device has been
//! connected for more than `stuck_us` since the refusal, if no fault has been active since then; this is
//! judged without a heal, too. At the end nothing is left in the durable queues, when they are not worked off any more.
//!
//! - A refusal for good is true. Who is refused as `not_member` was none at some time from the invocation to
//!   the answer: it is wrong if a join was known before as the user's last change, all departures that
//!   had been asked for were answered, and none was asked for until the answer. (A departure that was
//!   answered after more than a second, or during which a fault was active, may have been tried
//!   several times, and a late attempt may be done at any time: behind it nothing is certain.) Who is
//!   refused as `not_author` is not the author of the target, as defined by `only_authorised_accepted`.
//!   What is refused as `no_such_message` names a target or a parent that was not known as a message
//!   before it was invoked, or at which its user was no certain member, that retention removed (with
//!   retention, where the log was not read whole: may have removed), or, unless it is a reply, of which
//!   another deletion was sent before the answer.
//! - A send that was refused as a dead letter is among the dead letters (a letter that could not be
//!   read stands for any), if as many were listed as their queue is reported to have. Nobody is told of
//!   the acceptance of what was not sent; whoever was refused for good at the only attempt is not
//!   accepted later, nor the other way round; nor is, after whatever resends, who was refused for
//!   `not_member`, `no_such_message`, `not_author` or `dead_lettered`: these are decisions about the id
//!   that stand for ever, unless the dead letter was requeued. `unauthorised` is no end. The queue of the dead letters itself (`dead`) may be filled, and so may a gateway's,
//!   which is not durable.
//! - Judged: sends.
//! - Excused: as many missing dead letters as gave way to newer ones (`shed`); what its device gave up before the load ended (`unanswered` before `settle`: its outbox
//!   was full), what had too little time, what users whom the scenario makes slow have not heard (they do
//!   not read their answers), and a further answer to a send, or a refusal of a change of a message, that
//!   was compacted.
//! - Broken by: a send without an answer although its device was connected; one that was refused for an
//!   expired token and forgotten. Not by: a send of a
//!   device that lost its session right after it, shortly before the end.
//!
//! Streaming: the ledger's bits, exact counters.

use super::Check;
use crate::dead_letters::DeadLetters;
use crate::history::event::{Event, Shed, What};
use crate::refusals::Refusals;
use crate::state::ledger::{Record, status};
use crate::state::merge::Slots;
use crate::state::observe::is_final;
use crate::state::recent::About;
use crate::state::{State, Step};
use crate::tally::Tally;

#[derive(Default)]
pub(crate) struct Invariant {
    letters: DeadLetters,
    given_up: u64,
    refusals: Refusals,
}

/// Whether what lies in a queue at the end is unfinished work: dead letters lie there by design, and a
/// gateway's queue is not durable.
fn is_work(queue: &str) -> bool {
    queue != "dead" && !queue.starts_with("gateway")
}

impl Check for Invariant {
    fn observe(&mut self, state: &State, step: &Step, event: &Event, tally: &mut Tally) {
        let fault = match &event.is {
            What::Sent { .. } => {
                tally.judged += 1;
                return;
            }
            What::Accepted { .. } => match step.send {
                None if step.is_old_send => return tally.compacted(1),
                None => "accepted, and nobody sent it".to_owned(),
                Some((_, r)) if r.is(status::REFUSED) && !r.is(status::REQUEUED) => {
                    "accepted, and was refused for good before".to_owned()
                }
                Some(_) => return,
            },
            What::Rejected { reason, .. } if is_final(*reason) => match step.send {
                None if step.is_old_send => return tally.compacted(1),
                Some((_, r))
                    if r.is(status::ACCEPTED)
                        && !r.is(status::REQUEUED)
                        && state.excludes(*reason, &r) =>
                {
                    "refused, and was accepted before".to_owned()
                }
                _ => match self.refusals.untrue(state, step, *reason, tally) {
                    Some(fault) => fault,
                    None => return,
                },
            },
            What::Unanswered { .. } => {
                self.given_up += u64::from(step.answered.is_some());
                return;
            }
            What::DeadLetter { queue, reason, author, message, .. } => {
                self.letters.listed(author.is_some() && message.is_some());
                if !reason.trim().is_empty() {
                    return;
                }
                format!("a dead letter of queue {queue} without a reason")
            }
            What::Shed { what: Shed::DeadLetters, count, .. } => {
                self.letters.gave_way(*count);
                return;
            }
            What::InFlight { queue, messages } => {
                if &**queue == "dead" {
                    self.letters.reported(*messages);
                }
                if *messages > 0 && is_work(queue) {
                    tally.late(state, About::default(), || {
                        format!("{messages} messages left in queue {queue} at the end")
                    });
                }
                return;
            }
            _ => return,
        };
        let about = step.send.map_or_else(About::default, |(slot, record)| About {
            life: None,
            ..state.about_send(slot.sender as usize, &record)
        });
        tally.violated(state, about, || {
            step.send.map_or_else(
                || fault.clone(),
                |(slot, record)| {
                    let name = state.name_of(slot.sender as usize, record.id);
                    format!("message {name} was {fault}")
                },
            )
        });
    }

    fn merge(&mut self, other: Self, slots: &Slots, _: &State, _: &mut Tally) {
        self.letters.merge(&other.letters);
        self.given_up += other.given_up;
        self.refusals.merge(other.refusals, slots);
    }

    fn finish(&mut self, state: &State, tally: &mut Tally) {
        self.letters.find_missing(state, tally);
        self.refusals.resolve(state, tally);
        let allowed = state.header.deadlines.stuck_us;
        let (mut undue, mut slow) = (0, 0);
        for (sender, records) in state.ledger.by_sender() {
            for open in &state.devices[sender].open_sends {
                // Only what was accepted is compacted.
                let (low, high) = state.ledger.gone(sender);
                let found = records.binary_search_by_key(&open.id, |record| record.id).ok();
                if found.is_none() && (low..=high).contains(&open.id) {
                    continue;
                }
                let record = found.map_or_else(Record::default, |at| records[at]);
                if record.is(status::ACCEPTED | status::FINAL | status::LETTER) {
                    continue;
                }
                if state.is_slow(sender) {
                    slow += 1;
                    continue;
                }
                if let Some((refused_at, connected)) = state.dropped(sender, open) {
                    let mut about = state.about_send(sender, &record);
                    about.life = Some((refused_at, refused_at));
                    tally.late(state, about, || {
                        format!(
                            "message {} was refused for its token at {:.3} s and was not sent again, \
                             after {:.3} s with a session",
                            state.name_of(sender, open.id),
                            refused_at as f64 / 1e6,
                            connected as f64 / 1e6
                        )
                    });
                    continue;
                }
                let waited = state.waited(sender, open.due_since());
                let Some(waited) = waited.filter(|waited| *waited > allowed) else {
                    undue += 1;
                    continue;
                };
                let mut about = state.about_send(sender, &record);
                about.life = Some((open.since, open.since));
                tally.late(state, about, || {
                    format!(
                        "message {} was sent at {:.3} s and is neither accepted nor refused nor a \
                         dead letter, after {:.3} s with a session",
                        state.name_of(sender, open.id),
                        open.since as f64 / 1e6,
                        waited as f64 / 1e6
                    )
                });
            }
        }
        tally.excuse("had too little time", undue);
        tally.excuse("of slow users", slow);
        tally.excuse("given up by their devices", self.given_up);
    }
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::Builder;
    use crate::history::event::{Event, Phase, Shed};
    use crate::invariants::tests::{clean, finding, violated};
    use protocol::{ClientMessageId, ConversationId, RejectReason, UserId};

    const NAME: &str = "every_message_accounted";

    fn talk() -> Builder {
        Builder::new(2, 1).group(1, &[1, 2]).connect_all().say(1, 1)
    }

    fn refused(builder: Builder) -> Builder {
        let device = builder.device(1, 1);
        let message = ClientMessageId(builder.last_message(1));
        let reason = RejectReason::DeadLettered;
        builder.push(What::Rejected { device, conversation: ConversationId(1), message, reason })
    }

    fn letter(builder: Builder, reason: &str) -> Builder {
        let message = Some(ClientMessageId(builder.last_message(1)));
        builder.push(What::DeadLetter {
            queue: "dead".into(),
            reason: reason.into(),
            author: Some(UserId(1)),
            message,
            conversation: Some(ConversationId(1)),
        })
    }

    #[test]
    fn accepted_and_dead_letters_are_accounted_for() {
        let poisoned = letter(refused(talk().send(1, 1)), "unknown format 99");
        assert_eq!(clean(NAME, &poisoned.finish()).judged, 2);
        clean(NAME, &letter(talk().send(1, 1), "unknown format 99").finish());
    }

    #[test]
    fn a_message_that_vanished_is_noticed() {
        violated(NAME, &talk().send(1, 1).finish());
    }

    #[test]
    fn what_was_refused_for_its_token_comes_again() {
        let refused = |run: Builder| {
            let (device, message) = (run.device(1, 1), ClientMessageId(run.last_message(1)));
            let (conversation, reason) = (ConversationId(1), RejectReason::Unauthorised);
            run.push(What::Rejected { device, conversation, message, reason })
        };
        let again = |run: Builder| {
            let (device, message) = (run.device(1, 1), ClientMessageId(run.last_message(1)));
            run.push(What::Resent { device, conversation: ConversationId(1), message })
        };
        // Without a heal, so that nothing else is late.
        let end = |run: Builder| {
            run.finish().tampered(|events| {
                let heal = |event: &Event| event.is == What::Phase(Phase::Heal);
                let at = events.iter().position(heal).unwrap();
                events.truncate(at + 1);
                events[at].is = What::Phase(Phase::Settle);
            })
        };
        let back = |run: Builder| run.lose(1, 1).open(1, 1);
        let long = 2_000_000;
        let forgotten = || back(refused(talk().send(1, 1)));
        violated(NAME, &end(forgotten().wait(long)));
        clean(NAME, &end(forgotten()));
        clean(NAME, &end(again(forgotten()).wait(long)));
        let away = refused(talk().send(1, 1)).lose(1, 1).wait(long);
        clean(NAME, &end(away));
        // A cluster that is disturbed may not let it get so far.
        clean(NAME, &end(forgotten().wait(long).fault(1, "cut", "gateway-1", 1_000)));
        let several = forgotten().wait(900_000);
        violated(NAME, &end(back(several).wait(900_000)));
    }

    #[test]
    fn a_message_of_a_device_that_is_away_is_not_judged() {
        clean(NAME, &talk().send(1, 1).lose(1, 1).finish());
    }

    #[test]
    fn a_dead_letter_that_is_missing_or_has_no_reason_is_noticed() {
        let refused_only = || refused(talk().send(1, 1));
        let empty = What::InFlight { queue: "dead".into(), messages: 0 };
        violated(NAME, &refused_only().phase(Phase::Heal).push(empty).finish());
        clean(NAME, &refused_only().finish());
        let both = |messages| {
            let two = refused(letter(refused(talk().send(1, 1)), "format 99").send(1, 1));
            two.push(What::InFlight { queue: "dead".into(), messages }).finish()
        };
        violated(NAME, &both(1));
        clean(NAME, &both(2));
        violated(NAME, &letter(refused(talk().send(1, 1)), "").finish());
    }

    #[test]
    fn dead_letters_may_give_way_and_say_so() {
        let two_of_three = |shed: u64| {
            let three = letter(refused(talk()), "x");
            let three = refused(refused(three.send(1, 1)).send(1, 1));
            let what = What::Shed { node: "broker-1".into(), what: Shed::DeadLetters, count: shed };
            let in_flight = What::InFlight { queue: "dead".into(), messages: 1 };
            finding(NAME, &three.push(what).phase(Phase::Heal).push(in_flight).finish()).violations
        };
        let (one, both) = (two_of_three(1), two_of_three(2));
        assert_eq!(one, both + 1, "one more is missing than gave way");
    }

    #[test]
    fn a_send_is_due_from_when_the_one_before_it_had_its_end() {
        let last = |after: u64| {
            let run = talk().send(1, 1);
            let first = run.last_message(1);
            let both = run.send(1, 1).heal().wait(after).commit_message(1, first);
            let stopped = What::Stopped { why: "SIGTERM".into() };
            both.accept_message(1, first).deliver(1).wait(1_400_000).push(stopped).finish()
        };
        clean(NAME, &last(1_400_000));
        let alone = talk().send(1, 1).heal().wait(2_800_000);
        violated(NAME, &alone.push(What::Stopped { why: "SIGTERM".into() }).finish());
        violated(NAME, &talk().send(1, 1).send(1, 1).heal().commit(1).accept(1).finish());
    }

    #[test]
    fn what_has_no_answer_when_a_run_is_stopped_was_not_given_up() {
        let stopped = || What::Stopped { why: "SIGTERM".into() };
        let run = talk().send(1, 1);
        let (device, conversation) = (run.device(1, 1), ConversationId(1));
        let message = ClientMessageId(run.last_message(1));
        let unanswered = || What::Unanswered { device, conversation, message };
        let waits = |run: Builder| run.heal().wait(2_800_000);
        violated(NAME, &waits(run).push(stopped()).push(unanswered()).finish());
        let given_up = waits(talk().send(1, 1)).push(unanswered()).push(stopped()).finish();
        assert_eq!(finding(NAME, &given_up).violations, 0);
    }

    #[test]
    fn what_is_left_in_a_queue_is_noticed() {
        let left = |queue: &str, messages| {
            talk().push(What::InFlight { queue: queue.into(), messages }).finish()
        };
        violated(NAME, &left("inbound.3", 2));
        clean(NAME, &left("inbound.3", 0));
        clean(NAME, &left("dead", 2));
        clean(NAME, &left("gateway-1-7", 2));
    }

    #[test]
    fn two_ends_of_one_message_are_noticed() {
        violated(NAME, &letter(refused(talk().send(1, 1)), "x").commit(1).accept(1).finish());
        violated(NAME, &letter(refused(talk()), "x").finish());
    }

    #[test]
    fn a_decision_stands_also_at_a_retry() {
        let again = |run: Builder| {
            let (device, message) = (run.device(1, 1), ClientMessageId(run.last_message(1)));
            run.push(What::Resent { device, conversation: ConversationId(1), message })
        };
        violated(NAME, &letter(refused(again(talk())), "x").finish());
        let accepted = || letter(refused(again(talk().send(1, 1))), "x").commit(1).accept(1);
        violated(NAME, &accepted().finish());
        let mut old = accepted().finish();
        old.header.format = 1;
        clean(NAME, &old);
        let requeued = |run: Builder| {
            let message = ClientMessageId(run.last_message(1));
            run.push(What::Requeued { author: UserId(1), message })
        };
        let put_back = requeued(refused(again(talk().send(1, 1)))).commit(1).accept(1);
        clean(NAME, &put_back.finish());
        let other = What::Rejected {
            device: talk().device(1, 1),
            conversation: ConversationId(1),
            message: ClientMessageId(talk().last_message(1)),
            reason: RejectReason::BodySize,
        };
        clean(NAME, &again(talk()).push(other).finish());
    }
}
