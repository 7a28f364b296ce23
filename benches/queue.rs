//! A message through the broker: published, delivered, acknowledged, with its log on a real disk.
//!
//! The durable queue forces every group to the disk before it confirms; a gateway's queue is in
//! memory. Groups are what publishers and consumers have in hand at a time. In CPU time of all
//! threads: the broker lets a busy queue's next group gather for some milliseconds on purpose, and
//! with one group under way that pause would be most of the wall time.

use anyhow::Context;
use benches::cpu_time::{self, CpuTime};
use benches::folder::Folder;
use broker::{BrokerConfig, EmbeddedBroker};
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput};
use ports::broker::{Publication, Queue, Settlement, SubscribeOptions};
use ports::{Broker, Subscription};
use protocol::limits::StoreLimits;
use protocol::{Epoch, GatewayId, Incarnation, Partition};
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// About the size of an `Inbound` record with a sentence in it.
const RECORD: &[u8] = &[b'x'; 128];

fn main() -> anyhow::Result<()> {
    let mut criterion = cpu_time::criterion();
    // On the disk of the build, which is a real one, unlike many a folder for temporary files.
    let folder = Folder::make(Path::new(env!("CARGO_TARGET_TMPDIR")), "queue")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let queues = [
        ("queue/durable", Queue::Inbound(Partition(0))),
        ("queue/gateway", Queue::Gateway(GatewayId(1), Incarnation(1))),
    ];
    let machine = real::machine("broker", folder.path())?;
    let broker = runtime.block_on(EmbeddedBroker::open(machine, BrokerConfig::default()))?;
    for (name, queue) in queues {
        through(&mut criterion, &runtime, &broker, name, queue)?;
    }
    drop(broker);
    criterion.final_summary();
    Ok(())
}

fn through(
    criterion: &mut Criterion<CpuTime>,
    runtime: &Runtime,
    broker: &Arc<EmbeddedBroker>,
    name: &str,
    queue: Queue,
) -> anyhow::Result<()> {
    let mut group = criterion.benchmark_group(name);
    let options =
        SubscribeOptions { prefetch: StoreLimits::default().inbound_prefetch, epoch: Epoch(1) };
    let mut consumer = runtime.block_on(broker.subscribe(queue, options)).context("subscribing")?;
    for count in [1, 64, 256] {
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| runtime.block_on(pass(&**broker, &mut *consumer, queue, count)));
        });
    }
    Ok(())
}

/// A group from the publisher to the last acknowledgement.
async fn pass(broker: &dyn Broker, consumer: &mut dyn Subscription, queue: Queue, count: u64) {
    let message = Bytes::from_static(RECORD);
    let publication = Publication { to: queue.into(), message };
    let confirms = broker.publish(vec![publication; count as usize]).await;
    assert!(confirms.iter().all(Result::is_ok), "{confirms:?}");
    let mut delivered = 0;
    while delivered < count {
        let deliveries = consumer.next().await.expect("nobody takes the queue away");
        delivered += deliveries.len() as u64;
        let last = deliveries.last().expect("at least one").tag;
        consumer.settle(vec![Settlement::AckThrough(last)]);
    }
}
