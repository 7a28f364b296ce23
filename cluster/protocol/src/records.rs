//! What travels through the broker: records between gateways, owners and notifiers.
//!
//! All of them are a version and postcard; the broker sees bytes only.

use crate::entry::Entry;
use crate::frames::server::{Accepted, Presence, Receipts, Rejected, TypingNotice};
use crate::ids::{
    ClientMessageId, ConversationId, GatewayId, Incarnation, Sequence, SessionId, UserId,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A session, as an owner names it when it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SessionRef {
    /// The gateway.
    pub gateway: GatewayId,
    /// Its life: an answer to an earlier life goes nowhere.
    pub incarnation: Incarnation,
    /// The session on it.
    pub session: SessionId,
}

/// In `Inbound(partition)`: a gateway asks the owner to sequence something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbound {
    /// Who asks, and who is told.
    pub from: SessionRef,
    /// The authenticated user.
    pub author: UserId,
    /// The conversation.
    pub conversation: ConversationId,
    /// The author's id for it.
    pub client_message_id: ClientMessageId,
    /// What is asked.
    pub action: Action,
}

/// What an owner is asked to sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// A message.
    Send {
        /// The text.
        body: String,
        /// The message that it answers.
        reply_to: Option<Sequence>,
        /// The body's format; the owner knows format 1.
        format: u16,
    },
    /// A new body.
    Edit {
        /// The message.
        target: Sequence,
        /// Its new text.
        body: String,
    },
    /// A withdrawal.
    Delete {
        /// The message.
        target: Sequence,
    },
}

/// In `Gateway(id, incarnation)`: an owner tells a gateway something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToGateway {
    /// The next entry of an attached conversation.
    Entry(Entry),
    /// For one session.
    Accepted(SessionId, Accepted),
    /// For one session.
    Rejected(SessionId, Rejected),
    /// For the other members; and how many members there are.
    Receipts(Receipts, u32),
    /// For the other members that want it.
    Typing(TypingNotice),
    /// For the other members that want it.
    Presence(Presence),
}

/// In `Notify(n)`: members without a session have a new message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushJob {
    /// Who are to be told.
    pub users: Vec<UserId>,
    /// The conversation.
    pub conversation: ConversationId,
    /// The message.
    pub sequence: Sequence,
    /// Its author.
    pub author: UserId,
    /// The beginning of its text.
    pub preview: String,
    /// The owner's wall clock when it was sequenced.
    pub at_ms: u64,
    /// The author's id for it, which names its trace; absent in records of an earlier version.
    pub client_message_id: Option<ClientMessageId>,
}

/// A `PushJob` of version 2.
#[derive(Serialize, Deserialize)]
struct PushJobWithoutId {
    users: Vec<UserId>,
    conversation: ConversationId,
    sequence: Sequence,
    author: UserId,
    preview: String,
    at_ms: u64,
}

/// A `PushJob` of version 1: of one member.
#[derive(Serialize, Deserialize)]
struct PushJobOfOne {
    user: UserId,
    conversation: ConversationId,
    sequence: Sequence,
    author: UserId,
    preview: String,
    at_ms: u64,
}

impl PushJob {
    /// The version of its records. Those of versions 1 and 2 are read, too: a queue may hold some.
    pub const VERSION: u8 = 3;

    /// The bytes of its record.
    pub fn encode(&self) -> bytes::Bytes {
        encode_as(Self::VERSION, self)
    }

    /// The job of some bytes.
    ///
    /// # Errors
    /// They are of another version, or damaged.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let job = match bytes.split_first() {
            Some((&Self::VERSION, record)) => return Ok(postcard::from_bytes(record)?),
            Some((2, record)) => postcard::from_bytes(record)?,
            _ => {
                let PushJobOfOne { user, conversation, sequence, author, preview, at_ms } =
                    decode(bytes)?;
                let users = vec![user];
                PushJobWithoutId { users, conversation, sequence, author, preview, at_ms }
            }
        };
        let PushJobWithoutId { users, conversation, sequence, author, preview, at_ms } = job;
        let client_message_id = None;
        Ok(Self { users, conversation, sequence, author, preview, at_ms, client_message_id })
    }
}

/// The version of the records, their first byte. A change that an older node cannot read raises it.
pub const VERSION: u8 = 1;

/// Bytes of most records.
const ROOM: usize = 128;

/// Why some bytes are no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// They are of another version, or nothing at all.
    #[error("a record of version {found:?}, expected {VERSION}")]
    Version {
        /// Their first byte, if there is one.
        found: Option<u8>,
    },
    /// They do not decode.
    #[error("a damaged record: {0}")]
    Malformed(#[from] postcard::Error),
}

/// The bytes of a record.
pub fn encode<T: Serialize>(record: &T) -> bytes::Bytes {
    encode_as(VERSION, record)
}

fn encode_as<T: Serialize>(version: u8, record: &T) -> bytes::Bytes {
    // Room for most of them at once: a buffer that grows byte by byte costs a tenth of a send.
    let mut buffer = Vec::with_capacity(ROOM);
    buffer.push(version);
    postcard::to_extend(record, buffer).expect("records have known lengths").into()
}

/// The record of some bytes.
///
/// # Errors
/// They are of another version, or damaged.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RecordError> {
    match bytes.split_first() {
        Some((&VERSION, record)) => Ok(postcard::from_bytes(record)?),
        found => Err(RecordError::Version { found: found.map(|(first, _)| *first) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeNumber;
    use crate::entry::Content;
    use crate::ids::Epoch;
    use std::fmt::Debug;

    /// The records of version 1, as the first release wrote them: never edit them. A change that breaks
    /// this test needs another version, and these bytes still have to be read or refused as version 1.
    const FROZEN: &str = include_str!("../fixtures/records-1.txt");
    /// The same for what has a later version.
    const FROZEN_2: &str = include_str!("../fixtures/records-2.txt");
    const FROZEN_3: &str = include_str!("../fixtures/records-3.txt");

    fn frozen(name: &str) -> Vec<u8> {
        frozen_in(FROZEN, name)
    }

    fn frozen_in(fixture: &str, name: &str) -> Vec<u8> {
        let line = fixture.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let hex = line.unwrap_or_else(|| panic!("{name} is not there")).as_bytes();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        hex.chunks(2).map(|pair| byte(pair).expect("two hexadecimal digits")).collect()
    }

    fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, record: &T) {
        assert_eq!(encode(record)[..], frozen(name)[..], "{name}");
        assert_eq!(decode::<T>(&frozen(name)).as_ref(), Ok(record), "{name}");
    }

    #[test]
    fn the_records_of_version_1_are_what_they_were() {
        let session = SessionId(3);
        let from = SessionRef { gateway: GatewayId(1), incarnation: Incarnation(2), session };
        let inbound = |action| Inbound {
            from,
            author: UserId(4),
            conversation: ConversationId(5),
            client_message_id: ClientMessageId(6),
            action,
        };
        let body = || "hello".to_owned();
        let send = Action::Send { body: body(), reply_to: Some(Sequence(7)), format: 1 };
        check("inbound send", &inbound(send));
        check("inbound edit", &inbound(Action::Edit { target: Sequence(8), body: body() }));
        check("inbound delete", &inbound(Action::Delete { target: Sequence(9) }));
        let entry = Entry {
            conversation: ConversationId(5),
            sequence: Sequence(10),
            epoch: Epoch(11),
            owner: NodeNumber(1),
            author: UserId(4),
            client_message_id: ClientMessageId(6),
            at_ms: 12,
            content: Content::Message { body: body(), reply_to: None },
        };
        check("entry", &ToGateway::Entry(entry));
        assert_eq!(PushJob::decode(&frozen("push job")), Ok(push_job(vec![UserId(13)])));
    }

    fn push_job(users: Vec<UserId>) -> PushJob {
        PushJob {
            users,
            conversation: ConversationId(5),
            sequence: Sequence(10),
            author: UserId(4),
            preview: "hello".to_owned(),
            at_ms: 12,
            client_message_id: None,
        }
    }

    #[test]
    fn the_push_jobs_of_version_2_are_still_read() {
        let job = push_job(vec![UserId(13), UserId(300)]);
        assert_eq!(PushJob::decode(&frozen_in(FROZEN_2, "push job")), Ok(job));
    }

    #[test]
    fn the_push_jobs_of_version_3_are_what_they_were() {
        let id = Some(ClientMessageId(6));
        let job = PushJob { client_message_id: id, ..push_job(vec![UserId(13), UserId(300)]) };
        let frozen = frozen_in(FROZEN_3, "push job");
        assert_eq!(job.encode()[..], frozen[..], "{:02x?}", &job.encode()[..]);
        assert_eq!(PushJob::decode(&frozen), Ok(job));
    }

    #[test]
    fn another_version_is_refused_by_its_number() {
        let mut bytes = frozen("inbound send");
        bytes[0] = 2;
        let error = decode::<Inbound>(&bytes).expect_err("version 2");
        assert_eq!(error.to_string(), "a record of version Some(2), expected 1");
        assert_eq!(PushJob::decode(&[]), Err(RecordError::Version { found: None }));
        assert_eq!(PushJob::decode(&[4]), Err(RecordError::Version { found: Some(4) }));
        for version in [1, 2, 3] {
            assert!(matches!(PushJob::decode(&[version]), Err(RecordError::Malformed(_))));
        }
    }
}
