//! Writes a history as JSON Lines, plain or compressed: the header first, one event on each line.
//!
//! The same events always give the same bytes: no time stamp goes into the gzip header.

use super::event::{Event, Header};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, BufWriter, Write};

/// Bytes that are collected before they go to the file: one system call per about 600 events.
const BUFFER_BYTES: usize = 64 * 1024;

/// A history that is being written.
pub struct Writer<W: Write> {
    sink: Sink<W>,
    events: u64,
}

enum Sink<W: Write> {
    Plain(BufWriter<W>),
    /// The buffer in front gives the compressor large pieces instead of the tokens of a line.
    Gzip(Box<BufWriter<GzEncoder<W>>>),
}

impl<W: Write> Writer<W> {
    /// Begins a plain history (`history.jsonl`) with its header.
    pub fn plain(out: W, header: &Header) -> io::Result<Self> {
        Self::begin(Sink::Plain(BufWriter::with_capacity(BUFFER_BYTES, out)), header)
    }

    /// Begins a compressed history (`history.jsonl.gz`) with its header.
    ///
    /// Level 1: about 1/10 of the plain size already, and it must not slow a load run down.
    pub fn gzip(out: W, header: &Header) -> io::Result<Self> {
        let encoder = GzEncoder::new(out, Compression::fast());
        let out = BufWriter::with_capacity(BUFFER_BYTES, encoder);
        Self::begin(Sink::Gzip(Box::new(out)), header)
    }

    fn begin(mut sink: Sink<W>, header: &Header) -> io::Result<Self> {
        sink.line(header)?;
        Ok(Self { sink, events: 0 })
    }

    /// Appends one event.
    pub fn write(&mut self, event: &Event) -> io::Result<()> {
        self.events += 1;
        self.sink.line(event)
    }

    /// Lets the underlying writer have everything that was written so far: whoever reads it finds that,
    /// even if no more follows.
    pub fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::Plain(out) => out.flush(),
            Sink::Gzip(out) => out.flush(),
        }
    }

    /// Events that were written so far.
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// Writes out everything and gives the underlying writer back. A history that was dropped
    /// without this may lack its last lines, and as gzip its end.
    pub fn finish(self) -> io::Result<W> {
        match self.sink {
            Sink::Plain(out) => out.into_inner().map_err(io::IntoInnerError::into_error),
            Sink::Gzip(out) => {
                let mut inner =
                    out.into_inner().map_err(io::IntoInnerError::into_error)?.finish()?;
                inner.flush()?;
                Ok(inner)
            }
        }
    }
}

impl<W: Write> Sink<W> {
    fn line<T: serde::Serialize>(&mut self, value: &T) -> io::Result<()> {
        match self {
            Self::Plain(out) => write_line(out, value),
            Self::Gzip(out) => write_line(out, value),
        }
    }
}

fn write_line<T: serde::Serialize>(out: &mut impl Write, value: &T) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}
