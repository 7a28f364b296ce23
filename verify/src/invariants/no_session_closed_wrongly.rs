//! **No session is closed wrongly.** No gateway closes a session for a mistake that its client has not made.
//!
//! - Judged: sessions, by the codes with which they are closed. The clients of a run say one `hello`, only
//!   frames that can be decoded and none that is too large, and faults damage no byte between them and a
//!   gateway. So 1002, 1009, 4400, 4402 and 4408 behind a `welcome` are mistakes of the gateway (or bugs of these
//!   clients). 1002 is also how a session ends whose gateway says what its client cannot decode.
//! - Excused: other codes. A history does not say when a token runs out (4401), how fast a device reads
//!   (4411), what arrives in time (4409), how many frames are too many (4429), and whether the `hello` of a
//!   connection that a device has given up comes behind that of its next one (4410); the rest is about the gateway
//!   (4500, 4501, 4503). What becomes of those whose sessions end is what other claims judge, `no_stuck_session` and
//!   `recovers_to_baseline` above all; so is who gets no session at all.
//! - No bad choice: to refuse what is right would be a bug, not a design.
//! - Broken by: a gateway that takes a frame for malformed that is not, or sends one that is. Not by: a session whose token was
//!   revoked; a connection that breaks without a code.
//!
//! Streaming: a counter.

use super::Check;
use crate::history::event::{Event, What};
use crate::state::{State, Step};
use crate::tally::Tally;
use protocol::CloseCode;

#[derive(Default)]
pub(crate) struct Invariant;

impl Check for Invariant {
    fn observe(&mut self, state: &State, _: &Step, event: &Event, tally: &mut Tally) {
        match event.is {
            What::Opened { .. } => tally.judged += 1,
            What::Closed { code, .. } if CloseCode::blames(code) => {
                tally.violated_by(state, event, || match code {
                    1002 => {
                        "the session ended with 1002: the gateway said what is no frame of the \
                             protocol, or that its client did"
                            .to_owned()
                    }
                    _ => format!(
                        "the session was closed with {code}, and its client had broken no rule"
                    ),
                });
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::{Builder, History};
    use crate::invariants::tests::{clean, violated};

    const NAME: &str = "no_session_closed_wrongly";

    /// Of two users the first one's session is closed with a code, and it comes back.
    fn closed(code: u16) -> History {
        let run = Builder::new(2, 1).group(1, &[1, 2]).connect_all().say(1, 1);
        let device = run.device(1, 1);
        run.push(What::Closed { device, code }).connect(1, 1).say(2, 1).finish()
    }

    #[test]
    fn who_is_closed_for_what_the_gateway_cannot_do_was_not_wronged() {
        for code in [0, 1000, 1006, 4401, 4409, 4410, 4411, 4429, 4500, 4501, 4503] {
            assert_eq!(clean(NAME, &closed(code)).judged, 3, "{code}");
        }
    }

    #[test]
    fn a_client_that_has_broken_no_rule_is_told_that_it_has() {
        for code in [1002, 1009, 4400, 4402, 4408] {
            let found = violated(NAME, &closed(code));
            let told = &found.evidence[0].what;
            assert!(told.contains(&format!("with {code}")), "{told}");
        }
    }
}
