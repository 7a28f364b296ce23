//! Rows of the tables as the port has them.

use crate::core::numbers::read;
use ports::message_store::{ConversationRow, Cursors, DecisionRow, Ownership, StoreError};
use protocol::store_calls::{ConversationKind, Membership, ReceiptItem};
use protocol::{
    ClientMessageId, ConversationId, Entry, Epoch, NodeNumber, Partition, RejectReason, Sequence,
    UserId,
};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

/// A row that is read from left to right.
pub struct Cells<'a> {
    row: &'a Row,
    next: usize,
}

/// What a row holds, or why it is of no use.
pub type Read<T> = Result<T, StoreError>;

#[expect(clippy::needless_pass_by_value, reason = "so that it can be given to map_err")]
fn corrupt(what: impl ToString) -> StoreError {
    StoreError::Corrupt(what.to_string())
}

impl<'a> Cells<'a> {
    /// From the first cell on.
    pub fn of(row: &'a Row) -> Self {
        Self { row, next: 0 }
    }

    fn cell<T: FromSql<'a>>(&mut self) -> Read<T> {
        let cell = self.row.try_get(self.next).map_err(|error| corrupt(ports::with_causes(&error)));
        self.next += 1;
        cell
    }

    fn number(&mut self) -> Read<u64> {
        self.cell().map(read)
    }

    /// `integer`, of a number that is small.
    fn small(&mut self) -> Read<u16> {
        u16::try_from(self.cell::<i32>()?).map_err(corrupt)
    }

    pub fn partition(&mut self) -> Read<Partition> {
        self.small().map(Partition)
    }

    pub fn conversation(&mut self) -> Read<ConversationId> {
        self.number().map(ConversationId)
    }

    pub fn user(&mut self) -> Read<UserId> {
        self.number().map(UserId)
    }

    pub fn message(&mut self) -> Read<ClientMessageId> {
        self.number().map(ClientMessageId)
    }

    pub fn sequence(&mut self) -> Read<Sequence> {
        self.number().map(Sequence)
    }

    /// A count.
    pub fn count(&mut self) -> Read<u64> {
        self.number()
    }

    /// The place in a question, which `WITH ORDINALITY` counts from 1.
    pub fn place(&mut self) -> Read<usize> {
        usize::try_from(self.number()?.saturating_sub(1)).map_err(corrupt)
    }

    /// The writer's number of a lease.
    pub fn writer(&mut self) -> Read<i64> {
        self.cell()
    }

    /// (owner, epoch, renewals), all of them null if there is no row.
    pub fn ownership(&mut self) -> Read<Ownership> {
        let (owner, epoch, renewals) =
            (self.cell::<Option<i32>>()?, self.cell::<Option<i64>>()?, self.cell::<Option<i64>>()?);
        Ok(Ownership {
            owner: NodeNumber(u16::try_from(owner.unwrap_or_default()).map_err(corrupt)?),
            epoch: Epoch(read(epoch.unwrap_or_default())),
            renewals: read(renewals.unwrap_or_default()),
        })
    }

    /// (kind, head, first, founders)
    pub fn conversation_row(&mut self) -> Read<ConversationRow> {
        let kind = match self.cell::<i16>()? {
            0 => ConversationKind::Direct,
            1 => ConversationKind::Group,
            other => return Err(corrupt(format!("there is no kind {other} of a conversation"))),
        };
        let (head, first) = (self.sequence()?, self.sequence()?);
        let founders = u32::try_from(self.number()?).map_err(corrupt)?;
        Ok(ConversationRow { kind, head, first, founders })
    }

    /// (member, joined, left)
    pub fn membership(&mut self) -> Read<Membership> {
        let (user, joined) = (self.user()?, self.sequence()?);
        let left = self.cell::<Option<i64>>()?.map(|left| Sequence(read(left)));
        Ok(Membership { user, joined, left })
    }

    /// (conversation, sequence, refusal, epoch, owner)
    pub fn decision(&mut self) -> Read<DecisionRow> {
        let (conversation, sequence) = (self.conversation()?, self.sequence()?);
        let decision = match u8::try_from(self.cell::<i16>()?).map_err(corrupt)? {
            0 => Ok(sequence),
            number => Err(RejectReason::numbered(number)
                .ok_or_else(|| corrupt(format!("there is no reason {number}")))?),
        };
        let (epoch, owner) = (Epoch(self.number()?), NodeNumber(self.small()?));
        Ok(DecisionRow { conversation, decision, epoch, owner })
    }

    /// The entry, if it is there.
    pub fn optional_entry(&mut self) -> Read<Option<Entry>> {
        let bytes = self.cell::<Option<&[u8]>>()?;
        bytes
            .map(postcard::from_bytes)
            .transpose()
            .map_err(|error| corrupt(format!("an entry cannot be read: {error}")))
    }

    pub fn entry(&mut self) -> Read<Entry> {
        self.optional_entry()?.ok_or_else(|| corrupt("an entry is empty"))
    }

    /// (delivered, read)
    pub fn cursors(&mut self) -> Read<Cursors> {
        Ok(Cursors { delivered: self.sequence()?, read: self.sequence()? })
    }

    /// (member, delivered, read)
    pub fn receipt(&mut self, conversation: ConversationId) -> Read<ReceiptItem> {
        let (user, Cursors { delivered, read }) = (self.user()?, self.cursors()?);
        Ok(ReceiptItem { conversation, user, delivered, read })
    }
}

/// Every row, by a reader of its cells.
pub fn all<'a, T, Rows: FromIterator<T>>(
    rows: &'a [Row],
    read: impl Fn(&mut Cells<'a>) -> Read<T>,
) -> Read<Rows> {
    rows.iter().map(|row| read(&mut Cells::of(row))).collect()
}
