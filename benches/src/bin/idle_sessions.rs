//! How much memory of user space an idle session costs a gateway.
//!
//! `cargo run --release -p benches --bin idle_sessions -- target/release/fracas`
//!
//! Starts a cluster of its own, opens sessions of real users on WebSockets of their own, and looks at
//! the memory of the cluster's process before, with half of the sessions, and with all of them, each
//! time after two heartbeats of silence. What the second half costs is the price of a session: what is
//! paid once falls out. The exit status is 1 if that is above the limit.
//!
//! Each session has an open connection, a verified token, and its place in the gateway. With
//! `--conversations` it has streams as well: the gateway's part of them and, since one process holds
//! the whole cluster, their owner's part too.

#![expect(clippy::print_stdout, reason = "a measurement prints its result")]

use anyhow::{Context, ensure};
use benches::cluster::Cluster;
use benches::folder::Folder;
use benches::memory::Memory;
use benches::sessions::Sessions;
use clap::{Parser, ValueEnum};
use client::Carrier;
use ports::Machine;
use protocol::codec::Codec;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;
use workload::Targets;
use workload::rest::{Api, Http};

/// Most bytes of user space that a session may cost.
const LIMIT: u64 = 6_000;
/// Two heartbeats of 5 seconds, and what they take.
const SILENCE: Duration = Duration::from_secs(12);
/// Sessions that come and go before anything is measured: what only the first ones cost.
const WARM_UP: u64 = 200;
/// Until the gateway has forgotten the sessions that went.
const FORGOTTEN: Duration = Duration::from_secs(5);

/// The memory of idle sessions in a cluster's process.
#[derive(Debug, Parser)]
struct Arguments {
    /// The `fracas` program.
    program: PathBuf,
    /// How many sessions; both processes need as many open files.
    #[arg(long, default_value_t = 5_000)]
    sessions: u64,
    /// How their frames are written.
    #[arg(long, value_enum, default_value_t = Frames::Json)]
    frames: Frames,
    /// In how many conversations of two each user is.
    #[arg(long, default_value_t = 0)]
    conversations: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Frames {
    Json,
    Binary,
}

/// What was seen of the cluster's process.
struct Seen {
    before: Memory,
    half: Memory,
    all: Memory,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    ensure!(
        arguments.sessions > 0 && arguments.sessions.is_multiple_of(4),
        "the users of either half come in pairs: --sessions must be a multiple of 4"
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let seen = runtime.block_on(measure(&arguments))?;
    Ok(report(&arguments, &seen))
}

async fn measure(arguments: &Arguments) -> anyhow::Result<Seen> {
    let folder = Folder::make(&std::env::temp_dir(), "fracas-idle-sessions")?;
    let machine = real::machine("idle-sessions", &folder.path().join("client"))?;
    let http = Http::new(machine.clone());
    let users = arguments.sessions + WARM_UP;
    let data = folder.path().join("cluster");
    let cluster = Cluster::start(&arguments.program, &data, users, &http).await?;
    let mut sessions = sessions(arguments.frames, machine, &cluster);
    let seen = look(arguments, &mut sessions, &cluster).await;
    sessions.end();
    cluster.end().await?;
    seen
}

fn sessions(frames: Frames, machine: Machine, cluster: &Cluster) -> Sessions {
    let codec = match frames {
        Frames::Json => Codec::Json,
        Frames::Binary => Codec::Binary,
    };
    let gateway = cluster.gateway().to_owned();
    let targets = Arc::new(Targets::development(vec![gateway.clone()]));
    let api = Api::new(machine.clone(), targets);
    Sessions::new(machine.clone(), Carrier::sockets(machine, codec), api, gateway)
}

async fn look(
    arguments: &Arguments,
    sessions: &mut Sessions,
    cluster: &Cluster,
) -> anyhow::Result<Seen> {
    let count = arguments.sessions;
    sessions.grant(1..=count + WARM_UP).await?;
    sessions.acquaint(count, arguments.conversations).await?;
    sessions.open(count + 1..=count + WARM_UP).await?;
    sessions.end();
    sleep(FORGOTTEN).await;
    let before = Memory::of(cluster.process())?;
    let half = count / 2;
    let with_half = open(1..=half, sessions, cluster).await?;
    let with_all = open(half + 1..=count, sessions, cluster).await?;
    let attached = sessions.heard().attached();
    let wanted = count * arguments.conversations;
    ensure!(attached == wanted, "{attached} streams began instead of {wanted}");
    Ok(Seen { before, half: with_half, all: with_all })
}

/// Opens more sessions; the cluster's memory after some silence, in which all stayed open.
async fn open(
    users: std::ops::RangeInclusive<u64>,
    sessions: &mut Sessions,
    cluster: &Cluster,
) -> anyhow::Result<Memory> {
    sessions.open(users).await.context("opening sessions")?;
    let heard = sessions.heard().pings();
    sleep(SILENCE).await;
    ensure!(sessions.heard().lost() == 0, "{} sessions were lost", sessions.heard().lost());
    ensure!(sessions.heard().pings() > heard, "no heartbeat was heard: these are no idle sessions");
    Memory::of(cluster.process())
}

fn report(arguments: &Arguments, seen: &Seen) -> ExitCode {
    let (count, half) = (arguments.sessions, arguments.sessions / 2);
    let Arguments { frames, conversations, .. } = arguments;
    println!("{count} idle sessions, {frames:?} frames, {conversations} conversations each");
    println!("{:>10} {:>12} {:>12} {:>12}", "sessions", "resident", "shared out", "private");
    for (sessions, memory) in [(0, seen.before), (half, seen.half), (count, seen.all)] {
        let Memory { resident, proportional, private } = memory;
        println!("{sessions:>10} {resident:>12} {proportional:>12} {private:>12}");
    }
    let each = |from: Memory, to: Memory, sessions: u64| {
        to.private.saturating_sub(from.private).div_ceil(sessions)
    };
    let price = each(seen.half, seen.all, count - half);
    println!("first half:  {} bytes a session", each(seen.before, seen.half, half));
    println!("second half: {price} bytes a session (what is paid once has been paid)");
    println!("both:        {} bytes a session", each(seen.before, seen.all, count));
    let within = price <= LIMIT;
    println!("{} the limit of {LIMIT} bytes", if within { "within" } else { "above" });
    if within { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
