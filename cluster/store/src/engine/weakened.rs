//! Engines that are spoiled on purpose, each by one bad design choice. They stand behind the port, so
//! that nothing of them is in the way of the good ones.

use ports::entered;
use ports::message_store::{
    Batch, Claim, DecisionRow, Fenced, Keys, Lease, MessageStore, Rows, StoreError, StoreView,
};
use protocol::Design;
use protocol::design::{Deduplication, Fencing};
use protocol::{ClientMessageId, Partition, UserId};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

/// Keys that `deduplication = memory` remembers; the oldest is forgotten first.
const REMEMBERED: usize = 100_000;

/// An engine as a design wants it: by default as it is.
pub fn weakened(store: Arc<dyn MessageStore>, design: Design) -> Arc<dyn MessageStore> {
    let store: Arc<dyn MessageStore> = match design.deduplication {
        Deduplication::Durable => store,
        Deduplication::Memory => Arc::new(Forgetful { store, remembered: Some(Mutex::default()) }),
        Deduplication::Off => Arc::new(Forgetful { store, remembered: None }),
    };
    match design.fencing {
        Fencing::Epoch => store,
        Fencing::None => Arc::new(Unfenced(store)),
    }
}

/// An engine that does not store de-duplication keys.
struct Forgetful {
    store: Arc<dyn MessageStore>,
    /// Those of this process, if they are remembered at all.
    remembered: Option<Mutex<Remembered>>,
}

#[derive(Default)]
struct Remembered {
    rows: BTreeMap<Key, DecisionRow>,
    order: VecDeque<Key>,
}

type Key = (Partition, UserId, ClientMessageId);

impl Remembered {
    fn insert(&mut self, key: Key, row: DecisionRow) {
        if self.rows.insert(key, row).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.rows.remove(&oldest);
        }
    }
}

impl MessageStore for Forgetful {
    fn acquire(&self, claim: &Claim) -> Result<Option<Lease>, StoreError> {
        self.store.acquire(claim)
    }

    fn renew(&self, leases: &[Lease]) -> Result<Vec<Fenced>, StoreError> {
        self.store.renew(leases)
    }

    fn commit(&self, batches: &[(Lease, Batch)]) -> Result<Vec<Fenced>, StoreError> {
        let without = |(lease, batch): &(Lease, Batch)| {
            (*lease, Batch { decisions: BTreeMap::new(), ..batch.clone() })
        };
        let stored: Vec<_> = batches.iter().map(without).collect();
        let fenced = self.store.commit(&stored)?;
        if let Some(remembered) = &self.remembered {
            let mut remembered = entered(remembered.lock());
            for (lease, batch) in batches {
                for ((author, message), row) in &batch.decisions {
                    remembered.insert((lease.partition, *author, *message), *row);
                }
            }
        }
        Ok(fenced)
    }

    fn view(&self) -> Result<Box<dyn StoreView + '_>, StoreError> {
        self.store.view()
    }

    fn readers(&self) -> usize {
        self.store.readers()
    }

    fn prefetch(&self, keys: &[(Partition, Keys)]) -> Result<Vec<Rows>, StoreError> {
        let Some(remembered) = &self.remembered else { return self.store.prefetch(keys) };
        let remembered = entered(remembered.lock());
        let mut keys = keys.to_vec();
        let mut known = Vec::with_capacity(keys.len());
        for (partition, keys) in &mut keys {
            let row = |key: &(UserId, ClientMessageId)| {
                Some((*key, *remembered.rows.get(&(*partition, key.0, key.1))?))
            };
            let rows: BTreeMap<_, _> = keys.decisions.iter().filter_map(row).collect();
            let entry = |row: &DecisionRow| Some((row.conversation, row.decision.ok()?));
            keys.entries.extend(rows.values().filter_map(entry));
            known.push(rows);
        }
        let mut all = self.store.prefetch(&keys)?;
        for (rows, known) in all.iter_mut().zip(known) {
            rows.decisions.extend(known);
        }
        Ok(all)
    }
}

/// An engine that lets everybody write who ever had a lease.
struct Unfenced(Arc<dyn MessageStore>);

impl MessageStore for Unfenced {
    fn acquire(&self, claim: &Claim) -> Result<Option<Lease>, StoreError> {
        self.0.acquire(claim)
    }

    fn renew(&self, leases: &[Lease]) -> Result<Vec<Fenced>, StoreError> {
        self.0.renew(leases).map(|_| Vec::new())
    }

    fn commit(&self, batches: &[(Lease, Batch)]) -> Result<Vec<Fenced>, StoreError> {
        let mut fenced = self.0.commit(batches)?;
        while !fenced.is_empty() {
            // Under the lease of whoever has it.
            let stolen = |Fenced { partition, current }: &Fenced| {
                let mut batches = batches.iter().filter(|(lease, _)| lease.partition == *partition);
                let lease = Lease { partition: *partition, epoch: current.epoch };
                batches.next().map(|(_, batch)| (lease, batch.clone()))
            };
            let again: Vec<_> = fenced.iter().filter_map(stolen).collect();
            fenced = self.0.commit(&again)?;
        }
        Ok(Vec::new())
    }

    fn view(&self) -> Result<Box<dyn StoreView + '_>, StoreError> {
        self.0.view()
    }

    fn readers(&self) -> usize {
        self.0.readers()
    }
}
