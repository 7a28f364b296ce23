//! Which versions of rows a view sees: the newest ones that are not newer than its slot.

/// Chooses among rows in their stored order, the newest version of each first.
#[derive(Clone, Debug)]
pub struct AsOf {
    slot: i64,
    last: Option<(i64, i64)>,
}

impl AsOf {
    /// Of a view at this slot.
    pub const fn slot(slot: i64) -> Self {
        Self { slot, last: None }
    }

    /// Whether the next row is one that the view sees.
    pub fn sees(&mut self, key: (i64, i64), version: i64) -> bool {
        if version > self.slot || self.last == Some(key) {
            return false;
        }
        self.last = Some(key);
        true
    }
}

/// The trims of a conversation that a view sees: (first sequence that is kept, slot).
#[derive(Clone, Debug, Default)]
pub struct Trims(pub Vec<(i64, i64)>);

impl Trims {
    /// Whether a version of an entry or of a deletion is gone. One that is in the same batch goes too, one of a
    /// later slot stays.
    pub fn hide(&self, sequence: i64, version: i64) -> bool {
        self.0.iter().any(|(first, slot)| sequence < *first && version <= *slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_that_is_not_too_new_is_seen() {
        let mut view = AsOf::slot(5);
        let stored = [((1, 0), 7), ((1, 0), 5), ((1, 0), 2), ((2, 0), 6), ((3, 0), 1), ((3, 1), 1)];
        let seen = stored.into_iter().filter(|(key, version)| view.sees(*key, *version));
        assert_eq!(seen.collect::<Vec<_>>(), [((1, 0), 5), ((3, 0), 1), ((3, 1), 1)]);
    }

    #[test]
    fn a_trim_takes_what_is_older() {
        let trims = Trims(vec![(4, 10)]);
        assert!(trims.hide(3, 9) && trims.hide(3, 10));
        assert!(!trims.hide(3, 11) && !trims.hide(4, 9));
    }
}
