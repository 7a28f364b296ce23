//! Which versions of rows may be removed: those that were replaced so long ago that no view sees them.
//!
//! What is forgotten here (a node ended) stays until its row is replaced again.

use super::rows::{Key, Kind, Place, Row};
use std::collections::BTreeMap;

/// Something that can be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// The versions of a row before this slot.
    Versions(Key, i64),
    /// What a trim of this slot took: entries and deletions before a sequence, and smaller trims.
    Trimmed(Place, i64, i64),
}

/// What was replaced since the last turn, and before it.
#[derive(Clone, Debug, Default)]
pub struct Retired {
    young: Replaced,
    old: Replaced,
}

#[derive(Clone, Debug, Default)]
struct Replaced {
    /// The newest slot of each row.
    rows: BTreeMap<Key, i64>,
    /// The newest trim of each place: its slot, and the first sequence that it keeps. It takes what smaller ones do.
    trims: BTreeMap<Place, (i64, i64)>,
}

impl Retired {
    /// These rows were written.
    pub fn written(&mut self, rows: &[Row]) {
        for Row { key, version, .. } in rows.iter().filter(|row| !row.is_first) {
            match key.kind {
                Kind::Conversation | Kind::Member | Kind::Cursors | Kind::Membership => {
                    newest(&mut self.young.rows, *key, *version);
                }
                Kind::Trim => newest(&mut self.young.trims, key.place, (*version, key.a)),
                // Written once.
                Kind::Entry | Kind::Deletion | Kind::Decision | Kind::Listed | Kind::Part => {}
            }
        }
    }

    /// One turn later: what was replaced before the last one.
    pub fn turn(&mut self) -> Vec<Removal> {
        let old = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
        let rows = old.rows.into_iter().map(|(key, slot)| Removal::Versions(key, slot));
        let trims = old.trims.into_iter();
        let trims = trims.map(|(place, (slot, first))| Removal::Trimmed(place, first, slot));
        rows.chain(trims).collect()
    }
}

fn newest<K: Ord, V: Ord + Copy>(all: &mut BTreeMap<K, V>, key: K, value: V) {
    let stored = all.entry(key).or_insert(value);
    *stored = (*stored).max(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{ConversationId, Partition};

    #[test]
    fn a_version_is_removed_a_whole_turn_after_it_was_replaced() {
        let place = Place::conversation(Partition(1), ConversationId(1));
        let row = |kind, version| Row {
            key: Key { place, kind, a: 3, b: 0 },
            version,
            value: Vec::new(),
            is_first: false,
        };
        let mut retired = Retired::default();
        retired.written(&[row(Kind::Cursors, 4), row(Kind::Entry, 4)]);
        assert_eq!(retired.turn(), []);
        retired.written(&[row(Kind::Cursors, 6), row(Kind::Cursors, 5), row(Kind::Trim, 6)]);
        let key = row(Kind::Cursors, 0).key;
        assert_eq!(retired.turn(), [Removal::Versions(key, 4)]);
        let both = [Removal::Versions(key, 6), Removal::Trimmed(place, 3, 6)];
        assert_eq!(retired.turn(), both);
        assert_eq!(retired.turn(), []);

        let trim = |first, version| {
            let key = Key { place, kind: Kind::Trim, a: first, b: 0 };
            Row { key, ..row(Kind::Trim, version) }
        };
        let joins = Row { is_first: true, ..row(Kind::Member, 9) };
        retired.written(&[trim(5, 8), trim(7, 9), joins, row(Kind::Member, 10)]);
        retired.turn();
        let key = row(Kind::Member, 0).key;
        let expected = [Removal::Versions(key, 10), Removal::Trimmed(place, 7, 9)];
        assert_eq!(retired.turn(), expected, "nothing is before the first");
    }
}
