//! Commits: one statement for all batches, nearly always.

use super::leases;
use super::rows::all;
use super::session::{Session, Sessions};
use crate::core::commit::{self, Column, Numbered};
use crate::core::failure::Purpose;
use crate::core::waves::{Wave, waves};
use crate::core::writers::Writers;
use ports::entered;
use ports::message_store::{Batch, Fenced, Lease, Ownership, StoreError};
use protocol::Partition;
use std::collections::BTreeMap;
use std::sync::Mutex;
use tokio_postgres::types::ToSql;

/// How often a lease may turn out to be written under another number. Two adapters under one lease would
/// raise it in turns, for ever.
const ATTEMPTS: usize = 3;

/// Writes each batch whose lease is the newest; the others are returned.
pub async fn commit(
    sessions: &Sessions,
    writers: &Mutex<Writers>,
    batches: &[(Lease, Batch)],
) -> Result<Vec<Fenced>, StoreError> {
    let mut fenced = Vec::new();
    let mut is_begun = false;
    for wave in waves(batches) {
        let session = sessions.get().await;
        let written = match session {
            Ok(session) => write(&session, writers, wave, &mut is_begun).await,
            Err(error) => Err(error),
        };
        match written {
            Ok(more) => fenced.extend(more),
            // Some of it is done.
            Err(StoreError::Unavailable(why)) if is_begun => return Err(StoreError::Unknown(why)),
            Err(error) => return Err(error),
        }
    }
    Ok(fenced)
}

async fn write(
    session: &Session,
    writers: &Mutex<Writers>,
    mut wave: Wave<'_>,
    is_begun: &mut bool,
) -> Result<Vec<Fenced>, StoreError> {
    let mut fenced = Vec::new();
    for _ in 0..ATTEMPTS {
        let numbered = number(session, writers, &wave).await?;
        let refused = match send(session, &numbered).await {
            Ok(refused) => refused,
            Err(Sending { error, is_open }) => {
                if is_open {
                    entered(writers.lock()).forget(wave.iter().map(|(lease, _)| *lease));
                }
                return Err(error);
            }
        };
        *is_begun = true;
        let mut again = Wave::new();
        for one in wave {
            let lease = one.0;
            match refused.get(&lease.partition) {
                None => {}
                Some(current) if current.epoch == lease.epoch => again.push(one),
                Some(current) => {
                    fenced.push(Fenced { partition: lease.partition, current: *current });
                }
            }
        }
        if again.is_empty() {
            return Ok(fenced);
        }
        // Somebody has raised the number since: another life of this node, under the same lease.
        entered(writers.lock()).forget(again.iter().map(|(lease, _)| *lease));
        wave = again;
    }
    Err(StoreError::Unavailable("somebody else writes under the same leases".into()))
}

/// The batches with the writers' numbers of their leases; raised, where they are not known.
async fn number<'a>(
    session: &Session,
    writers: &Mutex<Writers>,
    wave: &Wave<'a>,
) -> Result<Vec<Numbered<'a>>, StoreError> {
    let is_unknown = |lease: &Lease| entered(writers.lock()).number(*lease).is_none();
    let unknown: Vec<Lease> =
        wave.iter().map(|(lease, _)| *lease).filter(|lease| is_unknown(lease)).collect();
    if !unknown.is_empty() {
        for (lease, number) in leases::raise(session, &unknown).await? {
            entered(writers.lock()).learn(lease, number);
        }
    }
    let known = entered(writers.lock());
    // A lease that is not the newest has no number, and 0 is nobody's.
    let of = |lease: Lease| known.number(lease).unwrap_or_default();
    Ok(wave.iter().map(|(lease, batch)| (*lease, of(*lease), batch)).collect())
}

/// Why a statement brought no answer.
struct Sending {
    error: StoreError,
    /// Whether it may still be carried out.
    is_open: bool,
}

/// Writes in one statement; what was not written, and who owns it.
async fn send(
    session: &Session,
    numbered: &[Numbered<'_>],
) -> Result<BTreeMap<Partition, Ownership>, Sending> {
    let settled = |error| Sending { error, is_open: false };
    let statement = commit::statement(numbered);
    let statement = statement.map_err(|it| settled(StoreError::Corrupt(it.to_string())))?;
    let parameters: Vec<&(dyn ToSql + Sync)> = statement.parameters.iter().map(parameter).collect();
    match session.query(&statement.sql, &parameters).await {
        Ok(rows) => {
            let refused = all(&rows, |cells| Ok((cells.partition()?, cells.ownership()?)));
            refused.map_err(settled)
        }
        Err(failure) => {
            let is_open = failure.is_open();
            Err(Sending { error: failure.told(Purpose::Write), is_open })
        }
    }
}

fn parameter(column: &Column) -> &(dyn ToSql + Sync) {
    match column {
        Column::Small(values) => values,
        Column::Integers(values) => values,
        Column::Numbers(values) => values,
        Column::Optional(values) => values,
        Column::Bytes(values) => values,
    }
}
