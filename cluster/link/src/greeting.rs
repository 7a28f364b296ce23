//! The first frame of each end of a link: which link it takes this for, and which version of its
//! messages it speaks. Ends that do not agree part at once, and both say why.

use crate::frame;
use serde::{Deserialize, Serialize};
use std::io;

/// What the messages of a link are called, and their version. A change that an older peer cannot read
/// raises the version.
pub trait Wire {
    /// The link's name: `broker`, `store`.
    const LINK: &'static str;
    /// The version of its messages.
    const VERSION: u16;
}

/// Both ends of a link, as this one sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting<'a> {
    link: &'a str,
    version: u16,
}

impl Greeting<'static> {
    /// That of some messages.
    pub const fn of<M: Wire>() -> Self {
        Self { link: M::LINK, version: M::VERSION }
    }

    /// As the first frame.
    pub fn frame(self) -> Vec<u8> {
        frame::encode(&self, frame::Place::First)
    }

    /// Compares with the first frame of the peer.
    ///
    /// # Errors
    /// The peer means another link, or speaks another version; or it is no node at all.
    pub fn check(self, payload: &[u8]) -> io::Result<()> {
        let Self { link, version } = self;
        let why = match postcard::from_bytes::<Greeting<'_>>(payload) {
            Ok(peer) if peer == self => return Ok(()),
            Ok(peer) if peer.link == link => format!(
                "the peer speaks version {} of the {link} link, this node version {version}: run nodes of \
                 one version",
                peer.version
            ),
            Ok(peer) => {
                format!("the peer expects the {} link, this is the {link} link", peer.link)
            }
            Err(_) => format!("the peer is no node of a cluster: no greeting on the {link} link"),
        };
        Err(io::Error::new(io::ErrorKind::InvalidData, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Never edit it: versions are compared by greetings, so a greeting can never have another shape.
    #[test]
    fn a_greeting_is_what_it_was_in_the_first_version() {
        let frame = Greeting { link: "store", version: 300 }.frame();
        assert_eq!(frame, b"\x08\0\0\0\xe5\x47\x05\x18\x05store\xac\x02");
        assert_eq!(frame::heartbeat(), [0; 8]);
    }

    #[test]
    fn ends_that_do_not_agree_say_why() {
        let told = |own: Greeting<'static>, peer: Greeting<'static>| {
            let bytes = postcard::to_stdvec(&peer).expect("it is plain data");
            own.check(&bytes).map_err(|error| error.to_string())
        };
        let of = |link, version| Greeting { link, version };
        assert_eq!(told(of("store", 1), of("store", 1)), Ok(()));
        let older = told(of("store", 1), of("store", 2)).expect_err("another version");
        assert!(
            older.starts_with("the peer speaks version 2 of the store link, this node version 1")
        );
        let other = told(of("store", 1), of("broker", 1)).expect_err("another link");
        assert_eq!(other, "the peer expects the broker link, this is the store link");
        let stranger = of("store", 1).check(b"GET / HTTP/1.1").expect_err("no node");
        assert!(stranger.to_string().contains("no node of a cluster"), "{stranger}");
    }
}
