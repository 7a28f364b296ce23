//! Many conversations at once: made in one call, and read a partition at a time.

use super::*;
use crate::world::PARTITIONS;
use ports::CallError;
use ports::conversations::Refusal;
use protocol::store_calls::{ExportPage, ExportPlace};
use protocol::{Partition, limits::StoreLimits};
use std::collections::BTreeMap;

fn direct(id: u64) -> CreateConversation {
    CreateConversation {
        conversation: ConversationId(id),
        kind: ConversationKind::Direct,
        creator: UserId(id),
        members: vec![UserId(id), UserId(id + 1)],
    }
}

fn home(id: u64) -> Partition {
    partition::partition_of(ConversationId(id), PARTITIONS)
}

/// Reads a partition from a place on, page by page.
async fn export(gateway: &Gateway, partition: Partition, from: ExportPlace) -> Vec<ExportPage> {
    let (mut place, mut pages) = (Some(from), Vec::new());
    while let Some(from) = place {
        let page = gateway.conversations.export(partition, from).await.expect("a page");
        place = page.next;
        pages.push(page);
    }
    pages
}

/// The sequences of each conversation in some pages.
fn read(pages: &[ExportPage]) -> BTreeMap<u64, Vec<u64>> {
    let mut all: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for part in pages.iter().flat_map(|page| &page.conversations) {
        let entries = part.entries.iter().map(|entry| entry.sequence.0);
        all.entry(part.conversation.0).or_default().extend(entries);
    }
    all
}

#[tokio::test(start_paused = true)]
async fn each_of_many_is_made_or_refused_for_itself() {
    let mut world = World::new(Design::default());
    world.start().await;
    let gateway = Gateway::new(&world).await;
    let commits = || world.memory.telemetry.counted("store_commit");
    let before = commits();
    let other =
        CreateConversation { creator: UserId(9), members: vec![UserId(9), UserId(8)], ..direct(7) };
    let lonely = CreateConversation { members: vec![UserId(1)], ..direct(1_000) };
    let mut requests: Vec<_> = (1..=200).map(direct).collect();
    requests.extend([direct(5), other, lonely]);
    let mut outcomes = gateway.conversations.create(requests.clone()).await;
    assert!(commits() - before <= 2, "what comes during a forced write shares the next one");
    assert_eq!(outcomes.pop(), Some(Err(CallError::Refused(Refusal::MembershipFixed))));
    assert_eq!(outcomes.pop(), Some(Err(CallError::Refused(Refusal::Conflict))));
    let again = outcomes.pop().unwrap().expect("it is there");
    assert_eq!((again.is_new, again.info.conversation), (false, ConversationId(5)));
    for (made, request) in outcomes.iter().zip(&requests) {
        let made = made.as_ref().expect("made");
        assert_eq!((made.is_new, made.info.conversation), (true, request.conversation));
        assert_eq!((made.info.head, made.info.members.len()), (Sequence(2), 2));
    }
    let reads =
        || ["store_read", "store_failed_reads"].map(|name| world.memory.telemetry.counted(name));
    let [read_before, _] = reads();
    let all = gateway.conversations.status().await;
    assert_eq!(all.iter().map(|is| is.conversations).sum::<u64>(), 200);
    assert_eq!(reads(), [read_before + 1, 0]);
    let repeated = gateway.conversations.create(requests).await;
    let is_old = |made: &Result<CreatedConversation, _>| made.as_ref().is_ok_and(|it| !it.is_new);
    assert_eq!(repeated.iter().filter(|made| is_old(made)).count(), 201);
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_owner_should_have_made_is_said_and_made_later() {
    let mut first = World::of(2, Design::default());
    let mut second = first.neighbour(2);
    first.start().await;
    second.start().await;
    let gateway = Gateway::new(&first).await;
    second.kill().await;
    settle().await;
    let requests: Vec<_> = (1..=40).map(direct).collect();
    let made = gateway.conversations.create(requests.clone()).await;
    let of_first = |id: u64| crate::StaticDirectory::new(2).home(home(id)) == NodeNumber(1);
    for (request, outcome) in requests.iter().zip(&made) {
        let is_made = of_first(request.conversation.0);
        assert_eq!(outcome.is_ok(), is_made, "{}", request.conversation);
        assert!(is_made || *outcome == Err(CallError::Unavailable), "{outcome:?}");
    }
    second.start().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    for (request, outcome) in
        requests.iter().zip(gateway.conversations.create(requests.clone()).await)
    {
        let is_new = outcome.expect("everybody is there").is_new;
        assert_eq!(is_new, !of_first(request.conversation.0));
    }
}

#[tokio::test(start_paused = true)]
async fn an_export_goes_on_with_the_next_owner_without_loss_or_double() {
    let limits = StoreLimits { export_conversations: 3, ..StoreLimits::default() };
    let mut first = World::sharing(2, Design::default());
    first.config.limits = limits;
    let mut second = first.neighbour(2);
    first.start().await;
    second.start().await;
    let gateway = Gateway::new(&first).await;
    gateway.conversations.create((1..=60).map(direct).collect()).await;
    // Partition 0 is the first node's.
    let partition = Partition(0);
    let expected: Vec<u64> = (1..=60).filter(|id| home(*id) == partition).collect();
    let begun = gateway.conversations.export(partition, ExportPlace::default()).await.unwrap();
    assert_eq!((begun.owner, begun.epoch), (NodeNumber(1), Epoch(1)));
    let place = begun.next.expect("there is more");
    first.kill().await;
    let cut = gateway.conversations.export(partition, place).await;
    assert!(cut.is_err(), "an error, and not an end: {cut:?}");
    tokio::time::sleep(Duration::from_secs(8)).await;
    let last = *expected.last().unwrap();
    second.say(last, ConversationId(last), 1);
    settle().await;
    let rest = export(&gateway, partition, place).await;
    assert!(rest.iter().all(|page| (page.owner, page.epoch) == (NodeNumber(2), Epoch(2))));
    let (begun, rest) = (read(&[begun]), read(&rest));
    let ids: Vec<u64> = begun.keys().chain(rest.keys()).copied().collect();
    assert_eq!(ids, expected);
    assert_eq!(
        begun.values().chain(rest.values()).filter(|read| **read == [1, 2]).count(),
        expected.len() - 1
    );
    assert_eq!(rest[&last], [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn an_export_of_a_partition_whose_entries_are_trimmed_meanwhile_has_what_is_stored() {
    let mut world = World::new(Design::default());
    world.config.retention = Some(6);
    world.config.limits.export_bytes = 500;
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    let say = async |messages: std::ops::Range<u64>| {
        messages.for_each(|message| world.say(1, CONVERSATION, message));
        settle().await;
    };
    say(1..5).await;
    let partition = home(CONVERSATION.0);
    let begun = gateway.conversations.export(partition, ExportPlace::default()).await.unwrap();
    let (part, place) = (&begun.conversations[0], begun.next.expect("there is more"));
    assert_eq!((part.first, part.end.as_ref()), (Sequence(1), None));
    say(5..20).await;
    let rest = export(&gateway, partition, place).await;
    assert_eq!(read(&rest)[&CONVERSATION.0], (16..=21).collect::<Vec<_>>());
    let last = rest.iter().flat_map(|page| &page.conversations).last().unwrap();
    assert_eq!((last.first, last.head), (Sequence(16), Sequence(21)));
}
