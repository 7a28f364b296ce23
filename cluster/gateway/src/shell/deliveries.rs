//! The gateway's own queue, and the owners' events.

use super::front::Front;
use crate::core::Hub;
use ports::broker::{Fanout, FanoutConsumer, GatewayLife};
use ports::{Machine, Span, StoreEvent};
use protocol::Sequence;
use protocol::records::{ToGateway, decode};
use protocol::trace::{FIRST, Sampler, Step, TraceId, later};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

/// Records that are handed to the hub under one lock.
const CHUNK: usize = 64;
/// Before consuming again.
const RETRY: Duration = Duration::from_millis(200);
/// How long becoming the consumer may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// Consumes the queue of this life of the gateway, for ever.
pub async fn consume(front: Arc<Front>, fanout: Arc<dyn Fanout>, life: GatewayLife, prefetch: u32) {
    let mut places = Places { life, taken: 0 };
    loop {
        if let Ok(Ok(consumer)) = timeout(DEADLINE, fanout.consume(life, prefetch)).await {
            front.set_subscribed(true);
            front.with(Hub::subscribed);
            deliver(&front, consumer, &mut places).await;
            front.set_subscribed(false);
            tracing::warn!(node = %front.machine.name, "the gateway's queue was lost");
        }
        sleep(RETRY).await;
    }
}

async fn deliver(front: &Front, mut consumer: Box<dyn FanoutConsumer>, places: &mut Places) {
    let sampler = front.machine.traces.sampler();
    while let Ok(deliveries) = consumer.next().await {
        let mut undecodable = 0;
        for chunk in deliveries.chunks(CHUNK) {
            let records: Vec<ToGateway> =
                chunk.iter().filter_map(|record| decode(record).ok()).collect();
            undecodable += chunk.len() - records.len();
            let arrived = Arrived::of(&records, sampler);
            front.with(|hub| records.into_iter().for_each(|record| hub.delivery(record)));
            arrived.delivered(&front.machine, places);
        }
        if undecodable > 0 {
            // From a newer version, perhaps. If it was an entry, its stream has a gap now.
            tracing::warn!(undecodable, "undecodable records from owners");
        }
    }
}

/// Where steps are: one for each gateway, and for each time that an entry arrives there. They draw nothing: what
/// is random is the same whether anything is traced or not.
struct Places {
    life: GatewayLife,
    taken: u64,
}

impl Places {
    fn next(&mut self) -> u64 {
        self.taken += 1;
        let GatewayLife { gateway, incarnation } = self.life;
        [incarnation.0, self.taken].into_iter().fold(gateway.0.into(), later)
    }
}

/// Traced entries that have just arrived.
struct Arrived {
    at: Instant,
    entries: Vec<(TraceId, Sequence)>,
}

impl Arrived {
    fn of(records: &[ToGateway], sampler: Sampler) -> Self {
        let traced = |record: &ToGateway| match record {
            ToGateway::Entry(entry) => Some((sampler.of_entry(entry)?, entry.sequence)),
            _ => None,
        };
        let entries =
            if sampler.is_on() { records.iter().filter_map(traced).collect() } else { Vec::new() };
        Self { at: Instant::now(), entries }
    }

    /// They stand in the queues of their sessions.
    fn delivered(self, machine: &Machine, places: &mut Places) {
        for (trace, sequence) in self.entries {
            let at = trace.parent(Step::Deliver, places.next());
            let parent = trace.span(Step::FanOut, FIRST);
            let span = Span::new(Step::Deliver, at, Some(parent), self.at.elapsed());
            machine.traces.span(span.about([("sequence", sequence.0)]));
        }
    }
}

/// Brings the owners' events to the hub, for ever.
pub async fn listen(front: Arc<Front>, mut events: mpsc::UnboundedReceiver<StoreEvent>) {
    while let Some(event) = events.recv().await {
        front.with(|hub| hub.store_event(event));
    }
}
