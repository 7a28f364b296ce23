//! Two nodes over one engine: who owns what, when one of them is silent for a while.

use super::*;
use ports::CallError;
use protocol::Partition;
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(8);

/// Both nodes, both with partitions of their own, and a gateway.
async fn two() -> (World, World, Gateway) {
    let mut first = World::sharing(2, Design::default());
    let mut second = first.neighbour(2);
    first.start().await;
    second.start().await;
    let gateway = Gateway::new(&first).await;
    (first, second, gateway)
}

/// (partition, owner, epoch), by partition.
async fn owners(gateway: &Gateway) -> Vec<(u16, u16, u64)> {
    let status = gateway.conversations.status().await;
    status.iter().map(|is| (is.partition.0, is.owner.0, is.epoch.0)).collect()
}

/// The node that owns the conversation of these tests at first.
fn is_first_home() -> bool {
    partition::partition_of(CONVERSATION, crate::world::PARTITIONS).0.is_multiple_of(2)
}

#[tokio::test(start_paused = true)]
async fn the_partitions_are_spread_and_stay_where_they_are() {
    let (_first, _second, gateway) = two().await;
    let spread = [(0, 1, 1), (1, 2, 1), (2, 1, 1), (3, 2, 1)];
    assert_eq!(owners(&gateway).await, spread);
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(owners(&gateway).await, spread, "nobody takes what is renewed");
}

#[tokio::test(start_paused = true)]
async fn a_dead_owner_is_succeeded_and_its_successor_is_told_to_everybody() {
    let (first, second, mut gateway) = two().await;
    gateway.create(&[1, 2]).await;
    gateway.attach(2, None).await;
    world_told(&first);
    gateway.events();
    let (mut dead, alive) = if is_first_home() { (first, second) } else { (second, first) };
    dead.kill().await;
    alive.say(1, CONVERSATION, 5);
    settle().await;
    let lost = gateway.conversations.of_users(vec![UserId(1)]).await;
    assert_eq!(lost, Err(CallError::Unavailable), "half an answer is none");
    tokio::time::sleep(PATIENCE).await;
    let survivor = alive.config.number.0;
    let all = owners(&gateway).await;
    assert!(all.len() == 4 && all.iter().all(|(_, owner, _)| *owner == survivor), "{all:?}");
    let taken: Vec<u16> =
        all.iter().filter(|(.., epoch)| *epoch == 2).map(|(partition, ..)| *partition).collect();
    assert_eq!(taken.len(), 2);
    assert!(gateway.events().contains(&StoreEvent::Moved), "streams must be attached again");
    assert_eq!(accepted(&alive.broker.told(GATEWAY)), [(5, 3, 2)], "by the successor");
    assert_eq!(gateway.stored().await, [1, 2, 3]);
    assert_eq!(gateway.conversations.of_users(vec![UserId(1)]).await.expect("all").len(), 1);
    let attached = gateway.attach(2, Some(2)).await;
    assert_eq!((attached.head, attached.epoch), (Sequence(3), Epoch(2)));
    alive.say(1, CONVERSATION, 6);
    settle().await;
    assert_eq!(entries(&alive.broker.told(GATEWAY)), [4]);

    // The former owner comes back, and stays a standby.
    dead.start().await;
    tokio::time::sleep(PATIENCE).await;
    assert_eq!(owners(&gateway).await, all);
}

fn world_told(world: &World) {
    world.broker.told(GATEWAY);
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_is_cut_off_from_the_engine_steps_down() {
    let (first, second, mut gateway) = two().await;
    gateway.create(&[1, 2]).await;
    gateway.attach(2, None).await;
    settle().await;
    world_told(&first);
    gateway.events();
    let (cut, other) = if is_first_home() { (&first, &second) } else { (&second, &first) };
    cut.reach(false);
    // It is stuck with this one, and its lease will be none when the engine is back.
    cut.say(1, CONVERSATION, 5);
    let reading = gateway.conversations.info(CONVERSATION, None).await;
    assert_eq!(reading, Err(CallError::Unavailable), "nothing is answered without the engine");
    tokio::time::sleep(PATIENCE).await;
    assert!(gateway.events().contains(&StoreEvent::Moved));
    assert_eq!(accepted(&cut.broker.told(GATEWAY)), [(5, 3, 2)]);
    cut.reach(true);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let all = owners(&gateway).await;
    let owner = other.config.number.0;
    assert!(all.len() == 4 && all.iter().all(|(_, of, _)| *of == owner), "{all:?}");
    assert!(all.iter().all(|(.., epoch)| *epoch <= 2), "nobody has leapfrogged: {all:?}");
    assert_eq!(gateway.stored().await, [1, 2, 3], "once");
    assert_eq!(cut.broker.depth(inbound()), 0);
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_cannot_be_claimed_holds_up_no_other() {
    let (mut first, second, gateway) = two().await;
    second.hold_up(Some(Partition(0)));
    first.kill().await;
    tokio::time::sleep(PATIENCE).await;
    let owned: Vec<(u16, u16)> = owners(&gateway)
        .await
        .into_iter()
        .map(|(partition, owner, _)| (partition, owner))
        .collect();
    assert_eq!(owned, [(1, 2), (2, 2), (3, 2)]);
    second.hold_up(None);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(owners(&gateway).await[0], (0, 2, 2));
}

/// Nobody else would take them.
#[tokio::test(start_paused = true)]
async fn the_only_node_claims_until_everything_is_its_own() {
    let mut only = World::sharing(1, Design::default());
    only.hold_up(Some(Partition(1)));
    only.start().await;
    tokio::time::sleep(PATIENCE).await;
    only.hold_up(None);
    let gateway = Gateway::new(&only).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let all: Vec<u16> = owners(&gateway).await.iter().map(|(partition, ..)| *partition).collect();
    assert_eq!(all, [0, 1, 2, 3]);
}

/// Its partitions were taken from it while it could not reach the engine, and its reads hang still.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_node_that_owns_nothing() {
    let (first, second, gateway) = two().await;
    gateway.create(&[1, 2]).await;
    let (hung, other) = if is_first_home() { (&first, &second) } else { (&second, &first) };
    hung.reach(false);
    tokio::time::sleep(PATIENCE).await;
    hung.reach(true);
    hung.reads.set(Duration::from_mins(1));
    let asked = Instant::now();
    let found = gateway.conversations.of_users(vec![UserId(1)]).await.expect("all");
    assert_eq!(found.len(), 1);
    assert!(asked.elapsed() < Duration::from_millis(100), "{:?}", asked.elapsed());
    // Of what another one may have, half an answer is still none.
    other.reach(false);
    let lost = gateway.conversations.of_users(vec![UserId(1)]).await;
    assert_eq!(lost, Err(CallError::Unavailable));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_has_heard_nothing_follows_the_hints() {
    let (mut first, mut second, gateway) = two().await;
    gateway.create(&[1, 2]).await;
    // Links of its own, and no announcement.
    let service = first.conversations();
    settle().await;
    let (dead, alive) = if is_first_home() { (&mut first, &second) } else { (&mut second, &first) };
    dead.kill().await;
    tokio::time::sleep(PATIENCE).await;
    dead.start().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    // The placement says the former owner, which answers that it is none.
    let late = alive.conversations();
    settle().await;
    for asking in [service, late] {
        let info = asking.info(CONVERSATION, None).await.expect("found");
        assert_eq!(info.head, Sequence(2));
        let push = PushRef { user: UserId(2), conversation: CONVERSATION, sequence: Sequence(2) };
        assert_eq!(asking.pushes(vec![push]).await.len(), 1);
    }
}
