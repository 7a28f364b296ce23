//! Flow control of simulated streams: a sender stops when the receiver does not read.
//!
//! turmoil delivers whatever was written, however slowly it is read. TCP does not: beyond the
//! receiver's window a write waits. Without that, a slow reader would cost nobody anything, and a
//! half-open connection would swallow writes for ever. Both ends of a stream share two counters.

use ports::entered;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll, Waker};

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
    writer: Option<Waker>,
    reader: Option<Waker>,
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
}
