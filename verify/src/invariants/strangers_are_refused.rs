//! **Strangers are refused.** Nobody gets in who does not belong, and each attack is answered as the protocol
//! says.
//!
//! - Judged: attacks that were answered: a frame before `hello`, no token, one that nobody has signed or
//!   whose claims were changed, bytes that are no frame, too large a frame, silence, the token of a user where only
//!   a service may go. Whoever is admitted, which is a `welcome`, an upgrade to a trunk or a document, has
//!   got in; any other answer must be the close code or the HTTP status that `docs/protocol.md` names.
//! - Excused: and not counted is an attack without an answer, or with one that says nothing about it, since the
//!   gateway shuts down, has no room, cannot reach what it needs or limits rates (4409, 4429, 4500, 4501, 4503;
//!   HTTP 429, 502, 503, 504). Where 403 is due, 401 will do: the token may have run out.
//! - What an attacker learns from times, and what many of them cost others, is not judged here: the latter is
//!   what all other claims are about, since the users of a run under attack are judged as ever.
//! - Broken by: a gateway that reads a token and does not check its signature; one that closes with another code. Not
//!   by: a gateway that is killed in the middle of an attack.
//!
//! Streaming: a counter.

use super::Check;
use crate::history::event::{Event, What};
use crate::part::Scope;
use crate::state::{State, Step};
use crate::tally::Tally;

/// What is answered whatever was asked: not at all, or not now.
const NOT_NOW: [u16; 10] = [0, 429, 502, 503, 504, 4409, 4429, 4500, 4501, 4503];
const UNAUTHORIZED: u16 = 401;
const FORBIDDEN: u16 = 403;

#[derive(Default)]
pub(crate) struct Invariant;

impl Check for Invariant {
    const SCOPE: Scope = Scope::Run;

    fn observe(&mut self, state: &State, _: &Step, event: &Event, tally: &mut Tally) {
        let What::Attacked { attack, due, answer, admitted } = &event.is else { return };
        if !admitted && answer != due && NOT_NOW.contains(answer) {
            return;
        }
        tally.judged += 1;
        let is_refused = answer == due || (*due, *answer) == (FORBIDDEN, UNAUTHORIZED);
        if *admitted {
            tally.violated_by(state, event, || {
                format!("a stranger got in ({attack}), and {due} was due")
            });
        } else if !is_refused {
            tally.violated_by(state, event, || {
                format!("an attack ({attack}) was answered with {answer}, and {due} was due")
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::{Builder, History};
    use crate::invariants::tests::{clean, finding, judge, violated};
    use crate::verdict::Verdict;
    use crate::{Judge, JudgeOptions};

    const NAME: &str = "strangers_are_refused";

    fn attacked(answers: &[(u16, u16, bool)]) -> History {
        let talk = Builder::new(2, 1).group(1, &[1, 2]).connect_all().say(1, 1);
        let attack = |talk: Builder, (due, answer, admitted): &(u16, u16, bool)| {
            let (attack, due, answer) = ("altered_token".into(), *due, *answer);
            talk.push(What::Attacked { attack, due, answer, admitted: *admitted })
        };
        let mut history = answers.iter().fold(talk, attack).finish();
        history.header.hostile = true;
        history
    }

    #[test]
    fn refusals_are_counted_and_what_says_nothing_is_not() {
        let refused = [(4401, 4401, false), (403, 403, false), (403, 401, false)];
        assert_eq!(clean(NAME, &attacked(&refused)).judged, 3);
        let not_now = [0, 4500, 4501, 4503, 4429, 503].map(|answer| (4401, answer, false));
        let silent = attacked(&not_now);
        assert_eq!((finding(NAME, &silent).judged, judge(&silent).verdict), (0, Verdict::Valid));
        let waited = [(4408, 4408, false)];
        assert_eq!(clean(NAME, &attacked(&waited)).judged, 1);
    }

    #[test]
    fn a_stranger_who_gets_in_is_noticed() {
        let found = violated(NAME, &attacked(&[(4401, 4401, false), (4401, 0, true)]));
        assert_eq!((found.judged, found.violations), (2, 1));
        let told = &found.evidence[0].what;
        assert_eq!(told, "a stranger got in (altered_token), and 4401 was due");
    }

    #[test]
    fn another_answer_than_the_documented_one_is_noticed() {
        for (due, answer) in [(4401, 4400), (401, 403), (401, 500), (1009, 1000)] {
            let found = violated(NAME, &attacked(&[(due, answer, false)]));
            assert!(found.evidence[0].what.contains(&format!("{answer}, and {due} was due")));
        }
    }

    #[test]
    fn attacks_that_nobody_answers_make_the_verdict_unknown_only_where_there_should_be_some() {
        let doubts = |history: &History| {
            let mut judge = Judge::new(&history.header, JudgeOptions::default());
            history.events.iter().for_each(|event| judge.observe(event));
            judge.finish().doubts
        };
        let mut history = attacked(&[(4401, 0, false)]);
        let idle = format!("{NAME} judged nothing");
        assert!(doubts(&history).contains(&idle));
        history.header.hostile = false;
        assert!(!doubts(&history).contains(&idle));
    }
}
