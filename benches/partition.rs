//! What an owner does with messages: applies a group of sends, and commits it through redb to a real
//! disk, with fsync. Reading from the broker and publishing are not in it.

use anyhow::Context;
use benches::folder::Folder;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use ports::message_store::{Batch, Claim, Keys, Lease, MessageStore, Ownership};
use protocol::design::Fsync;
use protocol::limits::StoreLimits;
use protocol::records::{Action, Inbound, SessionRef};
use protocol::store_calls::{ConversationKind, CreateConversation};
use protocol::{
    ClientMessageId, ConversationId, GatewayId, Incarnation, NodeNumber, Partition, SessionId,
    UserId,
};
use real::disk::DirectoryDisk;
use std::path::Path;
use std::sync::Arc;
use store::RedbStore;
use store::core::command::{Command, Effect};
use store::core::overlay::Overlay;
use store::core::partition::{Choices, Partition as Machine};

/// Conversations of two: a group touches many of them, as among many people.
const CONVERSATIONS: u64 = 1_000;
const OWNER: NodeNumber = NodeNumber(1);
const PARTITION: Partition = Partition(0);
const BODY: &str = "shall we meet at the corner at seven? I shall be a little late, as always";

fn main() -> anyhow::Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    // On the disk of the build, which is a real one, unlike many a folder for temporary files.
    let folder = Folder::make(Path::new(env!("CARGO_TARGET_TMPDIR")), "partition")?;
    let mut owner = Owner::new(folder.path())?;
    let mut sent = 0;
    let mut group = criterion.benchmark_group("partition");
    for count in [1, 64, 256] {
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new("apply", count), |bencher| {
            bencher.iter_batched(
                || sends(&mut sent, count),
                |group| owner.apply(group),
                BatchSize::SmallInput,
            );
            // Nothing of it was committed.
            owner.begin_anew();
        });
        group.bench_function(BenchmarkId::new("apply and commit", count), |bencher| {
            bencher.iter_batched(
                || sends(&mut sent, count),
                |group| owner.apply_and_commit(group),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
    owner.store.close()?;
    criterion.final_summary();
    Ok(())
}

/// One partition over its engine.
struct Owner {
    store: RedbStore,
    lease: Lease,
    machine: Machine,
}

impl Owner {
    /// Takes the partition and makes its conversations.
    fn new(directory: &Path) -> anyhow::Result<Self> {
        let disk = DirectoryDisk::open(directory).context("the folder of the database")?;
        let store = RedbStore::open(Arc::new(disk), Fsync::Always)?;
        let seen = Ownership::default();
        let claim = Claim { partition: PARTITION, owner: OWNER, seen };
        let lease = store.acquire(&claim)?.context("nobody else owns it")?;
        let machine = Machine::new(PARTITION, Choices::default(), StoreLimits::default());
        let mut owner = Self { store, lease, machine };
        let acquire = Command::Acquire { epoch: lease.epoch, owner: OWNER };
        let creations = (1..=CONVERSATIONS).map(|id| Command::Create {
            requests: vec![CreateConversation {
                conversation: ConversationId(id),
                kind: ConversationKind::Direct,
                creator: author(id),
                members: vec![author(id), UserId(author(id).0 + 1)],
            }],
            at_ms: 0,
        });
        owner.apply_and_commit(std::iter::once(acquire).chain(creations).collect());
        Ok(owner)
    }

    /// Applies commands over what is stored now; the rows to write and what the world must learn.
    fn apply(&mut self, commands: Vec<Command>) -> (Batch, Vec<Effect>) {
        let mut keys = Keys::default();
        for command in &commands {
            self.machine.keys(command, &mut keys);
        }
        let rows = self.store.prefetch(&[(PARTITION, keys.clone())]);
        let rows = rows.expect("the engine can be read").remove(0);
        let mut overlay = Overlay::new(keys, rows);
        let mut effects = Vec::new();
        for command in commands {
            self.machine.apply(command, &mut overlay, &mut effects);
        }
        (overlay.batch, effects)
    }

    /// What was applied and not committed is forgotten: the next owner reads what is stored.
    fn begin_anew(&mut self) {
        self.machine = Machine::new(PARTITION, Choices::default(), StoreLimits::default());
        let acquire = Command::Acquire { epoch: self.lease.epoch, owner: OWNER };
        self.machine.apply(acquire, &mut Overlay::default(), &mut Vec::new());
    }

    fn apply_and_commit(&mut self, commands: Vec<Command>) -> Vec<Effect> {
        let (batch, effects) = self.apply(commands);
        let fenced = self.store.commit(&[(self.lease, batch)]).expect("the disk takes it");
        assert!(fenced.is_empty(), "another owner: {fenced:?}");
        self.machine.committed();
        effects
    }
}

/// Sends that were never sent before, each to the next conversation.
fn sends(sent: &mut u64, count: u64) -> Vec<Command> {
    let send = |number| {
        let conversation = ConversationId(number % CONVERSATIONS + 1);
        let inbound = Inbound {
            from: SessionRef {
                gateway: GatewayId(1),
                incarnation: Incarnation(1),
                session: SessionId(conversation.0),
            },
            author: author(conversation.0),
            conversation,
            client_message_id: ClientMessageId(number),
            action: Action::Send { body: BODY.to_owned(), reply_to: None, format: 1 },
        };
        Command::Sequence { inbound, at_ms: number, replay: false }
    };
    let first = *sent + 1;
    *sent += count;
    (first..=*sent).map(send).collect()
}

/// The first of a conversation's two members.
const fn author(conversation: u64) -> UserId {
    UserId(conversation * 2)
}
