//! **Strangers are refused.** Nobody gets in who does not belong, and each attack is answered as the protocol
//! says.
//!
//! - Judged: attacks that were answered: a frame before `hello`, no token, one that nobody has signed or
//!   whose claims were changed, bytes that are no frame, too large a frame, silence, the token of a user where
//!   only a service may go. Whoever is admitted, which is a `welcome`, an upgrade to a trunk or a document,
//!   has got in; any other answer must be the close code or the HTTP status that `docs/protocol.md` names.
//! - Excused: no answer, and not counted either is one that says nothing about the attack, since the gateway
//!   shuts down, has no room, cannot reach what it needs or limits rates (4429, 4500, 4501, 4503; HTTP 408, 429,
//!   502, 503, 504). So a stranger who is believed while the stores are away is not noticed. Where 403 is due, 401
//!   will do: the token may have run out.
//! - A frame that comes late meets a gateway that has given up waiting (4408, 4409), and a connection may stand
//!   without a word for as long as a stranger has patience. Both are violations where no fault but the attack itself
//!   was active meanwhile, and the generator kept its own time.
//! - What an attacker learns from times, and what many of them cost others, is not judged here: the latter is
//!   what all other claims are about, since the users of a run under attack are judged as ever.
//! - Broken by: a gateway that reads a token and does not check its signature; one that closes with another code;
//!   one that waits for ever. Not by: a gateway that is killed in the middle of an attack.
//!
//! Streaming: a counter.

use super::Check;
use crate::history::event::{Event, Outcome, What};
use crate::part::Scope;
use crate::state::{State, Step};
use crate::tally::Tally;

/// What is answered whatever was asked: not now.
const NOT_NOW: [u16; 9] = [408, 429, 502, 503, 504, 4429, 4500, 4501, 4503];
/// A gateway has waited for too long.
const WAITED: [u16; 2] = [4408, 4409];
const UNAUTHORIZED: u16 = 401;
const FORBIDDEN: u16 = 403;
/// The fault whose attacks these are.
const HOSTILE: &str = "hostile";

#[derive(Default)]
pub(crate) struct Invariant;

impl Check for Invariant {
    const SCOPE: Scope = Scope::Run;

    fn observe(&mut self, state: &State, _: &Step, event: &Event, tally: &mut Tally) {
        let What::Attacked { attack, due, outcome, took_us } = &event.is else { return };
        let began = event.at.saturating_sub(*took_us);
        let is_calm = || state.run.faults_since(began).all(|fault| &*fault.kind == HOSTILE);
        match *outcome {
            Outcome::Admitted => {
                tally.judged += 1;
                tally.violated_by(state, event, || {
                    format!("a stranger got in ({attack}), and {due} was due")
                });
            }
            Outcome::Answered(code) if is_refusal(*due, code) => tally.judged += 1,
            Outcome::Answered(code) if WAITED.contains(&code) => {
                if is_calm() {
                    tally.judged += 1;
                    tally.late_by(state, event, || answered(attack, code, *due));
                }
            }
            Outcome::Answered(code) if NOT_NOW.contains(&code) => {}
            Outcome::Answered(code) => {
                tally.judged += 1;
                tally.violated_by(state, event, || answered(attack, code, *due));
            }
            Outcome::Held => {
                if is_calm() {
                    tally.judged += 1;
                    tally.late_by(state, event, || {
                        let waited = *took_us as f64 / 1e6;
                        format!("an attack ({attack}) was not answered for {waited:.0} s, and {due} was due")
                    });
                }
            }
            Outcome::Lost => {}
        }
    }
}

fn is_refusal(due: u16, code: u16) -> bool {
    code == due || (due, code) == (FORBIDDEN, UNAUTHORIZED)
}

fn answered(attack: &str, code: u16, due: u16) -> String {
    format!("an attack ({attack}) was answered with {code}, and {due} was due")
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::{Builder, History};
    use crate::history::event::Outcome::{self, Admitted, Answered, Held, Lost};
    use crate::invariants::tests::{clean, finding, judge, violated};
    use crate::verdict::Verdict;
    use crate::{Judge, JudgeOptions};

    const NAME: &str = "strangers_are_refused";

    fn talk() -> Builder {
        Builder::new(2, 1).group(1, &[1, 2]).connect_all().say(1, 1)
    }

    fn attack(talk: Builder, due: u16, outcome: Outcome) -> Builder {
        let (attack, took_us) = ("altered_token".into(), 15_000_000);
        talk.push(What::Attacked { attack, due, outcome, took_us })
    }

    fn attacked(answers: &[(u16, Outcome)]) -> History {
        let attack = |talk, (due, outcome): &(u16, Outcome)| attack(talk, *due, *outcome);
        let mut history = answers.iter().fold(talk(), attack).finish();
        history.header.hostile = true;
        history
    }

    #[test]
    fn refusals_are_counted_and_what_says_nothing_is_not() {
        let refused = [(4401, 4401), (403, 403), (403, 401), (4408, 4408)];
        assert_eq!(clean(NAME, &attacked(&refused.map(|(due, it)| (due, Answered(it))))).judged, 4);
        let not_now = [4500, 4501, 4503, 4429, 503, 408].map(|code| (4401, Answered(code)));
        let silent = attacked(&[&not_now[..], &[(4401, Lost)]].concat());
        assert_eq!((finding(NAME, &silent).judged, judge(&silent).verdict), (0, Verdict::Valid));
    }

    #[test]
    fn a_stranger_who_gets_in_is_noticed() {
        let found = violated(NAME, &attacked(&[(4401, Answered(4401)), (4401, Admitted)]));
        assert_eq!((found.judged, found.violations), (2, 1));
        let told = &found.evidence[0].what;
        assert_eq!(told, "a stranger got in (altered_token), and 4401 was due");
    }

    #[test]
    fn another_answer_than_the_documented_one_is_noticed() {
        for (due, code) in [(4401, 4400), (401, 403), (401, 500), (1009, 1000), (4401, 4408)] {
            let found = violated(NAME, &attacked(&[(due, Answered(code))]));
            assert!(found.evidence[0].what.contains(&format!("{code}, and {due} was due")));
        }
        violated(NAME, &attacked(&[(4408, Held)]));
    }

    #[test]
    fn what_is_late_is_excused_by_a_fault_that_is_not_the_attack_itself() {
        let slow = [(4401, Answered(4408)), (4408, Held), (4400, Answered(4409))];
        let under = |kind: &str| {
            let began = talk().fault(1, kind, "clients-1", 5_000);
            slow.iter().fold(began, |talk, (due, outcome)| attack(talk, *due, *outcome)).finish()
        };
        assert_eq!(finding(NAME, &under("cut")).judged, 0);
        assert_eq!(violated(NAME, &under("hostile")).violations, 3);
    }

    #[test]
    fn attacks_that_nobody_answers_make_the_verdict_unknown_only_where_there_should_be_some() {
        let doubts = |history: &History| {
            let mut judge = Judge::new(&history.header, JudgeOptions::default());
            history.events.iter().for_each(|event| judge.observe(event));
            judge.finish().doubts
        };
        let mut history = attacked(&[(4401, Lost)]);
        let idle = format!("{NAME} judged nothing");
        assert!(doubts(&history).contains(&idle));
        history.header.hostile = false;
        assert!(!doubts(&history).contains(&idle));
    }
}
