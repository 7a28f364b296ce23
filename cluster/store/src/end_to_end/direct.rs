//! The same node with direct fan-out: messages and their answers come over the gateway's link.

use super::*;
use ports::broker::{Fanout, FanoutConsumer};
use protocol::design::FanOut;
use protocol::records;

async fn told(consumer: &mut dyn FanoutConsumer) -> Vec<ToGateway> {
    let mut told = Vec::new();
    while let Ok(next) = tokio::time::timeout(Duration::from_millis(300), consumer.next()).await {
        let records = next.expect("the consumer is not lost");
        told.extend(records.iter().map(|record| records::decode::<ToGateway>(record).unwrap()));
    }
    told
}

#[tokio::test(start_paused = true)]
async fn entries_and_answers_come_over_the_link_and_lost_ones_are_told_by_the_heads() {
    let mut world = World::new(Design { fan_out: FanOut::Direct, ..Design::default() });
    world.start().await;
    let mut gateway = Gateway::new(&world).await;
    let life = GatewayLife { gateway: GatewayId(1), incarnation: Incarnation(1) };
    let mut consumer = gateway.conversations.consume(life, 100).await.expect("it is linked");
    gateway.create(&[1, 2]).await;
    gateway.attach(2, None).await;
    told(&mut *consumer).await;
    world.say(1, CONVERSATION, 77);
    let first = told(&mut *consumer).await;
    assert_eq!((entries(&first), accepted(&first)), (vec![3], vec![(77, 3, 1)]));
    // What comes for nobody is gone, and acknowledged all the same.
    drop(consumer);
    world.say(1, CONVERSATION, 78);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.broker.depth(inbound()), 0);
    let mut consumer = gateway.conversations.consume(life, 100).await.expect("it is linked");
    assert_eq!(told(&mut *consumer).await, []);
    let head = Head { conversation: CONVERSATION, sequence: Sequence(4) };
    assert!(gateway.events().contains(&StoreEvent::Heads(vec![head])));
    // Its sender's gateway asks again.
    world.say(1, CONVERSATION, 78);
    assert_eq!(accepted(&told(&mut *consumer).await), [(78, 4, 1)]);
    assert_eq!(world.broker.told(GATEWAY), [], "nothing by the broker");
}
