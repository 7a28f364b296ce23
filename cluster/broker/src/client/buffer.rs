//! Where the deliveries of a remote consumer wait for it.

use crate::core::Delivery;
use ports::broker::ConsumerLost;
use ports::entered;
use std::sync::{Mutex, MutexGuard};
use tokio::sync::Notify;

/// Filled by the link, emptied by the consumer; the prefetch window bounds it.
#[derive(Debug, Default)]
pub struct PrefetchBuffer {
    content: Mutex<Content>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Content {
    deliveries: Vec<Delivery>,
    lost: bool,
}

impl PrefetchBuffer {
    pub fn put(&self, mut deliveries: Vec<Delivery>) {
        self.lock().deliveries.append(&mut deliveries);
        self.arrived.notify_one();
    }

    /// The consumer is lost. What has arrived and was not taken belongs to the next one.
    pub fn lose(&self) {
        let mut content = self.lock();
        content.lost = true;
        content.deliveries.clear();
        drop(content);
        self.arrived.notify_one();
    }

    pub fn is_lost(&self) -> bool {
        self.lock().lost
    }

    pub async fn next(&self) -> Result<Vec<Delivery>, ConsumerLost> {
        loop {
            let arrived = {
                let mut content = self.lock();
                if content.lost {
                    return Err(ConsumerLost);
                }
                std::mem::take(&mut content.deliveries)
            };
            if !arrived.is_empty() {
                return Ok(arrived);
            }
            self.arrived.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        entered(self.content.lock())
    }
}
