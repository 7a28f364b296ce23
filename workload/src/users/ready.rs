//! Which devices want to be polled: the wakers of a shard's devices, and the queue that they fill.

use futures_util::task::AtomicWaker;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Wake};

/// Devices that were woken, each once, in the order in which they were.
#[derive(Default)]
pub struct Ready {
    slots: Mutex<VecDeque<u32>>,
    shard: AtomicWaker,
}

impl Ready {
    /// The next one.
    pub fn pop(&self) -> Option<u32> {
        self.slots.lock().expect("no holder panics").pop_front()
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
}
