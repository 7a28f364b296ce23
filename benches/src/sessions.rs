//! Sessions of real users that answer heartbeats and do nothing else.

use anyhow::{Context, bail};
use client::{Carrier, Wire, WireEvent};
use futures_util::{StreamExt, TryStreamExt, stream};
use ports::Machine;
use protocol::frames::client::Hello;
use protocol::store_calls::ConversationKind;
use protocol::{ClientFrame, ConversationId, DeviceId, Secret, ServerFrame, UserId};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use workload::plan::PlannedConversation;
use workload::rest::Api;
use workload::rest::bulk::NewConversations;

/// Connects and grants under way at once.
const AT_ONCE: usize = 32;
/// How long a request may be tried.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a gateway may take to welcome a session.
const WELCOME: Duration = Duration::from_secs(10);

/// What the sessions heard.
#[derive(Debug, Default)]
pub struct Heard {
    pings: AtomicU64,
    attached: AtomicU64,
    lost: AtomicU64,
}

impl Heard {
    /// Heartbeats that were answered.
    pub fn pings(&self) -> u64 {
        self.pings.load(Ordering::Relaxed)
    }

    /// Conversations whose streams began.
    pub fn attached(&self) -> u64 {
        self.attached.load(Ordering::Relaxed)
    }

    /// Sessions that the gateway ended.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// Idle sessions of one gateway; dropping this ends them.
pub struct Sessions {
    machine: Machine,
    carrier: Carrier,
    api: Api,
    gateway: String,
    heard: Arc<Heard>,
    open: Vec<AbortHandle>,
}

impl Sessions {
    /// None so far.
    pub fn new(machine: Machine, carrier: Carrier, api: Api, gateway: String) -> Self {
        Self { machine, carrier, api, gateway, heard: Arc::default(), open: Vec::new() }
    }

    /// Gets a token for each of these users; a grant also costs memory at the issuer, which is not
    /// what a session costs.
    pub async fn grant(&self, users: RangeInclusive<u64>) -> anyhow::Result<()> {
        stream::iter(users)
            .map(|user| {
                self.api.tokens().of_device(UserId(user), DeviceId(1), false, &self.gateway)
            })
            .buffer_unordered(AT_ONCE)
            .try_for_each(|_| std::future::ready(Ok(())))
            .await
            .context("getting tokens")
    }

    /// A user's token, which was granted before or is now.
    pub async fn token(&self, user: UserId, device: DeviceId) -> anyhow::Result<Secret> {
        let tokens = self.api.tokens();
        Ok(tokens.of_device(user, device, false, &self.gateway).await?.token)
    }

    /// Makes conversations of two: so many of users 1 and 2, so many of users 3 and 4, and so on.
    pub async fn acquaint(&self, users: u64, conversations: u64) -> anyhow::Result<()> {
        let mut batch = NewConversations::new();
        for pair in 1..=users / 2 {
            for n in 0..conversations {
                let planned = PlannedConversation {
                    id: ConversationId((pair - 1) * conversations + n + 1),
                    kind: ConversationKind::Direct,
                    members: &[UserId(pair * 2 - 1), UserId(pair * 2)],
                };
                if !batch.push(planned) {
                    self.make(std::mem::take(&mut batch)).await?;
                    batch.push(planned);
                }
            }
        }
        self.make(batch).await
    }

    async fn make(&self, batch: NewConversations) -> anyhow::Result<()> {
        for outcome in self.api.create(batch, PATIENCE).await.context("making conversations")? {
            outcome.made().context("making a conversation")?;
        }
        Ok(())
    }

    /// Opens a session for each of these users; returns when every one is welcomed.
    pub async fn open(&mut self, users: RangeInclusive<u64>) -> anyhow::Result<()> {
        let opened: Vec<AbortHandle> = stream::iter(users)
            .map(|user| self.open_one(UserId(user)))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        self.open.extend(opened);
        Ok(())
    }

    async fn open_one(&self, user: UserId) -> anyhow::Result<AbortHandle> {
        let access = self.api.tokens().of_device(user, DeviceId(1), false, &self.gateway).await?;
        let mut wire = self.carrier.open(&self.gateway).await?;
        wire.send(&ClientFrame::Hello(Hello {
            token: access.token,
            device: DeviceId(1),
            cursors: Vec::new(),
            presence: false,
            more: false,
        }));
        match timeout(WELCOME, wire.next()).await.context("no welcome")? {
            WireEvent::Frame(ServerFrame::Welcome(_)) => {}
            other => bail!("{other:?} instead of a welcome"),
        }
        Ok(self.machine.spawn("idle session", idle(wire, Arc::clone(&self.heard))))
    }

    /// What they heard.
    pub fn heard(&self) -> &Heard {
        &self.heard
    }

    /// Ends them all, without a word.
    pub fn end(&mut self) {
        for session in self.open.drain(..) {
            session.abort();
        }
    }
}

impl Drop for Sessions {
    fn drop(&mut self) {
        self.end();
    }
}

async fn idle(mut wire: Wire, heard: Arc<Heard>) {
    loop {
        match wire.next().await {
            WireEvent::Frame(ServerFrame::Ping(nonce)) => {
                wire.send(&ClientFrame::Pong(nonce));
                heard.pings.fetch_add(1, Ordering::Relaxed);
            }
            WireEvent::Frame(ServerFrame::Attached(_)) => {
                heard.attached.fetch_add(1, Ordering::Relaxed);
            }
            WireEvent::Frame(_) => {}
            WireEvent::Closed(_) => {
                heard.lost.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
    }
}
