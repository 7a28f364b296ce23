//! From a delivery to an action, or to the reason why it cannot be processed.

use protocol::records::{self, Action, Inbound};
use protocol::{RejectReason, frames};

/// A message that cannot be processed, however often it is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poison {
    /// For people and for the judge.
    pub reason: String,
    /// Who asked, if the record could be read that far.
    pub inbound: Option<Inbound>,
}

impl Poison {
    /// The sender's answer, if the sender is known.
    pub fn rejection(&self) -> Option<(protocol::records::SessionRef, frames::server::Rejected)> {
        self.inbound.as_ref().map(|inbound| {
            let rejected = frames::server::Rejected {
                client_message_id: inbound.client_message_id,
                conversation: inbound.conversation,
                reason: RejectReason::DeadLettered,
                retry_after_ms: 0,
            };
            (inbound.from, rejected)
        })
    }
}

/// Reads a record of the inbound queue. Gateways pass every format on; this version knows plain text.
pub fn read(message: &[u8]) -> Result<Inbound, Box<Poison>> {
    let inbound: Inbound = records::decode(message).map_err(|error| {
        Box::new(Poison { reason: format!("the record does not decode: {error}"), inbound: None })
    })?;
    match inbound.action {
        Action::Send { format, .. } if format != frames::client::plain_text() => {
            let reason = format!("unknown format {format}");
            Err(Box::new(Poison { reason, inbound: Some(inbound) }))
        }
        _ => Ok(inbound),
    }
}
