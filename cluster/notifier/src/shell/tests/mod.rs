//! A notifier between the broker, in memory, and a scripted provider, on tokio's paused clock.

mod advice;
mod fakes;
mod owners;

use super::serve::{NotifierConfig, ServeError, serve};
use crate::core::breaker::BreakerConfig;
use ::fakes::Memory;
use bytes::Bytes;
use fakes::{Answer, FakeProvider, Reached};
use owners::FakeOwners;
use ports::{Shutdown, ShutdownTrigger};
use protocol::limits::NotifierLimits;
use protocol::records::PushJob;
use protocol::store_calls::PushAdvice;
use protocol::{ClientMessageId, ConversationId, Design, Sequence, UserId};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

struct World {
    memory: Memory,
    broker: Arc<Reached>,
    provider: FakeProvider,
    owners: Arc<FakeOwners>,
    trigger: ShutdownTrigger,
    ended: oneshot::Receiver<Result<(), ServeError>>,
}

fn config() -> NotifierConfig {
    NotifierConfig {
        queues: vec![4],
        provider: "provider:80".into(),
        path: "/push".into(),
        secret: None,
        timeout: Duration::from_secs(2),
        attempts_max: 3,
        backoff_base: Duration::from_millis(100),
        backoff_max: Duration::from_secs(1),
        breaker: BreakerConfig {
            failures_to_open: 20,
            open_for: Duration::from_secs(1),
            open_for_max: Duration::from_secs(4),
        },
        limits: NotifierLimits { pushes: 4, failures_to_rest: 20, ..NotifierLimits::default() },
        design: Design::default(),
    }
}

/// A breaker that opens at the third failure in a row.
fn touchy() -> NotifierConfig {
    let limits = NotifierLimits { failures_to_rest: 3, ..config().limits };
    NotifierConfig { limits, ..config() }
}

async fn world(config: NotifierConfig) -> World {
    let memory = Memory::default();
    let provider = FakeProvider::start(&memory).await;
    let broker = Reached::open(&memory).await;
    let owners = Arc::new(FakeOwners::default());
    let machine = memory.machine("notifier-1");
    let (trigger, shutdown) = Shutdown::new();
    let (report, ended) = oneshot::channel();
    let (consumed, asked) = (broker.brokers(), owners.clone());
    machine.clone().spawn("notifier", async move {
        let _ = report.send(serve(machine, config, consumed, asked, shutdown).await);
    });
    World { memory, broker, provider, owners, trigger, ended }
}

impl World {
    /// Users `from..=to` are to be told of something.
    async fn put(&self, users: std::ops::RangeInclusive<u64>) {
        for user in users {
            self.broker.put(job(user)).await;
        }
    }

    fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.provider.script.lock().unwrap().extend(answers);
    }

    fn asked(&self) -> usize {
        self.provider.asked.lock().unwrap().len()
    }
}

fn job(user: u64) -> Bytes {
    job_of(user..=user)
}

fn job_of(users: std::ops::RangeInclusive<u64>) -> Bytes {
    let job = PushJob {
        users: users.map(UserId).collect(),
        conversation: ConversationId(7),
        sequence: Sequence(3),
        author: UserId(1),
        preview: "hello".into(),
        at_ms: 9,
        client_message_id: Some(ClientMessageId(5)),
    };
    job.encode()
}

const LONG: Duration = Duration::from_mins(1);

#[tokio::test(start_paused = true)]
async fn a_taken_push_is_done() {
    let world = world(config()).await;
    world.put(1..=3).await;
    sleep(LONG).await;
    assert_eq!(world.broker.done(), [1, 2, 3]);
    assert_eq!(world.provider.keys(), ["1-7-3", "2-7-3", "3-7-3"]);
    assert_eq!(world.memory.telemetry.counted("notifier_pushed_total"), 3);
}

/// There are more notifiers than queues.
#[tokio::test(start_paused = true)]
async fn who_has_no_queue_waits_for_the_shutdown() {
    let mut world = world(NotifierConfig { queues: Vec::new(), ..config() }).await;
    sleep(LONG).await;
    assert!(world.ended.try_recv().is_err(), "it idles");
    world.trigger.request();
    assert_eq!(world.ended.await.unwrap().map_err(|error| error.to_string()), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn without_a_provider_pushes_are_discarded_and_counted() {
    let world = world(NotifierConfig { provider: String::new(), ..config() }).await;
    world.put(1..=3).await;
    sleep(LONG).await;
    assert_eq!(world.broker.done(), [1, 2, 3]);
    assert_eq!(world.memory.telemetry.counted("notifier_discarded_total"), 3);
    assert_eq!(world.memory.telemetry.counted("notifier_pushed_total"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_push_is_tried_again_until_it_is_taken() {
    let world = world(config()).await;
    world.script([Answer::Status(503), Answer::Silence]);
    world.put(1..=1).await;
    sleep(LONG).await;
    assert_eq!(world.broker.done(), [1]);
    assert_eq!(world.provider.keys(), ["1-7-3", "1-7-3", "1-7-3"]);
}

#[tokio::test(start_paused = true)]
async fn a_push_that_fails_too_often_becomes_a_dead_letter() {
    let world = world(config()).await;
    world.provider.by_user.lock().unwrap().insert(1, Answer::Status(500));
    world.put(1..=2).await;
    sleep(LONG).await;
    assert_eq!(world.broker.done(), [2, 1]);
    assert_eq!(world.broker.dead().await, [(1, "3 attempts, the last one: status 500".into())]);
    assert_eq!(world.asked(), 4);
}

#[tokio::test(start_paused = true)]
async fn each_user_of_a_job_has_an_end_of_its_own() {
    let world = world(config()).await;
    world.provider.by_user.lock().unwrap().insert(4, Answer::Status(500));
    world.provider.by_user.lock().unwrap().insert(6, Answer::Status(410));
    world.owners.by_user.lock().unwrap().insert(5, Some(PushAdvice::Never));
    world.broker.put(job_of(1..=900)).await;
    sleep(Duration::from_millis(50)).await;
    assert_eq!(world.broker.waiting().await, 1 + 1, "the job, and the dead letter of user 6");
    sleep(LONG).await;
    let mut keys = world.provider.keys();
    keys.sort();
    let again = keys.windows(2).filter(|two| two[0] == two[1]).count();
    keys.dedup();
    assert_eq!((keys.len(), again), (899, 2), "user 4 three times, user 5 never");
    let dead = [
        (6, "the push provider refused it: status 410".into()),
        (4, "3 attempts, the last one: status 500".into()),
    ];
    assert_eq!((world.broker.dead().await, world.broker.done()), (dead.to_vec(), vec![900]));
}

#[tokio::test(start_paused = true)]
async fn a_refused_or_unreadable_push_is_a_dead_letter_at_once() {
    let world = world(config()).await;
    world.script([Answer::Status(410)]);
    world.put(1..=1).await;
    world.broker.put(Bytes::from_static(&[255])).await;
    world.put(3..=3).await;
    sleep(LONG).await;
    let mut dead = world.broker.dead().await;
    dead.sort();
    assert!(dead[0].0 == 0 && dead[0].1.starts_with("no push job: "), "{dead:?}");
    assert_eq!(dead[1..], [(1, "the push provider refused it: status 410".into())]);
    assert_eq!(world.broker.done(), [1, 3]);
}

#[tokio::test(start_paused = true)]
async fn the_provider_says_when_to_come_back() {
    let world = world(config()).await;
    world.script([Answer::Later(429, 30)]);
    world.put(1..=1).await;
    sleep(LONG).await;
    let asked = world.provider.asked.lock().unwrap();
    let waited = asked[1].0 - asked[0].0;
    assert!((30..=31).contains(&waited.as_secs()), "{waited:?}");
    assert_eq!(world.broker.done(), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_provider_is_probed_and_uses_no_attempts_up() {
    let world = world(touchy()).await;
    world.memory.network.close("provider:80");
    world.put(1..=20).await;
    sleep(Duration::from_mins(10)).await;
    assert_eq!((world.broker.done().len(), world.broker.dead().await.len()), (0, 0));
    // The three failures that opened the breaker are all that was counted against anybody.
    assert_eq!(world.memory.telemetry.counted("notifier_retried_total"), 3);
    assert_eq!(world.memory.telemetry.counted("notifier_breaker_opened_total"), 1);

    world.provider.listen(&world.memory).await;
    sleep(Duration::from_secs(10)).await;
    let mut done = world.broker.done();
    done.sort_unstable();
    assert_eq!(done, (1..=20).collect::<Vec<_>>());
    assert_eq!(world.broker.dead().await, []);
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_lets_one_probe_through_at_a_time() {
    let world = world(touchy()).await;
    world.script((0..3).map(|_| Answer::Status(500)));
    world.script((0..40).map(|_| Answer::Silence));
    world.put(1..=20).await;
    let begun = Instant::now();
    sleep(LONG).await;
    // Up to four were under way when it opened; then each probe lasts the timeout of 2 s, and the
    // waits in between are 1, 2, 4, 4, ... s.
    let asked = world.provider.asked.lock().unwrap();
    let late: Vec<_> =
        asked.iter().map(|(at, _)| *at - begun).filter(|at| at.as_secs() >= 4).collect();
    assert!((7..=11).contains(&late.len()), "{late:?}");
    let alone = |pair: &[Duration]| pair[1].abs_diff(pair[0]) >= Duration::from_secs(2);
    assert!(late.windows(2).all(alone), "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn a_bad_push_does_not_keep_the_breaker_open_for_the_others() {
    let world = world(touchy()).await;
    world.provider.by_user.lock().unwrap().insert(1, Answer::Status(500));
    world.put(1..=1).await;
    sleep(LONG).await;
    world.put(2..=9).await;
    sleep(LONG).await;
    let mut done = world.broker.done();
    done.sort_unstable();
    assert_eq!(done, (1..=9).collect::<Vec<_>>());
    assert_eq!(world.broker.dead().await.len(), 1, "the bad one has used its attempts up");
}

#[tokio::test(start_paused = true)]
async fn no_more_pushes_are_under_way_than_configured() {
    let world = world(config()).await;
    world.script((0..30).map(|_| Answer::Slow(Duration::from_secs(1))));
    world.put(1..=30).await;
    sleep(LONG).await;
    assert_eq!(world.broker.done().len(), 30);
    assert_eq!(world.provider.most_at_once.lock().unwrap().1, 4);
}

#[tokio::test(start_paused = true)]
async fn a_lost_broker_loses_no_push() {
    let world = world(config()).await;
    world.script((0..4).map(|_| Answer::Slow(Duration::from_secs(1))));
    world.put(1..=6).await;
    sleep(Duration::from_millis(500)).await;
    world.broker.be_away(true);
    world.broker.lose_connection();
    sleep(Duration::from_secs(5)).await;
    world.broker.be_away(false);
    sleep(LONG).await;
    let mut done = world.broker.done();
    done.sort_unstable();
    assert_eq!(done, [1, 2, 3, 4, 5, 6]);
    assert!(world.memory.telemetry.counted("notifier_subscribe_failed_total") > 0);
}

#[tokio::test(start_paused = true)]
async fn lost_connections_to_the_broker_use_no_attempts_up() {
    let world = world(touchy()).await;
    world.memory.network.close("provider:80");
    world.put(1..=8).await;
    for _ in 0..10 {
        sleep(Duration::from_secs(5)).await;
        world.broker.lose_connection();
    }
    world.provider.listen(&world.memory).await;
    world.script([Answer::Status(204), Answer::Status(500), Answer::Status(500)]);
    sleep(LONG).await;
    assert_eq!((world.broker.done().len(), world.broker.dead().await), (8, vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_asks_for_rest_is_left_alone() {
    let world = world(touchy()).await;
    world.script((0..4).map(|_| Answer::Later(503, 40)));
    world.put(1..=20).await;
    sleep(Duration::from_secs(39)).await;
    let before = world.asked();
    assert!(before <= 6, "{before}");
    sleep(LONG).await;
    assert_eq!(world.broker.done().len(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_lost_broker_leaves_no_probe_behind() {
    let world = world(touchy()).await;
    world.script([500, 500, 500].map(Answer::Status));
    world.script([Answer::Silence]);
    world.put(1..=3).await;
    // The breaker has opened at once; the probe after a second is silent, and lost with the broker.
    sleep(Duration::from_millis(1_500)).await;
    world.broker.lose_connection();
    sleep(LONG).await;
    assert_eq!(world.broker.done().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_finishes_what_is_under_way_and_gives_the_rest_back() {
    let world = world(config()).await;
    world.script((0..4).map(|_| Answer::Slow(Duration::from_secs(1))));
    world.put(1..=20).await;
    sleep(Duration::from_millis(500)).await;
    world.trigger.request();
    let begun = Instant::now();
    assert_eq!(world.ended.await.unwrap(), Ok(()));
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(world.broker.done(), [1, 2, 3, 4]);
    assert_eq!(world.broker.waiting().await, 16);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_a_silent_provider() {
    let world = world(config()).await;
    world.script((0..4).map(|_| Answer::Silence));
    world.put(1..=4).await;
    sleep(Duration::from_millis(500)).await;
    world.trigger.request();
    let begun = Instant::now();
    assert_eq!(world.ended.await.unwrap(), Ok(()));
    assert!(begun.elapsed() <= config().timeout);
}

#[tokio::test(start_paused = true)]
async fn a_path_that_is_none_is_refused_at_the_start() {
    let world = world(NotifierConfig { path: "pu sh".into(), ..config() }).await;
    assert_eq!(world.ended.await.unwrap(), Err(ServeError::Path { path: "pu sh".into() }));
}

#[tokio::test(start_paused = true)]
async fn a_provider_is_shown_the_secret_and_pushes_wait_until_it_knows_it() {
    let secret = Some("known".into());
    let world = world(NotifierConfig { secret, ..touchy() }).await;
    world.script((0..6).map(|_| Answer::Status(401)));
    world.put(1..=4).await;
    sleep(LONG).await;
    let mut done = world.broker.done();
    done.sort_unstable();
    assert_eq!((done, world.broker.dead().await), (vec![1, 2, 3, 4], vec![]));
    let shown = world.provider.shown.lock().unwrap().clone();
    assert_eq!(shown, ["Bearer known"; 10]);
}

#[tokio::test(start_paused = true)]
async fn one_that_knows_the_cluster_only_sometimes_is_not_asked_without_end() {
    let world = world(touchy()).await;
    world.provider.by_user.lock().unwrap().insert(1, Answer::Status(401));
    world.put(1..=9).await;
    sleep(LONG).await;
    assert_eq!(world.broker.dead().await, [(1, "3 attempts, the last one: status 401".into())]);
    assert_eq!((world.broker.done().len(), world.asked()), (9, 8 + 3));
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_cannot_be_shown_is_refused_at_the_start() {
    let secret = Some("known\r\nHost: elsewhere".into());
    let world = world(NotifierConfig { secret, ..config() }).await;
    assert_eq!(world.ended.await.unwrap(), Err(ServeError::Secret));
}
