//! Panics on a simulating thread: noted, so that whoever catches one can say where it was.

use ports::panics::Panicked;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    /// What was said since the last catch, on threads that note it.
    static NOTED: RefCell<Option<Vec<Panicked>>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// From now on this thread notes its panics; those of other threads are told as before.
pub fn enter() {
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let noted = NOTED.try_with(|noted| {
                noted.borrow_mut().as_mut().map(|noted| noted.push(Panicked::of(info)))
            });
            let wants_trace = std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
            if noted.ok().flatten().is_none() || wants_trace {
                usual(info);
            }
        }));
    });
    NOTED.set(Some(Vec::new()));
}

/// Does the work; the panic in which it ended. A runtime that was told of the panic of a task panics
/// as well: the first one is the cause.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        let noted = NOTED.with_borrow_mut(|noted| noted.as_mut().map(std::mem::take));
        noted.unwrap_or_default().into_iter().next().unwrap_or_else(|| Panicked {
            message: "without words".to_owned(),
            place: "unknown".to_owned(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_told_with_its_place() {
        enter();
        assert_eq!(caught(|| 7), Ok(7));
        let told = caught(|| {
            let consequence = catch_unwind(|| panic!("cause {}", 1));
            assert!(consequence.is_ok(), "consequence");
        });
        let Panicked { message, place } = told.unwrap_err();
        assert_eq!(message, "cause 1");
        assert!(place.starts_with("sim/src/panics.rs:"), "{place}");
        assert_eq!(caught(|| panic!("next")).unwrap_err().message, "next");
    }
}
