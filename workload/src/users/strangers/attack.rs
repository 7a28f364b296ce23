//! The attacks, and how each must be answered: what `docs/protocol.md` says of client errors.

use super::forged;
use client::RawFrame;
use protocol::codec::Codec;
use protocol::frames::client::{Hello, Nonce};
use protocol::{ClientFrame, CloseCode, DeviceId, Secret, UserId, limits};

/// As which device a stranger says hello: none that a user has.
const DEVICE: DeviceId = DeviceId(u32::MAX);
/// Open to every user's token.
const CONVERSATIONS: &str = "/v1/conversations";
/// For services alone.
const DEAD_LETTERS: &str = "/v1/dead-letters";
/// Deeper than anybody writes.
const NESTED: usize = 1_000;

/// What a stranger tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    /// A frame before `hello`.
    NoHello,
    /// `hello` with an empty token.
    NoToken,
    /// `hello` with a token that names a user, and that nobody has signed (RFC 8725, section 2.1).
    UnsignedToken,
    /// `hello` with a token of one user in which another one was written.
    AlteredToken,
    /// Bytes that are no frame, or nest without end.
    Garbage,
    /// A `hello` of which the end is missing.
    CutShort,
    /// A frame of the other codec's kind.
    WrongKind,
    /// A frame of the WebSocket itself that the standard does not allow.
    BrokenFrame,
    /// A message above the limit.
    TooLarge,
    /// Nothing: a connection that is held.
    Silence,
    /// A REST request without a token.
    RestNoToken,
    /// A REST request with a token in which another user was written.
    RestAlteredToken,
    /// What only a service may ask, with the token of a user.
    RestAsService,
    /// A trunk, with the token of a user.
    TrunkAsService,
}

/// How it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// These frames on a WebSocket.
    Frames(Vec<RawFrame>),
    /// A GET of this path, with this token.
    Get(&'static str, Option<Secret>),
    /// An upgrade to a trunk with this token.
    Trunk(Secret),
}

impl Attack {
    const ALL: [Self; 14] = [
        Self::NoHello,
        Self::NoToken,
        Self::UnsignedToken,
        Self::AlteredToken,
        Self::Garbage,
        Self::CutShort,
        Self::WrongKind,
        Self::BrokenFrame,
        Self::TooLarge,
        Self::Silence,
        Self::RestNoToken,
        Self::RestAlteredToken,
        Self::RestAsService,
        Self::TrunkAsService,
    ];

    /// One of them.
    pub const fn drawn(pick: u64) -> Self {
        Self::ALL[(pick % Self::ALL.len() as u64) as usize]
    }

    /// Its name in a history.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoHello => "no_hello",
            Self::NoToken => "no_token",
            Self::UnsignedToken => "unsigned_token",
            Self::AlteredToken => "altered_token",
            Self::Garbage => "garbage",
            Self::CutShort => "cut_short",
            Self::WrongKind => "wrong_kind",
            Self::BrokenFrame => "broken_frame",
            Self::TooLarge => "too_large",
            Self::Silence => "silence",
            Self::RestNoToken => "rest_no_token",
            Self::RestAlteredToken => "rest_altered_token",
            Self::RestAsService => "rest_as_service",
            Self::TrunkAsService => "trunk_as_service",
        }
    }

    /// The close code or the HTTP status that it must be answered with.
    pub const fn due(self) -> u16 {
        match self {
            Self::NoHello => CloseCode::OutOfOrder.code(),
            Self::NoToken | Self::UnsignedToken | Self::AlteredToken => {
                CloseCode::Unauthenticated.code()
            }
            Self::Garbage | Self::CutShort | Self::WrongKind | Self::BrokenFrame => {
                CloseCode::Malformed.code()
            }
            Self::TooLarge => CloseCode::TooBig.code(),
            Self::Silence => CloseCode::HelloTimeout.code(),
            Self::RestNoToken | Self::RestAlteredToken => 401,
            Self::RestAsService | Self::TrunkAsService => 403,
        }
    }

    /// Whether it is made with a token that was granted to a user.
    pub const fn needs_token(self) -> bool {
        matches!(
            self,
            Self::UnsignedToken
                | Self::AlteredToken
                | Self::RestAlteredToken
                | Self::RestAsService
                | Self::TrunkAsService
        )
    }

    /// What to do. `token`: a granted one, if it needs one; `victim`: whom to pass for.
    pub fn made(self, codec: Codec, token: &str, victim: UserId) -> Move {
        let genuine = || Secret::new(token.to_owned());
        let altered = || Secret::new(forged::altered(token, victim));
        let frame = match self {
            Self::NoHello => written(codec, &ClientFrame::Ping(Nonce { nonce: victim.0 })),
            Self::NoToken => written(codec, &hello(Secret::new(String::new()))),
            Self::UnsignedToken => {
                written(codec, &hello(Secret::new(forged::unsigned(token, victim))))
            }
            Self::AlteredToken => written(codec, &hello(altered())),
            Self::Garbage => garbage(codec),
            Self::CutShort => {
                let mut whole = written(codec, &hello(Secret::new("a token".to_owned())));
                whole.payload.truncate(whole.payload.len() / 2);
                whole
            }
            Self::WrongKind => {
                let whole = written(codec, &hello(Secret::new("a token".to_owned())));
                RawFrame { is_text: !whole.is_text, payload: b"hello".to_vec(), ..whole }
            }
            Self::BrokenFrame => {
                let whole = written(codec, &hello(Secret::new("a token".to_owned())));
                RawFrame { is_reserved: true, ..whole }
            }
            Self::TooLarge => {
                let payload = vec![b' '; limits::MAX_FRAME_BYTES + 1];
                RawFrame { payload, ..written(codec, &hello(Secret::new(String::new()))) }
            }
            Self::Silence => return Move::Frames(Vec::new()),
            Self::RestNoToken => return Move::Get(CONVERSATIONS, None),
            Self::RestAlteredToken => return Move::Get(CONVERSATIONS, Some(altered())),
            Self::RestAsService => return Move::Get(DEAD_LETTERS, Some(genuine())),
            Self::TrunkAsService => return Move::Trunk(genuine()),
        };
        Move::Frames(vec![frame])
    }
}

fn hello(token: Secret) -> ClientFrame {
    ClientFrame::Hello(Hello {
        token,
        device: DEVICE,
        cursors: Vec::new(),
        presence: false,
        more: false,
    })
}

fn written(codec: Codec, frame: &ClientFrame) -> RawFrame {
    let is_text = codec == Codec::Json;
    RawFrame { is_text, is_reserved: false, payload: codec.encode_client(frame) }
}

/// Begins like a `hello`: a frame of an unknown kind would only be complained of.
fn garbage(codec: Codec) -> RawFrame {
    let is_text = codec == Codec::Json;
    let payload = if is_text {
        format!("{{\"hello\":{}", "[".repeat(NESTED)).into_bytes()
    } else {
        // The number of a `hello`, and lengths without end.
        [&[0][..], &[0xff; 40]].concat()
    };
    RawFrame { is_text, is_reserved: false, payload }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::codec::DecodeError;
    use std::collections::BTreeSet;

    #[test]
    fn every_attack_is_drawn_under_its_name() {
        let words: BTreeSet<&str> = (0..14).map(|pick| Attack::drawn(pick).word()).collect();
        assert_eq!(words.len(), Attack::ALL.len());
        assert_eq!(Attack::drawn(14 + 9), Attack::Silence);
    }

    #[test]
    fn what_is_no_frame_is_malformed_and_not_unknown() {
        for (codec, attack) in
            [Codec::Json, Codec::Binary].into_iter().flat_map(|it| Attack::ALL.map(|a| (it, a)))
        {
            let Move::Frames(frames) = attack.made(codec, "h.cA.s", UserId(7)) else { continue };
            for frame in frames {
                let decoded = codec.decode_client(&frame.payload);
                // Others are refused for what they say, or for the frame of the WebSocket around it.
                if matches!(attack, Attack::Garbage | Attack::CutShort) {
                    let is_malformed = matches!(decoded, Err(DecodeError::Malformed(_)));
                    assert!(is_malformed, "{attack:?} in {codec:?}: {decoded:?}");
                }
            }
        }
    }
}
