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
use ports::broker::{
    Fanout, FanoutConsumer, FanoutMessage, GatewayLife, Inbound, InboundConsumer, InboundOptions,
};
use protocol::limits::{GatewayLimits, StoreLimits};
use protocol::{Epoch, GatewayId, Incarnation, Partition};
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// Messages in a group.
const COUNTS: [u64; 3] = [1, 64, 256];
/// About the size of an `Inbound` record with a sentence in it.
const RECORD: &[u8] = &[b'x'; 128];

fn main() -> anyhow::Result<()> {
    let mut criterion = cpu_time::criterion();
    // On the disk of the build, which is a real one, unlike many a folder for temporary files.
    let folder = Folder::make(Path::new(env!("CARGO_TARGET_TMPDIR")), "queue")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let machine = real::machine("broker", folder.path())?;
    let broker = runtime.block_on(EmbeddedBroker::open(machine, BrokerConfig::default()))?;
    durable(&mut criterion, &runtime, &broker)?;
    gateway(&mut criterion, &runtime, &broker)?;
    drop(broker);
    criterion.final_summary();
    Ok(())
}

fn durable(
    criterion: &mut Criterion<CpuTime>,
    runtime: &Runtime,
    broker: &Arc<EmbeddedBroker>,
) -> anyhow::Result<()> {
    let prefetch = StoreLimits::default().inbound_prefetch;
    let options = InboundOptions { prefetch, epoch: Epoch(1) };
    let consumer = Inbound::consume(&**broker, Partition(0), options);
    let mut consumer = runtime.block_on(consumer).context("consuming")?;
    let mut group = criterion.benchmark_group("queue/durable");
    for count in COUNTS {
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| runtime.block_on(pass(&**broker, &mut *consumer, count)));
        });
    }
    Ok(())
}

fn gateway(
    criterion: &mut Criterion<CpuTime>,
    runtime: &Runtime,
    broker: &Arc<EmbeddedBroker>,
) -> anyhow::Result<()> {
    let life = GatewayLife { gateway: GatewayId(1), incarnation: Incarnation(1) };
    let consumer = Fanout::consume(&**broker, life, GatewayLimits::default().prefetch);
    let mut consumer = runtime.block_on(consumer).context("consuming")?;
    let mut group = criterion.benchmark_group("queue/gateway");
    for count in COUNTS {
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| runtime.block_on(fan_out(&**broker, &mut *consumer, life, count)));
        });
    }
    Ok(())
}

/// A group from the publisher to the last acknowledgement.
async fn pass(broker: &dyn Inbound, consumer: &mut dyn InboundConsumer, count: u64) {
    let message = (Partition(0), Bytes::from_static(RECORD));
    let confirms = broker.publish(vec![message; count as usize]).await;
    assert!(confirms.iter().all(Result::is_ok), "{confirms:?}");
    let mut delivered = 0;
    while delivered < count {
        let deliveries = consumer.next().await.expect("nobody takes the partition away");
        delivered += deliveries.len() as u64;
        consumer.acknowledge(deliveries.last().expect("at least one").position);
    }
}

/// A group from the owner to the gateway.
async fn fan_out(
    broker: &dyn Fanout,
    consumer: &mut dyn FanoutConsumer,
    to: GatewayLife,
    count: u64,
) {
    let message = FanoutMessage { to, message: Bytes::from_static(RECORD) };
    broker.publish(vec![message; count as usize]).await.expect("the broker is in this process");
    let mut delivered = 0;
    while delivered < count {
        delivered += consumer.next().await.expect("nobody takes the queue away").len() as u64;
    }
}
