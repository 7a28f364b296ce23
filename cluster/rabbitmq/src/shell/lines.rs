//! The lines of a connection that publishes: one for each queue, on a channel of its own.
//!
//! RabbitMQ makes a channel known to a quorum queue when it publishes there first, and does nothing else for
//! that channel until the queue's leader has answered, for up to 65 s (`rabbit_fifo_client`, which waits in
//! `ra:process_command`). On one channel for all queues, one without a leader stops the others.

use super::publisher::{self, Outgoing, SILENCE};
use crate::core::topology::{LineKey, Topology};
use lapin::Connection;
use ports::{Machine, entered};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// What the lines of a connection share.
pub struct Publishing {
    machine: Machine,
    /// What they publish on.
    pub connection: Connection,
    /// Where to.
    pub topology: Arc<Topology>,
    /// True once the link is lost.
    pub lost: watch::Sender<bool>,
    /// When one of them was told something.
    progress: Mutex<Instant>,
}

impl Publishing {
    /// A line was told something.
    pub fn progressed(&self) {
        *entered(self.progress.lock()) = Instant::now();
    }

    /// Whether no line was told anything for too long, though one waits.
    pub fn is_silent(&self) -> bool {
        entered(self.progress.lock()).elapsed() > SILENCE
    }
}

/// The lines that were needed by now.
pub struct Lines {
    /// What they share.
    pub with: Arc<Publishing>,
    lines: Mutex<BTreeMap<LineKey, mpsc::UnboundedSender<Outgoing>>>,
}

impl Lines {
    /// None yet.
    pub fn new(
        machine: &Machine,
        connection: Connection,
        topology: &Arc<Topology>,
        lost: watch::Sender<bool>,
    ) -> Self {
        let (machine, topology) = (machine.clone(), Arc::clone(topology));
        let progress = Mutex::new(Instant::now());
        let with = Arc::new(Publishing { machine, connection, topology, lost, progress });
        Self { with, lines: Mutex::default() }
    }

    /// Puts a message in line; when its line has ended it is dropped, and so unknown.
    pub fn put(&self, outgoing: Outgoing) {
        let mut lines = entered(self.lines.lock());
        let line = lines.entry(outgoing.to.line()).or_insert_with(|| {
            let (sender, line) = mpsc::unbounded_channel();
            let publishing = publisher::run(Arc::clone(&self.with), line);
            self.with.machine.spawn("rabbitmq publisher", publishing);
            sender
        });
        let _ = line.send(outgoing);
    }
}
