//! From a delivery to an action, or to the reason why it cannot be processed.

use protocol::frames;
use protocol::records::{self, Action, Inbound};

/// A message that cannot be processed, however often it is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poison {
    /// For people and for the judge.
    pub reason: String,
    /// Who asked, if the record could be read that far.
    pub inbound: Option<Inbound>,
    /// Nothing is left to explain: its id has an answer, and if that was a dead letter, there is one.
    pub is_settled: bool,
}

/// Reads a record of the inbound queue. Gateways pass every format on; this version knows plain text.
pub fn read(message: &[u8]) -> Result<Inbound, Box<Poison>> {
    let inbound: Inbound = records::decode(message).map_err(|error| {
        let reason = format!("the record does not decode: {error}");
        Box::new(Poison { reason, inbound: None, is_settled: false })
    })?;
    match inbound.action {
        Action::Send { format, .. } if format != frames::client::plain_text() => {
            let reason = format!("unknown format {format}");
            Err(Box::new(Poison { reason, inbound: Some(inbound), is_settled: false }))
        }
        _ => Ok(inbound),
    }
}
