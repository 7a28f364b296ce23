//! Which devices want to be polled: the wakers of a shard's devices, and the queue that they fill.

use futures_util::task::AtomicWaker;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Wake};
use std::time::Duration;
use tokio::time::Instant;

/// Devices that were woken, each once, in the order in which they were.
#[derive(Default)]
pub struct Ready {
    slots: Mutex<VecDeque<u32>>,
    shard: AtomicWaker,
    /// How many have been taken, and how many will have been when everybody who waited at a time has.
    mark: Mutex<(u64, Option<(u64, Instant)>)>,
}

impl Ready {
    /// The next one.
    pub fn pop(&self) -> Option<u32> {
        let slot = self.slots.lock().expect("no holder panics").pop_front()?;
        self.mark.lock().expect("no holder panics").0 += 1;
        Some(slot)
    }

    /// How long the last of those waited who were in the queue at an earlier call, once all of them have
    /// had their turn: the queue measures itself with one of its members after another.
    pub fn waited(&self, now: Instant) -> Option<Duration> {
        let waiting = self.slots.lock().expect("no holder panics").len() as u64;
        let (taken, mark) = &mut *self.mark.lock().expect("no holder panics");
        let waited = match mark {
            Some((last, since)) if *taken >= *last => Some(now - *since),
            Some(_) => return None,
            None => None,
        };
        *mark = (waiting > 0).then_some((*taken + waiting, now));
        waited
    }

    /// Waits until there is one.
    pub async fn any(&self) {
        poll_fn(|cx| {
            self.shard.register(cx.waker());
            let is_none = self.slots.lock().expect("no holder panics").is_empty();
            if is_none { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }
}

/// The waker of one device.
pub struct DeviceWaker {
    slot: u32,
    is_queued: AtomicBool,
    ready: Arc<Ready>,
}

impl DeviceWaker {
    pub const fn new(slot: u32, ready: Arc<Ready>) -> Self {
        Self { slot, is_queued: AtomicBool::new(false), ready }
    }

    /// The device is about to be polled: whatever happens from here on wakes it again.
    pub fn polled(&self) {
        self.is_queued.store(false, Ordering::SeqCst);
    }
}

impl Wake for DeviceWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::SeqCst) {
            self.ready.slots.lock().expect("no holder panics").push_back(self.slot);
            self.ready.shard.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::task::Waker;

    #[test]
    fn a_device_is_queued_once_until_it_is_polled() {
        let ready = Arc::<Ready>::default();
        let wakers = [3, 5].map(|slot| Arc::new(DeviceWaker::new(slot, ready.clone())));
        assert_eq!(ready.any().now_or_never(), None);
        for waker in [0, 1, 0].map(|which: usize| Waker::from(wakers[which].clone())) {
            waker.wake();
        }
        assert_eq!(ready.any().now_or_never(), Some(()));
        assert_eq!([ready.pop(), ready.pop(), ready.pop()], [Some(3), Some(5), None]);
        Waker::from(wakers[0].clone()).wake();
        assert_eq!(ready.pop(), None, "nobody has polled it since");
        wakers[0].polled();
        Waker::from(wakers[0].clone()).wake();
        assert_eq!(ready.pop(), Some(3));
    }

    #[test]
    fn the_queue_knows_how_long_its_members_wait() {
        let ready = Arc::<Ready>::default();
        let wakers = [0, 1, 2].map(|slot| Arc::new(DeviceWaker::new(slot, ready.clone())));
        let began = Instant::now();
        let after = |ms| began + Duration::from_millis(ms);
        assert_eq!(ready.waited(began), None, "nobody waits");
        Waker::from(wakers[0].clone()).wake();
        Waker::from(wakers[1].clone()).wake();
        assert_eq!(ready.waited(began), None);
        ready.pop();
        Waker::from(wakers[2].clone()).wake();
        assert_eq!(ready.waited(after(5)), None, "the second one still waits");
        ready.pop();
        assert_eq!(ready.waited(after(9)), Some(Duration::from_millis(9)));
        ready.pop();
        assert_eq!(ready.waited(after(20)), Some(Duration::from_millis(11)), "the third one");
        assert_eq!(ready.waited(after(90)), None);
    }
}
