//! What the owners say decides.

use super::*;
use protocol::design::Push;

impl World {
    fn say(&self, user: u64, advice: Option<PushAdvice>) {
        self.owners.by_user.lock().unwrap().insert(user, advice);
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_there_is_not_pushed() {
    let world = world(config()).await;
    world.say(1, Some(PushAdvice::Never));
    world.put(1..=2).await;
    sleep(LONG).await;
    assert_eq!(world.broker.done(), [1, 2]);
    assert_eq!(world.provider.keys(), ["2-7-3"]);
    assert_eq!(world.memory.telemetry.counted("notifier_needless_total"), 1);
}

#[tokio::test(start_paused = true)]
async fn who_may_be_back_in_a_moment_is_asked_about_again_and_holds_up_nobody() {
    let world = world(config()).await;
    for user in 1..=100 {
        world.say(user, Some(PushAdvice::Later { after_ms: 4_000 }));
    }
    world.put(1..=101).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.provider.keys(), ["101-7-3"]);
    for user in 1..=99 {
        world.say(user, Some(PushAdvice::Never));
    }
    world.say(100, Some(PushAdvice::Now));
    sleep(LONG).await;
    assert_eq!(world.provider.keys(), ["101-7-3", "100-7-3"]);
    assert_eq!(world.broker.done().len(), 101);
}

#[tokio::test(start_paused = true)]
async fn who_has_read_it_during_an_outage_of_the_provider_is_not_pushed() {
    let world = world(touchy()).await;
    for user in 1..=5 {
        world.provider.by_user.lock().unwrap().insert(user, Answer::Status(503));
    }
    world.put(1..=5).await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!(world.broker.done(), [] as [u64; 0]);
    for user in 1..=5 {
        world.say(user, Some(PushAdvice::Never));
    }
    let before = world.asked();
    sleep(LONG).await;
    assert_eq!(world.broker.done().len(), 5);
    assert!(world.asked() <= before + 1, "at most a probe that was under way");
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_does_not_answer_delays_and_does_not_prevent() {
    let world = world(config()).await;
    world.say(1, None);
    world.put(1..=1).await;
    sleep(Duration::from_secs(9)).await;
    assert_eq!(world.asked(), 0);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(world.broker.done(), [1]);
}

#[tokio::test(start_paused = true)]
async fn the_same_job_again_is_no_second_push() {
    let world = world(config()).await;
    world.script([Answer::Slow(Duration::from_secs(1))]);
    world.broker.put(job(1)).await;
    world.broker.put(job(1)).await;
    sleep(LONG).await;
    world.broker.put(job(1)).await;
    sleep(LONG).await;
    assert_eq!(world.broker.done(), [1, 1, 1]);
    assert_eq!(world.provider.keys(), ["1-7-3"]);
    assert_eq!(world.memory.telemetry.counted("notifier_repeated_total"), 2);
}

#[tokio::test(start_paused = true)]
async fn the_bad_choice_asks_nobody() {
    let design = Design { push: Push::AtOnce, ..Design::default() };
    let world = world(NotifierConfig { design, ..config() }).await;
    world.say(1, Some(PushAdvice::Never));
    world.put(1..=1).await;
    sleep(LONG).await;
    assert_eq!(world.provider.keys(), ["1-7-3"]);
    assert_eq!(*world.owners.questions.lock().unwrap(), 0);
}
