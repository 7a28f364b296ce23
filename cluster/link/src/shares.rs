//! Places that many share, so that nobody takes all of them. Pure: it counts, and nothing else.
//!
//! Whoever is counted gets one more as long as it has fewer than are free: alone half of all, whoever comes
//! behind it half of what it left, and a hundred who come together a hundredth each. A fixed share would have
//! to be large enough for a crowd behind one address, and then a few addresses would take everything; here
//! each costs the others less than the one before (dynamic thresholds: Choudhury and Hahne, "Dynamic queue
//! length thresholds for shared-memory packet switches", 1998, with the factor one). It takes 15 addresses, one
//! after another, to fill 16,384 places.

use std::collections::BTreeMap;

/// See the module. Of those who are not counted (`None`) each gets what is free.
#[derive(Debug)]
pub struct Shares<K> {
    places: usize,
    taken: usize,
    held: BTreeMap<K, usize>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPlace {
    /// All are taken.
    Full,
    /// Whoever asks has as many as are free, or more.
    Share,
}

impl<K: Ord> Shares<K> {
    /// So many places, all of them free.
    pub const fn new(places: usize) -> Self {
        Self { places, taken: 0, held: BTreeMap::new() }
    }

    /// Takes a place.
    ///
    /// # Errors
    /// There is none for this one.
    pub fn take(&mut self, whose: Option<K>) -> Result<(), NoPlace> {
        let free = self.places.saturating_sub(self.taken);
        if free == 0 {
            return Err(NoPlace::Full);
        }
        if let Some(whose) = whose {
            if self.held.get(&whose).is_some_and(|held| *held >= free) {
                return Err(NoPlace::Share);
            }
            *self.held.entry(whose).or_default() += 1;
        }
        self.taken += 1;
        Ok(())
    }

    /// Gives a place back that was taken.
    pub fn give_back(&mut self, whose: Option<&K>) {
        self.taken -= 1;
        let Some(whose) = whose else { return };
        let held = self.held.get_mut(whose).expect("whoever gives back has one");
        *held -= 1;
        if *held == 0 {
            self.held.remove(whose);
        }
    }

    /// How many are taken.
    pub const fn taken(&self) -> usize {
        self.taken
    }

    /// Whether at least three of four places are free.
    pub const fn is_calm(&self) -> bool {
        self.taken <= self.places / 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Somebody takes as many as there are for one, but not more than this.
    fn take_all(shares: &mut Shares<u32>, whose: u32, most: usize) -> usize {
        (0..most).take_while(|_| shares.take(Some(whose)).is_ok()).count()
    }

    #[test]
    fn nobody_takes_all_places() {
        let mut shares = Shares::new(16_384);
        let took: Vec<_> = (1..=4).map(|one| take_all(&mut shares, one, 16_384)).collect();
        assert_eq!(took, [8_192, 4_096, 2_048, 1_024], "one after another");
        assert_eq!(shares.take(Some(1)), Err(NoPlace::Share));
        let more = (5..100).take_while(|one| take_all(&mut shares, *one, 16_384) > 0).count();
        assert_eq!((4 + more, shares.taken()), (15, 16_384));
    }

    #[test]
    fn those_who_come_together_get_the_same() {
        for (many, most) in [(2, 342), (3, 256), (100, 11)] {
            let mut shares = Shares::new(1_024);
            let mut took = vec![0; many as usize];
            for round in 0.. {
                for one in 0..many {
                    took[one as usize] += take_all(&mut shares, one, 1);
                }
                if took.iter().sum::<usize>() < (round + 1) * many as usize {
                    break;
                }
            }
            assert!(took.iter().all(|took| (most - 1..=most).contains(took)), "{many}: {took:?}");
            assert_eq!(shares.take(Some(many)), Ok(()), "somebody who has none");
        }
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let mut shares = Shares::new(10);
        assert_eq!(take_all(&mut shares, 0, 10), 5);
        shares.give_back(Some(&0));
        assert_eq!(shares.take(Some(0)), Ok(()));
        for _ in 0..5 {
            shares.give_back(Some(&0));
        }
        assert_eq!((shares.taken(), shares.held.len()), (0, 0), "nothing is kept of who has none");
    }

    #[test]
    fn who_is_not_counted_gets_what_is_free() {
        let mut shares = Shares::new(4);
        assert_eq!(shares.take(Some(1)), Ok(()));
        assert!(shares.is_calm());
        for _ in 0..3 {
            assert_eq!(shares.take(None), Ok(()));
        }
        assert!(!shares.is_calm());
        assert_eq!([shares.take(None), shares.take(Some(2))], [Err(NoPlace::Full); 2]);
        shares.give_back(None);
        assert_eq!(shares.take(Some(1)), Err(NoPlace::Share), "one and one");
        assert_eq!(shares.take(Some(2)), Ok(()));
    }

    #[test]
    fn one_place_is_for_whoever_comes() {
        let mut shares = Shares::new(1);
        assert_eq!([shares.take(Some(1)), shares.take(Some(1))], [Ok(()), Err(NoPlace::Full)]);
        shares.give_back(Some(&1));
        assert_eq!(shares.take(Some(2)), Ok(()));
    }
}
