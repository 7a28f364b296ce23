//! A WebSocket's stream that counts the fragments of each message.
//!
//! The WebSocket library puts a message together before it shows anything of it, and bounds its size
//! only: empty continuation frames would keep it busy without end. So the heads of the frames are read
//! on their way to it, and nothing else; what is wrong with them is the library's business.

use protocol::limits::MAX_FRAGMENTS;
use std::error::Error;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The longest head: two bytes, a length of eight, a mask of four.
const HEAD_MAX: usize = 14;

/// See the module.
#[derive(Debug)]
pub struct Fragments<S> {
    stream: S,
    counter: Counter,
}

impl<S> Fragments<S> {
    /// A stream that was just upgraded.
    pub const fn new(stream: S) -> Self {
        Self { stream, counter: Counter::NEW }
    }
}

/// A message has more fragments than it may have.
#[derive(Debug, thiserror::Error)]
#[error("a message in more than {MAX_FRAGMENTS} fragments")]
struct TooMany;

/// Whether reading ended because a message had too many fragments.
pub fn are_too_many(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<TooMany>)
}

/// Follows the heads of the frames in a stream of bytes.
#[derive(Debug)]
struct Counter {
    head: [u8; HEAD_MAX],
    /// Bytes of the head that have come.
    known: u8,
    /// Bytes of the payload that are still to come.
    payload: u64,
    fragments: u32,
}

impl Counter {
    const NEW: Self = Self { head: [0; HEAD_MAX], known: 0, payload: 0, fragments: 0 };

    fn pass(&mut self, mut bytes: &[u8]) -> Result<(), TooMany> {
        while !bytes.is_empty() {
            if self.payload > 0 {
                let skipped = self.payload.min(bytes.len() as u64);
                self.payload -= skipped;
                bytes = &bytes[skipped as usize..];
                continue;
            }
            self.head[usize::from(self.known)] = bytes[0];
            self.known += 1;
            bytes = &bytes[1..];
            if self.known >= 2 && usize::from(self.known) == self.head_length() {
                self.frame()?;
            }
        }
        Ok(())
    }

    /// Known as soon as two bytes are.
    const fn head_length(&self) -> usize {
        let length = match self.head[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if self.head[1] & 0x80 == 0 { 0 } else { 4 };
        2 + length + mask
    }

    /// A head is complete.
    fn frame(&mut self) -> Result<(), TooMany> {
        self.known = 0;
        self.payload = match self.head[1] & 0x7f {
            126 => u64::from(u16::from_be_bytes([self.head[2], self.head[3]])),
            127 => self.head[2..10].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
            length => u64::from(length),
        };
        let (is_last, is_control) = (self.head[0] & 0x80 != 0, self.head[0] & 0x08 != 0);
        if !is_control {
            self.fragments = if is_last { 0 } else { self.fragments + 1 };
        }
        if self.fragments < MAX_FRAGMENTS { Ok(()) } else { Err(TooMany) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Fragments<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let passed = self.counter.pass(&buffer.filled()[before..]);
        Poll::Ready(passed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Fragments<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A masked frame with a payload of zeros.
    fn frame(first: u8, payload: usize) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload {
            0..126 => bytes.push(0x80 | payload as u8),
            126..0x1_0000 => {
                bytes.push(0x80 + 126);
                bytes.extend((payload as u16).to_be_bytes());
            }
            _ => {
                bytes.push(0x80 + 127);
                bytes.extend((payload as u64).to_be_bytes());
            }
        }
        bytes.extend([0; 4]);
        bytes.resize(bytes.len() + payload, 0);
        bytes
    }

    const BEGIN: u8 = 0x01;
    const GO_ON: u8 = 0x00;
    const END: u8 = 0x80;
    const PING: u8 = 0x89;

    #[test]
    fn a_message_has_so_many_fragments_and_no_more() {
        let most = [frame(BEGIN, 0), frame(GO_ON, 0).repeat(MAX_FRAGMENTS as usize - 2)].concat();
        let mut counter = Counter::NEW;
        for _ in 0..3 {
            assert!(counter.pass(&most).is_ok());
            assert!(counter.pass(&frame(END, 5)).is_ok());
        }
        assert!(counter.pass(&most).is_ok());
        assert!(counter.pass(&frame(PING, 3)).is_ok(), "a ping is no fragment");
        assert!(counter.pass(&frame(GO_ON, 0)).is_err());
    }

    proptest! {
        #[test]
        fn the_heads_are_found_however_the_bytes_come(
            payloads in prop::collection::vec(prop_oneof![0..300_usize, 65_000..70_000_usize], 0..12),
            piece in 1..5_000_usize,
        ) {
            let mut bytes: Vec<u8> = payloads.iter().flat_map(|size| frame(GO_ON, *size)).collect();
            bytes.extend(frame(PING, 9));
            let mut counter = Counter::NEW;
            for piece in bytes.chunks(piece) {
                prop_assert!(counter.pass(piece).is_ok());
            }
            prop_assert_eq!(counter.fragments as usize, payloads.len());
            prop_assert_eq!((counter.known, counter.payload), (0, 0));
        }
    }
}
