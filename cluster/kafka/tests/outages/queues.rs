//! Full queues, settled jobs and dead letters.

use super::*;
use fakes::FakeTelemetry;
use ports::Machine;
use ports::broker::conformance::{
    consume_jobs, dead_letters::dead, listed, publish_jobs, take_jobs,
};
use ports::broker::{Inbound, Job, JobSettlement};
use protocol::limits::BrokerLimits;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_partition_refuses_and_a_full_queue_of_jobs_gives_its_oldest_up() {
    let _alone = ALONE.lock().await;
    let mut config = config(&prefix());
    config.limits = BrokerLimits {
        durable_queue_messages: 3,
        notify_queue_messages: 3,
        ..BrokerLimits::default()
    };
    let telemetry = Arc::new(FakeTelemetry::default());
    let counting = Machine { telemetry: telemetry.clone(), ..machine("store-1") };
    let broker = KafkaBroker::start(counting, &config).unwrap();
    timeout(PATIENCE, broker.connected()).await.unwrap();
    for n in 0..20 {
        let expected = if n < 3 { Ok(()) } else { Err(PublishError::Full) };
        assert_eq!(broker.publish(batch(n..n + 1)).await, [expected], "{n}");
    }
    assert_eq!(telemetry.counted("broker_refused_messages"), 17);
    let client = Brokers::one(broker);
    let mut consumer = consume(&client, PARTITION, 10).await;
    let deliveries = take(&mut *consumer, 3).await;
    consumer.acknowledge(deliveries[1].position);
    persistently(&client, 20).await;
    assert_eq!(numbers(&take(&mut *consumer, 1).await), [20]);
    for n in 0..6 {
        let job = Job { queue: QUEUE, message: text(n) };
        assert_eq!(client.jobs.publish(vec![job]).await, [Ok(())]);
    }
    let mut consumer = consume_jobs(&client, QUEUE, 10).await;
    let jobs = take_jobs(&mut *consumer, 3).await;
    assert_eq!(jobs.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [3, 4, 5]);
    assert_eq!(telemetry.counted("broker_shed_notifications"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_made_anew_is_not_full_of_what_is_gone() {
    let _alone = ALONE.lock().await;
    let mut config = config(&prefix());
    config.limits = BrokerLimits { durable_queue_messages: 3, ..BrokerLimits::default() };
    let gateway = brokers("gateway-1", &config).await;
    let mut consumer = consume(&gateway, PARTITION, 10).await;
    for n in 0..10 {
        persistently(&gateway, n).await;
        let deliveries = take(&mut *consumer, 1).await;
        consumer.acknowledge(deliveries[0].position);
    }
    drop(consumer);
    let mut n = 10;
    while gateway.inbound.publish(batch(n..n + 1)).await != [Err(PublishError::Full)] {
        n += 1;
    }
    let mut client = rdkafka::ClientConfig::new();
    client.set("bootstrap.servers", told("FRACAS_KAFKA"));
    let admin: AdminClient<DefaultClientContext> = client.create().unwrap();
    let topic = format!("{}.inbound", config.prefix);
    let deleted = admin.delete_topics(&[&topic], &AdminOptions::new()).await.unwrap();
    assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    // Another node makes it anew when it starts, and its consumer says how far it is.
    let store = brokers("store-1", &config).await;
    let mut consumer = patiently(&store).await;
    persistently(&gateway, 99).await;
    assert_eq!(arrived_through(&mut *consumer, 99).await, [99]);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_were_settled_out_of_order_stay_settled_after_a_kill() {
    let _alone = ALONE.lock().await;
    let client = brokers("notifier-1", &config(&prefix())).await;
    publish_jobs(&client, QUEUE, 0..2_000).await;
    let mut consumer = consume_jobs(&client, QUEUE, 2_000).await;
    let jobs = take_jobs(&mut *consumer, 2_000).await;
    let odd = jobs.iter().filter(|(n, _)| n % 100 != 0);
    consumer.settle(odd.map(|(_, job)| JobSettlement::Done { tag: job.tag }).collect());
    sleep(Duration::from_secs(2)).await;
    signal("-KILL");
    drop(consumer);
    let again = async {
        loop {
            if let Ok(consumer) = client.jobs.consume(QUEUE, 2_000).await {
                return consumer;
            }
        }
    };
    let mut consumer = timeout(PATIENCE, again).await.expect("Kafka is back");
    let jobs = take_jobs(&mut *consumer, 20).await;
    assert_eq!(
        jobs.iter().map(|(n, _)| *n).collect::<Vec<_>>(),
        (0..20).map(|n| n * 100).collect::<Vec<_>>()
    );
    assert!(jobs.iter().all(|(_, job)| job.redelivered == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_job_does_not_give_way_to_what_is_done() {
    let _alone = ALONE.lock().await;
    let mut config = config(&prefix());
    config.limits = BrokerLimits { notify_queue_messages: 3, ..BrokerLimits::default() };
    let telemetry = Arc::new(FakeTelemetry::default());
    let counting = Machine { telemetry: telemetry.clone(), ..machine("notifier-1") };
    let broker = KafkaBroker::start(counting, &config).unwrap();
    timeout(PATIENCE, broker.connected()).await.unwrap();
    let client = Brokers::one(broker);
    let mut consumer = consume_jobs(&client, QUEUE, 100).await;
    for n in 0..20 {
        publish_jobs(&client, QUEUE, n..n + 1).await;
        let jobs = take_jobs(&mut *consumer, 1).await;
        // The first one waits for its provider.
        let done = jobs.iter().filter(|_| n > 0);
        consumer.settle(done.map(|(_, job)| JobSettlement::Done { tag: job.tag }).collect());
    }
    sleep(Duration::from_secs(1)).await;
    drop(consumer);
    let mut consumer = consume_jobs(&client, QUEUE, 100).await;
    publish_jobs(&client, QUEUE, 20..21).await;
    let jobs = take_jobs(&mut *consumer, 2).await;
    assert_eq!(jobs.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [0, 20]);
    assert_eq!(telemetry.counted("broker_shed_notifications"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_outlive_a_kill() {
    let _alone = ALONE.lock().await;
    let client = brokers("store-1", &config(&prefix())).await;
    for n in 1..200 {
        assert_eq!(client.dead_letters.put(dead(n)).await, Ok(()));
    }
    let before = listed(&client, 199).await;
    signal("-KILL");
    let after = async {
        loop {
            match client.dead_letters.list(0, 1_000).await {
                Ok(listed) if listed.len() == 199 => return listed,
                _ => sleep(Duration::from_millis(100)).await,
            }
        }
    };
    assert_eq!(timeout(PATIENCE, after).await.expect("Kafka is back"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_requeue_a_dead_letter_one_does() {
    let _alone = ALONE.lock().await;
    let config = config(&prefix());
    let (here, there) = (brokers("store-1", &config).await, brokers("store-2", &config).await);
    assert_eq!(here.dead_letters.put(dead(1)).await, Ok(()));
    let id = listed(&there, 1).await[0].id;
    let both = (here.dead_letters.requeue(id), there.dead_letters.requeue(id));
    let (one, other) = tokio::join!(both.0, both.1);
    let mut answers = [one.unwrap(), other.unwrap()];
    answers.sort_unstable();
    assert_eq!(answers, [false, true]);
    publish(&here, PARTITION, [2]).await;
    let mut consumer = consume(&here, PARTITION, 10).await;
    assert_eq!(numbers(&take(&mut *consumer, 2).await), [1, 2]);
}
