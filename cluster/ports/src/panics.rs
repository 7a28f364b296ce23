//! A panic of a process, as it is told to whoever watches the process.

use std::any::Any;
use std::fmt;
use std::panic::PanicHookInfo;

/// What a panic said, and where in the source it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panicked {
    /// Its words, in one line.
    pub message: String,
    /// `file:line:column`.
    pub place: String,
}

/// How the line of a panic begins in the log of a process.
const PREFIX: &str = "fracas panicked at ";

impl Panicked {
    /// A panic, as a panic hook learns of it.
    pub fn of(info: &PanicHookInfo<'_>) -> Self {
        let place = info.location().map_or_else(|| "unknown".to_owned(), ToString::to_string);
        Self { message: words(info.payload()), place: short(&place).to_owned() }
    }

    /// Reads a line of a log back that `Display` has written.
    pub fn read(line: &str) -> Option<Self> {
        let (place, message) = line.strip_prefix(PREFIX)?.split_once(": ")?;
        Some(Self { message: message.to_owned(), place: place.to_owned() })
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}: {}", self.place, self.message)
    }
}

fn words(payload: &dyn Any) -> String {
    let text = match (payload.downcast_ref::<String>(), payload.downcast_ref::<&str>()) {
        (Some(text), _) => text,
        (_, Some(text)) => *text,
        _ => "without words",
    };
    text.lines().map(str::trim).collect::<Vec<_>>().join(" | ")
}

/// A place in a dependency or in the standard library, without the folders of the machine that it was
/// compiled on.
fn short(place: &str) -> &str {
    for (marker, folders) in [("/registry/src/", 1), ("/rustc/", 1)] {
        if let Some((_, behind)) = place.split_once(marker) {
            return behind.splitn(folders + 1, '/').last().unwrap_or(behind);
        }
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_is_read_back() {
        let panicked = Panicked {
            message: words(&"assertion failed\n  left: 1\n right: 2".to_owned()),
            place: "cluster/store/src/core/step.rs:12:5".to_owned(),
        };
        assert_eq!(panicked.message, "assertion failed | left: 1 | right: 2");
        assert_eq!(Panicked::read(&panicked.to_string()), Some(panicked));
        assert_eq!(Panicked::read("ERROR store: it panicked at x: y"), None);
    }

    #[test]
    fn places_are_told_without_the_folders_of_a_machine() {
        for (place, told) in [
            ("cluster/store/src/lib.rs:1:2", "cluster/store/src/lib.rs:1:2"),
            ("/a/.cargo/registry/src/index-1/redb-4.5/src/a.rs:1:2", "redb-4.5/src/a.rs:1:2"),
            ("/rustc/0123/library/core/src/cell.rs:1:2", "library/core/src/cell.rs:1:2"),
        ] {
            assert_eq!(short(place), told);
        }
    }
}
