//! How the processes of a cluster are started: from the bottom up, each tier once the one below it runs.

use super::node::{Begun, begun};
use super::{Cluster, ClusterError, Starts, tell_panic};
use crate::world::layout::Tier;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use verify::history::What;
use workload::rest::Http;

/// How long all gateways may take to be ready, once all nodes run.
const READY: Duration = Duration::from_mins(1);
/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

impl Cluster {
    /// Starts all nodes, and waits until all of them run and all gateways are ready.
    ///
    /// A caller that loses its patience finds the processes in here, and can kill them.
    pub async fn start_all(&mut self, http: &Http) -> Result<(), ClusterError> {
        self.start_tiers(&[Tier::Engine]).await?;
        self.start_tiers(&[Tier::Node, Tier::Gateway]).await?;
        self.until_ready(&self.gateways, http).await?;
        // It takes a gateway for ready that it has not asked yet: now they are.
        self.start_tiers(&[Tier::Balancer]).await?;
        self.until_ready(self.balancer.as_slice(), http).await?;
        self.start_tiers(&[Tier::Monitor]).await
    }

    async fn start_tiers(&mut self, tiers: &[Tier]) -> Result<(), ClusterError> {
        let mut starts = Starts::new();
        for index in 0..self.nodes.len() {
            if tiers.contains(&self.nodes[index].tier()) {
                self.start(index, &mut starts)?;
            }
        }
        while let Some(started) = starts.join_next().await {
            self.check_start(started).await?;
        }
        Ok(())
    }

    async fn until_ready(&self, gateways: &[String], http: &Http) -> Result<(), ClusterError> {
        let deadline = Instant::now() + READY;
        for gateway in gateways {
            while !http.is_ready(gateway).await {
                if Instant::now() >= deadline {
                    let (node, log) = (format!("the gateway at {gateway}"), self.logs());
                    return Err(ClusterError::NotReady { node, log });
                }
                sleep(LOOK_AGAIN).await;
            }
        }
        Ok(())
    }

    /// Starts those of some nodes that do not run.
    pub fn start_again(
        &mut self,
        names: &[Arc<str>],
        starts: &mut Starts,
    ) -> Result<(), ClusterError> {
        for index in 0..self.nodes.len() {
            let node = &self.nodes[index];
            if names.contains(node.name()) && node.id().is_none() {
                self.start(index, starts)?;
            }
        }
        Ok(())
    }

    fn start(&mut self, index: usize, starts: &mut Starts) -> Result<(), ClusterError> {
        let (node, left) = (&mut self.nodes[index], self.left.clone());
        let name = node.name().clone();
        self.recorder.record(What::NodeStarted { node: name.clone() });
        let who = name.clone();
        let first = node.start(&self.binary, move |departure| {
            left.send_if_modified(|left| {
                let is_first = left.is_none();
                left.get_or_insert((who, departure));
                is_first
            });
        })?;
        starts.spawn(async move { (name, begun(first).await) });
        self.tell_ids();
        Ok(())
    }

    /// What became of a start.
    pub async fn check_start(
        &mut self,
        started: Result<(Arc<str>, Begun), tokio::task::JoinError>,
    ) -> Result<(), ClusterError> {
        let (name, begun) = started.expect("nothing in it panics, and nobody aborts it");
        let Some(node) = self.nodes.iter_mut().find(|node| *node.name() == name) else {
            return Ok(());
        };
        let node_name = name.to_string();
        match begun {
            Begun::Well => Ok(()),
            Begun::Silent => Err(ClusterError::NotReady { node: node_name, log: node.log() }),
            Begun::Ended => {
                let ended = node.left(true).await;
                let ended = ended.map_or_else(String::new, |obituary| {
                    tell_panic(&*self.recorder, &name, &obituary);
                    obituary.words
                });
                Err(ClusterError::NotStarted { node: node_name, ended })
            }
        }
    }
}
