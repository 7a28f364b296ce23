//! The suite of [`Jobs`](crate::broker::Jobs).

#![allow(missing_docs, reason = "the names of the claims say it")]

use super::{QUEUE, SILENCE, Stage, consume_jobs, listed, publish_jobs, take_jobs};
use crate::broker::{JobConsumer, JobSettlement};
use tokio::time::timeout;

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

pub async fn what_lost_consumers_held_comes_again_however_often(stage: Stage) {
    publish_jobs(&stage.here, QUEUE, 0..3).await;
    for _ in 0..15 {
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
        JobSettlement::DeadLetter { tag: unknown, reason: "none".to_owned() },
    ]);
    silence(&mut *consumer).await;
    drop(consumer);
    let mut consumer = consume_jobs(&stage.here, QUEUE, 10).await;
    assert_eq!(take_jobs(&mut *consumer, 1).await[0].0, 1);
    listed(&stage.here, 0).await;
}
