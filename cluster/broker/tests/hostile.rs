//! Peers that do not keep to the rules of the link: they harm themselves only.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use broker::{BrokerConfig, EmbeddedBroker, serve};
use bytes::Bytes;
use fakes::{FakeDisk, FakeNetwork};
use link::{Link, LinkTiming};
use ports::Shutdown;
use ports::broker::conformance::{PARTITION, consume, number, publish, take};
use ports::broker::{Brokers, ConsumeError, FanoutMessage, PublishError, Queue};
use protocol::Epoch;
use protocol::limits::BrokerLimits;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use support::machine;
use tokio::time::timeout;

const QUEUE: Queue = Queue::Inbound(PARTITION);

/// What a peer may say, as far as these tests say it: the layout of the broker's own messages.
#[derive(Serialize)]
enum Say {
    #[allow(dead_code, reason = "holds the first place")]
    Publish {
        call: u64,
        batch: Vec<(Queue, Bytes)>,
    },
    #[allow(dead_code, reason = "holds the second place")]
    FanOut {
        call: u64,
        batch: Vec<FanoutMessage>,
    },
    Consume {
        call: u64,
        consumer: u64,
        queue: Queue,
        options: Options,
    },
    Leave {
        consumer: u64,
    },
    #[allow(dead_code, reason = "holds the fifth place")]
    Settle {
        consumer: u64,
        settlements: Vec<()>,
    },
    Received,
}

impl link::Wire for Say {
    const LINK: &'static str = "broker";
    const VERSION: u16 = 4;
}

#[derive(Serialize)]
struct Options {
    prefetch: u32,
    epoch: Epoch,
}

/// What no broker understands.
#[derive(Serialize)]
struct Nonsense(u64, u64);

impl link::Wire for Nonsense {
    const LINK: &'static str = "broker";
    const VERSION: u16 = 4;
}

#[derive(Debug, Deserialize)]
enum Hear {
    Answer { call: u64, answer: Answer },
    Deliveries { consumer: u64, deliveries: Vec<Delivery> },
    Lost { consumer: u64 },
}

impl link::Wire for Hear {
    const LINK: &'static str = "broker";
    const VERSION: u16 = 4;
}

#[derive(Debug, Deserialize, PartialEq)]
enum Answer {
    Confirms(Vec<Result<(), PublishError>>),
    Taken,
    Consuming(Result<(), ConsumeError>),
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "the layout of the broker's own")]
struct Delivery {
    tag: u64,
    redelivered: u32,
    message: Bytes,
}

struct World {
    pipes: Arc<FakeNetwork>,
    brokers: Brokers,
    _trigger: ports::ShutdownTrigger,
}

impl World {
    async fn new() -> Self {
        let pipes = Arc::new(FakeNetwork::default());
        let machine = machine("broker-1", &pipes, &FakeDisk::default());
        let broker = EmbeddedBroker::open(machine.clone(), BrokerConfig::default()).await.unwrap();
        let listener = machine.network.bind("broker-1:1").await.unwrap();
        let (trigger, shutdown) = Shutdown::new();
        let served = Arc::clone(&broker);
        machine.clone().spawn("serve", async move {
            serve(machine, listener, served, shutdown).await.unwrap();
        });
        Self { pipes, brokers: Brokers::one(broker), _trigger: trigger }
    }

    async fn connect<Out: link::Wire>(&self) -> Link<Out, Hear> {
        let machine = machine("peer-1", &self.pipes, &FakeDisk::default());
        link::connect(&machine, "broker-1:1", LinkTiming::default()).await.unwrap()
    }
}

fn consuming(call: u64, prefetch: u32) -> Say {
    let options = Options { prefetch, epoch: Epoch(1) };
    Say::Consume { call, consumer: call, queue: QUEUE, options }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_acknowledges_no_frames_gets_a_bounded_row() {
    let world = World::new().await;
    let message = (PARTITION, Bytes::from(vec![1; 16_000]));
    let confirms = world.brokers.inbound.publish(vec![message; 1_000]).await;
    assert!(confirms.iter().all(Result::is_ok));
    let mut peer = world.connect::<Say>().await;
    peer.sender.send(&consuming(1, 1_000_000)).unwrap();
    let (mut frames, mut messages) = (0, 0);
    while let Ok(heard) = timeout(Duration::from_secs(1), peer.receiver.recv()).await {
        match heard.expect("the link holds") {
            Hear::Answer { call, answer } => {
                assert_eq!((call, answer), (1, Answer::Consuming(Ok(()))));
            }
            Hear::Deliveries { consumer, deliveries } => {
                let bytes: usize = deliveries.iter().map(|delivery| delivery.message.len()).sum();
                assert!(bytes as u64 <= BrokerLimits::default().frame_bytes + 16_000);
                assert_eq!(consumer, 1);
                messages += deliveries.len();
                frames += 1;
            }
            Hear::Lost { consumer } => panic!("{consumer} was lost"),
        }
    }
    assert_eq!(frames, BrokerLimits::default().frames_under_way);
    // One acknowledgement, one more frame; and invented ones bring no more than the limit.
    for _ in 0..1_000 {
        peer.sender.send(&Say::Received).unwrap();
    }
    let mut more = 0;
    while let Ok(heard) = timeout(Duration::from_secs(1), peer.receiver.recv()).await {
        let Some(Hear::Deliveries { deliveries, .. }) = heard else { panic!("{heard:?}") };
        messages += deliveries.len();
        more += 1;
    }
    assert!(more > 0 && messages <= 1_000);
    peer.sender.send(&Say::Leave { consumer: 1 }).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut consumer = consume(&world.brokers, PARTITION, 2_000).await;
    take(&mut *consumer, 1_000).await;
}

#[tokio::test(start_paused = true)]
async fn a_number_that_is_used_twice_replaces_its_consumer() {
    let world = World::new().await;
    let mut peer = world.connect::<Say>().await;
    for _ in 0..2 {
        peer.sender.send(&consuming(7, 10)).unwrap();
        let heard = peer.receiver.recv().await.unwrap();
        assert!(matches!(heard, Hear::Answer { call: 7, answer: Answer::Consuming(Ok(())) }));
    }
    publish(&world.brokers, PARTITION, 0..1).await;
    let Some(Hear::Deliveries { deliveries, .. }) = peer.receiver.recv().await else {
        panic!("no delivery")
    };
    assert_eq!((deliveries.len(), number(&deliveries[0].message)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn nonsense_ends_the_link_that_it_came_on() {
    let world = World::new().await;
    let mut good = world.connect::<Say>().await;
    good.sender.send(&consuming(1, 10)).unwrap();
    assert!(good.receiver.recv().await.is_some());
    let mut bad = world.connect::<Nonsense>().await;
    bad.sender.send(&Nonsense(u64::MAX, u64::MAX)).unwrap();
    assert!(bad.receiver.recv().await.is_none());
    publish(&world.brokers, PARTITION, 0..1).await;
    assert!(matches!(good.receiver.recv().await, Some(Hear::Deliveries { .. })));
}
