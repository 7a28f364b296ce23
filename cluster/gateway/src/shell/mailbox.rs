//! A session's outbound queue as the hub and the connection's task share it, with the wake-up.

use crate::core::outbound::{Outbound, Outlet, Taken};
use ports::entered;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Waker};

/// See the module.
#[derive(Debug)]
pub struct Mailbox {
    held: Mutex<Held>,
    trunk: Option<(Arc<Ready>, u32)>,
}

#[derive(Debug, Default)]
struct Held {
    queue: Outbound,
    /// On a trunk: its slot is in the ready list already.
    announced: bool,
    waker: Option<Waker>,
}

impl Mailbox {
    /// The mailbox of a connection of its own.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { held: Mutex::default(), trunk: None })
    }

    /// The mailbox of a slot on a trunk.
    pub fn on_trunk(ready: Arc<Ready>, slot: u32) -> Arc<Self> {
        Arc::new(Self { held: Mutex::default(), trunk: Some((ready, slot)) })
    }

    /// Takes the next frame; if nothing waits, the context is woken by the next push.
    #[inline]
    pub fn take(&self, context: &Context<'_>) -> Taken {
        let mut held = self.lock();
        let taken = held.queue.take();
        if let Taken::End(_) | Taken::Empty { .. } = taken {
            held.announced = false;
            match &mut held.waker {
                Some(waker) => waker.clone_from(context.waker()),
                none => *none = Some(context.waker().clone()),
            }
        }
        taken
    }

    /// Whether the connection must stop; if not, the context is woken when that changes.
    pub fn is_abandoned(&self, context: &Context<'_>) -> bool {
        let mut held = self.lock();
        held.waker = Some(context.waker().clone());
        held.queue.is_abandoned()
    }

    /// The connection has written everything, or is gone.
    pub fn finish(&self) {
        self.lock().queue.finish();
    }

    #[inline]
    fn lock(&self) -> MutexGuard<'_, Held> {
        entered(self.held.lock())
    }
}

impl Outlet for Arc<Mailbox> {
    #[inline]
    fn queue<R>(&self, act: impl FnOnce(&mut Outbound) -> R) -> R {
        let mut held = self.lock();
        let result = act(&mut held.queue);
        if held.queue.take_news() {
            match &self.trunk {
                Some((ready, slot)) => {
                    if !std::mem::replace(&mut held.announced, true) {
                        ready.announce(*slot);
                    }
                }
                None => {
                    if let Some(waker) = held.waker.take() {
                        waker.wake();
                    }
                }
            }
        }
        result
    }
}

/// The slots of a trunk whose mailboxes hold something, in the order in which they were filled.
#[derive(Debug, Default)]
pub struct Ready {
    slots: Mutex<ReadySlots>,
}

#[derive(Debug, Default)]
struct ReadySlots {
    waiting: VecDeque<u32>,
    waker: Option<Waker>,
}

impl Ready {
    /// The next slot; if there is none, the context is woken by the next one.
    pub fn next(&self, context: &Context<'_>) -> Option<u32> {
        let mut slots = entered(self.slots.lock());
        let next = slots.waiting.pop_front();
        if next.is_none() {
            slots.waker = Some(context.waker().clone());
        }
        next
    }

    /// A slot goes (back) to the end of the line.
    pub fn announce(&self, slot: u32) {
        let mut slots = entered(self.slots.lock());
        slots.waiting.push_back(slot);
        if let Some(waker) = slots.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn a_slot_is_announced_once_until_it_is_emptied() {
        let ready = Arc::new(Ready::default());
        let mailbox = Mailbox::on_trunk(ready.clone(), 7);
        let push = |frame| mailbox.queue(|queue| queue.push(Bytes::from_static(frame)));
        push(b"a");
        push(b"b");
        let context = Context::from_waker(Waker::noop());
        assert_eq!(ready.next(&context), Some(7));
        assert_eq!(ready.next(&context), None);
        for _ in 0..3 {
            mailbox.take(&context);
        }
        push(b"c");
        assert_eq!(ready.next(&context), Some(7));
    }
}
