//! A whole store node between a client and a broker, on simulated time.

use crate::world::World;
use ports::{Conversations, Queue, StoreEvent};
use protocol::records::{Action, PushJob, ToGateway};
use protocol::store_calls::{
    AttachItem, AttachedAt, ChangeMember, ConversationKind, CreateConversation, RangeQuery,
    ReceiptItem,
};
use protocol::{
    Content, ConversationId, Design, Epoch, GatewayId, Incarnation, NodeNumber, RejectReason,
    Sequence, UserId, design, partition,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;

const CONVERSATION: ConversationId = ConversationId(11);
const GATEWAY: Queue = Queue::Gateway(GatewayId(1), Incarnation(1));

async fn settle() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}

fn inbound() -> Queue {
    Queue::Inbound(partition::partition_of(CONVERSATION, crate::world::PARTITIONS))
}

/// A gateway with its queue and its link.
struct Gateway {
    conversations: Arc<crate::RemoteConversations>,
    events: UnboundedReceiver<StoreEvent>,
}

impl Gateway {
    async fn new(world: &World) -> Self {
        world.broker.make(GATEWAY);
        let conversations = world.conversations();
        let events = conversations.announce(GatewayId(1), Incarnation(1));
        settle().await;
        Self { conversations, events }
    }

    fn events(&mut self) -> Vec<StoreEvent> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }

    async fn create(&self, members: &[u64]) {
        let request = CreateConversation {
            conversation: CONVERSATION,
            kind: ConversationKind::Group,
            creator: UserId(members[0]),
            members: members.iter().copied().map(UserId).collect(),
        };
        let info = self.conversations.create(request.clone()).await.expect("made");
        assert_eq!(self.conversations.create(request).await, Ok(info), "the same again");
    }

    async fn attach(&self, user: u64, after: Option<u64>) -> AttachedAt {
        let after = after.map(Sequence);
        let user = UserId(user);
        let item = AttachItem { conversation: CONVERSATION, user, after, presence: true };
        let mut answers = self.conversations.attach(vec![item]).await;
        answers.remove(0).outcome.expect("attached")
    }

    async fn stored(&self) -> Vec<u64> {
        let query =
            RangeQuery { conversation: CONVERSATION, user: None, after: Sequence(0), limit: 200 };
        let page = self.conversations.range(query).await.expect("a page");
        page.entries.iter().map(|entry| entry.sequence.0).collect()
    }

    async fn change(&self, user: u64, add: bool) -> Sequence {
        let request =
            ChangeMember { conversation: CONVERSATION, by: None, user: UserId(user), add };
        self.conversations.change_member(request).await.expect("changed")
    }
}

fn entries(told: &[ToGateway]) -> Vec<u64> {
    let sequence = |told: &ToGateway| match told {
        ToGateway::Entry(entry) => Some(entry.sequence.0),
        _ => None,
    };
    told.iter().filter_map(sequence).collect()
}

fn accepted(told: &[ToGateway]) -> Vec<(u64, u64, u64)> {
    let row = |told: &ToGateway| match told {
        ToGateway::Accepted(_, a) => Some((a.client_message_id.0, a.sequence.0, a.epoch.0)),
        _ => None,
    };
    told.iter().filter_map(row).collect()
}

fn pushes(world: &World) -> Vec<(u64, u64)> {
    let queues = [0, 1].map(Queue::Notify);
    let known = queues.into_iter().filter(|queue| world.broker.depth(*queue) > 0);
    let jobs = known.flat_map(|queue| world.broker.take(queue));
    let decode = |job: bytes::Bytes| protocol::records::decode::<PushJob>(&job).unwrap();
    jobs.map(decode).map(|job| (job.user.0, job.sequence.0)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_message_is_stored_fanned_out_accepted_and_pushed() {
    let mut world = World::new(Design::default());
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2, 3]).await;
    let attached = gateway.attach(1, None).await;
    assert_eq!((attached.from, attached.head), (Sequence(3), Sequence(3)));
    gateway.attach(2, None).await;
    world.broker.told(GATEWAY);
    world.say(1, CONVERSATION, 77);
    settle().await;
    let told = world.broker.told(GATEWAY);
    assert_eq!(entries(&told), [4]);
    assert_eq!(accepted(&told), [(77, 4, 1)]);
    assert_eq!(pushes(&world), [(3, 4)]);
    assert_eq!(world.broker.depth(inbound()), 0, "acknowledged");
    assert_eq!(gateway.stored().await, [1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_resend_gets_the_same_answer_and_no_second_entry() {
    let mut world = World::new(Design::default());
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    gateway.attach(2, None).await;
    world.broker.told(GATEWAY);
    // Twice in one batch, and once later.
    world.say(1, CONVERSATION, 5);
    world.say(1, CONVERSATION, 5);
    settle().await;
    world.say(1, CONVERSATION, 5);
    settle().await;
    let told = world.broker.told(GATEWAY);
    assert_eq!(accepted(&told), [(5, 3, 1); 3]);
    assert_eq!(entries(&told), [3]);
    assert_eq!(gateway.stored().await, [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_crash_before_the_confirm_is_replayed_under_the_same_sequence() {
    let mut world = World::new(Design::default());
    world.start().await;
    let mut gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    settle().await;
    world.broker.told(GATEWAY);
    gateway.events();
    world.broker.withhold(u32::MAX, false);
    world.say(1, CONVERSATION, 5);
    settle().await;
    assert_eq!(world.broker.depth(inbound()), 1, "not acknowledged before the confirm");
    world.kill().await;
    world.broker.withhold(0, false);
    world.start().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let one = NodeNumber(1);
    assert_eq!(gateway.events(), [StoreEvent::Lost(one), StoreEvent::Back(one)]);
    let told = world.broker.told(GATEWAY);
    assert_eq!(accepted(&told), [(5, 3, 1)], "the epoch of the one who sequenced it");
    assert_eq!(pushes(&world), [(2, 3)]);
    assert_eq!(world.broker.depth(inbound()), 0);
    assert_eq!(gateway.stored().await, [1, 2, 3]);
    let epochs: Vec<_> = gateway.conversations.status().await.iter().map(|s| s.epoch).collect();
    assert_eq!(epochs, [Epoch(2); 4]);
}

#[tokio::test(start_paused = true)]
async fn unconfirmed_publications_are_repeated_in_their_order() {
    for stored in [false, true] {
        let mut world = World::new(Design::default());
        world.start().await;
        let gateway = Gateway::new(&world).await;
        gateway.create(&[1, 2]).await;
        gateway.attach(2, None).await;
        settle().await;
        world.broker.told(GATEWAY);
        world.broker.withhold(3, stored);
        for message in 1..=4 {
            world.say(1, CONVERSATION, message);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        settle().await;
        let mut seen = entries(&world.broker.told(GATEWAY));
        if stored {
            assert!(seen.len() > 4, "repeated: {seen:?}");
            // Dropped by sequence, as receivers do, they are in order.
            let mut newest = 0;
            seen.retain(|sequence| {
                let new = *sequence == newest.max(2) + 1;
                newest = newest.max(*sequence);
                new
            });
        }
        assert_eq!(seen, [3, 4, 5, 6]);
        assert_eq!(world.broker.depth(inbound()), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_falls_between_backlog_and_stream() {
    for delay in 0..30 {
        let mut world = World::new(Design::default());
        world.start().await;
        let gateway = Gateway::new(&world).await;
        gateway.create(&[1, 2]).await;
        settle().await;
        let speak = async {
            for message in 1..=20 {
                world.say(1, CONVERSATION, message);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let attach = async {
            tokio::time::sleep(Duration::from_millis(delay)).await;
            gateway.attach(2, Some(2)).await
        };
        let ((), attached) = tokio::join!(speak, attach);
        settle().await;
        let mut stream: Vec<u64> = attached.entries.iter().map(|e| e.sequence.0).collect();
        assert_eq!(stream.last().copied().unwrap_or(2), attached.head.0);
        let live = entries(&world.broker.told(GATEWAY));
        stream.extend(live.iter().filter(|sequence| **sequence > attached.head.0));
        assert_eq!(stream, (3..=22).collect::<Vec<_>>(), "delay {delay}");
    }
}

#[tokio::test(start_paused = true)]
async fn poison_goes_to_the_dead_letters_and_nothing_overtakes_it() {
    let mut world = World::new(Design::default());
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    gateway.attach(2, None).await;
    world.broker.told(GATEWAY);
    world.say(1, CONVERSATION, 1);
    let body = "?".to_owned();
    world.send(1, CONVERSATION, 2, Action::Send { body, reply_to: None, format: 9 });
    world.broker.put(inbound(), bytes::Bytes::from_static(b"\xff\xff"));
    world.say(1, CONVERSATION, 3);
    settle().await;
    let told = world.broker.told(GATEWAY);
    let words: Vec<String> = told
        .iter()
        .map(|told| match told {
            ToGateway::Accepted(_, a) => format!("accepted {}", a.client_message_id),
            ToGateway::Rejected(_, r) => {
                assert_eq!(r.reason, RejectReason::DeadLettered);
                format!("rejected {}", r.client_message_id)
            }
            ToGateway::Entry(e) => format!("entry {}", e.sequence),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(words, ["entry 3", "accepted 1", "rejected 2", "entry 4", "accepted 3"]);
    let dead = world.broker.dead();
    assert_eq!(dead.len(), 2);
    assert_eq!(dead[0], (inbound(), "unknown format 9".to_owned()));
    assert!(dead[1].1.contains("does not decode"), "{dead:?}");
    assert_eq!(world.broker.depth(inbound()), 0);
}

#[tokio::test(start_paused = true)]
async fn dropped_poison_leaves_no_trace() {
    let design = Design { poison: design::Poison::Drop, ..Design::default() };
    let mut world = World::new(design);
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    gateway.attach(2, None).await;
    world.broker.told(GATEWAY);
    let body = "?".to_owned();
    world.send(1, CONVERSATION, 2, Action::Send { body, reply_to: None, format: 9 });
    settle().await;
    assert_eq!(world.broker.told(GATEWAY), []);
    assert_eq!(world.broker.dead(), []);
    assert_eq!(world.broker.depth(inbound()), 0);
}

#[tokio::test(start_paused = true)]
async fn members_come_and_go_in_the_stream() {
    let mut world = World::new(Design::default());
    world.start().await;
    let mut gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    gateway.attach(1, None).await;
    gateway.events();
    assert_eq!(gateway.change(3, true).await, Sequence(3));
    assert_eq!(gateway.change(3, true).await, Sequence(3), "the same again");
    settle().await;
    let events = gateway.events();
    assert!(
        matches!(events[..], [StoreEvent::Joined(j)] if j.user == UserId(3) && j.joined.0 == 3),
        "{events:?}"
    );
    let attached = gateway.attach(3, Some(0)).await;
    assert_eq!(attached.from, Sequence(2), "behind nothing that came before the membership");
    world.broker.told(GATEWAY);
    assert_eq!(gateway.change(3, false).await, Sequence(4));
    settle().await;
    let told = world.broker.told(GATEWAY);
    let left = |told: &ToGateway| matches!(told, ToGateway::Entry(e) if e.content == Content::Leave { user: UserId(3) });
    assert!(told.iter().any(left), "{told:?}");
    // Not a member, so no push; not attached either.
    world.say(1, CONVERSATION, 9);
    settle().await;
    assert_eq!(pushes(&world), [(2, 5)]);
    let of_three = gateway.conversations.of_users(vec![UserId(3)]).await.unwrap();
    assert_eq!(of_three, []);
    let query = RangeQuery {
        conversation: CONVERSATION,
        user: Some(UserId(3)),
        after: Sequence(0),
        limit: 50,
    };
    let page = gateway.conversations.range(query).await.unwrap();
    assert_eq!(page.entries.iter().map(|e| e.sequence.0).collect::<Vec<_>>(), [3]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_link_takes_its_attachments_along() {
    let mut world = World::new(Design::default());
    world.start().await;
    let mut gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    gateway.attach(2, None).await;
    gateway.events();
    world.wires.cut();
    settle().await;
    let one = NodeNumber(1);
    assert_eq!(gateway.events(), [StoreEvent::Lost(one), StoreEvent::Back(one)]);
    world.broker.told(GATEWAY);
    world.say(1, CONVERSATION, 9);
    settle().await;
    assert_eq!(entries(&world.broker.told(GATEWAY)), [] as [u64; 0]);
    assert_eq!(pushes(&world), [(2, 3)]);
    let attached = gateway.attach(2, Some(2)).await;
    assert_eq!(attached.entries.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fenced_owner_acquires_its_partition_again() {
    let mut world = World::new(Design::default());
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    world.broker.fence(inbound(), Epoch(8));
    world.say(1, CONVERSATION, 9);
    settle().await;
    assert_eq!(world.broker.depth(inbound()), 0);
    assert_eq!(accepted(&world.broker.told(GATEWAY)), [(9, 3, 9)]);
}

#[tokio::test(start_paused = true)]
async fn an_orderly_end_leaves_nothing_to_repeat() {
    let mut world = World::new(Design::default());
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    for message in 1..=50 {
        world.say(1, CONVERSATION, message);
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    world.stop().await;
    let done = accepted(&world.broker.told(GATEWAY)).len();
    assert_eq!(world.broker.depth(inbound()), 50 - done, "what was told is acknowledged");
    world.start().await;
    settle().await;
    let rest = accepted(&world.broker.told(GATEWAY));
    assert_eq!(rest.len(), 50 - done);
}

#[tokio::test(start_paused = true)]
async fn receipts_rise_and_are_told_to_the_others() {
    let mut world = World::new(Design::default());
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    gateway.attach(1, None).await;
    settle().await;
    world.broker.told(GATEWAY);
    let report = |delivered, read| ReceiptItem {
        conversation: CONVERSATION,
        user: UserId(2),
        delivered: Sequence(delivered),
        read: Sequence(read),
    };
    gateway.conversations.receipts(vec![report(2, 1)]);
    settle().await;
    gateway.conversations.receipts(vec![report(1, 1), report(9, 0)]);
    settle().await;
    let cursors = gateway.conversations.cursors(CONVERSATION, Some(UserId(1))).await.unwrap();
    assert_eq!(cursors, [report(2, 1)], "never above the head, never back");
    let told = world.broker.told(GATEWAY);
    assert!(
        matches!(&told[..], [ToGateway::Receipts(r)] if r.delivered == Sequence(2)),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn watchers_learn_who_is_there_and_who_types() {
    let mut world = World::new(Design::default());
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    gateway.attach(1, None).await;
    settle().await;
    world.broker.told(GATEWAY);
    gateway.attach(2, None).await;
    gateway.conversations.typing(CONVERSATION, UserId(2));
    gateway.conversations.typing(CONVERSATION, UserId(3));
    gateway.conversations.detach(vec![(CONVERSATION, UserId(2))]);
    settle().await;
    let told: Vec<(u64, Option<bool>)> = world
        .broker
        .told(GATEWAY)
        .iter()
        .map(|told| match told {
            ToGateway::Presence(p) => (p.user.0, Some(p.online)),
            ToGateway::Typing(t) => (t.user.0, None),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [(2, Some(true)), (1, Some(true)), (2, None), (2, Some(false))];
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn early_answers_are_lost_with_the_power() {
    let design = Design { accept: design::Accept::BeforePersist, ..Design::default() };
    let mut world = World::new(design);
    world.start().await;
    let gateway = Gateway::new(&world).await;
    gateway.create(&[1, 2]).await;
    world.broker.told(GATEWAY);
    world.disk.set_fuse(0);
    world.say(1, CONVERSATION, 9);
    settle().await;
    assert_eq!(accepted(&world.broker.told(GATEWAY)), [(9, 3, 1)], "told without a disk");
    world.disk.set_fuse(u64::MAX);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(gateway.stored().await, [1, 2, 3], "made up for, as the node lived on");
}
