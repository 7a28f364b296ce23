//! A gateway's end: what all its links bring waits here for its one consumer.

use crate::wire::ToStore;
use bytes::Bytes;
use link::LinkSender;
use ports::broker::{ConsumerLost, FanoutConsumer, GatewayLife};
use ports::{BoxFuture, entered};
use std::sync::{Mutex, MutexGuard};
use tokio::sync::mpsc;

/// Parcels that are taken at a time.
const PARCELS: usize = 64;

/// Records that came in one frame.
pub struct Parcel {
    /// In their order.
    pub records: Vec<Bytes>,
    /// The receipt that is asked for, and where.
    pub receipt: Option<(LinkSender<ToStore>, u64)>,
}

/// See the module. It is open while it has a consumer and a link, and bounded by the windows of the
/// links: no link waits for the consumer.
#[derive(Default)]
pub struct Inbox(Mutex<State>);

#[derive(Default)]
struct State {
    open: Option<Open>,
    links: usize,
}

struct Open {
    life: GatewayLife,
    window: u32,
    parcels: mpsc::UnboundedSender<Parcel>,
}

impl Inbox {
    /// Opens it for a life's consumer, who lets each link send so many records ahead; the earlier
    /// consumer is lost.
    pub fn consume(&self, life: GatewayLife, window: u32) -> impl FanoutConsumer + use<> {
        let (parcels, waiting) = mpsc::unbounded_channel();
        self.lock().open = Some(Open { life, window, parcels });
        Consumer(waiting)
    }

    /// The consumer is lost.
    pub fn lose(&self) {
        self.lock().open = None;
    }

    /// A link is there. `begin` makes it known, with the life and the window of the consumer: none comes
    /// between the two.
    pub fn link_up(&self, begin: impl FnOnce(Option<(GatewayLife, u32)>)) {
        let mut state = self.lock();
        state.links += 1;
        let open = state.open.as_ref().filter(|open| !open.parcels.is_closed());
        begin(open.map(|open| (open.life, open.window)));
    }

    /// A link is lost. Without any there is nothing to consume.
    pub fn link_down(&self) {
        let mut state = self.lock();
        state.links -= 1;
        if state.links == 0 {
            state.open = None;
        }
    }

    /// Puts in what a link has brought. Nobody misses it if there is no consumer.
    pub fn put(&self, parcel: Parcel) {
        if let Some(open) = &self.lock().open {
            let _ = open.parcels.send(parcel);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        entered(self.0.lock())
    }
}

struct Consumer(mpsc::UnboundedReceiver<Parcel>);

impl FanoutConsumer for Consumer {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Bytes>, ConsumerLost>> {
        Box::pin(async {
            let mut parcels = Vec::new();
            if self.0.recv_many(&mut parcels, PARCELS).await == 0 {
                return Err(ConsumerLost);
            }
            let mut records = Vec::new();
            for parcel in parcels {
                records.extend(parcel.records);
                if let Some((link, receipt)) = parcel.receipt {
                    // A link that is lost needs none.
                    let _ = link.send(&ToStore::Taken(receipt));
                }
            }
            Ok(records)
        })
    }
}
