//! What a trunk has for one of its sessions: a bounded queue without memory of its own while it is empty.

use super::wire::WireEvent;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

/// Events of a session that may wait for its reader; a session that is slower still ends.
const EVENTS: usize = 4_096;

/// The trunk's end. Dropping it ends the session.
pub struct Sender(Arc<Mutex<Inbox>>);

/// The session's end.
pub struct Receiver(Arc<Mutex<Inbox>>);

#[derive(Default)]
struct Inbox {
    events: VecDeque<WireEvent>,
    reader: Option<Waker>,
    ended: bool,
}

/// Both ends of an inbox.
pub fn inbox() -> (Sender, Receiver) {
    let inbox = Arc::<Mutex<Inbox>>::default();
    (Sender(inbox.clone()), Receiver(inbox))
}

fn lock(inbox: &Mutex<Inbox>) -> MutexGuard<'_, Inbox> {
    inbox.lock().expect("no holder panics")
}

impl Sender {
    /// Puts an event in; false if there is no room for it.
    pub fn send(&self, event: WireEvent) -> bool {
        let mut inbox = lock(&self.0);
        if inbox.events.len() >= EVENTS {
            return false;
        }
        inbox.events.push_back(event);
        let reader = inbox.reader.take();
        drop(inbox);
        if let Some(reader) = reader {
            reader.wake();
        }
        true
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let mut inbox = lock(&self.0);
        inbox.ended = true;
        let reader = inbox.reader.take();
        drop(inbox);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl Receiver {
    /// The next event; `None` once the trunk has ended the session and all events are taken.
    pub fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<WireEvent>> {
        let mut inbox = lock(&self.0);
        if let Some(event) = inbox.events.pop_front() {
            if inbox.events.is_empty() {
                inbox.events = VecDeque::new();
            }
            return Poll::Ready(Some(event));
        }
        if inbox.ended {
            return Poll::Ready(None);
        }
        if inbox.reader.as_ref().is_none_or(|reader| !reader.will_wake(cx.waker())) {
            inbox.reader = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test]
    async fn events_come_in_order_and_then_the_end() {
        let (sender, receiver) = inbox();
        let next = || poll_fn(|cx| receiver.poll_next(cx));
        for code in [1, 2] {
            assert!(sender.send(WireEvent::Closed(code)));
        }
        assert_eq!(next().await, Some(WireEvent::Closed(1)));
        let late = async {
            tokio::task::yield_now().await;
            assert!(sender.send(WireEvent::Closed(3)));
            drop(sender);
        };
        let all = async { (next().await, next().await, next().await) };
        let (taken, ()) = tokio::join!(all, late);
        assert_eq!(taken, (Some(WireEvent::Closed(2)), Some(WireEvent::Closed(3)), None));
    }

    #[test]
    fn who_does_not_read_is_not_sent_more() {
        let (sender, receiver) = inbox();
        assert!((0..EVENTS).all(|_| sender.send(WireEvent::Closed(0))));
        assert!(!sender.send(WireEvent::Closed(0)));
        drop(receiver);
    }
}
