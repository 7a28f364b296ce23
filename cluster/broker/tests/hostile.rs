//! Peers that do not keep to the rules of the link: they harm themselves only.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use broker::{BrokerConfig, EmbeddedBroker, serve};
use bytes::Bytes;
use link::{Link, LinkTiming};
use ports::broker::{Delivery, Publication, Queue, SubscribeError, SubscribeOptions};
use ports::{Broker, Shutdown};
use protocol::Epoch;
use protocol::limits::BrokerLimits;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use support::conformance::{QUEUE, consume, numbers, publish, take};
use support::{Pipes, machine};
use tokio::time::timeout;

/// What a peer may say, as far as these tests say it: the layout of the broker's own messages.
#[derive(Serialize)]
enum Say {
    #[allow(dead_code, reason = "holds the first place")]
    Publish {
        call: u64,
        batch: Vec<Publication>,
    },
    Subscribe {
        call: u64,
        subscription: u64,
        queue: Queue,
        options: SubscribeOptions,
    },
    Unsubscribe {
        subscription: u64,
    },
    #[allow(dead_code, reason = "holds the fourth place")]
    Settle {
        subscription: u64,
        settlements: Vec<ports::Settlement>,
    },
    Received,
}

impl link::Wire for Say {
    const LINK: &'static str = "broker";
    const VERSION: u16 = 1;
}

/// What no broker understands.
#[derive(Serialize)]
struct Nonsense(u64, u64);

impl link::Wire for Nonsense {
    const LINK: &'static str = "broker";
    const VERSION: u16 = 1;
}

#[derive(Debug, Deserialize)]
enum Hear {
    Answer { call: u64, answer: Answer },
    Deliveries { subscription: u64, deliveries: Vec<Delivery> },
    Lost { subscription: u64 },
}

impl link::Wire for Hear {
    const LINK: &'static str = "broker";
    const VERSION: u16 = 1;
}

#[derive(Debug, Deserialize, PartialEq)]
enum Answer {
    Confirms(Vec<Result<(), ports::PublishError>>),
    Subscribed(Result<(), SubscribeError>),
}

struct World {
    pipes: Arc<Pipes>,
    broker: Arc<EmbeddedBroker>,
    _trigger: ports::ShutdownTrigger,
}

impl World {
    async fn new() -> Self {
        let pipes = Arc::new(Pipes::default());
        let machine = machine("broker-1", &pipes, &Arc::default());
        let broker = EmbeddedBroker::open(machine.clone(), BrokerConfig::default()).await.unwrap();
        let listener = machine.network.bind("broker-1:1").await.unwrap();
        let (trigger, shutdown) = Shutdown::new();
        let served = Arc::clone(&broker);
        machine.clone().spawn("serve", async move {
            serve(machine, listener, served, shutdown).await.unwrap();
        });
        Self { pipes, broker, _trigger: trigger }
    }

    async fn connect<Out: link::Wire>(&self) -> Link<Out, Hear> {
        let machine = machine("peer-1", &self.pipes, &Arc::default());
        link::connect(&machine, "broker-1:1", LinkTiming::default()).await.unwrap()
    }
}

fn subscribe(call: u64, prefetch: u32) -> Say {
    let options = SubscribeOptions { prefetch, epoch: Epoch(1) };
    Say::Subscribe { call, subscription: call, queue: QUEUE, options }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_acknowledges_no_frames_gets_a_bounded_row() {
    let world = World::new().await;
    let message = Publication { to: QUEUE.into(), message: Bytes::from(vec![1; 16_000]) };
    let confirms = world.broker.publish(vec![message; 1_000]).await;
    assert!(confirms.iter().all(Result::is_ok));
    let mut peer = world.connect::<Say>().await;
    peer.sender.send(&subscribe(1, 1_000_000)).unwrap();
    let (mut frames, mut messages) = (0, 0);
    while let Ok(heard) = timeout(Duration::from_secs(1), peer.receiver.recv()).await {
        match heard.expect("the link holds") {
            Hear::Answer { call, answer } => {
                assert_eq!((call, answer), (1, Answer::Subscribed(Ok(()))));
            }
            Hear::Deliveries { subscription, deliveries } => {
                let bytes: usize = deliveries.iter().map(|delivery| delivery.message.len()).sum();
                assert!(bytes as u64 <= BrokerLimits::default().frame_bytes + 16_000);
                assert_eq!(subscription, 1);
                messages += deliveries.len();
                frames += 1;
            }
            Hear::Lost { subscription } => panic!("{subscription} was lost"),
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
    peer.sender.send(&Say::Unsubscribe { subscription: 1 }).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut consumer = consume(&*world.broker, QUEUE, 2_000, 1).await;
    take(&mut *consumer, 1_000).await;
}

#[tokio::test(start_paused = true)]
async fn a_number_that_is_used_twice_replaces_its_subscription() {
    let world = World::new().await;
    let mut peer = world.connect::<Say>().await;
    for _ in 0..2 {
        peer.sender.send(&subscribe(7, 10)).unwrap();
        let heard = peer.receiver.recv().await.unwrap();
        assert!(matches!(heard, Hear::Answer { call: 7, answer: Answer::Subscribed(Ok(())) }));
    }
    publish(&*world.broker, QUEUE, 0..1).await;
    let Some(Hear::Deliveries { deliveries, .. }) = peer.receiver.recv().await else {
        panic!("no delivery")
    };
    assert_eq!(numbers(&deliveries), [0]);
}

#[tokio::test(start_paused = true)]
async fn nonsense_ends_the_link_that_it_came_on() {
    let world = World::new().await;
    let mut good = world.connect::<Say>().await;
    good.sender.send(&subscribe(1, 10)).unwrap();
    assert!(good.receiver.recv().await.is_some());
    let mut bad = world.connect::<Nonsense>().await;
    bad.sender.send(&Nonsense(u64::MAX, u64::MAX)).unwrap();
    assert!(bad.receiver.recv().await.is_none());
    publish(&*world.broker, QUEUE, 0..1).await;
    assert!(matches!(good.receiver.recv().await, Some(Hear::Deliveries { .. })));
}
