//! Every statement, prepared once for each session.

use scylla::client::session::Session;
use scylla::errors::PrepareError;
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::{Consistency, SerialConsistency};

/// The statements on the tables of a keyspace.
pub struct Statements {
    /// Takes a partition that nobody ever owned.
    pub claim_first: PreparedStatement,
    /// Takes a partition from whoever was seen.
    pub claim: PreparedStatement,
    /// Says that the owner lives.
    pub renew: PreparedStatement,
    /// Takes the next slot.
    pub commit: PreparedStatement,
    /// The state of a partition, with whatever was left undecided decided first.
    pub state: PreparedStatement,
    /// The states of some partitions.
    pub states: PreparedStatement,
    /// Slots of a partition, with whatever was left undecided decided first.
    pub slots: PreparedStatement,
    /// Removes old slots.
    pub remove_slots: PreparedStatement,
    /// Writes a row.
    pub row: PreparedStatement,
    /// One row, as of a slot.
    pub point: PreparedStatement,
    /// All rows of a kind in a place.
    pub list: PreparedStatement,
    /// The same from a first number up to another, both left out.
    pub range: PreparedStatement,
    /// Removes old versions of a row.
    pub remove_versions: PreparedStatement,
    /// Removes rows of a kind below a first number.
    pub remove_below: PreparedStatement,
}

const STATE: &str = "partition, owner, epoch, renewals, claimer, head, applied, writer";
const OF_PLACE: &str = "WHERE partition = ? AND scope = ? AND id = ? AND kind = ?";

impl Statements {
    /// Prepares them.
    pub async fn prepare(session: &Session, keyspace: &str) -> Result<Self, PrepareError> {
        let (slots, rows) = (format!("{keyspace}.slots"), format!("{keyspace}.rows"));
        let at = |consistency| move |cql: String| prepared(session, cql, consistency);
        let (quorum, serial) = (at(Consistency::Quorum), at(Consistency::Serial));
        let select = format!("SELECT a, b, slot, value FROM {rows} {OF_PLACE}");
        Ok(Self {
            claim_first: quorum(format!(
                "UPDATE {slots} SET owner = ?, epoch = 1, renewals = 0, claimer = ?, head = 0, \
                 applied = 0, writer = 0 WHERE partition = ? IF epoch = null"
            ))
            .await?,
            claim: quorum(format!(
                "UPDATE {slots} SET owner = ?, epoch = ?, renewals = 0, claimer = ? \
                 WHERE partition = ? IF owner = ? AND epoch = ? AND renewals = ?"
            ))
            .await?,
            renew: quorum(format!(
                "UPDATE {slots} SET renewals = ? WHERE partition = ? IF epoch = ? AND renewals = ?"
            ))
            .await?,
            commit: quorum(format!(
                "UPDATE {slots} SET head = ?, applied = ?, writer = ?, attempt = ?, payload = ? \
                 WHERE partition = ? AND slot = ? IF epoch = ? AND head = ?"
            ))
            .await?,
            state: serial(format!("SELECT DISTINCT {STATE} FROM {slots} WHERE partition = ?")).await?,
            states: quorum(format!(
                "SELECT DISTINCT {STATE} FROM {slots} WHERE partition IN ?"
            ))
            .await?,
            slots: serial(format!(
                "SELECT slot, attempt, payload FROM {slots} \
                 WHERE partition = ? AND slot > ? AND slot <= ? ORDER BY slot ASC LIMIT ?"
            ))
            .await?,
            remove_slots: quorum(format!("DELETE FROM {slots} WHERE partition = ? AND slot < ?"))
                .await?,
            row: quorum(format!(
                "INSERT INTO {rows} (partition, scope, id, kind, a, b, slot, value) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
            ))
            .await?,
            point: quorum(format!(
                "SELECT slot, value FROM {rows} {OF_PLACE} AND a = ? AND b = ? AND slot <= ? LIMIT 1"
            ))
            .await?,
            list: quorum(select.clone()).await?,
            range: quorum(format!("{select} AND a > ? AND a < ?")).await?,
            remove_versions: quorum(format!(
                "DELETE FROM {rows} USING TIMESTAMP ? {OF_PLACE} AND a = ? AND b = ? AND slot < ?"
            ))
            .await?,
            remove_below: quorum(format!("DELETE FROM {rows} USING TIMESTAMP ? {OF_PLACE} AND a < ?"))
                .await?,
        })
    }
}

async fn prepared(
    session: &Session,
    cql: String,
    consistency: Consistency,
) -> Result<PreparedStatement, PrepareError> {
    let mut statement = session.prepare(cql).await?;
    statement.set_consistency(consistency);
    statement.set_serial_consistency(Some(SerialConsistency::Serial));
    Ok(statement)
}
