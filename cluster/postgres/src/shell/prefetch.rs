//! The rows of some keys, from one instant, in one round trip: the statements of a transaction are sent
//! without waiting for the answers of those before, and those for no keys are not.

use super::rows::all;
use super::session::Session;
use crate::core::failure::Purpose;
use crate::core::numbers::stored;
use futures_util::future::{join, join5};
use ports::message_store::{Keys, Rows, StoreError};
use protocol::Partition;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

/// One instant for all statements up to the end of the transaction.
pub const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

// `LATERAL` and `OFFSET 0` leave PostgreSQL no plan but the one by keys. Otherwise, in tables that were analysed
// while they were empty, it reads all of each and compares.

const CONVERSATIONS: &str = "\
SELECT it.partition, it.id, it.kind, it.head, it.first, it.founders \
FROM unnest($1::integer[], $2::bigint[]) AS asked(partition, id), \
LATERAL (SELECT * FROM conversations WHERE partition = asked.partition AND id = asked.id OFFSET 0) AS it";

const MEMBERS: &str = "\
SELECT it.partition, it.conversation, it.member, it.joined, it.left_at \
FROM unnest($1::integer[], $2::bigint[]) AS asked(partition, conversation), \
LATERAL (SELECT * FROM members \
WHERE partition = asked.partition AND conversation = asked.conversation OFFSET 0) AS it \
ORDER BY it.partition, it.conversation, it.member, it.joined";

const DECISIONS: &str = "\
SELECT it.partition, it.author, it.message, it.conversation, it.sequence, it.refusal, it.epoch, \
it.owner, its.entry \
FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) AS asked(partition, author, message), \
LATERAL (SELECT * FROM decisions WHERE partition = asked.partition \
AND author = asked.author AND message = asked.message OFFSET 0) AS it \
LEFT JOIN LATERAL (SELECT entry FROM entries WHERE partition = it.partition \
AND conversation = it.conversation AND sequence = it.sequence OFFSET 0) AS its ON it.refusal = 0";

/// Each asked sequence with its entry, if there is one, and whether its message is deleted.
const ENTRIES: &str = "\
SELECT asked.partition, asked.conversation, asked.sequence, it.entry, \
CASE WHEN deleted.sequence IS NULL THEN 0 ELSE 1 END::bigint \
FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) AS asked(partition, conversation, sequence) \
LEFT JOIN LATERAL (SELECT entry FROM entries WHERE partition = asked.partition \
AND conversation = asked.conversation AND sequence = asked.sequence OFFSET 0) AS it ON true \
LEFT JOIN LATERAL (SELECT sequence FROM deletions WHERE partition = asked.partition \
AND conversation = asked.conversation AND sequence = asked.sequence OFFSET 0) AS deleted ON true";

const CURSORS: &str = "\
SELECT it.partition, it.conversation, it.member, it.delivered, it.seen \
FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) AS asked(partition, conversation, member), \
LATERAL (SELECT * FROM cursors WHERE partition = asked.partition \
AND conversation = asked.conversation AND member = asked.member OFFSET 0) AS it";

/// Keys of two numbers behind a partition, as columns.
#[derive(Default)]
struct Pairs {
    partitions: Vec<i32>,
    first: Vec<i64>,
    second: Vec<i64>,
}

impl Pairs {
    fn of(keys: &[(Partition, Keys)], pairs: impl Fn(&Keys) -> Vec<(u64, u64)>) -> Self {
        let mut columns = Self::default();
        for (partition, keys) in keys {
            for (first, second) in pairs(keys) {
                columns.partitions.push(i32::from(partition.0));
                columns.first.push(stored(first));
                columns.second.push(stored(second));
            }
        }
        columns
    }

    fn parameters(&self) -> [&(dyn ToSql + Sync); 3] {
        [&self.partitions, &self.first, &self.second]
    }
}

/// What the five statements have brought.
struct Fetched {
    conversations: Vec<Row>,
    members: Vec<Row>,
    decisions: Vec<Row>,
    entries: Vec<Row>,
    cursors: Vec<Row>,
}

/// Fetches the rows of keys.
pub async fn prefetch(
    session: &Session,
    keys: &[(Partition, Keys)],
) -> Result<Vec<Rows>, StoreError> {
    let fetched = fetch(session, keys).await?;
    let mut rows: Vec<Rows> = keys.iter().map(|_| Rows::default()).collect();
    // Who asks for a partition twice gets what it asked for each time, and maybe more.
    let mut places: BTreeMap<Partition, Vec<usize>> = BTreeMap::new();
    for (place, (partition, _)) in keys.iter().enumerate() {
        places.entry(*partition).or_default().push(place);
    }
    let mut put = |partition, put: &dyn Fn(&mut Rows)| {
        for place in places.get(&partition).into_iter().flatten() {
            put(&mut rows[*place]);
        }
    };
    for (partition, id, row) in all::<_, Vec<_>>(&fetched.conversations, |cells| {
        Ok((cells.partition()?, cells.conversation()?, cells.conversation_row()?))
    })? {
        put(partition, &|rows| {
            rows.conversations.insert(id, (row, Vec::new()));
        });
    }
    for (partition, id, member) in all::<_, Vec<_>>(&fetched.members, |cells| {
        Ok((cells.partition()?, cells.conversation()?, cells.membership()?))
    })? {
        put(partition, &|rows| {
            if let Some((_, members)) = rows.conversations.get_mut(&id) {
                members.push(member);
            }
        });
    }
    for (partition, key, row, entry) in all::<_, Vec<_>>(&fetched.decisions, |cells| {
        let (partition, key) = (cells.partition()?, (cells.user()?, cells.message()?));
        Ok((partition, key, cells.decision()?, cells.optional_entry()?.map(Arc::new)))
    })? {
        put(partition, &|rows| {
            rows.decisions.insert(key, row);
            if let (Ok(sequence), Some(entry)) = (row.decision, &entry) {
                rows.entries.insert((row.conversation, sequence), Arc::clone(entry));
            }
        });
    }
    for (partition, key, entry, deleted) in all::<_, Vec<_>>(&fetched.entries, |cells| {
        let (partition, key) = (cells.partition()?, (cells.conversation()?, cells.sequence()?));
        Ok((partition, key, cells.optional_entry()?.map(Arc::new), cells.count()? > 0))
    })? {
        put(partition, &|rows| {
            rows.entries.extend(entry.iter().map(|entry| (key, Arc::clone(entry))));
            rows.deletions.extend(deleted.then_some(key));
        });
    }
    for (partition, key, row) in all::<_, Vec<_>>(&fetched.cursors, |cells| {
        Ok((cells.partition()?, (cells.conversation()?, cells.user()?), cells.cursors()?))
    })? {
        put(partition, &|rows| {
            rows.cursors.insert(key, row);
        });
    }
    Ok(rows)
}

async fn fetch(session: &Session, keys: &[(Partition, Keys)]) -> Result<Fetched, StoreError> {
    let of_one = |ids: &Keys| ids.conversations.iter().map(|id| (id.0, 0)).collect();
    let conversations = Pairs::of(keys, of_one);
    let decisions = Pairs::of(keys, |keys| {
        keys.decisions.iter().map(|(author, id)| (author.0, id.0)).collect()
    });
    let entries =
        Pairs::of(keys, |keys| keys.entries.iter().map(|(id, at)| (id.0, at.0)).collect());
    let cursors =
        Pairs::of(keys, |keys| keys.cursors.iter().map(|(id, user)| (id.0, user.0)).collect());
    let client = session.client();
    let fetching = async {
        // Round trips, the first time on this connection.
        let of_conversations = client.prepare_cached(CONVERSATIONS).await?;
        let of_members = client.prepare_cached(MEMBERS).await?;
        let of_decisions = client.prepare_cached(DECISIONS).await?;
        let of_entries = client.prepare_cached(ENTRIES).await?;
        let of_cursors = client.prepare_cached(CURSORS).await?;
        // Each is sent when it is polled first, and these are polled in their order.
        let rows_of = async |statement: &Statement, keys: &Pairs| {
            if keys.partitions.is_empty() {
                return Ok(Vec::new());
            }
            client.query(statement, &keys.parameters()[..statement.params().len()]).await
        };
        let rows = join5(
            rows_of(&of_conversations, &conversations),
            rows_of(&of_members, &conversations),
            rows_of(&of_decisions, &decisions),
            rows_of(&of_entries, &entries),
            rows_of(&of_cursors, &cursors),
        );
        let begun = client.batch_execute(BEGIN);
        let ended = client.batch_execute("COMMIT");
        let (begun, (rows, ended)) = join(begun, join(rows, ended)).await;
        begun?;
        let fetched = Fetched {
            conversations: rows.0?,
            members: rows.1?,
            decisions: rows.2?,
            entries: rows.3?,
            cursors: rows.4?,
        };
        ended?;
        Ok(fetched)
    };
    session.in_time(fetching).await.map_err(|failure| failure.told(Purpose::Read))
}
