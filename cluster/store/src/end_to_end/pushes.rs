//! Who is pushed what: not those who are there, and all that those who are not have missed.

use super::*;
use crate::core::absences::{LINK_MS, SESSION_MS, TAKEOVER_MS};
use protocol::design::DeadSession;

const NEVER: PushAdvice = PushAdvice::Never;
const NOW: PushAdvice = PushAdvice::Now;

async fn pass(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// A conversation of users 1 and 2 (sequences 1 and 2), long after its owner has begun.
async fn talk(design: Design) -> (World, Gateway) {
    let mut world = World::new(design);
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    pass(TAKEOVER_MS).await;
    (world, gateway)
}

impl Gateway {
    async fn advice(&self, user: u64, sequence: u64) -> PushAdvice {
        let sequence = Sequence(sequence);
        let push = PushRef { user: UserId(user), conversation: CONVERSATION, sequence };
        let answers = self.conversations.pushes(vec![push]).await;
        assert_eq!((answers.len(), answers[0].0), (1, push));
        answers[0].1
    }

    async fn is_undecided(&self, user: u64, sequence: u64) -> bool {
        matches!(self.advice(user, sequence).await, PushAdvice::Later { .. })
    }

    fn detach(&self, user: u64, arrived: Option<u64>) {
        let (user, arrived) = (UserId(user), arrived.map(Sequence));
        self.conversations.detach(vec![DetachItem { conversation: CONVERSATION, user, arrived }]);
    }
}

#[tokio::test(start_paused = true)]
async fn only_members_who_are_away_and_have_not_seen_it_are_pushed() {
    let (world, gateway) = talk(Design::default()).await;
    world.say(1, CONVERSATION, 1);
    settle().await;
    assert_eq!(pushes(&world), [(2, 3)]);
    assert_eq!(gateway.advice(2, 3).await, NOW);
    assert_eq!(gateway.advice(9, 3).await, NEVER, "a stranger");
    gateway.change(4, true).await;
    assert_eq!(gateway.advice(4, 3).await, NEVER, "joined later");
    gateway.conversations.receipts(vec![report(2, 3, 0)]);
    settle().await;
    assert_eq!(gateway.advice(2, 3).await, NEVER, "shown elsewhere meanwhile");
    world.say(1, CONVERSATION, 2);
    settle().await;
    assert_eq!(gateway.advice(2, 5).await, NOW);
    gateway.attach(2, Some(3)).await;
    assert_eq!(gateway.advice(2, 5).await, NEVER, "its stream will show it");
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_has_just_begun_takes_nobody_for_away() {
    let (mut world, gateway) = talk(Design::default()).await;
    gateway.attach(2, None).await;
    world.kill().await;
    world.start().await;
    world.say(1, CONVERSATION, 1);
    pass(3_000).await;
    assert_eq!(pushes(&world), [(2, 3)], "it seemed to be away");
    assert!(gateway.is_undecided(2, 3).await);
    gateway.attach(2, Some(2)).await;
    assert_eq!(gateway.advice(2, 3).await, NEVER, "its stream goes on, and will show it");
    pass(TAKEOVER_MS).await;
    assert_eq!(gateway.advice(1, 3).await, NOW);
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_session_swallowed_is_pushed() {
    for (choice, expected) in
        [(DeadSession::Pushed, &[(2, 4), (2, 5)][..]), (DeadSession::Dropped, &[])]
    {
        let (world, gateway) = talk(Design { dead_session: choice, ..Design::default() }).await;
        gateway.attach(2, None).await;
        for message in 1..=3 {
            world.say(1, CONVERSATION, message);
        }
        settle().await;
        gateway.detach(2, Some(3));
        settle().await;
        assert!(gateway.is_undecided(2, 4).await);
        pass(SESSION_MS).await;
        assert_eq!(pushes(&world), expected);
        assert_eq!(gateway.advice(2, 4).await, NOW);
    }
}

/// Its gateway does not know where its stream began, and the owner does.
#[tokio::test(start_paused = true)]
async fn a_session_that_went_before_its_first_answer_has_swallowed_nothing() {
    let (world, gateway) = talk(Design::default()).await;
    gateway.attach(2, None).await;
    world.say(1, CONVERSATION, 1);
    settle().await;
    assert_eq!(pushes(&world), [], "it is there");
    gateway.detach(2, None);
    pass(SESSION_MS + 300).await;
    assert_eq!(pushes(&world), [(2, 3)]);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_much_to_be_pushed_is_counted() {
    let mut world = World::new(Design::default());
    world.config.limits.missed_messages = 2;
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    gateway.attach(2, None).await;
    for message in 1..=5 {
        world.say(1, CONVERSATION, message);
    }
    settle().await;
    gateway.detach(2, Some(3));
    pass(SESSION_MS + 300).await;
    assert_eq!(pushes(&world), [(2, 6), (2, 7)], "the newest");
    assert_eq!(world.memory.telemetry.counted("store_shed_notifications"), 2, "4 and 5");
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_back_has_missed_nothing() {
    let (world, gateway) = talk(Design::default()).await;
    gateway.attach(2, None).await;
    world.say(1, CONVERSATION, 1);
    settle().await;
    gateway.detach(2, Some(2));
    settle().await;
    world.say(1, CONVERSATION, 2);
    settle().await;
    assert!(gateway.is_undecided(2, 4).await);
    gateway.attach(2, Some(2)).await;
    pass(2 * LINK_MS).await;
    assert_eq!(gateway.advice(2, 4).await, NEVER);
    assert_eq!(pushes(&world), [(2, 4)], "the one that came while nobody was there");
}

#[tokio::test(start_paused = true)]
async fn a_device_without_a_cursor_is_shown_what_no_other_was() {
    let (world, gateway) = talk(Design::default()).await;
    world.say(1, CONVERSATION, 1);
    settle().await;
    assert_eq!(gateway.attach(2, None).await.from, Sequence(2), "behind the first members");
    gateway.detach(2, Some(2));
    settle().await;
    let back = gateway.attach(2, None).await;
    assert_eq!((back.from, back.entries.len()), (Sequence(2), 1), "it did not arrive");
    gateway.conversations.receipts(vec![report(2, 3, 0)]);
    settle().await;
    world.say(1, CONVERSATION, 2);
    settle().await;
    assert_eq!(gateway.attach(2, None).await.from, Sequence(3), "behind what was reported");
    gateway.change(2, false).await;
    let joined = gateway.change(2, true).await;
    assert_eq!(gateway.attach(2, None).await.from.next(), joined, "as a new member");
}

#[tokio::test(start_paused = true)]
async fn whoever_is_removed_and_added_again_has_time_to_be_attached() {
    let (world, gateway) = talk(Design::default()).await;
    gateway.attach(2, None).await;
    gateway.change(2, false).await;
    let joined = gateway.change(2, true).await;
    world.say(1, CONVERSATION, 1);
    settle().await;
    assert!(gateway.is_undecided(2, joined.0 + 1).await, "its gateway may not have heard of it");
    pass(LINK_MS).await;
    assert_eq!(gateway.advice(2, joined.0 + 1).await, NOW);
}

#[tokio::test(start_paused = true)]
async fn a_departure_may_be_told_again_to_the_next_life_of_the_owner() {
    let (mut world, gateway) = talk(Design::default()).await;
    gateway.attach(2, None).await;
    world.say(1, CONVERSATION, 1);
    settle().await;
    gateway.detach(2, Some(2));
    world.kill().await;
    world.start().await;
    pass(3_000).await;
    gateway.detach(2, Some(2));
    gateway.detach(2, Some(2));
    pass(SESSION_MS + 300).await;
    assert_eq!(pushes(&world), [(2, 3)]);
    assert!(gateway.is_undecided(2, 3).await);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_gone_for_good_leaves_what_nobody_reported() {
    let (world, gateway) = talk(Design::default()).await;
    gateway.attach(1, None).await;
    gateway.attach(2, None).await;
    for message in 1..=3 {
        world.say(1, CONVERSATION, message);
    }
    gateway.conversations.receipts(vec![report(2, 3, 3)]);
    settle().await;
    drop(gateway);
    let other = Gateway::new(&world).await;
    assert!(other.is_undecided(2, 5).await);
    pass(LINK_MS).await;
    assert_eq!(pushes(&world), [(2, 4), (2, 5)], "not to the author, not what was reported");
    assert_eq!(other.advice(2, 5).await, NOW);
}
