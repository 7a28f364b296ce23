//! One run of one generator against a fresh cluster.

use crate::generator::{Counts, Generator};
use crate::people;
use anyhow::{Context, ensure};
use benches::cluster::Cluster;
use benches::folder::Folder;
use benches::memory::Memory;
use http_body_util::Full;
use hyper::Request;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde_json::json;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::{sleep, timeout};
use workload::rest::Http;

/// Between two looks at the memory of a generator.
const LOOK: Duration = Duration::from_millis(250);
/// What a run may take beyond its load: signing in, settling, judging.
const BESIDE: Duration = Duration::from_mins(2);
/// Within so long everybody has come.
const ARRIVE: Duration = Duration::from_secs(5);

/// What is to be generated.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub users: u32,
    /// Messages a second, of all users together.
    pub rate: u32,
    /// Once everybody is there.
    pub lasts: Duration,
}

impl Load {
    /// Between two messages of a user.
    pub fn think(&self) -> Duration {
        Duration::from_secs(1) * self.users / self.rate
    }

    /// Users that come in a second.
    pub fn arrive_per_second(&self) -> u64 {
        u64::from(self.users).div_ceil(ARRIVE.as_secs())
    }

    /// With the time in which users come.
    pub fn lasts_with_arrivals(&self) -> Duration {
        self.lasts + ARRIVE
    }

    /// How users come, for artillery.
    pub fn arrivals(&self) -> String {
        let phase = json!({ "duration": ARRIVE.as_secs(), "arrivalCount": self.users });
        json!({ "config": { "phases": [phase] } }).to_string()
    }

    /// The same for `fracas load`.
    pub fn scenario(&self) -> String {
        let Self { users, rate, lasts } = self;
        let (pairs, seconds, arrive) = (users / 2, lasts.as_secs(), ARRIVE.as_secs());
        let warm_up = 2 * arrive;
        format!(
            r#"name = "pairs"
question = "What does a generator cost?"
lesson = "What it does for each user and each message."

[users]
count = {users}
conversations = {{ direct = {pairs} }}
connect = {{ over = "{arrive}s" }}
codec = "json"

[load]
phases = [{{ for = "{seconds}s", rate = "{rate}/s" }}]
mix = {{ send = 1.0 }}
receipts_every = "20m"

[phases]
warm_up = "{warm_up}s"
settle = "20s"
"#
        )
    }
}

/// What a run took.
#[derive(Clone, Copy, Debug)]
pub struct Took {
    /// Of all threads and children, in user space and the kernel.
    pub cpu: Duration,
    /// At most, private pages only.
    pub memory: u64,
    pub counts: Counts,
}

/// Drives a load by a generator. It is an error if hardly anything was accepted: then nothing was
/// measured.
pub async fn run(generator: Generator, fracas: &Path, load: Load) -> anyhow::Result<Took> {
    let folder = Folder::make(&std::env::temp_dir(), "fracas-generators")?;
    let http = Http::new(real::machine("generators", &folder.path().join("client"))?);
    let data = folder.path().join("cluster");
    let cluster = Cluster::start(fracas, &data, u64::from(load.users), &http).await?;
    let driven = drive(generator, fracas, (&cluster, &http), &load, folder.path()).await;
    cluster.end().await?;
    let took = driven.with_context(|| format!("{generator:?} with {load:?}"))?;
    let wanted = u64::from(load.rate) * load.lasts.as_secs();
    ensure!(
        took.counts.accepted >= wanted / 4,
        "{generator:?}: {} messages were accepted of about {wanted}: nothing was measured",
        took.counts.accepted
    );
    Ok(took)
}

async fn drive(
    generator: Generator,
    fracas: &Path,
    (cluster, http): (&Cluster, &Http),
    load: &Load,
    folder: &Path,
) -> anyhow::Result<Took> {
    let people = folder.join("people.jsonl");
    if !generator.signs_in() {
        people::introduce(cluster.gateway(), load.users, &people, folder).await?;
    }
    let mut command = Command::from(generator.command(fracas, cluster.gateway(), load, folder)?);
    let applied = applied(cluster, http).await?;
    let before = children()?;
    let child = command
        .env("GATEWAY", cluster.gateway())
        .env("PEOPLE", &people)
        .env("USERS", load.users.to_string())
        .env("ARRIVE_PER_SECOND", load.arrive_per_second().to_string())
        .env("THINK_MS", load.think().as_millis().to_string())
        .env("SECONDS", load.lasts_with_arrivals().as_secs().to_string())
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // Not ours: Node.js makes it non-blocking, for the cluster as well, which panics when it is full.
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("starting it")?;
    let process = child.id().context("it ended at once")?;
    let highest = async {
        let mut highest = 0;
        while let Ok(memory) = Memory::of_tree(process) {
            highest = memory.private.max(highest);
            sleep(LOOK).await;
        }
        highest
    };
    let (memory, output) = tokio::join!(
        timeout(load.lasts_with_arrivals() + BESIDE, highest),
        timeout(load.lasts_with_arrivals() + BESIDE, child.wait_with_output()),
    );
    let (memory, output) = (memory.context("it did not end")?, output.context("it did not end")??);
    let cpu = children()?.saturating_sub(before);
    let applied = self::applied(cluster, http).await?.saturating_sub(applied);
    let counts = generator
        .counts(&String::from_utf8_lossy(&output.stdout), folder)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let counts = counts.unwrap_or(Counts { accepted: applied, delivered: 0 });
    eprintln!("{generator:?} {load:?}: {cpu:?}, {memory} bytes, {counts:?}, {applied} applied");
    ensure!(counts.accepted <= applied, "it counted more than the cluster's stores applied");
    Ok(Took { cpu, memory, counts })
}

/// Commands that the stores of a cluster have applied. With everybody introduced and nobody who does anything but
/// send, each one more is a message that was accepted.
async fn applied(cluster: &Cluster, http: &Http) -> anyhow::Result<u64> {
    let request = Request::get("/metrics").body(Full::default())?;
    let answer = http.exchange(cluster.gateway(), request).await.context("reading the metrics")?;
    applied_in(std::str::from_utf8(answer.body())?)
}

/// In the text format of Prometheus.
fn applied_in(metrics: &str) -> anyhow::Result<u64> {
    let stores = metrics.lines().filter_map(|line| line.strip_prefix("store_commands_total{"));
    let counts =
        stores.map(|line| line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok()));
    counts.sum::<Option<u64>>().context("a count of the stores")
}

/// CPU time of the children that have ended.
fn children() -> anyhow::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(micros.try_into()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_of_all_stores_are_counted_and_nothing_else() {
        let metrics = "# TYPE store_commands_total counter\n\
                       store_commands_total{node=\"store-1\"} 40\n\
                       store_commands_total{node=\"store-2\"} 2\n\
                       store_commands_waiting{node=\"store-1\"} 5\n";
        assert_eq!(applied_in(metrics).unwrap(), 42);
        assert_eq!(applied_in("# nothing was applied yet\n").unwrap(), 0);
        assert!(applied_in("store_commands_total{node=\"store-1\"} many\n").is_err());
    }

    #[test]
    fn artillery_is_told_how_many_come() {
        let load = Load { users: 1_000, rate: 400, lasts: Duration::from_secs(30) };
        let arrivals = r#"{"config":{"phases":[{"arrivalCount":1000,"duration":5}]}}"#;
        assert_eq!(load.arrivals(), arrivals);
    }
}
