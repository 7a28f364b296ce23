//! One run of one generator against a fresh cluster.

use crate::generator::{Counts, Generator};
use crate::people;
use anyhow::{Context, ensure};
use benches::cluster::Cluster;
use benches::folder::Folder;
use benches::memory::Memory;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
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
    let driven = drive(generator, fracas, &cluster, &load, folder.path()).await;
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
    cluster: &Cluster,
    load: &Load,
    folder: &Path,
) -> anyhow::Result<Took> {
    let people = folder.join("people.jsonl");
    if !generator.signs_in() {
        people::introduce(cluster.gateway(), load.users, &people, folder).await?;
    }
    let mut command = Command::from(generator.command(fracas, cluster.gateway(), load, folder)?);
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
        .kill_on_drop(true)
        .spawn()
        .context("starting it")?;
    let process = child.id().context("it ended at once")?;
    let highest = async {
        let mut highest = 0;
        while let Ok(memory) = Memory::of(process) {
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
    let counts = generator.counts(&String::from_utf8_lossy(&output.stdout))?;
    Ok(Took { cpu: children()?.saturating_sub(before), memory, counts })
}

/// CPU time of the children that have ended.
fn children() -> anyhow::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(micros.try_into()?))
}
