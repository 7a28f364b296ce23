//! What goose would do to the whole process: print its messages, and take over Ctrl-C.

use log::{LevelFilter, Log, Metadata, Record};
use std::sync::OnceLock;

/// Passes on what goose says. It says something of each failed request: the report counts these.
struct ToTracing;

impl Log for ToTracing {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        tracing::debug!(target: "goose", "{}", record.args());
    }

    fn flush(&self) {}
}

/// Takes the places that goose would take for itself, once. **Before** the process listens to signals: only
/// the first handler of `ctrlc` counts, goose's would be the next one, and whoever listens later is asked
/// first.
///
/// # Errors
/// A handler could not be set: then goose would end the process at the second Ctrl-C.
pub fn keep_ours() -> Result<(), ctrlc::Error> {
    static DONE: OnceLock<()> = OnceLock::new();
    if DONE.set(()).is_err() {
        return Ok(());
    }
    if log::set_logger(&ToTracing).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
    ctrlc::set_handler(|| {})
}
