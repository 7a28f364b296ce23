//! The faults and the operations of one run, line by line: what a run is replayed from, and what a failing
//! run is shrunk by.
//!
//! A line that is taken out changes no other: each fault names whom it hits, each operation what it is.

use crate::plan::Operation;
use scenarios::faults::{Injection, NotReplayable};
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, Write};
use std::sync::Arc;
use verify::history::event::Injected;
use verify::history::reader::found;

/// The version of the file.
pub const FORMAT: u32 = 1;

/// A run, fault by fault and operation by operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// The name of its scenario.
    pub scenario: String,
    /// Its seed: all that is not in here comes from it.
    pub seed: u64,
    /// The faults, in the order of their beginnings.
    pub faults: Vec<Injection>,
    /// The operations, in the order of their times.
    pub operations: Vec<Operation>,
}

/// Why a file is no recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Its first line.
    #[error("line 1: expected {{\"recording\":{FORMAT},\"scenario\":...,\"seed\":...}}, found {0}")]
    Header(String),
    /// It is of another version.
    #[error("line 1: recordings of version {0} cannot be read, only those of version {FORMAT}")]
    Version(u32),
    /// Another line.
    #[error(
        "line {line}: expected {{\"fault\":...}} or {{\"operation\":...}}, found {}",
        found(source)
    )]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A fault that nobody can inject.
    #[error("line {line}: {source}")]
    Fault {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        source: NotReplayable,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    recording: u32,
    scenario: String,
    seed: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Fault(FaultLine),
    Operation(Operation),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultLine {
    id: u32,
    kind: Arc<str>,
    #[serde(default)]
    drawn: bool,
    injected: Injected,
}

impl Recording {
    /// Writes it.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { scenario, seed, faults, operations } = self;
        line(out, &Header { recording: FORMAT, scenario: scenario.clone(), seed: *seed })?;
        for fault in faults {
            line(
                out,
                &Line::Fault(FaultLine {
                    id: fault.id,
                    kind: fault.kind.word().into(),
                    drawn: fault.drawn,
                    injected: fault.recorded(),
                }),
            )?;
        }
        operations.iter().try_for_each(|operation| line(out, &Line::Operation(*operation)))
    }

    /// Reads it.
    ///
    /// # Errors
    /// The first line that is wrong, by its number.
    pub fn read(file: impl BufRead) -> Result<Self, RecordingError> {
        // Lines of bytes: what is no text is told by its line, too.
        let mut lines = file.split(b'\n');
        let first = lines.next().transpose()?.unwrap_or_default();
        let header: Header = serde_json::from_slice(&first)
            .map_err(|error| RecordingError::Header(found(&error)))?;
        if header.recording != FORMAT {
            return Err(RecordingError::Version(header.recording));
        }
        let Header { scenario, seed, .. } = header;
        let mut recording = Self { scenario, seed, faults: Vec::new(), operations: Vec::new() };
        for (line, text) in (2..).zip(lines) {
            let read = serde_json::from_slice(&text?);
            match read.map_err(|source| RecordingError::Line { line, source })? {
                Line::Operation(operation) => recording.operations.push(operation),
                Line::Fault(FaultLine { id, kind, drawn, injected }) => {
                    let fault = Injection::read(id, &kind, drawn, &injected);
                    recording
                        .faults
                        .push(fault.map_err(|source| RecordingError::Fault { line, source })?);
                }
            }
        }
        // Whoever edits it need not keep the order.
        recording.operations.sort_by_key(|operation| (operation.at, operation.id));
        Ok(recording)
    }
}

fn line(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Kind;
    use protocol::{ConversationId, DeviceId, UserId};
    use scenarios::scenario::{FaultKind, Target};
    use std::time::Duration;

    fn recording() -> Recording {
        let fault = |id: u32| Injection {
            id,
            at: Duration::from_millis(u64::from(id)),
            lasts: Duration::from_secs(1),
            kind: FaultKind::Pause { target: Target::Node(String::new()) },
            drawn: id == 2,
            nodes: vec!["store-1".into()],
            links: Vec::new(),
        };
        let operation = |id: u64| Operation {
            id,
            at: Duration::from_nanos(1_234_567 * id),
            user: UserId(3),
            device: DeviceId(1),
            kind: Kind::Reply,
            conversation: ConversationId(7),
            size: 20,
            pick: u64::MAX,
        };
        Recording {
            scenario: "smoke".to_owned(),
            seed: u64::MAX,
            faults: vec![fault(1), fault(2)],
            operations: vec![operation(1), operation(2), operation(5)],
        }
    }

    fn text(recording: &Recording) -> String {
        let mut out = Vec::new();
        recording.write(&mut out).expect("there is memory");
        String::from_utf8(out).expect("JSON is text")
    }

    #[test]
    fn what_is_written_is_read_again_in_any_order() {
        let written = text(&recording());
        assert_eq!(Recording::read(written.as_bytes()).expect("it is one"), recording());
        let mut lines: Vec<&str> = written.lines().collect();
        lines[3..].reverse();
        assert_eq!(Recording::read(lines.join("\n").as_bytes()).expect("it is one"), recording());
    }

    #[test]
    fn what_is_wrong_is_named_by_its_line() {
        let told = |text: &str| Recording::read(text.as_bytes()).expect_err("wrong").to_string();
        let good = text(&recording());
        assert!(told("").starts_with("line 1: expected {\"recording\":1"));
        let other = good.replacen("\"recording\":1", "\"recording\":9", 1);
        assert!(told(&other).contains("version 9"));
        let broken = told(&good.replacen("\"operation\"", "\"operating\"", 1));
        assert!(broken.starts_with("line 4: expected {\"fault\":...}"), "{broken}");
        let unknown = told(&good.replacen("\"pause\"", "\"paws\"", 1));
        assert!(unknown.starts_with("line 2: fault 1: unknown kind \"paws\""), "{unknown}");
        let mut bytes = good.into_bytes();
        let last = bytes.len() - 3;
        bytes[last] = 0xff;
        let no_text = Recording::read(&bytes[..]).expect_err("wrong").to_string();
        assert!(no_text.starts_with("line 6: expected {\"fault\":...}"), "{no_text}");
    }
}
