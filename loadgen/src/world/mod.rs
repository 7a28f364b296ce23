//! The cluster as a child process.
//!
//! It is ended, killed and stopped by its own process id only. That it does not outlive this process
//! is the work of `process`, and of the `cluster` command, which watches its standard input.

pub mod addresses;
pub mod data_folder;
pub mod metrics;
pub mod process;
pub mod readiness;

use crate::world::addresses::free_ports;
use crate::world::process::{Course, Process};
use nix::sys::signal::Signal;
use ports::panics::Panicked;
use scenarios::scenario::Scenario;
use serde::Deserialize;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use verify::history::What;
use workload::recorder::Recorder;
use workload::rest::Http;

/// The name of the whole cluster, whose nodes are one process here.
pub const CLUSTER: &str = "cluster";
/// How long a cluster may take until all its gateways are ready.
const READY: Duration = Duration::from_mins(1);
/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How long it may take to drain.
const DRAIN: Duration = Duration::from_secs(20);
/// Characters of its log's last line that are shown.
const LAST_WORDS: usize = 300;
/// What Rust's runtime says of a thread before it aborts.
const OVERFLOW: &str = "has overflowed its stack";

/// What went wrong with the child process.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Its folder, its log or itself.
    #[error("cannot {what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No room for its nodes.
    #[error("no {0} consecutive free ports")]
    NoPorts(u16),
    /// Its first line is no list of addresses.
    #[error("the cluster did not start: it printed {line:?} ({ended})")]
    Announcement {
        /// What it said.
        line: String,
        /// How it ended.
        ended: String,
    },
    /// It does not get ready.
    #[error("the cluster was not ready in {READY:?} (its log: {log})")]
    NotReady {
        /// Where to look.
        log: String,
    },
    /// It does not take signals.
    #[error("no signal to the cluster")]
    Signal(#[source] nix::Error),
}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> ClusterError {
    let what = what.into();
    move |source| ClusterError::Io { what, source }
}

/// The first line of a cluster.
#[derive(Deserialize)]
struct Announced {
    gateways: Vec<String>,
}

/// A cluster, which may run.
pub struct Cluster {
    binary: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    process: Option<Process>,
    /// Where the part of the log begins that the process has written.
    log_from: u64,
    /// Panics that were not told yet.
    panics: Vec<Panicked>,
    gateways: Vec<String>,
    /// Whether it ends without having been asked to by us.
    course: watch::Sender<Course>,
    /// The number of its process, while there is one.
    id: watch::Sender<Option<u32>>,
}

/// The arguments that start the cluster of a scenario: the one place that knows them.
pub fn command_line(scenario: &Scenario, data: &Path, port: u16, push: &str) -> Vec<String> {
    let shape = scenario.cluster;
    let mut arguments: Vec<String> = [
        "cluster".to_owned(),
        "--json".to_owned(),
        "--ends-with-stdin".to_owned(),
        format!("--data={}", data.display()),
        format!("--port={port}"),
        format!("--gateways={}", shape.gateways),
        format!("--stores={}", shape.stores),
        format!("--partitions={}", shape.partitions),
        format!("--engine={}", shape.engine.word()),
        format!("--limits={}", shape.limits.word()),
        format!("--token-seconds={}", shape.token_lifetime.as_secs()),
        format!("--users={}", scenario.users.count),
        format!("--push={push}"),
    ]
    .into();
    arguments.extend(design_words(scenario).into_iter().map(|word| format!("--design={word}")));
    arguments
}

/// The design choices that are not the sound default, as `choice=option`.
fn design_words(scenario: &Scenario) -> Vec<String> {
    let fields = |design: protocol::Design| match serde_json::to_value(design) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let sound = fields(protocol::Design::default());
    fields(scenario.design)
        .into_iter()
        .filter(|(choice, option)| sound.get(choice) != Some(option))
        .filter_map(|(choice, option)| Some(format!("{choice}={}", option.as_str()?)))
        .collect()
}

impl Cluster {
    /// A cluster that is not started yet; its folder is made.
    pub fn new(
        binary: &Path,
        scenario: &Scenario,
        data: &Path,
        push: &str,
    ) -> Result<Self, ClusterError> {
        std::fs::create_dir_all(data).map_err(io_error(format!("make {}", data.display())))?;
        // Three more than gateways and stores: broker, auth and push provider.
        let ports = scenario.cluster.gateways + scenario.cluster.stores + 3;
        let port = free_ports(ports).ok_or(ClusterError::NoPorts(ports))?;
        Ok(Self {
            binary: binary.to_owned(),
            arguments: command_line(scenario, data, port, push),
            log: data.join("cluster.log"),
            process: None,
            log_from: 0,
            panics: Vec::new(),
            gateways: Vec::new(),
            course: watch::Sender::default(),
            id: watch::Sender::default(),
        })
    }

    /// `host:port` of its gateways, once it was started.
    pub fn gateways(&self) -> &[String] {
        &self.gateways
    }

    /// Waits until it ends by itself, or until somebody else asks it to.
    pub fn leaves(&self) -> impl Future<Output = Course> + use<> {
        let mut course = self.course.subscribe();
        async move {
            let left = course.wait_for(|course| *course != Course::Running).await.map(|left| *left);
            match left {
                Ok(left) => left,
                // The cluster was given up; then nobody cares any more.
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// The number of its process, whenever there is one.
    pub fn id(&self) -> watch::Receiver<Option<u32>> {
        self.id.subscribe()
    }

    /// Starts it, again on the same data and the same ports, and waits until it is ready.
    ///
    /// A caller that loses its patience finds the process in here, and can kill it.
    pub async fn start(&mut self, http: &Http) -> Result<(), ClusterError> {
        // What another process has written is not this one's.
        self.log_from = std::fs::metadata(&self.log).map_or(0, |log| log.len());
        let Self { binary, arguments, log, .. } = self;
        let process = Process::start(binary, arguments, log)
            .map_err(io_error(format!("start {}", binary.display())))?;
        self.id.send_replace(process.id());
        let process = self.process.insert(process);
        let line = timeout(READY, process.first_line())
            .await
            .map_err(|_| ClusterError::NotReady { log: self.log.display().to_string() })?
            .map_err(io_error("read what the cluster says"))?;
        let Ok(announced) = serde_json::from_str::<Announced>(&line) else {
            let status = process.status().await;
            return Err(ClusterError::Announcement { line, ended: self.ended(status) });
        };
        process.watch(self.course.clone());
        self.gateways = announced.gateways;
        self.ready(http).await
    }

    /// Waits until all gateways are ready.
    async fn ready(&self, http: &Http) -> Result<(), ClusterError> {
        let deadline = Instant::now() + READY;
        for gateway in &self.gateways {
            while !http.is_ready(gateway).await {
                if Instant::now() >= deadline || *self.course.borrow() != Course::Running {
                    return Err(ClusterError::NotReady { log: self.log.display().to_string() });
                }
                sleep(LOOK_AGAIN).await;
            }
        }
        Ok(())
    }

    /// How it ended, with the last line of its log.
    pub async fn cause_of_death(&mut self) -> String {
        let status = match &mut self.process {
            Some(process) => process.status().await,
            None => None,
        };
        self.ended(status)
    }

    /// Records the panics of its processes.
    pub fn tell_panics(&mut self, recorder: &dyn Recorder) {
        for Panicked { message, place } in self.panics.drain(..) {
            let (message, place) = (message.into(), place.into());
            recorder.record(What::NodePanicked { node: CLUSTER.into(), message, place });
        }
    }

    /// A process has ended: notes a panic; what else can be said of it, with the last line of its log.
    fn ended(&mut self, status: Option<ExitStatus>) -> String {
        let log = self.log_of_process();
        if let Some(panicked) = panic_of(status, &log) {
            self.panics.push(panicked);
            // It is told once.
            self.log_from = u64::MAX;
        }
        let status = status.map_or_else(|| "no status".to_owned(), |status| status.to_string());
        let last = log.lines().rev().map(str::trim).find(|line| !line.is_empty());
        let last: String = last.unwrap_or("(none)").chars().take(LAST_WORDS).collect();
        format!("{status}; last line of its log: {last}")
    }

    fn log_of_process(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let own = log.get(usize::try_from(self.log_from).unwrap_or(usize::MAX)..);
        String::from_utf8_lossy(own.unwrap_or_default()).into_owned()
    }

    /// Kills the process at once, as `kill -9` does, even if it is stopped, and waits until it is
    /// gone.
    pub async fn kill(&mut self) -> Result<(), ClusterError> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        self.id.send_replace(None);
        let killed = process.kill().await;
        // It may have panicked just before.
        let status = process.status().await;
        self.ended(status);
        killed.map_err(io_error("kill the cluster"))
    }

    /// Stops the process for a while; how often it was seen stopped in that time.
    pub async fn pause(&mut self, lasts: Duration) -> Result<u64, ClusterError> {
        let process = self.process.as_ref().ok_or(ClusterError::Signal(nix::Error::ESRCH))?;
        let guard = process.stop().map_err(io_error("stop the cluster"))?;
        let end = Instant::now() + lasts;
        let mut stopped = 0;
        while Instant::now() < end {
            sleep(LOOK_AGAIN.min(end - Instant::now())).await;
            stopped += u64::from(process.is_stopped());
        }
        guard.dismiss().await.map_err(io_error("dismiss the guard of the stopped cluster"))?;
        process.signal(Signal::SIGCONT).map_err(ClusterError::Signal)?;
        Ok(stopped)
    }

    /// Lets it drain and end; kills it if it takes too long. Whether it ended well.
    pub async fn end(&mut self) -> Result<bool, ClusterError> {
        let Some(process) = &mut self.process else { return Ok(false) };
        let status = process.end(DRAIN).await.map_err(io_error("end the cluster"))?;
        if status.is_none() {
            self.kill().await?;
        }
        self.ended(status);
        Ok(status.is_some_and(|status| status.success()))
    }
}

/// A process that panicked says so in its log, and ends by SIGABRT. One that has no stack left can only
/// do the second, after a line of Rust's runtime.
fn panic_of(status: Option<ExitStatus>, log: &str) -> Option<Panicked> {
    let aborted = status.and_then(|status| status.signal()) == Some(Signal::SIGABRT as i32);
    let overflow = |line: &&str| line.starts_with("thread ") && line.ends_with(OVERFLOW);
    let read = || {
        log.lines().find_map(Panicked::read).or_else(|| {
            let line = log.lines().find(overflow)?;
            Some(Panicked { message: line.to_owned(), place: "unknown".to_owned() })
        })
    };
    aborted.then(read).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    #[derive(Default)]
    struct Events(Mutex<Vec<What>>);

    impl Recorder for Events {
        fn record(&self, what: What) {
            self.0.lock().unwrap().push(what);
        }

        fn now_us(&self) -> u64 {
            0
        }
    }

    /// A cluster whose process is a script, in a folder with the log of an earlier process.
    fn cluster(name: &str, script: &str) -> (Cluster, PathBuf) {
        let data = std::env::temp_dir().join(format!("fracas-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&data).unwrap();
        let log = data.join("cluster.log");
        std::fs::write(&log, "fracas panicked at old.rs:1:1: an earlier run\n").unwrap();
        let cluster = Cluster {
            binary: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            log,
            process: None,
            log_from: 0,
            panics: Vec::new(),
            gateways: Vec::new(),
            course: watch::Sender::default(),
            id: watch::Sender::default(),
        };
        (cluster, data)
    }

    async fn told_by(name: &str, script: &str) -> (String, Vec<What>) {
        let (mut cluster, data) = cluster(name, script);
        let http = Http::new(crate::machine::machine("test", 1, &Arc::default()));
        cluster.start(&http).await.expect("no gateway is waited for");
        let left = timeout(Duration::from_secs(5), cluster.leaves()).await;
        assert_eq!(left, Ok(Course::Died));
        let cause = cluster.cause_of_death().await;
        // It cannot be killed any more.
        let _ = cluster.kill().await;
        let events = Events::default();
        cluster.tell_panics(&events);
        std::fs::remove_dir_all(data).unwrap();
        (cause, events.0.into_inner().unwrap())
    }

    const READY_LINE: &str = r#"echo '{"gateways":[]}'; sleep 0.1; "#;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_panic_is_told_once_with_its_place() {
        let script = format!(
            "{READY_LINE} echo 'fracas panicked at cluster/a.rs:1:2: odd: 3' >&2; kill -ABRT $$"
        );
        let (cause, events) = told_by("panicked", &script).await;
        assert!(cause.contains("signal: 6") && cause.ends_with("odd: 3"), "{cause}");
        let (message, place) = ("odd: 3".into(), "cluster/a.rs:1:2".into());
        assert_eq!(events, [What::NodePanicked { node: "cluster".into(), message, place }]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_lost_stack_is_a_panic_and_another_end_is_not() {
        let script = format!(
            "{READY_LINE} echo \"thread 'main' (7) has overflowed its stack\" >&2; kill -ABRT $$"
        );
        let (_, events) = told_by("overflowed", &script).await;
        assert!(matches!(&events[..], [What::NodePanicked { .. }]), "{events:?}");
        for end in ["kill -KILL $$", "kill -ABRT $$", "exit 2"] {
            let (_, events) = told_by("ended", &format!("{READY_LINE} {end}")).await;
            assert_eq!(events, [], "{end}");
        }
    }
}
