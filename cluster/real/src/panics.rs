//! A process of the cluster does not outlive a panic: what was changed by half must not be built upon,
//! and a node that has lost one of its tasks looks healthy and is not.

use ports::panics::Panicked;
use std::io::Write;

/// From now on the first panic of any thread ends the process (SIGABRT), as soon as it is in the log:
/// its last line is for programs.
pub fn abort_on_panic() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        usual(info);
        // The log may be gone; the process ends all the same.
        let _ = writeln!(std::io::stderr(), "{}", Panicked::of(info));
        std::process::abort();
    }));
}
