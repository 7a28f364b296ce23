//! A small world for the tests of the shell: machine, network and broker in memory, on tokio's paused
//! clock.

pub mod broker;

use crate::{RemoteConversations, StoreConfig, serve};
use broker::FakeBroker;
use fakes::Memory;
use link::LinkTiming;
use ports::{Machine, Shutdown, ShutdownTrigger};
use protocol::limits::StoreLimits;
use protocol::records::{Action, Inbound, SessionRef};
use protocol::{
    ClientMessageId, ConversationId, Design, GatewayId, Incarnation, NodeNumber, SessionId, UserId,
    partition,
};
use std::sync::Arc;
use tokio::task::AbortHandle;

pub const PARTITIONS: u16 = 4;

/// One store node and what it touches.
pub struct World {
    pub memory: Memory,
    pub broker: Arc<FakeBroker>,
    pub config: StoreConfig,
    node: Option<(AbortHandle, ShutdownTrigger)>,
}

impl World {
    pub fn new(design: Design) -> Self {
        let config = StoreConfig {
            number: NodeNumber(1),
            partitions_total: PARTITIONS,
            stores_total: 1,
            notify_queues: 2,
            design,
            timing: LinkTiming::default(),
            retention: None,
            limits: StoreLimits { group_commit: 256, ..StoreLimits::default() },
        };
        Self { memory: Memory::default(), broker: Arc::default(), config, node: None }
    }

    /// The world of another store node of the same cluster, with a disk of its own.
    pub fn neighbour(&self, number: u16) -> Self {
        let config = StoreConfig { number: NodeNumber(number), ..self.config.clone() };
        let (memory, broker) = (self.memory.with_own_disk(), Arc::clone(&self.broker));
        Self { memory, broker, config, node: None }
    }

    pub fn machine(&self, name: &str) -> Machine {
        self.memory.machine(name)
    }

    /// Starts the node, on what is left on its disk.
    pub async fn start(&mut self) {
        let number = self.config.number;
        let machine = self.machine(&format!("store-{number}"));
        let listener = machine.network.bind(&format!("store-{}:1", number.0)).await.unwrap();
        let (trigger, shutdown) = Shutdown::new();
        let node =
            serve(machine.clone(), listener, self.config.clone(), self.broker.brokers(), shutdown);
        let task = machine.spawn("node", async {
            node.await.expect("the node ends in good order");
        });
        self.node = Some((task, trigger));
    }

    /// The process dies: its disk keeps what it had, its connections break.
    pub async fn kill(&mut self) {
        if let Some((task, _)) = self.node.take() {
            task.abort();
            while !task.is_finished() {
                tokio::task::yield_now().await;
            }
        }
        self.memory.network.cut();
        self.broker.lose_subscriptions();
    }

    /// The node is asked to end, and does.
    pub async fn stop(&mut self) {
        let (task, trigger) = self.node.take().expect("it runs");
        trigger.request();
        while !task.is_finished() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        self.memory.network.cut();
        self.broker.lose_subscriptions();
    }

    pub fn conversations(&self) -> Arc<RemoteConversations> {
        let stores = (1..=self.config.stores_total).map(|n| format!("store-{n}:1")).collect();
        let machine = self.machine("gateway-1");
        RemoteConversations::start(
            machine,
            stores,
            PARTITIONS,
            LinkTiming::default(),
            StoreLimits::default(),
        )
    }

    /// A gateway asks the owner to sequence something.
    pub fn send(&self, author: u64, conversation: ConversationId, message: u64, action: Action) {
        let inbound = Inbound {
            from: SessionRef {
                gateway: GatewayId(1),
                incarnation: Incarnation(1),
                session: SessionId(author),
            },
            author: UserId(author),
            conversation,
            client_message_id: ClientMessageId(message),
            action,
        };
        let partition = partition::partition_of(conversation, PARTITIONS);
        self.broker
            .put(ports::broker::Queue::Inbound(partition), protocol::records::encode(&inbound));
    }

    pub fn say(&self, author: u64, conversation: ConversationId, message: u64) {
        let body = format!("{author} says {message}");
        self.send(author, conversation, message, Action::Send { body, reply_to: None, format: 1 });
    }
}
