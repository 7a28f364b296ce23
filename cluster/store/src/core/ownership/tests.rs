//! The table of a candidate, and several of them over one engine.

use super::*;
use crate::engine::MemoryStore;
use ports::message_store::MessageStore;
use proptest::prelude::*;

const PARTITION: Partition = Partition(3);

fn record(owner: u16, epoch: u64, renewals: u64) -> Ownership {
    Ownership { owner: NodeNumber(owner), epoch: Epoch(epoch), renewals }
}

fn claim(owner: u16, seen: Ownership) -> Decision {
    let owner = NodeNumber(owner);
    Decision::Claim(Claim { partition: PARTITION, owner, seen })
}

/// What node 2, so far down the list, decides upon what it sees when.
fn check(rank: u16, looks: &[(u64, Ownership, Decision)]) {
    let mut candidate = Candidate::new(PARTITION, NodeNumber(2), rank);
    for (now_ms, seen, expected) in looks {
        assert_eq!(candidate.observe(*now_ms, *seen), *expected, "at {now_ms}: {seen:?}");
    }
}

#[test]
fn whoever_is_preferred_takes_what_nobody_ever_had() {
    let never = Ownership::default();
    check(0, &[(0, never, claim(2, never))]);
    let (first, second) = (SILENCE_MS + RANK_MS, SILENCE_MS + 2 * RANK_MS);
    check(1, &[(0, never, Decision::Wait), (first, never, claim(2, never))]);
    check(2, &[(0, never, Decision::Wait), (second - 1, never, Decision::Wait)]);
}

#[test]
fn only_an_owner_that_was_seen_to_be_silent_is_succeeded() {
    let (old, renewed) = (record(1, 4, 7), record(1, 4, 8));
    let wait = Decision::Wait;
    check(
        0,
        &[
            (90_000, old, wait),
            (90_000 + SILENCE_MS - 1, old, wait),
            // However late the look is: the owner has renewed meanwhile.
            (190_000, renewed, wait),
            (190_000 + SILENCE_MS - 1, renewed, wait),
            (190_000 + SILENCE_MS, renewed, claim(2, renewed)),
            // Somebody else was faster.
            (190_500, record(3, 5, 0), wait),
        ],
    );
}

#[test]
fn silence_that_was_not_watched_does_not_count() {
    let mut candidate = Candidate::new(PARTITION, NodeNumber(2), 0);
    let seen = record(1, 4, 7);
    assert_eq!(candidate.observe(0, seen), Decision::Wait);
    candidate.interrupted();
    assert_eq!(candidate.observe(SILENCE_MS, seen), Decision::Wait);
    assert_eq!(candidate.observe(2 * SILENCE_MS - 1, seen), Decision::Wait);
    assert_eq!(candidate.observe(2 * SILENCE_MS, seen), claim(2, seen));
}

#[test]
fn looks_that_take_long_count_as_looks_and_no_longer() {
    let mut watch = Watch::default();
    assert_eq!([500, 1_000, 2_000].map(|now_ms| watch.look(now_ms)), [500, 1_000, 2_000]);
    // Looks of 1.6 s, half a second apart; then the node sleeps for a minute.
    assert_eq!([4_100, 6_200, 66_200].map(|now_ms| watch.look(now_ms)), [2_500, 3_000, 3_500]);
    assert_eq!(watch.watched_ms(), 3_500);
}

#[test]
fn an_owner_that_died_is_found_out_however_slow_the_engine_is_and_one_that_renews_is_left_alone() {
    for renews in [false, true] {
        let (mut watch, mut candidate) =
            (Watch::default(), Candidate::new(PARTITION, NodeNumber(2), 0));
        let mut claimed_at = None;
        for look in 0..20_u64 {
            let renewals = if renews { 7 + look / 2 } else { 7 };
            let watched_ms = watch.look(look * 2_100);
            if candidate.observe(watched_ms, record(1, 4, renewals)) != Decision::Wait {
                claimed_at.get_or_insert(look);
            }
        }
        // Seen first at look 0.
        assert_eq!(claimed_at, (!renews).then_some(4));
    }
}

#[test]
fn an_earlier_life_of_a_node_is_not_waited_for() {
    let own = record(2, 4, 7);
    check(2, &[(0, own, claim(2, own))]);
}

#[test]
fn a_refused_commit_makes_a_standby_of_an_owner() {
    let mut candidate = Candidate::new(PARTITION, NodeNumber(2), 0);
    candidate.observe(0, Ownership::default());
    candidate.acquired(Epoch(1));
    candidate.fenced(700, record(3, 2, 0));
    assert_eq!(candidate.observe(700 + SILENCE_MS - 1, record(3, 2, 0)), Decision::Wait);
    let seen = record(3, 2, 0);
    assert_eq!(candidate.observe(700 + SILENCE_MS, seen), claim(2, seen));
}

#[test]
fn a_former_owner_that_comes_back_is_a_standby() {
    let mut candidate = Candidate::new(PARTITION, NodeNumber(2), 0);
    candidate.observe(0, Ownership::default());
    candidate.acquired(Epoch(1));
    let lease = Lease { partition: PARTITION, epoch: Epoch(1) };
    assert_eq!(candidate.observe(1, record(2, 1, 0)), Decision::Renew(lease));
    let current = record(3, 2, 9);
    let fenced = Fenced { partition: PARTITION, current };
    assert_eq!(candidate.observe(60_000, current), Decision::StepDown(fenced));
    assert_eq!(candidate.observe(60_500, record(3, 2, 10)), Decision::Wait);
    candidate.fenced(60_600, record(3, 2, 10));
    assert_eq!(candidate.observe(60_500 + SILENCE_MS - 1, record(3, 2, 10)), Decision::Wait);
}

/// A node over a shared engine.
struct Node {
    candidate: Candidate,
    lease: Option<Lease>,
    /// It does nothing before.
    asleep_until_ms: u64,
    /// When it last renewed or acquired.
    alive_ms: u64,
}

fn ownership(store: &MemoryStore) -> Ownership {
    store.view().unwrap().ownership(PARTITION).unwrap()
}

/// One look of one node; what it acquired.
fn look(store: &MemoryStore, node: &mut Node, now_ms: u64) -> Option<Lease> {
    match node.candidate.observe(now_ms, ownership(store)) {
        Decision::Wait => None,
        Decision::Renew(lease) => {
            assert_eq!(node.lease, Some(lease));
            node.alive_ms = now_ms;
            assert_eq!(store.renew(&[lease]).unwrap(), []);
            None
        }
        Decision::Claim(claim) => {
            let lease = store.acquire(&claim).unwrap()?;
            node.candidate.acquired(lease.epoch);
            node.alive_ms = now_ms;
            node.lease = Some(lease);
            Some(lease)
        }
        Decision::StepDown(fenced) => {
            assert_eq!(fenced.current, ownership(store));
            node.lease = None;
            None
        }
    }
}

proptest! {
    /// Nodes look every now and then, sleep, and start anew; each is told by its own time only.
    #[test]
    fn an_owner_that_renews_is_never_succeeded_and_a_silent_one_is(
        nodes in 2_u16..5,
        sleeps in prop::collection::vec((0_u16..5, 0_u64..30, 1_u64..20, any::<bool>()), 0..12),
    ) {
        let store = MemoryStore::default();
        let mut all: Vec<Node> = (0..nodes).map(|rank| Node {
            candidate: Candidate::new(PARTITION, NodeNumber(rank + 1), rank),
            lease: None,
            asleep_until_ms: 0,
            alive_ms: 0,
        }).collect();
        let disturbed_ms = 50 * RENEW_MS;
        let end_ms = disturbed_ms + SILENCE_MS + u64::from(nodes) * RANK_MS + 4 * RENEW_MS;
        for tick in 0..=end_ms / 100 {
            let now_ms = tick * 100;
            for (node, at, lasts, is_restart) in &sleeps {
                if *at * RENEW_MS == now_ms && let Some(node) = all.get_mut(usize::from(*node)) {
                    node.asleep_until_ms = now_ms + lasts * RENEW_MS;
                    if *is_restart {
                        let (number, rank) = (node.candidate.node, node.candidate.rank);
                        node.candidate = Candidate::new(PARTITION, number, rank);
                        node.lease = None;
                    }
                }
            }
            for index in 0..all.len() {
                // Not all in step.
                let is_due = (tick + index as u64).is_multiple_of(RENEW_MS / 100);
                if !is_due || all[index].asleep_until_ms > now_ms {
                    continue;
                }
                let before = ownership(&store);
                if look(&store, &mut all[index], now_ms).is_some() {
                    let after = ownership(&store);
                    prop_assert!(after.epoch > before.epoch);
                    let former = all.iter().find(|node| node.candidate.node == before.owner);
                    if let Some(former) = former && before.owner != after.owner {
                        let silent_ms = now_ms - former.alive_ms;
                        prop_assert!(silent_ms >= SILENCE_MS, "{before:?} was silent for {silent_ms}");
                    }
                }
            }
        }
        let current = ownership(&store);
        let believe: Vec<Lease> = all.iter().filter_map(|node| node.lease).collect();
        prop_assert_eq!(believe, [Lease { partition: PARTITION, epoch: current.epoch }]);
        let owner = all.iter().find(|node| node.lease.is_some()).unwrap();
        prop_assert_eq!(owner.candidate.node, current.owner);
        prop_assert!(end_ms - owner.alive_ms <= RENEW_MS);
    }
}
