//! Reads a history as a stream, plain or compressed (recognised by its first bytes).
//!
//! Every error names the line and what was expected there; a newer format is refused, not guessed at.

use super::event::{Event, FORMAT, Header};
use flate2::read::MultiGzDecoder;
use std::io::{self, BufRead, BufReader, Read};

/// The first two bytes of gzip (RFC 1952 section 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Why a history cannot be read (further).
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file could not be read, or its compression is broken.
    #[error("line {line}: the history cannot be read")]
    Io {
        /// The line, from 1.
        line: u64,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is no first line.
    #[error("line 1: expected the header of a history, found an empty file")]
    Empty,
    /// A line is not what it should be.
    #[error("line {line}: expected {expected}, found {}", found(source))]
    Line {
        /// The line, from 1.
        line: u64,
        /// What should be there.
        expected: &'static str,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The history was written by a later version.
    #[error("line 1: expected a history of format {known} or older, found format {found}")]
    Newer {
        /// Its format.
        found: u32,
        /// The newest format that this version knows.
        known: u32,
    },
    /// Nobody could hold so many in memory, and a judge makes room for all of them at the start.
    #[error("line 1: expected at most {most} {what}, found {found}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// As many as it has.
        found: u64,
        /// The most that are judged.
        most: u64,
    },
}

/// What a line is instead of what it should be. Its number is known, and its places say nothing more.
pub fn found(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    match error.classify() {
        Category::Syntax => format!("what is no JSON (at its byte {})", error.column()),
        Category::Eof | Category::Io => "a part of a line of JSON".to_owned(),
        Category::Data => {
            let told = error.to_string();
            let told = told.rsplit_once(" at line ").map_or(&*told, |(told, _)| told);
            format!("another one: {told}")
        }
    }
}

/// Users, devices, and conversations of a history that is read: some GB of memory before the first event.
const EACH_MAX: u64 = 20_000_000;

/// The next event of a history, or why there is none.
pub type Item = Result<Event, ReadError>;

/// A history that is being read: an iterator over its events.
pub struct Reader {
    input: Box<dyn BufRead>,
    header: Header,
    line: u64,
    buffer: Vec<u8>,
    failed: bool,
}

impl Reader {
    /// Reads the header; the events follow by iterating.
    pub fn new(input: impl Read + 'static) -> Result<Self, ReadError> {
        let mut raw = BufReader::with_capacity(64 * 1024, input);
        let magic = raw.fill_buf().map_err(|source| ReadError::Io { line: 1, source })?;
        let input: Box<dyn BufRead> = if magic.starts_with(&GZIP_MAGIC) {
            Box::new(BufReader::with_capacity(64 * 1024, MultiGzDecoder::new(raw)))
        } else {
            Box::new(raw)
        };
        let mut reader =
            Self { input, header: placeholder(), line: 0, buffer: Vec::new(), failed: false };
        if !reader.read_line()? {
            return Err(ReadError::Empty);
        }
        reader.header = read_header(&reader.buffer)?;
        Ok(reader)
    }

    /// What the judge needs to know beforehand.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The line that was read last, from 1 (the header).
    pub const fn line(&self) -> u64 {
        self.line
    }

    fn read_line(&mut self) -> Result<bool, ReadError> {
        self.buffer.clear();
        self.line += 1;
        let read = self
            .input
            .read_until(b'\n', &mut self.buffer)
            .map_err(|source| ReadError::Io { line: self.line, source })?;
        Ok(read > 0)
    }

    fn read_event(&mut self) -> Result<Option<Event>, ReadError> {
        if !self.read_line()? {
            return Ok(None);
        }
        serde_json::from_slice(&self.buffer).map(Some).map_err(|source| ReadError::Line {
            line: self.line,
            expected: "an event {\"at\": microseconds, \"is\": {...}}",
            source,
        })
    }
}

impl Iterator for Reader {
    type Item = Result<Event, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let item = self.read_event();
        self.failed = item.is_err();
        item.transpose()
    }
}

/// Only the format is read at first: a newer header may have fields of other types.
#[derive(serde::Deserialize)]
struct Format {
    format: u32,
}

fn read_header(line: &[u8]) -> Result<Header, ReadError> {
    let wrong = |source| ReadError::Line {
        line: 1,
        expected: "the header of a history {\"format\": ..., \"scenario\": ..., ...}",
        source,
    };
    let Format { format } = serde_json::from_slice(line).map_err(wrong)?;
    if format > FORMAT {
        return Err(ReadError::Newer { found: format, known: FORMAT });
    }
    let header: Header = serde_json::from_slice(line).map_err(wrong)?;
    let users = u64::from(header.users);
    let counts = [
        ("users", users),
        ("devices", users * u64::from(header.devices_per_user)),
        ("conversations", u64::from(header.conversations)),
    ];
    match counts.into_iter().find(|(_, found)| *found > EACH_MAX) {
        Some((what, found)) => Err(ReadError::TooMany { what, found, most: EACH_MAX }),
        None => Ok(header),
    }
}

/// Stands in until the first line has been read; never given out.
fn placeholder() -> Header {
    use super::event::{Deadlines, Engine};
    Header {
        format: FORMAT,
        scenario: String::new(),
        seed: 0,
        engine: Engine::Simulated,
        users: 0,
        devices_per_user: 0,
        conversations: 0,
        partitions: 1,
        slow_users: 0,
        hostile: false,
        tokens_run_out: false,
        idle_us: None,
        offline_users: None,
        retention: None,
        unseen: Vec::new(),
        agent: None,
        deadlines: Deadlines {
            delivered_us: 0,
            stuck_us: 0,
            recovered_us: 0,
            revocation_us: 0,
            pushed_us: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Writer;
    use crate::history::builder::Builder;

    fn written(gzip: bool) -> Vec<u8> {
        let history = Builder::new(2, 1).group(1, &[1, 2]).connect_all().say(1, 1).finish();
        let mut writer = if gzip {
            Writer::gzip(Vec::new(), &history.header).unwrap()
        } else {
            Writer::plain(Vec::new(), &history.header).unwrap()
        };
        for event in &history.events {
            writer.write(event).unwrap();
        }
        writer.finish().unwrap()
    }

    fn refusal(bytes: &[u8]) -> String {
        match Reader::new(io::Cursor::new(bytes.to_vec())) {
            Err(error) => error.to_string(),
            Ok(reader) => { reader }.find_map(Result::err).expect("an error").to_string(),
        }
    }

    #[test]
    fn what_was_written_is_read_plain_and_compressed() {
        let expected = Builder::new(2, 1).group(1, &[1, 2]).connect_all().say(1, 1).finish();
        for gzip in [false, true] {
            let reader = Reader::new(io::Cursor::new(written(gzip))).unwrap();
            assert_eq!(*reader.header(), expected.header);
            let events: Vec<Event> = reader.map(Result::unwrap).collect();
            assert_eq!(events, expected.events);
        }
    }

    #[test]
    fn the_same_history_gives_the_same_bytes() {
        assert_eq!(written(true), written(true));
    }

    #[test]
    fn an_error_names_the_line_and_what_was_expected() {
        let mut bytes = written(false);
        let second_line = bytes.iter().position(|&b| b == b'\n').unwrap() + 1;
        bytes.splice(second_line..second_line, *b"{\"at\":1,\"is\":{\"laughed\":{}}}\n");
        let message = refusal(&bytes);
        assert!(message.starts_with("line 2: expected an event"), "{message}");
        assert!(message.contains("laughed"), "{message}");
    }

    #[test]
    fn a_header_that_asks_for_all_memory_is_refused() {
        let text = String::from_utf8(written(false)).unwrap();
        for (small, large, told) in [
            ("\"users\":2", "\"users\":4000000000", "20000000 users, found 4000000000"),
            ("\"devices_per_user\":1", "\"devices_per_user\":40000000", "devices, found 80000000"),
            ("\"conversations\":1", "\"conversations\":4000000000", "conversations, found"),
        ] {
            let message = refusal(text.replacen(small, large, 1).as_bytes());
            assert!(message.contains(told), "{message}");
        }
    }

    #[test]
    fn a_newer_format_an_empty_file_and_a_cut_file_are_refused() {
        let known = format!("\"format\":{FORMAT}");
        let newer = String::from_utf8(written(false)).unwrap().replacen(&known, "\"format\":99", 1);
        assert!(refusal(newer.as_bytes()).contains("found format 99"));
        assert!(refusal(b"").contains("empty file"));
        let compressed = written(true);
        assert!(refusal(&compressed[..compressed.len() / 2]).contains("cannot be read"));
        let plain = written(false);
        assert!(refusal(&plain[..plain.len() - 5]).contains("expected an event"));
    }
}
