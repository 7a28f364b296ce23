//! The second half of a round: attaches are answered, and what was missed is looked up, from one instant and
//! with a few questions, however many there are of them.

use super::partitions::{Owned, Partitions};
use super::questions::questions;
use super::round::{AttachAnswer, NotOwned, Round};
use crate::core::conversation::Conversation;
use crate::core::missed::{self, Missed};
use crate::core::pages::{self, Budget, Start};
use ports::message_store::{Cursors, Keys, Ownership, Span, StoreError, StoreView};
use protocol::store_calls::{AttachItem, AttachRefusal, AttachedAt, AttachedItem};
use protocol::{ConversationId, Epoch, Partition as PartitionId, Sequence, UserId, limits};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Streams whose first entries are read together: what they may bring is in memory at once.
const STREAMS: usize = 64;
/// Entries of missed messages that are read together.
const MISSED: u64 = 1_000;

/// How far users have got.
type Reported = BTreeMap<(ConversationId, UserId), Cursors>;
/// Where a stream starts, of which partition and epoch.
type Begun = (PartitionId, Epoch, Result<Start, AttachRefusal>);

impl Partitions {
    /// Answers attaches and looks up what was missed. On an error nothing has happened.
    pub(super) fn answer(&mut self, round: &mut Round) -> Result<(), StoreError> {
        let reported = self.fetch(round)?;
        let store = Arc::clone(&self.store);
        let view = store.view()?;
        self.look_up_missed(&*view, round, &reported)?;
        let mut attached = Vec::with_capacity(round.attaches.len());
        for call in &round.attaches {
            attached.push(self.attach(&*view, &call.items, &reported)?);
        }
        round.departures.clear();
        for (call, attached) in std::mem::take(&mut round.attaches).into_iter().zip(attached) {
            match attached {
                Ok(answers) => round.done.attached.push(AttachAnswer { call, answers }),
                Err(not_owned) => round.done.misdirected.push((call.reply, not_owned)),
            }
        }
        Ok(())
    }

    /// Brings the conversations into memory that are not there yet, and the cursors that matter. Before the
    /// view begins: whoever still owns a partition then has missed nothing that was written in between.
    fn fetch(&mut self, round: &Round) -> Result<Reported, StoreError> {
        let departed = round.departures.iter().map(|it| (it.conversation, it.user, true));
        let items = round.attaches.iter().flat_map(|call| &call.items);
        let attached = items.map(|it| (it.conversation, it.user, it.after.is_none()));
        let mut keys: BTreeMap<PartitionId, Keys> = BTreeMap::new();
        for (id, user, needs_cursor) in departed.chain(attached) {
            let home = self.config.home(id);
            let Some(owned) = self.owned.get_mut(&home) else { continue };
            if owned.machine.cached(id).is_none() {
                keys.entry(home).or_default().conversations.insert(id);
            }
            if needs_cursor {
                keys.entry(home).or_default().cursors.insert((id, user));
            }
        }
        let mut reported = Reported::new();
        for part in questions(keys) {
            for ((home, _), rows) in part.iter().zip(self.store.prefetch(&part)?) {
                reported.extend(rows.cursors);
                let Some(owned) = self.owned.get_mut(home) else { continue };
                // What one part has brought stays, if the next one fails and all of it is asked again.
                for (id, (row, members)) in rows.conversations {
                    owned.machine.keep(id, Conversation::of(row, &members));
                }
            }
        }
        Ok(reported)
    }

    /// The pushes of what those missed who went.
    fn look_up_missed(
        &mut self,
        view: &dyn StoreView,
        round: &mut Round,
        reported: &Reported,
    ) -> Result<(), StoreError> {
        let most = self.config.limits.missed_messages;
        let mut spans = Vec::new();
        let mut left_out = 0;
        for departure in &round.departures {
            let (id, user) = (departure.conversation, departure.user);
            let home = self.config.home(id);
            let Ok(owned) = self.confirmed(view, home)? else { continue };
            let delivered = delivered(reported, id, user);
            let found = missed::missed(owned.machine.cached(id), departure, delivered, most);
            let Some(Missed { after, upto, left_out: more }) = found else { continue };
            left_out += more;
            let (before, limit) = (upto.next(), most as usize);
            spans.push((user, Span { partition: home, conversation: id, after, before, limit }));
        }
        let mut jobs = Vec::new();
        for part in spans.chunks((MISSED / most.max(1)).max(1) as usize) {
            let asked: Vec<Span> = part.iter().map(|(_, span)| *span).collect();
            for ((user, _), entries) in part.iter().zip(view.entries_of(&asked)?) {
                jobs.extend(missed::jobs(*user, &entries));
            }
        }
        (round.done.missed, round.done.left_out) = (jobs, left_out);
        Ok(())
    }

    /// The answers to all items, or which partitions are not this node's.
    fn attach(
        &mut self,
        view: &dyn StoreView,
        items: &[AttachItem],
        reported: &Reported,
    ) -> Result<Result<Vec<AttachedItem>, NotOwned>, StoreError> {
        let mut begun: Vec<(&AttachItem, Begun)> = Vec::with_capacity(items.len());
        let mut not_owned = BTreeMap::new();
        for item in items {
            let home = self.config.home(item.conversation);
            match self.confirmed(view, home)? {
                Ok(owned) => {
                    let delivered = delivered(reported, item.conversation, item.user);
                    let found = owned.machine.cached(item.conversation);
                    let start = pages::start(found, item, delivered);
                    begun.push((item, (home, owned.lease.epoch, start)));
                }
                Err(current) => {
                    not_owned.insert(home, current.known());
                }
            }
        }
        if !not_owned.is_empty() {
            return Ok(Err(not_owned.into_iter().collect()));
        }
        let mut budget = Budget::new(self.config.limits.answer_bytes);
        let mut answers = Vec::with_capacity(items.len());
        for part in begun.chunks(STREAMS) {
            read_streams(view, part, &mut budget, &mut answers)?;
        }
        Ok(Ok(answers))
    }

    /// A partition, if this node owns it, by its own word and by the engine's: what is answered under a
    /// lease that is not the newest would be a dead stream.
    fn confirmed(
        &mut self,
        view: &dyn StoreView,
        home: PartitionId,
    ) -> Result<Result<&mut Owned, Ownership>, StoreError> {
        let current = view.ownership(home)?;
        let owned = self.owned.get_mut(&home).filter(|owned| owned.lease.epoch == current.epoch);
        Ok(owned.ok_or(current))
    }
}

fn delivered(reported: &Reported, conversation: ConversationId, user: UserId) -> Sequence {
    reported.get(&(conversation, user)).map_or(Sequence(0), |cursors| cursors.delivered)
}

/// The answers to some items, with the entries that fit.
fn read_streams(
    view: &dyn StoreView,
    part: &[(&AttachItem, Begun)],
    budget: &mut Budget,
    answers: &mut Vec<AttachedItem>,
) -> Result<(), StoreError> {
    let span = |item: &AttachItem, (partition, _, start): &Begun| {
        let Start { from: after, head } =
            start.ok().filter(|it| !item.again && it.from < it.head)?;
        let (before, limit) = (head.next(), limits::MAX_PAGE as usize);
        Some(Span { partition: *partition, conversation: item.conversation, after, before, limit })
    };
    let spans: Vec<Option<Span>> = part.iter().map(|(item, begun)| span(item, begun)).collect();
    let asked: Vec<Span> = spans.iter().flatten().copied().map(pages::first_of).collect();
    let is_read = !budget.is_spent() && !asked.is_empty();
    let mut firsts = if is_read { view.entries_of(&asked)? } else { Vec::new() }.into_iter();
    for ((item, (_, epoch, start)), span) in part.iter().zip(spans) {
        let entries = match span.filter(|_| is_read) {
            Some(span) => budget.read_on(view, span, firsts.next().unwrap_or_default())?,
            None => Vec::new(),
        };
        let (conversation, user, epoch) = (item.conversation, item.user, *epoch);
        let outcome = start.map(|Start { from, head }| AttachedAt { from, head, entries, epoch });
        answers.push(AttachedItem { conversation, user, outcome });
    }
    Ok(())
}
