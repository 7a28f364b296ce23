//! The suite of [`Jobs`](crate::broker::Jobs).

#![allow(missing_docs, reason = "the names of the claims say it")]

use super::{QUEUE, SILENCE, Stage, consume_jobs, listed, publish_jobs, take_jobs, text};
use crate::broker::{JobConsumer, JobSettlement, Origin};
use protocol::limits;
use std::time::Duration;
use tokio::time::{Instant, timeout};

async fn silence(consumer: &mut dyn JobConsumer) {
    let next = timeout(SILENCE, consumer.next()).await;
    assert!(next.is_err(), "unexpected: {next:?}");
}

pub async fn jobs_are_settled_one_by_one(stage: Stage) {
    publish_jobs(&stage.here, QUEUE, 0..6).await;
    let mut consumer = consume_jobs(&stage.here, QUEUE, 3).await;
    let jobs = take_jobs(&mut *consumer, 3).await;
    silence(&mut *consumer).await;
    consumer.settle(vec![JobSettlement::Done { tag: jobs[1].1.tag }]);
    let more = take_jobs(&mut *consumer, 1).await;
    assert_eq!(more[0].0, 3);
    drop(consumer);
    let mut next = consume_jobs(&stage.there, QUEUE, 10).await;
    let jobs = take_jobs(&mut *next, 5).await;
    assert_eq!(jobs.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [0, 2, 3, 4, 5]);
    assert!(jobs[..3].iter().all(|(_, job)| job.redelivered > 0));
}

pub async fn a_failed_job_comes_again_after_its_delay(stage: Stage) {
    publish_jobs(&stage.here, QUEUE, 0..2).await;
    let mut consumer = consume_jobs(&stage.here, QUEUE, 10).await;
    let jobs = take_jobs(&mut *consumer, 2).await;
    let (after, began) = (Duration::from_secs(2), Instant::now());
    consumer.settle(vec![
        JobSettlement::Retry { tag: jobs[0].1.tag, after },
        JobSettlement::Done { tag: jobs[1].1.tag },
    ]);
    let again = take_jobs(&mut *consumer, 1).await;
    assert_eq!((again[0].0, again[0].1.redelivered), (0, 1));
    assert!(began.elapsed() >= after, "{:?}", began.elapsed());
}

pub async fn the_delivery_limit_makes_a_dead_letter(stage: Stage) {
    publish_jobs(&stage.here, QUEUE, [7]).await;
    let mut consumer = consume_jobs(&stage.here, QUEUE, 1).await;
    for attempt in 0..limits::DELIVERY_LIMIT {
        let (number, job) = take_jobs(&mut *consumer, 1).await.remove(0);
        assert_eq!((number, job.redelivered), (7, attempt));
        let after = Duration::from_millis(100);
        consumer.settle(vec![JobSettlement::Retry { tag: job.tag, after }]);
    }
    let dead = listed(&stage.here, 1).await.remove(0);
    assert_eq!(dead.reason, "delivery limit");
    assert_eq!((dead.attempts, dead.origin), (limits::DELIVERY_LIMIT, Origin::Jobs(QUEUE)));
    assert_eq!(dead.message, text(7));
}

pub async fn lost_consumers_do_not_use_up_the_delivery_limit(stage: Stage) {
    publish_jobs(&stage.here, QUEUE, 0..3).await;
    for _ in 0..limits::DELIVERY_LIMIT * 3 {
        let mut consumer = consume_jobs(&stage.here, QUEUE, 10).await;
        take_jobs(&mut *consumer, 3).await;
    }
    listed(&stage.here, 0).await;
}

pub async fn settling_what_is_not_held_changes_nothing(stage: Stage) {
    publish_jobs(&stage.here, QUEUE, 0..2).await;
    let mut consumer = consume_jobs(&stage.here, QUEUE, 10).await;
    let jobs = take_jobs(&mut *consumer, 2).await;
    let (tag, unknown) = (jobs[0].1.tag, jobs[1].1.tag + 1_000);
    consumer.settle(vec![
        JobSettlement::Done { tag },
        JobSettlement::Done { tag },
        JobSettlement::Retry { tag: unknown, after: Duration::ZERO },
        JobSettlement::DeadLetter { tag: unknown, reason: "none".to_owned() },
    ]);
    silence(&mut *consumer).await;
    drop(consumer);
    let mut consumer = consume_jobs(&stage.here, QUEUE, 10).await;
    assert_eq!(take_jobs(&mut *consumer, 1).await[0].0, 1);
    listed(&stage.here, 0).await;
}
