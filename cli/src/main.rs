//! The `fracas` command: reads the command line, hands over to one file per subcommand.
//!
//! Exit status: 0 as expected, 1 not as expected, 2 unknown or failed, 64 invalid usage or an invalid
//! file (BSD's `EX_USAGE`).

mod address;
mod agents;
mod command_line;
mod commands;
mod console;
#[cfg(test)]
mod documented;
mod engines;
mod explain;
mod github;
mod interruption;
mod lifeline;
mod markdown;
mod replay;
mod scenario_arguments;
mod shared_engine;
mod sweep;
mod tls;
mod traces;
mod whole;

use clap::FromArgMatches;
use clap::error::ErrorKind;
use command_line::Arguments;
use std::process::ExitCode;

/// Small, short-lived buffers are most of what a run allocates.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The version and, of a build from a repository, its commit: see `build.rs`.
const VERSION: &str = env!("FRACAS_VERSION");

/// `EX_USAGE` of sysexits.h.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let read = command_line::command().try_get_matches();
    let arguments = match read.and_then(|matches| Arguments::from_arg_matches(&matches)) {
        Ok(arguments) => arguments,
        Err(answer) => {
            let is_help =
                matches!(answer.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // The terminal may be gone; there is nobody to tell then.
            let _ = command_line::with_the_nearest(answer).print();
            return ExitCode::from(if is_help { 0 } else { USAGE });
        }
    };
    console::choose_colour(arguments.color);
    console::start_logging();
    // The panic has said what it is; whoever reads the status learns that nothing was found out.
    match std::panic::catch_unwind(|| arguments.command.execute()) {
        Err(_) => ExitCode::from(2),
        Ok(Ok(status)) => match console::output_failure() {
            None => ExitCode::from(status),
            Some(error) => {
                console::error(&format!("cannot write the result: {error}"));
                ExitCode::from(if status == 0 { 2 } else { status })
            }
        },
        Ok(Err(error)) => {
            let status = if error.is::<campaign::InvalidUsage>() { USAGE } else { 2 };
            console::error(&format!("{error:#}"));
            ExitCode::from(status)
        }
    }
}
