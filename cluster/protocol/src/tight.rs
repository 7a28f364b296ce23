//! Lists without room to spare, for what is kept a million times over. `Vec` makes room for four at first,
//! and doubles it; most users are in one or two conversations, and the half of a table that is empty
//! is as large as the half that is not.

/// Below this length a list has no room to grow.
const SHORT: usize = 4;
/// The part of a long list by which it grows: its entries are moved eight times on average, and an
/// eighth of its room at most is empty.
const PART: usize = 8;

/// Inserts; a short list grows by one.
///
/// # Panics
/// `at` is beyond the end.
pub fn insert<T>(list: &mut Vec<T>, at: usize, item: T) {
    if list.len() < SHORT {
        list.reserve_exact(1);
    }
    list.insert(at, item);
}

/// Makes room for a list of this length; a long one grows by an eighth, and not by as much again.
pub fn reserve<T>(list: &mut Vec<T>, length: usize) {
    if list.capacity() < length {
        let more = length - list.len();
        list.reserve_exact(more.max(list.len() / PART));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_list_has_no_room_to_spare() {
        let mut list = Vec::new();
        for (at, item) in [(0, 3), (0, 1), (1, 2), (3, 4)] {
            insert(&mut list, at, item);
            assert_eq!(list.capacity(), list.len());
        }
        assert_eq!(list, [1, 2, 3, 4]);
    }

    #[test]
    fn a_long_list_grows_by_an_eighth() {
        let (mut list, mut grown) = (Vec::new(), 0);
        for item in 0..100_000_u32 {
            let before = list.capacity();
            let next = list.len() + 1;
            reserve(&mut list, next);
            grown += usize::from(list.capacity() != before);
            list.push(item);
            assert!(list.capacity() <= list.len() + list.len() / PART);
        }
        assert!(grown < 100, "{grown}");
    }
}
