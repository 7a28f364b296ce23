//! When files that were replaced while a node runs are taken: decided without a file and without a clock.

/// What is in force, and what the looks at the files have found since.
#[derive(Debug)]
pub struct Renewal<T> {
    in_force: T,
    found: Option<T>,
    /// Whether it was told that what was found cannot be used.
    is_told: bool,
}

impl<T: PartialEq> Renewal<T> {
    /// Nothing was replaced yet.
    pub const fn new(in_force: T) -> Self {
        Self { in_force, found: None, is_told: false }
    }

    /// A look at the files: what is to be tried now. Whoever replaces several files does it one after another, so
    /// only what two looks have found alike is whole. What was refused is tried again, since it may be good later.
    pub fn look(&mut self, found: T) -> Option<&T> {
        if found == self.in_force {
            self.found = None;
        } else if self.found.as_ref() == Some(&found) {
            return self.found.as_ref();
        } else {
            (self.found, self.is_told) = (Some(found), false);
        }
        None
    }

    /// What was to be tried is in force.
    ///
    /// # Panics
    /// If nothing was.
    pub fn accept(&mut self) {
        self.in_force = self.found.take().expect("something was to be tried");
    }

    /// What was to be tried cannot be used: whether that is news. Why may be told otherwise each time, as so many
    /// seconds too early.
    pub const fn refuse(&mut self) -> bool {
        !std::mem::replace(&mut self.is_told, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_looks_have_found_alike_is_tried() {
        let mut renewal = Renewal::new("old");
        assert_eq!(renewal.look("old"), None);
        assert_eq!(renewal.look("half"), None);
        assert_eq!(renewal.look("new"), None);
        assert_eq!(renewal.look("new"), Some(&"new"));
        renewal.accept();
        assert_eq!(renewal.look("new"), None);
        assert_eq!(renewal.look("new"), None);
    }

    #[test]
    fn what_is_refused_is_told_once_and_tried_again() {
        let mut renewal = Renewal::new("old");
        assert_eq!(renewal.look("bad"), None);
        for is_news in [true, false, false] {
            assert_eq!(renewal.look("bad"), Some(&"bad"));
            assert_eq!(renewal.refuse(), is_news);
        }
        assert_eq!(renewal.look("bad"), Some(&"bad"));
        renewal.accept();
        assert_eq!(renewal.look("bad"), None);
    }

    #[test]
    fn who_puts_the_old_files_back_is_told_of_the_next_mistake() {
        let mut renewal = Renewal::new("old");
        renewal.look("bad");
        renewal.look("bad");
        assert!(renewal.refuse());
        assert_eq!(renewal.look("old"), None);
        assert_eq!(renewal.look("bad"), None);
        assert_eq!(renewal.look("bad"), Some(&"bad"));
        assert!(renewal.refuse());
    }
}
