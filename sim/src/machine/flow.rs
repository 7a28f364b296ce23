//! Flow control of simulated streams: a sender stops when the receiver does not read.
//!
//! turmoil delivers whatever was written, however slowly it is read. TCP does not: beyond the
//! receiver's window a write waits. Without that, a slow reader would cost nobody anything, and a
//! half-open connection would swallow writes for ever. Both ends of a stream share two counters.
//!
//! What stands in line in front of a narrow link is under way, too: turmoil has delivered it, and its reader does
//! not get it before it has passed.

use ports::entered;
use scenarios::faults::line::Part;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Bytes that may be under way or unread: Linux's default for a send buffer and a receive window
/// together is of this order.
pub const WINDOW: u64 = 256 * 1024;

/// One direction of a stream.
#[derive(Debug, Default)]
pub struct Flow(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    written: u64,
    read: u64,
    reader_is_gone: bool,
    is_reset: bool,
    /// What stands in line, in order.
    waiting: VecDeque<Waiting>,
    writer: Option<Waker>,
    reader: Option<Waker>,
}

/// Bytes in the line of a narrow link.
#[derive(Debug)]
struct Waiting {
    /// As many were written before them.
    after: u64,
    passes_at: Duration,
}

impl Flow {
    /// How many bytes may be written now; at none, the writer is woken when some have been read.
    pub fn poll_room(&self, context: &mut Context<'_>) -> Poll<usize> {
        let mut state = self.lock();
        let room = WINDOW.saturating_sub(state.written - state.read);
        if state.reader_is_gone {
            // The stream itself says what that means: an error, or silence.
            return Poll::Ready(usize::MAX);
        }
        if room == 0 {
            state.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(room as usize)
    }

    /// Both ends find out that the stream is over.
    pub fn reset(&self) {
        let (writer, reader) = {
            let mut state = self.lock();
            state.is_reset = true;
            (state.writer.take(), state.reader.take())
        };
        [writer, reader].into_iter().flatten().for_each(Waker::wake);
    }

    /// Whether it was reset.
    pub fn is_reset(&self) -> bool {
        self.lock().is_reset
    }

    /// As [`Self::is_reset`]; if it was not, the reader is woken when it is.
    pub fn is_reset_for_reader(&self, context: &Context<'_>) -> bool {
        let mut state = self.lock();
        let known = |waker: &Waker| waker.will_wake(context.waker());
        if !state.is_reset && !state.reader.as_ref().is_some_and(known) {
            state.reader = Some(context.waker().clone());
        }
        state.is_reset
    }

    /// Bytes were written.
    pub fn wrote(&self, bytes: usize) {
        let mut state = self.lock();
        state.written += bytes as u64;
        let (open, unread) = (!state.reader_is_gone, state.written - state.read);
        assert!(!open || unread <= WINDOW, "{unread} bytes are under way, {WINDOW} may be");
    }

    /// The bytes that were written last stand in line.
    pub fn wait(&self, parts: &[Part]) {
        let mut state = self.lock();
        let bytes: u64 = parts.iter().map(|part| part.bytes as u64).sum();
        let mut after = state.written - bytes;
        for Part { bytes, passes_at } in parts {
            state.waiting.push_back(Waiting { after, passes_at: *passes_at });
            after += *bytes as u64;
        }
    }

    /// How many bytes may be read now; or when some will have passed, unless [`Self::pass_all`] wakes whoever
    /// has asked [`Self::is_reset_for_reader`].
    pub fn passed(&self, now: Duration) -> Result<usize, Duration> {
        let mut state = self.lock();
        while let Some(Waiting { after, passes_at }) = state.waiting.front() {
            if *passes_at > now {
                let before = after.saturating_sub(state.read);
                return if before > 0 { Ok(before as usize) } else { Err(*passes_at) };
            }
            state.waiting.pop_front();
        }
        Ok(usize::MAX)
    }

    /// The link is narrow no more: nothing stands in line.
    pub fn pass_all(&self) {
        let reader = {
            let mut state = self.lock();
            state.waiting.clear();
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// The receiver's end is closed: a waiting writer finds out.
    pub fn reader_is_gone(&self) {
        let writer = {
            let mut state = self.lock();
            state.reader_is_gone = true;
            state.writer.take()
        };
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    /// Bytes were read: a waiting writer goes on.
    pub fn read(&self, bytes: usize) {
        let writer = {
            let mut state = self.lock();
            // Bytes that a healed one-way cut let through again are never counted twice.
            state.read = (state.read + bytes as u64).min(state.written);
            state.writer.take()
        };
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        entered(self.0.lock())
    }
}

/// The flows of all streams, by where they come from and where they go; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Flows(Arc<Mutex<ByEnds>>);

type ByEnds = BTreeMap<(SocketAddr, SocketAddr), Weak<Flow>>;

impl Flows {
    /// The flow from one address to another: whichever end asks first makes it.
    pub fn between(&self, from: SocketAddr, to: SocketAddr) -> Arc<Flow> {
        let mut flows = entered(self.0.lock());
        if let Some(flow) = flows.get(&(from, to)).and_then(Weak::upgrade) {
            return flow;
        }
        let flow = Arc::new(Flow::default());
        flows.insert((from, to), Arc::downgrade(&flow));
        if flows.len().is_multiple_of(4_096) {
            flows.retain(|_, flow| flow.strong_count() > 0);
        }
        flow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_waits_for_its_reader() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let flows = Flows::default();
        let (sender, receiver) =
            (flows.between(address(1), address(2)), flows.between(address(1), address(2)));
        let mut context = Context::from_waker(Waker::noop());
        sender.wrote(WINDOW as usize - 1);
        assert_eq!(sender.poll_room(&mut context), Poll::Ready(1));
        sender.wrote(1);
        assert!(sender.poll_room(&mut context).is_pending());
        receiver.read(10);
        assert_eq!(sender.poll_room(&mut context), Poll::Ready(10));
    }

    #[test]
    fn a_reader_gets_what_has_passed_and_all_of_it_when_the_link_is_wide_again() {
        let ms = Duration::from_millis;
        let part = |bytes, at| Part { bytes, passes_at: ms(at) };
        let flow = Flow::default();
        assert_eq!(flow.passed(ms(0)), Ok(usize::MAX));
        flow.wrote(10);
        flow.wrote(70);
        flow.wait(&[part(50, 5), part(20, 7)]);
        assert_eq!(flow.passed(ms(0)), Ok(10), "it was written before");
        flow.read(10);
        assert_eq!(flow.passed(ms(4)), Err(ms(5)));
        assert_eq!(flow.passed(ms(5)), Ok(50));
        flow.read(50);
        assert_eq!(flow.passed(ms(6)), Err(ms(7)));
        flow.pass_all();
        assert_eq!(flow.passed(ms(6)), Ok(usize::MAX));
    }
}
