//! A Docker engine: the one that runs here, or a private one for as long as it is needed.

use anyhow::{Context, bail};
use engines::{Instance, Program, Running, Signal, program};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How to talk to an engine.
pub struct Docker {
    client: PathBuf,
    compose: Vec<String>,
    /// Its socket, if it is not the usual one.
    socket: Option<PathBuf>,
}

/// Does something with an engine. Where none runs, a private one is installed, started, and stopped afterwards;
/// its images stay in a folder. What cannot be removed afterwards is an inner error.
///
/// # Errors
/// There is none and none can be had, or as `work`.
pub fn with_docker(
    folder: &Path,
    work: impl FnOnce(&Docker) -> anyhow::Result<anyhow::Result<()>>,
) -> anyhow::Result<anyhow::Result<()>> {
    let server = program(&["dockerd"], "docker.io")?;
    let client = program(&["docker"], "docker.io")?;
    let mut docker = Docker { client, compose: Vec::new(), socket: None };
    docker.compose = docker.find_compose()?;
    if docker.answers() {
        return work(&docker);
    }
    program(&["iptables"], "iptables")?;
    let daemon = Daemon::prepare(folder, server, &docker.client)?;
    docker.socket = Some(daemon.socket());
    let mut running = Running::start(&daemon)?;
    running.wait_until_ready().context("no Docker engine can be started here")?;
    let done = work(&docker);
    let stopped = running.stop();
    let removed = daemon.remove_state();
    done.map(|done| done.and(stopped).and(removed))
}

impl Docker {
    /// `docker` with arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.client);
        command.args(arguments);
        self.reaching(command)
    }

    /// `docker compose` or `docker-compose`, whichever is there.
    pub fn compose(&self) -> Command {
        let mut command = Command::new(&self.compose[0]);
        command.args(&self.compose[1..]);
        self.reaching(command)
    }

    /// The name of the latter, with its version.
    pub fn versions(&self) -> anyhow::Result<String> {
        let engine = said(&mut self.command(&["version", "--format", "{{.Server.Version}}"]))?;
        let compose = said(self.compose().args(["version", "--short"]))?;
        Ok(format!("Docker {engine}, Compose {compose}"))
    }

    /// What `docker` says.
    pub fn said(&self, arguments: &[&str]) -> anyhow::Result<String> {
        said(&mut self.command(arguments))
    }

    fn reaching(&self, mut command: Command) -> Command {
        // The old builder finds the images that were made here, and so does every engine.
        command.env("DOCKER_BUILDKIT", "0").stdin(Stdio::null());
        if let Some(socket) = &self.socket {
            command.env("DOCKER_HOST", format!("unix://{}", socket.display()));
        }
        command
    }

    fn answers(&self) -> bool {
        self.said(&["version", "--format", "{{.Server.Version}}"]).is_ok()
    }

    fn find_compose(&self) -> anyhow::Result<Vec<String>> {
        let client = self.client.display().to_string();
        let plugin = self.command(&["compose", "version"]).output().context("running docker")?;
        if plugin.status.success() {
            return Ok(vec![client, "compose".to_owned()]);
        }
        let alone = program(&["docker-compose"], "docker-compose")?;
        Ok(vec![alone.display().to_string()])
    }
}

/// What a command says, if it ends well.
pub fn said(command: &mut Command) -> anyhow::Result<String> {
    let what = || format!("{command:?}");
    let what = what();
    let output = command.output().with_context(|| what.clone())?;
    if !output.status.success() {
        let (out, error) = (&output.stdout, &output.stderr);
        let said = [out, error].map(|text| String::from_utf8_lossy(text).into_owned()).concat();
        bail!("{what} ended with {}: {}", output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A private engine.
struct Daemon {
    server: PathBuf,
    client: PathBuf,
    /// Its images and containers, kept between runs.
    data: PathBuf,
    /// Its socket: the name of one must be short.
    short: PathBuf,
}

impl Daemon {
    fn prepare(folder: &Path, server: PathBuf, client: &Path) -> anyhow::Result<Self> {
        if !engines::is_root()? {
            bail!("no Docker engine answers, and a private one is started by root alone");
        }
        let data = folder.join("docker");
        let short = std::env::temp_dir().join(format!("fracas-docker-{}", std::process::id()));
        for made in [&data, &short] {
            std::fs::create_dir_all(made).with_context(|| made.display().to_string())?;
        }
        Ok(Self { server, client: client.to_owned(), data, short })
    }

    fn socket(&self) -> PathBuf {
        self.short.join("socket")
    }

    /// What it has mounted stays mounted when it ends.
    fn remove_state(&self) -> anyhow::Result<()> {
        let mounts = std::fs::read_to_string("/proc/mounts").context("what is mounted")?;
        let places = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        let ours: Vec<&str> = places.filter(|at| Path::new(at).starts_with(&self.short)).collect();
        for at in ours.iter().rev() {
            said(Command::new("umount").arg(at))?;
        }
        std::fs::remove_dir_all(&self.short).context("the folder of its socket")
    }
}

impl Instance for Daemon {
    fn name(&self) -> &'static str {
        "the Docker engine"
    }

    fn program(&self) -> Program {
        let host = format!("unix://{}", self.socket().display());
        let [data, state, pid] =
            [&self.data, &self.short.join("state"), &self.short.join("number")]
                .map(|path| path.display().to_string());
        let arguments = ["--host", &host, "--data-root", &data, "--exec-root", &state]
            .into_iter()
            // Each container counts as much as a process of this machine; by default all of them together would.
            .chain(["--pidfile", &pid, "--log-level", "warn", "--cgroup-parent", "/"]);
        Program {
            file: self.server.clone(),
            arguments: arguments.map(str::to_owned).collect(),
            variables: Vec::new(),
            user: None,
            console: self.short.join("console"),
            end: Signal::SIGTERM,
        }
    }

    fn is_ready(&self) -> bool {
        let (client, compose) = (self.client.clone(), Vec::new());
        Docker { client, compose, socket: Some(self.socket()) }.answers()
    }
}
