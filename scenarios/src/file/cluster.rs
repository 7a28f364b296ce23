//! `[cluster]`: how many of each role, and how much each holds.

use crate::scenario::ClusterShape;
use protocol::limits::{
    CLIENT_HEARTBEAT, CLIENT_HEARTBEAT_MAX, LINK_IDLE_TIMEOUT, LINK_IDLE_TIMEOUT_MAX,
    LINK_IDLE_TIMEOUT_MIN,
};
use protocol::{LimitSet, StoreEngine};
use settings::mistake::Mistakes;
use settings::section;
use settings::section::Field;
use settings::value::number::Whole;
use std::time::Duration;

section! {
    /// How many nodes of each role.
    Cluster {
        /// Gateways.
        gateways: Whole<u16, 1, 64> = Whole(3),
        /// Brokers; one in this version.
        brokers: Whole<u16, 1, 1> = Whole(1),
        /// Store nodes.
        stores: Whole<u16, 1, 64> = Whole(3),
        /// Partitions; at least as many as stores, so that each store has some.
        partitions: Whole<u16, 1, 4096> = Whole(16),
        /// Copies of each partition; one in this version.
        replication: Whole<u16, 1, 1> = Whole(1),
        /// What keeps the rows of the stores: redb on their disks, their memory, or one engine that all of them reach like a database on its own (simulated, or `--engines postgres` or `cassandra`).
        engine: StoreEngine = StoreEngine::Redb,
        /// How much each node holds: `tiny` limits are all reached within half a minute.
        limits: LimitSet = LimitSet::Default,
        /// How long an access token lives: whole seconds, at least 10.
        token_lifetime: Duration = Duration::from_hours(1),
        /// How often a gateway pings a session in which nothing was heard: whole seconds, 5 to 600. After two and a half times as long it gives the session up.
        heartbeat: Duration = CLIENT_HEARTBEAT,
        /// Silence after which a node gives a link to another one up: 1s to 60s. What was lost with a link is asked for again, which costs more the more there is, so machines that are short of processors need longer.
        link_timeout: Duration = LINK_IDLE_TIMEOUT,
    }
}

impl Cluster {
    /// The validated section.
    pub fn validated(&self, mistakes: &mut Mistakes) -> Option<ClusterShape> {
        if let (Some(partitions), Some(stores)) = (self.partitions.get(), self.stores.get())
            && partitions.0 < stores.0
        {
            let (partitions, stores) = (partitions.0, stores.0);
            let what = format!("{partitions} partitions are not enough for {stores} stores");
            self.partitions.conflict(mistakes, what);
            return None;
        }
        let token_lifetime = self.token_lifetime.get()?;
        if token_lifetime.subsec_nanos() != 0 || token_lifetime < Duration::from_secs(10) {
            let what = "an access token lives for whole seconds, at least 10".into();
            self.token_lifetime.conflict(mistakes, what);
            return None;
        }
        let heartbeat = self.heartbeat.get()?;
        if heartbeat.subsec_nanos() != 0
            || !(CLIENT_HEARTBEAT..=CLIENT_HEARTBEAT_MAX).contains(&heartbeat)
        {
            let what = "a heartbeat takes whole seconds, 5 to 600".into();
            self.heartbeat.conflict(mistakes, what);
            return None;
        }
        let link_timeout = self.link_timeout.get()?;
        if !(LINK_IDLE_TIMEOUT_MIN..=LINK_IDLE_TIMEOUT_MAX).contains(&link_timeout) {
            let what = "a link is given up after 1s to 60s of silence".into();
            self.link_timeout.conflict(mistakes, what);
            return None;
        }
        Some(ClusterShape {
            gateways: self.gateways.get()?.0,
            brokers: self.brokers.get()?.0,
            stores: self.stores.get()?.0,
            partitions: self.partitions.get()?.0,
            replication: self.replication.get()?.0,
            engine: self.engine.get()?,
            limits: self.limits.get()?,
            token_lifetime,
            heartbeat,
            link_timeout,
        })
    }
}

impl From<&ClusterShape> for Cluster {
    fn from(shape: &ClusterShape) -> Self {
        Self {
            gateways: Field::of(Whole(shape.gateways)),
            brokers: Field::of(Whole(shape.brokers)),
            stores: Field::of(Whole(shape.stores)),
            partitions: Field::of(Whole(shape.partitions)),
            replication: Field::of(Whole(shape.replication)),
            engine: Field::of(shape.engine),
            limits: Field::of(shape.limits),
            token_lifetime: Field::of(shape.token_lifetime),
            heartbeat: Field::of(shape.heartbeat),
            link_timeout: Field::of(shape.link_timeout),
        }
    }
}
