//! The suite of [`DeadLetters`](crate::broker::DeadLetters).

#![allow(missing_docs, reason = "the names of the claims say it")]

use super::{
    PARTITION, QUEUE, Stage, consume, consume_jobs, listed, numbers, publish, publish_jobs, take,
    take_jobs, text,
};
use crate::broker::{JobSettlement, NewDeadLetter, Origin};

/// A numbered message that could not be processed; its number is its key.
pub fn dead(n: u32) -> NewDeadLetter {
    NewDeadLetter {
        origin: Origin::Inbound(PARTITION),
        key: u128::from(n),
        reason: format!("no such format: {n}"),
        attempts: n,
        message: text(n),
    }
}

pub async fn what_is_put_is_listed_with_its_reason(stage: Stage) {
    for n in [2, 1, 3] {
        assert_eq!(stage.here.dead_letters.put(dead(n)).await, Ok(()));
    }
    let all = listed(&stage.there, 3).await;
    // In the order of their deaths.
    assert!(all.is_sorted_by(|a, b| a.id < b.id));
    for (found, n) in all.iter().zip([2, 1, 3]) {
        let new = dead(n);
        assert_eq!((&found.reason, found.origin), (&new.reason, new.origin));
        assert_eq!((&found.message, found.attempts), (&new.message, new.attempts));
    }
    let there = &stage.there.dead_letters;
    assert_eq!(there.list(all[0].id, 10).await, Ok(all[1..].to_vec()));
    assert_eq!(there.list(0, 1).await, Ok(all[..1].to_vec()));
    assert_eq!(there.list(all[2].id, 10).await, Ok(Vec::new()));
}

pub async fn putting_the_same_again_changes_nothing(stage: Stage) {
    // At once, and later.
    let (first, second) =
        (stage.here.dead_letters.put(dead(1)), stage.there.dead_letters.put(dead(1)));
    assert_eq!((first.await, second.await), (Ok(()), Ok(())));
    let before = listed(&stage.here, 1).await;
    assert_eq!(stage.here.dead_letters.put(dead(1)).await, Ok(()));
    assert_eq!(listed(&stage.here, 1).await, before);
    let elsewhere = NewDeadLetter { origin: Origin::Jobs(QUEUE), ..dead(1) };
    assert_eq!(stage.here.dead_letters.put(elsewhere).await, Ok(()));
    listed(&stage.here, 2).await;
}

pub async fn a_dead_letter_goes_back_once(stage: Stage) {
    for n in [8, 9] {
        assert_eq!(stage.here.dead_letters.put(dead(n)).await, Ok(()));
    }
    let both = listed(&stage.there, 2).await;
    publish(&stage.here, PARTITION, [1]).await;
    let there = &stage.there.dead_letters;
    assert_eq!(there.requeue(both[1].id).await, Ok(true));
    assert_eq!(there.requeue(both[1].id).await, Ok(false));
    assert_eq!(there.requeue(u64::MAX).await, Ok(false));
    let mut consumer = consume(&stage.here, PARTITION, 10).await;
    assert_eq!(numbers(&take(&mut *consumer, 2).await), [1, 9]);
    assert_eq!(listed(&stage.here, 1).await, both[..1]);
    // It may die again, as another one.
    assert_eq!(stage.here.dead_letters.put(dead(9)).await, Ok(()));
    assert!(listed(&stage.here, 2).await[1].id > both[1].id);
}

pub async fn a_job_that_died_goes_back_to_its_queue(stage: Stage) {
    publish_jobs(&stage.here, QUEUE, 0..3).await;
    let mut consumer = consume_jobs(&stage.here, QUEUE, 10).await;
    let jobs = take_jobs(&mut *consumer, 3).await;
    let reason = || "no such user".to_owned();
    consumer.settle(vec![
        JobSettlement::DeadLetter { tag: jobs[2].1.tag, reason: reason() },
        JobSettlement::DeadLetter { tag: jobs[0].1.tag, reason: reason() },
        JobSettlement::Done { tag: jobs[1].1.tag },
    ]);
    let both = listed(&stage.there, 2).await;
    assert_eq!((&both[0].message, &both[1].message), (&text(2), &text(0)));
    assert_eq!((both[0].reason.as_str(), both[0].attempts), ("no such user", 1));
    assert_eq!(stage.there.dead_letters.requeue(both[1].id).await, Ok(true));
    let back = take_jobs(&mut *consumer, 1).await;
    assert_eq!((back[0].0, back[0].1.redelivered), (0, 0));
    assert_eq!(listed(&stage.here, 1).await, both[..1]);
}
