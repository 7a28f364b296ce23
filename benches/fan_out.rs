//! What it costs to tell gateways something: through queues of the broker, and over the links that they
//! have to the store node. Whole nodes in this process, with loopback sockets between them, from the
//! owner's publication to the gateways' consumers. In CPU time of all threads, that of the system for
//! the sockets included.

use benches::cpu_time::{self, CpuTime};
use benches::folder::Folder;
use broker::{BrokerConfig, EmbeddedBroker, RemoteBroker};
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput};
use link::LinkTiming;
use ports::broker::{Brokers, Fanout, FanoutConsumer, FanoutMessage, GatewayLife};
use ports::{Machine, Shutdown, ShutdownTrigger};
use protocol::limits::{GatewayLimits, StoreLimits};
use protocol::{Design, GatewayId, Incarnation, NodeNumber};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::{Engine, GatewayLinks, MemoryStore, RemoteConversations, StaticDirectory, StoreConfig};
use tokio::runtime::Runtime;
use tokio::time::sleep;

/// Records for each gateway in a group: what an owner publishes at a time.
const COUNTS: [u64; 3] = [1, 64, 256];
/// Gateways that are told the same.
const GATEWAYS: [u16; 2] = [1, 4];
/// About the size of an `Entry` record with a sentence in it.
const RECORD: &[u8] = &[b'x'; 128];
const PARTITIONS: u16 = 4;

fn main() -> anyhow::Result<()> {
    let mut criterion = cpu_time::criterion();
    let folder = Folder::make(Path::new(env!("CARGO_TARGET_TMPDIR")), "fan_out")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _entered = runtime.enter();
    let cluster = runtime.block_on(Cluster::start(folder.path()))?;
    measure(&mut criterion, &runtime, "broker", &cluster.by_broker());
    measure(&mut criterion, &runtime, "direct", &cluster.direct());
    criterion.final_summary();
    Ok(())
}

/// One way of fan-out: the owner's end, and the end of each gateway.
struct Way {
    owner: Arc<dyn Fanout>,
    gateways: Vec<Arc<dyn Fanout>>,
}

/// Nothing of the cluster runs while criterion works on what it has measured: no link may take that for silence.
fn timing() -> LinkTiming {
    LinkTiming::of(Duration::from_mins(1))
}

fn measure(criterion: &mut Criterion<CpuTime>, runtime: &Runtime, name: &str, way: &Way) {
    let mut group = criterion.benchmark_group(format!("fan_out/{name}"));
    for gateways in GATEWAYS {
        let mut consumers = runtime.block_on(way.consume(gateways));
        for count in COUNTS {
            group.throughput(Throughput::Elements(count * u64::from(gateways)));
            let id = BenchmarkId::new(format!("gateways={gateways}"), count);
            group.bench_function(id, |bencher| {
                bencher.iter(|| runtime.block_on(way.tell(&mut consumers, count)));
            });
        }
    }
    group.finish();
}

const fn life(gateway: u16) -> GatewayLife {
    GatewayLife { gateway: GatewayId(gateway), incarnation: Incarnation(1) }
}

impl Way {
    /// The consumers of the first so many gateways.
    async fn consume(&self, gateways: u16) -> Vec<Box<dyn FanoutConsumer>> {
        let mut consumers = Vec::new();
        for (number, gateway) in (1..=gateways).zip(&self.gateways) {
            consumers.push(loop {
                let consumer = gateway.consume(life(number), GatewayLimits::default().prefetch);
                match consumer.await {
                    Ok(consumer) => break consumer,
                    Err(_not_linked_yet) => sleep(Duration::from_millis(20)).await,
                }
            });
        }
        consumers
    }

    /// A group from the owner to all consumers.
    async fn tell(&self, consumers: &mut [Box<dyn FanoutConsumer>], count: u64) {
        let message = |number| {
            let message = Bytes::from_static(RECORD);
            FanoutMessage { to: life(number), message }
        };
        let gateways = consumers.len() as u16;
        let batch = (0..count).flat_map(|_| (1..=gateways).map(message)).collect();
        let published = self.owner.publish(batch);
        for consumer in consumers {
            let mut taken = 0;
            while taken < count {
                taken += consumer.next().await.expect("nobody takes the queue away").len() as u64;
            }
        }
        published.await.expect("the nodes are in this process");
    }
}

/// A broker and a store node.
struct Cluster {
    machine: Machine,
    broker: String,
    store: String,
    links: Arc<GatewayLinks>,
    _running: [ShutdownTrigger; 2],
}

impl Cluster {
    async fn start(folder: &Path) -> anyhow::Result<Self> {
        let machine = real::machine("fan_out", folder)?;
        let listen = async || machine.network.bind("127.0.0.1:0").await;
        let (at_broker, at_store) = (listen().await?, listen().await?);
        let (broker, store) =
            (at_broker.local_addr()?.to_string(), at_store.local_addr()?.to_string());
        let embedded = EmbeddedBroker::open(machine.clone(), BrokerConfig::default()).await?;
        let (broker_runs, shutdown) = Shutdown::new();
        let serving = broker::serve(machine.clone(), at_broker, Arc::clone(&embedded), shutdown);
        machine.spawn("broker", async { serving.await.expect("the broker runs") });
        let links = GatewayLinks::new(&machine, StoreLimits::default());
        let config = StoreConfig {
            number: NodeNumber(1),
            partitions_total: PARTITIONS,
            directory: Arc::new(StaticDirectory::new(1)),
            gateways: Arc::clone(&links),
            notify_queues: 1,
            design: Design::default(),
            timing: timing(),
            retention: None,
            limits: StoreLimits::default(),
        };
        let engine = Engine::Opened(Arc::new(MemoryStore::default()));
        let (store_runs, shutdown) = Shutdown::new();
        let brokers = Brokers::one(embedded);
        let serving = store::serve(machine.clone(), at_store, config, engine, brokers, shutdown);
        machine.spawn("store", async { serving.await.expect("the store node runs") });
        Ok(Self { machine, broker, store, links, _running: [broker_runs, store_runs] })
    }

    fn by_broker(&self) -> Way {
        let connect = || {
            let (machine, address) = (self.machine.clone(), self.broker.clone());
            RemoteBroker::start(machine, address, timing()) as Arc<dyn Fanout>
        };
        Way { owner: connect(), gateways: (0..GATEWAYS[1]).map(|_| connect()).collect() }
    }

    fn direct(&self) -> Way {
        let connect = || {
            let directory = Arc::new(StaticDirectory::new(1));
            RemoteConversations::start(
                self.machine.clone(),
                vec![self.store.clone()],
                (PARTITIONS, directory),
                timing(),
                StoreLimits::default(),
            ) as Arc<dyn Fanout>
        };
        let owner = Arc::clone(&self.links) as Arc<dyn Fanout>;
        Way { owner, gateways: (0..GATEWAYS[1]).map(|_| connect()).collect() }
    }
}
