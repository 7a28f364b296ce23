//! Conversations made before a run and read after it: what is recorded, whatever becomes of the requests.

use super::fake_cluster::{Export, FakeCluster, PARTITIONS};
use super::{Notes, scenario};
use fakes::Memory;
use protocol::partition::partition_of;
use protocol::{ConversationId, Sequence, UserId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use tokio::time::Instant;
use verify::history::What;
use verify::history::event::Seen;
use workload::set_up::{SetUpError, set_up};
use workload::{Plan, Targets, final_reads};

impl Notes {
    fn all(&self) -> Vec<What> {
        self.events.lock().expect("no holder panics").iter().map(|event| event.is.clone()).collect()
    }
}

/// A cluster with the conversations of the scenario, and the plan that they are of.
struct Prepared {
    memory: Memory,
    cluster: FakeCluster,
    targets: Targets,
    plan: Arc<Plan>,
}

impl Prepared {
    async fn new(seed: u64) -> Self {
        let memory = Memory::default();
        let gateways = ["gateway-1:80", "gateway-2:80"].map(str::to_owned);
        let cluster = FakeCluster::start(&memory, &gateways, false).await;
        let (targets, plan) = (Targets::development(gateways.into()), Plan::new(&scenario(), seed));
        Self { memory, cluster, targets, plan: Arc::new(plan) }
    }

    async fn set_up(&self) -> (Result<(), SetUpError>, Vec<What>) {
        let notes = Arc::new(Notes { began: Instant::now(), events: Mutex::default() });
        let (machine, plan) = (self.memory.machine("clients-1"), self.plan.clone());
        let done = set_up(machine, plan, self.targets.clone(), notes.clone()).await;
        (done, notes.all())
    }

    async fn read(&self) -> (Vec<String>, Vec<What>) {
        let notes = Arc::new(Notes { began: Instant::now(), events: Mutex::default() });
        let (machine, plan) = (self.memory.machine("clients-1"), self.plan.clone());
        let doubts =
            final_reads(machine, plan, self.targets.clone(), notes.clone(), BTreeSet::new()).await;
        (doubts, notes.all())
    }
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_is_gone_is_read_as_empty() {
    let run = Prepared::new(6).await;
    run.set_up().await.0.expect("the cluster takes every conversation");
    let lost = ConversationId(3);
    run.cluster.lose(lost);
    let (doubts, events) = run.read().await;
    assert_eq!(doubts, ["conversation 3: the cluster no longer knows it"]);
    let empty = |what: &What| {
        matches!(what, What::StoredAll { first: Sequence(1), head: Sequence(0), whole: true, .. })
    };
    let of_lost =
        |what: &What| matches!(what, What::StoredAll { conversation, .. } if *conversation == lost);
    assert_eq!(of_kind(&events, |what| of_lost(what) && empty(what)), 1);
    assert_eq!(of_kind(&events, empty), 1);
    assert_eq!(of_kind(&events, |what| matches!(what, What::StoredAll { whole: true, .. })), 15);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_was_used_before_is_refused_and_not_accused() {
    let run = Prepared::new(8).await;
    run.set_up().await.0.expect("the cluster takes every conversation");
    run.set_up().await.0.expect("nobody has said anything yet");
    run.cluster.use_up(ConversationId(2));
    let error = run.set_up().await.0.expect_err("one of them has a history");
    let is_told = matches!(&error, SetUpError::Used { conversation: ConversationId(2), .. });
    assert!(is_told, "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_last_reads_wait_for_what_is_worked_off_and_not_for_dead_letters() {
    let run = Prepared::new(7).await;
    run.set_up().await.0.expect("the cluster takes every conversation");
    run.cluster.wait_for_looks(40);
    assert_eq!(run.read().await.0, [""; 0]);
    assert_eq!(run.cluster.read_early(), (0, 0));

    // Not for ever: what is still under way then is a doubt, not a verdict.
    run.cluster.wait_for_looks(u64::MAX);
    let doubts = run.read().await.0;
    assert_eq!(doubts, ["messages are still waiting in queues 60s after the load"]);
    assert!(run.cluster.read_early().0 > 0);

    run.cluster.hide_queues();
    let doubts = run.read().await.0;
    assert_eq!(doubts.len(), 2, "{doubts:?}");
    assert!(doubts[0].starts_with("how many messages wait in queues: "), "{doubts:?}");
    assert!(doubts[1].starts_with("dead letters and queues: "), "{doubts:?}");
}

/// What is said of each conversation at the end, in its own order.
fn by_conversation(events: &[What]) -> BTreeMap<ConversationId, Vec<What>> {
    let mut all: BTreeMap<ConversationId, Vec<What>> = BTreeMap::new();
    for what in events {
        let (What::StoredBegan { conversation }
        | What::StoredAll { conversation, .. }
        | What::StoredCursor { conversation, .. }
        | What::StoredCursorsAll { conversation }
        | What::Stored { entry: Seen { conversation, .. } }) = what
        else {
            continue;
        };
        all.entry(*conversation).or_default().push(what.clone());
    }
    all
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_cannot_be_made_yet_is_asked_for_again_with_the_others_of_its_kind() {
    let run = Prepared::new(20).await;
    run.cluster.refuse([3, 7, 8].map(ConversationId));
    let (done, events) = run.set_up().await;
    done.expect("they are made at last");
    let expected: Vec<(ConversationId, UserId)> = (1..=15)
        .map(ConversationId)
        .flat_map(|id| run.plan.conversation(id).members.iter().map(move |user| (id, *user)))
        .collect();
    let asked = events.iter().filter_map(|what| match what {
        What::MemberAsked { conversation, user, add: true } => Some((*conversation, *user)),
        _ => None,
    });
    assert_eq!(asked.collect::<Vec<_>>(), expected, "once each");
    let changed = events.iter().filter_map(|what| match what {
        What::MemberChanged { conversation, user, add: true, sequence } => {
            let members = run.plan.conversation(*conversation).members;
            assert_eq!(members[sequence.0 as usize - 1], *user);
            Some((*conversation, *user))
        }
        _ => None,
    });
    assert_eq!(changed.collect::<BTreeSet<_>>(), expected.into_iter().collect());
}

#[tokio::test(start_paused = true)]
async fn a_cluster_without_bulk_requests_is_told_from_one_that_fails() {
    let run = Prepared::new(21).await;
    run.set_up().await.0.expect("they are made");
    run.cluster.exports(Export::Unknown);
    let (done, _) = run.set_up().await;
    assert!(matches!(done, Err(SetUpError::Unsupported(_))), "{done:?}");
    let (doubts, events) = run.read().await;
    assert_eq!(doubts.len(), usize::from(PARTITIONS), "{doubts:?}");
    assert_eq!(of_kind(&events, |what| matches!(what, What::StoredAll { whole: false, .. })), 15);
}

#[tokio::test(start_paused = true)]
async fn wherever_an_export_is_cut_each_entry_is_recorded_once() {
    let run = Prepared::new(22).await;
    run.set_up().await.0.expect("they are made");
    let (doubts, events) = run.read().await;
    assert_eq!(doubts, [""; 0]);
    let (whole, asked) = (by_conversation(&events), run.cluster.exports_asked());
    assert_eq!(whole.len(), 15);
    for read in whole.values() {
        assert!(matches!(read[0], What::StoredBegan { .. }));
        assert!(matches!(read[1], What::Stored { .. }));
        assert!(matches!(read.last(), Some(What::StoredCursorsAll { .. })));
    }
    for bytes in [700, 811, 1_000, 1_500] {
        run.cluster.exports(Export::Cut(bytes));
        let before = run.cluster.exports_asked();
        let (doubts, events) = run.read().await;
        assert_eq!(doubts, [""; 0]);
        assert_eq!(by_conversation(&events), whole, "cut after {bytes}");
        assert!(run.cluster.exports_asked() - before > asked);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_not_read_is_unknown_and_not_lost() {
    let run = Prepared::new(23).await;
    run.set_up().await.0.expect("they are made");
    let here = |id: u64| partition_of(ConversationId(id), PARTITIONS).0;
    // A cut before the first whole line is no progress; another cluster's partitions are not these; and
    // some owner is away for good.
    let elsewhere = ConversationId((1..=15).find(|id| here(*id) == 1).expect("there is one"));
    for (export, unread) in [
        (Export::Cut(300), 15),
        (Export::Away(2), (1..=15).filter(|id| here(*id) >= 2).count()),
        (
            Export::With(elsewhere),
            (1..=15).filter(|id| here(*id) != 1 && *id >= elsewhere.0).count(),
        ),
    ] {
        run.cluster.exports(export);
        let (doubts, events) = run.read().await;
        assert!(!doubts.is_empty(), "{export:?}");
        let whole = |is| {
            of_kind(&events, |what| matches!(what, What::StoredAll { whole, .. } if *whole == is))
        };
        assert_eq!((whole(true), whole(false)), (15 - unread, unread), "{export:?}: {doubts:?}");
        let told: BTreeSet<_> = by_conversation(&events).into_keys().collect();
        assert_eq!(told.len(), 15);
    }
}

fn of_kind(events: &[What], is: impl Fn(&What) -> bool) -> usize {
    events.iter().filter(|what| is(what)).count()
}
