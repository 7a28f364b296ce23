//! The lanes of a diagram: who takes part, clients on the left, stores on the right.

use super::super::fault;
use super::step::Course;
use crate::measured::Band;
use protocol::{NodeNumber, UserId};
use verify::history::event::Device;

/// Nodes that a fault may add: of more it says nothing.
const ADDED_MAX: usize = 2;

/// Somebody who takes part. The order of the kinds is the one from left to right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lane {
    rank: usize,
    /// What it is: `store`.
    pub(crate) kind: String,
    /// Which one: `2`. Empty: there is one.
    pub(crate) name: String,
}

/// From left to right; a kind that is not here stands before the last one.
const KINDS: [&str; 7] = ["device", "user", "gateway", "broker", "cluster", "store", "final"];

impl Lane {
    fn of(kind: &str, name: String) -> Self {
        let rank =
            KINDS.iter().position(|other| *other == kind).map_or(KINDS.len() * 2 - 3, |at| at * 2);
        Self { rank, kind: kind.to_owned(), name }
    }

    pub(super) fn device(device: Device) -> Self {
        Self::of("device", format!("{}/{}", device.user, device.device))
    }

    /// A user whose device is not known.
    pub(super) fn user(user: UserId) -> Self {
        Self::of("user", user.to_string())
    }

    pub(super) fn store(number: NodeNumber) -> Self {
        Self::of("store", number.to_string())
    }

    /// A store, nobody knows which.
    pub(super) fn some_store() -> Self {
        Self::of("store", String::new())
    }

    /// Some node, nobody knows which.
    pub(super) fn cluster() -> Self {
        Self::of("cluster", String::new())
    }

    /// The reads with a service's token, after everything else.
    pub(super) fn final_read() -> Self {
        Self::of("final", "read".to_owned())
    }

    /// A node by its name: `gateway-1`, `notifier`.
    pub(super) fn node(name: &str) -> Self {
        match name.rsplit_once('-') {
            Some((kind, number)) => Self::of(kind, number.to_owned()),
            None => Self::of(name, String::new()),
        }
    }

    /// The device that a sentence names.
    pub(super) fn device_in(sentence: &str) -> Option<Self> {
        let (_, rest) = sentence.split_once("device ")?;
        let name = rest.split(|c: char| !c.is_ascii_digit() && c != '/').next()?;
        name.contains('/').then(|| Self::of("device", name.to_owned()))
    }

    /// Whether a fault was on this node.
    pub(super) fn is_hit(&self, band: &Band) -> bool {
        let name = if self.name.is_empty() {
            self.kind.clone()
        } else {
            format!("{}-{}", self.kind, self.name)
        };
        fault::hits(band, &name)
    }
}

/// All lanes of some steps, and of the nodes that faults hit, each once.
pub(super) fn ordered<'a>(
    courses: impl Iterator<Item = &'a Course>,
    faults: &[&Band],
) -> Vec<Lane> {
    let mut lanes: Vec<Lane> = Vec::new();
    let named = courses.flat_map(Course::nodes).cloned();
    let hit = faults.iter().flat_map(|band| {
        let nodes: Vec<Lane> = fault::nodes_of(band).map(Lane::node).collect();
        if nodes.len() > ADDED_MAX { Vec::new() } else { nodes }
    });
    for lane in named.chain(hit) {
        if !lanes.contains(&lane) {
            lanes.push(lane);
        }
    }
    // Of one kind they stay as they come: the author of a message is the first.
    lanes.sort_by_key(|lane| lane.rank);
    lanes
}
