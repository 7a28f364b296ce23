//! The keys of what gateways are told.
//!
//! A gateway's partition is shared by all its lives: the key says for which one a record is. A new consumer
//! writes a record of its own first, reads from there on, and whoever else reads it is lost.

use ports::broker::GatewayLife;
use protocol::Incarnation;

/// For whom a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// For one life of the gateway.
    Life(Incarnation),
    /// For every reader: there is a new one, named by this.
    Takeover(u64),
}

impl Key {
    /// The key of what a life is told.
    pub const fn of(life: GatewayLife) -> Self {
        Self::Life(life.incarnation)
    }

    /// As the key of a record.
    pub fn encode(self) -> [u8; 9] {
        let (kind, number) = match self {
            Self::Life(Incarnation(number)) => (b'l', number),
            Self::Takeover(nonce) => (b't', nonce),
        };
        let mut key = [kind; 9];
        key[1..].copy_from_slice(&number.to_be_bytes());
        key
    }

    /// Of a record; `None`: it is none of ours.
    pub fn decode(key: &[u8]) -> Option<Self> {
        let (kind, number) = key.split_first()?;
        let number = u64::from_be_bytes(number.try_into().ok()?);
        match kind {
            b'l' => Some(Self::Life(Incarnation(number))),
            b't' => Some(Self::Takeover(number)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_back() {
        for key in [Key::Life(Incarnation(u64::MAX)), Key::Takeover(3)] {
            assert_eq!(Key::decode(&key.encode()), Some(key));
        }
        for none in [&b""[..], b"l", b"x12345678", b"l123456789"] {
            assert_eq!(Key::decode(none), None);
        }
    }
}
