//! The `fracas` command: reads the command line, hands over to one file per subcommand.
//!
//! Exit status: 0 valid, 1 violated, 2 unknown, 64 invalid usage or an invalid scenario file (BSD's
//! `EX_USAGE`).

mod commands;
mod console;
mod interruption;
mod replay;
mod scenario_arguments;

use clap::Parser;
use clap::error::ErrorKind;
use commands::Command;
use std::process::ExitCode;

/// Small, short-lived buffers are most of what a run allocates.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `EX_USAGE` of sysexits.h.
const USAGE: u8 = 64;

/// Simulates, load-tests and judges a chat cluster.
///
/// Exit status: 0 valid, 1 violated, 2 unknown or failed, 64 invalid usage or an invalid file.
///
/// The log goes to standard error: only errors, unless RUST_LOG asks for more (RUST_LOG=info) or
/// less (RUST_LOG=off). It also shows the notifications of a `fracas cluster` without --push.
#[derive(Debug, Parser)]
#[command(name = "fracas", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(answer) => {
            // The terminal may be gone; there is nobody to tell then.
            let _ = answer.print();
            let is_help =
                matches!(answer.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return ExitCode::from(if is_help { 0 } else { USAGE });
        }
    };
    console::start_logging();
    // The panic has said what it is; whoever reads the status learns that nothing was found out.
    match std::panic::catch_unwind(|| arguments.command.execute()) {
        Err(_) => ExitCode::from(2),
        Ok(Ok(status)) => ExitCode::from(status),
        Ok(Err(error)) => {
            let status = if error.is::<campaign::InvalidUsage>() { USAGE } else { 2 };
            console::error(&format!("{error:#}"));
            ExitCode::from(status)
        }
    }
}
