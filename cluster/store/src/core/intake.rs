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
    /// Nothing is left to explain: its id has another answer.
    pub is_settled: bool,
}

impl Poison {
    /// Names the message among the dead letters: a resend is the same one.
    pub fn key(&self, message: &[u8]) -> u128 {
        match &self.inbound {
            Some(Inbound { author, client_message_id, .. }) => {
                (u128::from(author.0) << 64) | u128::from(client_message_id.0)
            }
            // FNV-1a (Fowler, Noll, Vo), 128 bits, of what cannot be read.
            None => message.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash, byte| {
                (hash ^ u128::from(*byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b)
            }),
        }
    }
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
