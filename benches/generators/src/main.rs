//! What load generators cost, side by side against the same cluster.
//!
//! `cargo run --release -p generators -- target/release/fracas`
//!
//! Each generator in turn drives the same users against a fresh `fracas cluster`: pairs that talk in a
//! conversation of their own, over a WebSocket each, in JSON. Three runs of each: few users slowly, few
//! users fast, many users slowly. CPU time for a message is what the fast run takes more, divided by the
//! messages that it has more; memory for a user is what the many take more. So what is paid once (a
//! program, an interpreter, signing in) falls out, and the speed of the cluster does not matter.
//!
//! goose is compiled in. locust, tsung and artillery are used where they are installed; where not, the table
//! says so. `fracas load` judges every message meanwhile; the others check that a message is answered, and
//! nothing else.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a measurement prints its results")]

mod generator;
mod goose_users;
mod people;
mod run;
mod table;

use anyhow::ensure;
use clap::{Args, Parser, Subcommand};
use generator::Generator;
use std::path::PathBuf;
use std::time::Duration;
use table::{Row, Runs};

/// What load generators cost, side by side.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    population: Option<Population>,
    #[command(flatten)]
    comparison: Comparison,
}

#[derive(Debug, Subcommand)]
enum Population {
    /// The users of goose, as a process of its own: what the environment says.
    #[command(hide = true)]
    Goose,
}

#[derive(Debug, Args)]
struct Comparison {
    /// The `fracas` program.
    #[arg(default_value = "target/release/fracas")]
    program: PathBuf,
    /// Users of the runs that measure CPU time.
    #[arg(long, default_value_t = 1_000)]
    users: u32,
    /// Users of the run that measures memory.
    #[arg(long, default_value_t = 4_000)]
    many: u32,
    /// Messages a second of all users together, slowly.
    #[arg(long, default_value_t = 400)]
    slow: u32,
    /// And fast.
    #[arg(long, default_value_t = 1_600)]
    fast: u32,
    /// How long the users talk.
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// Only these.
    #[arg(long, value_enum)]
    only: Vec<Generator>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match arguments.population {
        Some(Population::Goose) => runtime.block_on(goose_users::talk()),
        None => runtime.block_on(compare(&arguments.comparison)),
    }
}

async fn compare(what: &Comparison) -> anyhow::Result<()> {
    ensure!(
        what.users.is_multiple_of(2) && what.many.is_multiple_of(2) && what.users < what.many,
        "users talk in pairs, and --many must be more than --users"
    );
    ensure!(what.slow > 0 && what.slow < what.fast, "--fast must be more than --slow");
    let all = Generator::ALL.into_iter();
    let wanted = all.filter(|one| what.only.is_empty() || what.only.contains(one));
    let mut rows = Vec::new();
    for generator in wanted {
        if let Some(missing) = generator.missing() {
            rows.push(Row { generator, runs: Err(missing) });
            continue;
        }
        let load =
            |users, rate| run::Load { users, rate, lasts: Duration::from_secs(what.seconds) };
        let runs = Runs {
            slow: run::run(generator, &what.program, load(what.users, what.slow)).await?,
            fast: run::run(generator, &what.program, load(what.users, what.fast)).await?,
            many: run::run(generator, &what.program, load(what.many, what.slow)).await?,
            users: what.many - what.users,
        };
        rows.push(Row { generator, runs: Ok(runs) });
    }
    print!("{}", table::table(&rows));
    Ok(())
}
