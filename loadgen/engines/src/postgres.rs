//! A private PostgreSQL, and one that follows it.
//!
//! Traps that cost time: it refuses to run as root; its key must belong to the user who runs it and be
//! readable by nobody else; after a kill the next start fails until the last of its processes is gone.

use crate::certificate::make_certificate;
use crate::running::{Instance, Program};
use crate::{install, listens, program, write};
use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Of both users; whoever may connect is on this machine.
pub const PASSWORD: &str = "fracas";
/// The database of a cluster, and the user that owns it.
pub const DATABASE: &str = "chat";
/// Where Debian has the programs of each version.
const SERVERS: [&str; 5] = [
    "/usr/lib/postgresql/15/bin/postgres",
    "/usr/lib/postgresql/16/bin/postgres",
    "/usr/lib/postgresql/17/bin/postgres",
    "/usr/lib/postgresql/18/bin/postgres",
    "postgres",
];
/// Who runs it where we are root.
const USER: &str = "postgres";

/// A server with a folder, a port and a certificate of its own (`certificate.pem`).
pub struct Postgres {
    /// Where its programs are.
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
    settings: Vec<String>,
    user: Option<&'static str>,
    follows: bool,
}

impl Postgres {
    /// Finds the programs, and makes a data folder, unless there is one of an earlier start. `settings` go
    /// before those of the server: `synchronous_commit=off`.
    ///
    /// # Errors
    /// A program is missing and cannot be installed, or the data folder cannot be made.
    pub fn prepare(folder: &Path, port: u16, settings: &[&str]) -> anyhow::Result<Self> {
        let instance = Self::at(folder, port, settings)?;
        if instance.data().exists() {
            return Ok(instance);
        }
        make_certificate(&instance.folder)?;
        let password = instance.folder.join("password");
        write(&password, PASSWORD)?;
        if let Some(user) = instance.user {
            done(Command::new("chown").arg("-R").arg(format!("{user}:")).arg(&instance.folder))?;
        }
        done(Command::new("chmod").arg("0600").arg(instance.folder.join("key.pem")))?;
        let mut initdb = instance.command("initdb");
        initdb.args(["--username", "fracas", "--auth", "scram-sha-256", "--encoding", "UTF8"]);
        initdb.args(["--no-locale", "--pwfile"]).arg(password);
        let made = done(initdb.arg("--pgdata").arg(instance.data()));
        made.with_context(|| match instance.user {
            Some(user) => format!(
                "PostgreSQL refuses to run as root, and {user} must be able to reach {}",
                instance.folder.display()
            ),
            None => "making a data folder".to_owned(),
        })?;
        Ok(instance)
    }

    /// A copy of a server that runs, which follows it once it is started, with the same settings. The server keeps
    /// what the copy has not got yet in a slot: without one, each start after a kill ends with a checkpoint, which
    /// may remove it, and the copy never follows again.
    ///
    /// # Errors
    /// It cannot be copied, or the server has a copy already.
    pub fn follower(&self, folder: &Path, port: u16) -> anyhow::Result<Self> {
        let settings: Vec<&str> = self.settings.iter().map(String::as_str).collect();
        let mut follower = Self::at(folder, port, &settings)?;
        follower.follows = true;
        for name in ["certificate.pem", "key.pem"] {
            // With its owner and what it may.
            done(Command::new("cp").arg("-p").arg(self.folder.join(name)).arg(&follower.folder))?;
        }
        if let Some(user) = follower.user {
            done(Command::new("chown").arg(format!("{user}:")).arg(&follower.folder))?;
        }
        let from = format!(
            "host=127.0.0.1 port={} user=fracas password={PASSWORD} application_name=standby",
            self.port
        );
        let mut copy = self.command("pg_basebackup");
        copy.args(["--dbname", &from, "--write-recovery-conf", "--checkpoint", "fast"]);
        copy.args(["--create-slot", "--slot", "standby"]);
        done(copy.arg("--pgdata").arg(follower.data()))?;
        Ok(follower)
    }

    fn at(folder: &Path, port: u16, settings: &[&str]) -> anyhow::Result<Self> {
        let server = installed()?;
        let programs = server.parent().context("a program is in a folder")?.to_owned();
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let folder = folder.canonicalize().with_context(|| folder.display().to_string())?;
        let settings = settings.iter().map(|&setting| setting.to_owned()).collect();
        let user = install::is_root()?.then_some(USER);
        Ok(Self { programs, folder, port, settings, user, follows: false })
    }

    /// Its folder; the data is in `data`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// `psql`, without its connection.
    pub fn client_program(&self) -> PathBuf {
        self.programs.join("psql")
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// One of its programs, as whoever runs it.
    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = match self.user {
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", user, "--regid", user, "--clear-groups", "--"]);
                command.arg(program);
                command
            }
            None => Command::new(program),
        };
        // It may not read where we are.
        command.current_dir("/").stdin(Stdio::null());
        command
    }

    /// Asks it something, as the user who may do everything.
    fn ask(&self, sql: &str) -> anyhow::Result<()> {
        let mut client = Command::new(self.client_program());
        client.env("PGPASSWORD", PASSWORD).arg("--no-psqlrc").arg("--quiet");
        client.args(["--host", "127.0.0.1", "--port", &self.port.to_string()]);
        client.args(["--username", "fracas", "--dbname", "postgres", "--command", sql]);
        done(&mut client)
    }

    /// Makes the database of a cluster and its owner, unless an earlier start has.
    fn make_database(&self) -> anyhow::Result<()> {
        let made = self.folder.join("made");
        if self.follows || made.exists() {
            return Ok(());
        }
        self.ask(&format!("CREATE ROLE {DATABASE} LOGIN PASSWORD '{PASSWORD}'"))?;
        self.ask(&format!("CREATE DATABASE {DATABASE} OWNER {DATABASE}"))?;
        write(&made, "")
    }
}

/// Its program, installed if it is missing.
///
/// # Errors
/// It is missing, and cannot be installed from here.
pub fn installed() -> anyhow::Result<PathBuf> {
    program(&SERVERS, "postgresql")
}

impl Instance for Postgres {
    fn name(&self) -> &'static str {
        "PostgreSQL"
    }

    fn program(&self) -> Program {
        let at = |name: &str| self.folder.join(name).display().to_string();
        let own = [
            format!("port={}", self.port),
            "listen_addresses=127.0.0.1".into(),
            "unix_socket_directories=".into(),
            "max_connections=200".into(),
            "ssl=on".into(),
            format!("ssl_cert_file={}", at("certificate.pem")),
            format!("ssl_key_file={}", at("key.pem")),
        ];
        let settings = own.iter().chain(&self.settings).cloned();
        let settings = settings.flat_map(|setting| ["-c".to_owned(), setting]);
        Program {
            file: self.programs.join("postgres"),
            arguments: ["-D".to_owned(), at("data")].into_iter().chain(settings).collect(),
            variables: Vec::new(),
            console: self.folder.join("console"),
            user: self.user,
            // It does not wait for its sessions then.
            end: Signal::SIGINT,
        }
    }

    fn is_ready(&self) -> bool {
        listens(self.port) && self.ask("SELECT 1").is_ok() && self.make_database().is_ok()
    }
}

/// Runs a command to its end.
fn done(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().display().to_string();
    let output = command.output().with_context(|| format!("running {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} ended with {}: {said}", output.status);
    Ok(())
}
