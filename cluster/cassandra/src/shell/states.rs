//! Who owns a partition and how far its log is.

use super::failure::{Failure, corrupt};
use super::link::Link;
use crate::core::numbers::read;
use crate::core::outcome::State;
use ports::message_store::{Ownership, StoreError};
use protocol::{Epoch, NodeNumber, Partition};
use scylla::DeserializeRow;
use std::collections::BTreeMap;

/// Null, as long as nobody has ever owned the partition.
#[derive(DeserializeRow)]
struct Stored {
    partition: i32,
    owner: Option<i32>,
    epoch: Option<i64>,
    renewals: Option<i64>,
    claimer: Option<i64>,
    head: Option<i64>,
    applied: Option<i64>,
    writer: Option<i64>,
}

impl Stored {
    fn state(&self) -> Result<State, StoreError> {
        let owner = NodeNumber(u16::try_from(self.owner.unwrap_or_default()).map_err(corrupt)?);
        let ownership = Ownership {
            owner,
            epoch: Epoch(read(self.epoch.unwrap_or_default())),
            renewals: read(self.renewals.unwrap_or_default()),
        };
        Ok(State {
            ownership,
            claimer: self.claimer.unwrap_or_default(),
            head: self.head.unwrap_or_default(),
            applied: self.applied.unwrap_or_default(),
            writer: self.writer.unwrap_or_default(),
        })
    }
}

/// The state of a partition after every transaction that was begun before: what has no effect by now has none
/// later, unless a server has not begun it.
pub async fn decided(link: &Link, partition: Partition) -> Result<State, StoreError> {
    let values = (i32::from(partition.0),);
    let rows = link.rows(&link.statements.state, values).await.map_err(Failure::of_read)?;
    let stored = rows.maybe_first_row::<Stored>().map_err(corrupt)?;
    stored.map_or(Ok(State::default()), |stored| stored.state())
}

/// The states of partitions: all that was confirmed to anybody before, and maybe more.
pub async fn current(
    link: &Link,
    partitions: impl Iterator<Item = Partition>,
) -> Result<BTreeMap<Partition, State>, StoreError> {
    let partitions: Vec<i32> = partitions.map(|it| i32::from(it.0)).collect();
    let rows = link.rows(&link.statements.states, (partitions,)).await.map_err(Failure::of_read)?;
    let mut states = BTreeMap::new();
    for row in rows.rows::<Stored>().map_err(corrupt)? {
        let row = row.map_err(corrupt)?;
        let partition = Partition(u16::try_from(row.partition).map_err(corrupt)?);
        states.insert(partition, row.state()?);
    }
    Ok(states)
}
