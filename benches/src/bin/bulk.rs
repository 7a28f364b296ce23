//! How fast a run's conversations are made and read back, and what that costs.
//!
//! `cargo run --release -p benches --bin bulk -- target/release/fracas --conversations 200000`
//!
//! Starts a cluster of its own and does what every run does before and after its load: set-up and final
//! reads, with a recorder that only counts. The exit status is 1 if anything was not read whole.

#![expect(clippy::print_stdout, reason = "a measurement prints its result")]

use anyhow::{Context, ensure};
use benches::cluster::Cluster;
use benches::folder::Folder;
use clap::Parser;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use verify::history::What;
use workload::rest::Http;
use workload::{Plan, Recorder, Targets, final_reads, set_up};

/// Conversations made and read back.
#[derive(Debug, Parser)]
struct Arguments {
    /// The `fracas` program.
    program: PathBuf,
    /// How many, of two members each.
    #[arg(long, default_value_t = 200_000)]
    conversations: u32,
}

/// Counts what is recorded.
struct Counting {
    began: Instant,
    events: AtomicU64,
    whole: AtomicU64,
}

impl Recorder for Counting {
    fn record(&self, what: What) {
        self.events.fetch_add(1, Ordering::Relaxed);
        let is_whole = matches!(what, What::StoredAll { whole: true, .. });
        self.whole.fetch_add(is_whole.into(), Ordering::Relaxed);
    }

    fn now_us(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }
}

/// Time that has passed: on the clock, and on the processors.
struct Spent {
    wall: Instant,
    own: Duration,
    cluster: Duration,
}

impl Spent {
    fn now(cluster: &Cluster) -> anyhow::Result<Self> {
        let (wall, own) = (Instant::now(), real::cpu_time());
        Ok(Self { wall, own, cluster: cpu_time(cluster.process())? })
    }

    fn print(&self, what: &str, conversations: u32, cluster: &Cluster) -> anyhow::Result<()> {
        let now = Self::now(cluster)?;
        let took = (now.wall - self.wall).as_secs_f64();
        let per = 100_000.0 / f64::from(conversations);
        let own = now.own.saturating_sub(self.own).as_secs_f64() * per;
        let theirs = now.cluster.saturating_sub(self.cluster).as_secs_f64() * per;
        let rate = f64::from(conversations) / took;
        println!("{what:<10} {took:>8.2} {rate:>10.0} {theirs:>10.2} {own:>10.2}");
        Ok(())
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(&arguments))
}

async fn measure(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let count = arguments.conversations;
    let folder = Folder::make(&std::env::temp_dir(), "fracas-bulk")?;
    let machine = real::machine("bulk", &folder.path().join("client"))?;
    let data = folder.path().join("cluster");
    let http = Http::new(machine.clone());
    let cluster = Cluster::start(&arguments.program, &data, 2, &http).await?;
    let targets = Targets::development(vec![cluster.gateway().to_owned()]);
    let plan = Arc::new(Plan::new(&scenario(count)?, 1));
    let (events, whole) = (AtomicU64::new(0), AtomicU64::new(0));
    let counting = Arc::new(Counting { began: Instant::now(), events, whole });
    println!("{count} conversations, by /proc, CPU seconds per 100,000:");
    println!("{:<10} {:>8} {:>10} {:>10} {:>10}", "", "seconds", "a second", "cluster", "client");
    let before = Spent::now(&cluster)?;
    set_up(machine.clone(), plan.clone(), targets.clone(), counting.clone()).await?;
    before.print("made", count, &cluster)?;
    let before = Spent::now(&cluster)?;
    let doubts = final_reads(machine, plan, targets, counting.clone(), BTreeSet::new()).await;
    before.print("read", count, &cluster)?;
    cluster.end().await?;
    for doubt in &doubts {
        println!("{doubt}");
    }
    println!("{} events", counting.events.load(Ordering::Relaxed));
    let whole = counting.whole.load(Ordering::Relaxed);
    Ok(if doubts.is_empty() && whole == u64::from(count) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// So many conversations, and as many users as make each pair once or twice.
fn scenario(conversations: u32) -> anyhow::Result<scenarios::Scenario> {
    let text = format!(
        "name = \"bulk\"\nquestion = \"How fast?\"\nlesson = \"This fast.\"\n\
         [users]\ncount = {}\nconversations = {{ direct = {conversations} }}\n\
         [load]\nphases = [{{ for = \"1s\", rate = \"1/s\" }}]\n\
         [expect]\nverdict = \"valid\"\n",
        conversations.max(2)
    );
    scenarios::parse(&text, "bulk.toml", &[]).map_err(|error| anyhow::anyhow!("{error:?}"))
}

/// User and system time of a process so far.
fn cpu_time(process: u32) -> anyhow::Result<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // Behind the name, which may hold anything: the 12th and 13th field from there, in hundredths.
    let (_, fields) = text.rsplit_once(')').context("a name in brackets")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    ensure!(fields.len() > 12, "/proc/{process}/stat is short");
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(Duration::from_millis(ticks * 10))
}
