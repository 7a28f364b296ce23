//! A private RabbitMQ: a port mapper, and one node or several.
//!
//! Traps that cost time: `RABBITMQ_NODE_PORT` beside `listeners.tcp.1` binds twice and dies; the cookie must be
//! in `HOME` and readable by its owner alone; the wrapper in `sbin` changes the user; without a port mapper
//! of its own the instance would be found by, and find, whatever else runs on the machine; only under
//! `RUNNING_UNDER_SYSTEMD` does its script become the server instead of waiting for it.

use crate::certificate::make_certificate;
use crate::running::{Instance, Program};
use crate::{listens, program, write};
use anyhow::Context;
use std::fs::{File, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the management interface may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A node of RabbitMQ, with its configuration in its folder. The user is `guest`, with the password `guest`.
pub struct RabbitMq {
    server: PathBuf,
    folder: PathBuf,
    variables: Vec<(&'static str, String)>,
    ports: Ports,
    mapper: u16,
    nodes: usize,
}

/// Where a node listens, always on loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// AMQP.
    pub amqp: u16,
    /// AMQP with TLS, if it is wanted; the certificate is `certificate.pem` in the folder.
    pub encrypted: Option<u16>,
    /// The management interface.
    pub management: u16,
    /// Erlang's own protocol.
    pub distribution: u16,
    /// Its numbers for Prometheus, if they are wanted.
    pub numbers: Option<u16>,
}

/// Erlang's port mapper: nodes find each other by it, and their tools find them. It keeps nothing.
pub struct Mapper {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
}

impl Mapper {
    /// Finds the program; its output goes to a folder.
    ///
    /// # Errors
    /// It is missing and cannot be installed, or the folder cannot be made.
    pub fn prepare(folder: &Path, port: u16) -> anyhow::Result<Self> {
        let program = program(&["epmd"], "erlang-base")?;
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        Ok(Self { program, folder: folder.to_owned(), port })
    }
}

/// Its program, installed if it is missing.
///
/// # Errors
/// It is missing, and cannot be installed from here.
pub fn installed() -> anyhow::Result<PathBuf> {
    program(&["/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server"], "rabbitmq-server")
}

impl Instance for Mapper {
    fn name(&self) -> &'static str {
        "Erlang's port mapper"
    }

    fn program(&self) -> Program {
        let arguments = ["-port", &self.port.to_string(), "-address", "127.0.0.1"];
        let arguments = arguments.map(str::to_owned).to_vec();
        Program::new(&self.program, arguments, &self.folder)
    }

    fn is_ready(&self) -> bool {
        listens(self.port)
    }
}

/// The nodes that make one RabbitMQ together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Together {
    /// The port mapper of all of them, which has to run.
    pub mapper: u16,
    /// The file of their secret, made if it is missing, on the disk of their folders.
    pub secret: PathBuf,
    /// The ports of AMQP of all of them.
    pub amqp: Vec<u16>,
    /// How old depths may be that they tell.
    pub statistics: Duration,
}

impl RabbitMq {
    /// Finds the programs, and writes the configuration of a node into a folder, which may have its data of
    /// an earlier start with the same ports.
    ///
    /// # Errors
    /// A program is missing and cannot be installed, or a file cannot be written.
    pub fn prepare(folder: &Path, ports: Ports, together: &Together) -> anyhow::Result<Self> {
        let server = installed()?;
        let control = ["/usr/lib/rabbitmq/bin/rabbitmqctl", "rabbitmqctl"];
        let control = program(&control, "rabbitmq-server")?;
        // It is told absolute paths.
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let folder = folder.canonicalize().with_context(|| folder.display().to_string())?;
        let at = |name: &str| folder.join(name).display().to_string();
        std::fs::create_dir_all(at("home")).context("its home")?;
        write_cookie(&folder.join("home/.erlang.cookie"), &together.secret)?;
        if ports.encrypted.is_some() {
            make_certificate(&folder)?;
        }
        write(&folder.join("rabbitmq.conf"), &ports.configuration(&folder, together))?;
        // Depths are read from statistics that are collected at this pace; by default it is five seconds.
        let pace = together.statistics.as_millis();
        let advanced = format!("[{{rabbit, [{{quorum_tick_interval, {pace}}}]}}].\n");
        write(&folder.join("advanced.config"), &advanced)?;
        let plugins = match ports.numbers {
            Some(_) => "[rabbitmq_management, rabbitmq_prometheus].\n",
            None => "[rabbitmq_management].\n",
        };
        write(&folder.join("enabled_plugins"), plugins)?;
        write(&folder.join("environment"), "")?;
        let variables = vec![
            ("HOME", at("home")),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".into()),
            ("ERL_EPMD_PORT", together.mapper.to_string()),
            ("RABBITMQ_NODENAME", node(ports.amqp)),
            ("RABBITMQ_DIST_PORT", ports.distribution.to_string()),
            ("RABBITMQ_CONF_ENV_FILE", at("environment")),
            ("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", at("advanced.config")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", at("enabled_plugins")),
            ("RABBITMQ_MNESIA_BASE", at("data")),
            ("RABBITMQ_LOG_BASE", at("log")),
            ("RABBITMQ_PID_FILE", at("pid")),
            (
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1}".into(),
            ),
            ("RUNNING_UNDER_SYSTEMD", "true".into()),
        ];
        let script = folder.join("control");
        write(&script, &script_of(&variables, &control))?;
        std::fs::set_permissions(&script, Permissions::from_mode(0o700)).context("its script")?;
        let (mapper, nodes) = (together.mapper, together.amqp.len());
        Ok(Self { server, folder, variables, ports, mapper, nodes })
    }

    /// Its folder: `control` is `rabbitmqctl` for this instance, `pid` has the number of its process.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Instance for RabbitMq {
    fn name(&self) -> &'static str {
        "RabbitMQ"
    }

    fn program(&self) -> Program {
        Program {
            variables: self.variables.clone(),
            ..Program::new(&self.server, Vec::new(), &self.folder)
        }
    }

    /// Without a port mapper it would start one that nobody ends.
    fn may_start(&self) -> bool {
        listens(self.mapper)
    }

    /// For the first time, it is when all nodes have come together: a queue that is made before that has no
    /// copies on those that are missing, and never gets any.
    fn is_ready(&self) -> bool {
        let Ports { amqp, encrypted, management, numbers, .. } = self.ports;
        let others = [encrypted, numbers].into_iter().flatten();
        if ![amqp, management].into_iter().chain(others).all(listens) {
            return false;
        }
        let together = self.folder.join("together");
        if !together.exists() && nodes_running(management).is_ok_and(|there| there == self.nodes) {
            // Without the file it is asked again, which is right as well.
            let _ = write(&together, "");
        }
        together.exists()
    }
}

impl Ports {
    fn configuration(&self, folder: &Path, together: &Together) -> String {
        let Self { amqp, encrypted, management, numbers, .. } = self;
        let statistics = together.statistics.as_millis();
        let numbered = together.amqp.iter().zip(1..);
        let nodes: Vec<String> = numbered
            .map(|(port, n)| {
                format!("cluster_formation.classic_config.nodes.{n} = {}\n", node(*port))
            })
            .collect();
        let nodes = nodes.concat();
        let folder = folder.display();
        let encrypted = encrypted.map_or_else(String::new, |port| {
            format!(
                "listeners.ssl.1 = 127.0.0.1:{port}\n\
                 ssl_options.cacertfile = {folder}/certificate.pem\n\
                 ssl_options.certfile = {folder}/certificate.pem\n\
                 ssl_options.keyfile = {folder}/key.pem\n"
            )
        });
        let numbers = numbers.map_or_else(String::new, |port| {
            format!("prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = {port}\n")
        });
        format!(
            "listeners.tcp.1 = 127.0.0.1:{amqp}\n\
             {encrypted}{numbers}\
             management.tcp.ip = 127.0.0.1\n\
             management.tcp.port = {management}\n\
             collect_statistics_interval = {statistics}\n\
             cluster_formation.peer_discovery_backend = classic_config\n\
             {nodes}"
        )
    }
}

/// How many nodes run, as one of them says on its management interface.
fn nodes_running(management: u16) -> std::io::Result<usize> {
    let mut stream = TcpStream::connect(("127.0.0.1", management))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // The user and the password are `guest`.
    stream.write_all(
        b"GET /api/nodes?columns=running HTTP/1.0\r\nAuthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\r\n",
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.matches("\"running\":true").count())
}

/// What the node with that port of AMQP is called.
fn node(amqp: u16) -> String {
    format!("fracas-{amqp}@localhost")
}

/// The secret by which nodes know each other: whoever knows it can do anything as this user. It is made by
/// the first who needs it, and readable by its owner alone.
fn write_cookie(cookie: &Path, shared: &Path) -> anyhow::Result<()> {
    if cookie.exists() {
        return Ok(());
    }
    let new = cookie.with_extension("new");
    write(&new, "")?;
    std::fs::set_permissions(&new, Permissions::from_mode(0o600)).context("the cookie")?;
    let mut random = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut random))
        .context("chance")?;
    write(&new, &random.map(|byte| format!("{byte:02x}")).concat())?;
    std::fs::set_permissions(&new, Permissions::from_mode(0o400)).context("the cookie")?;
    // Another node may have been faster; then that one's holds.
    match std::fs::hard_link(&new, shared) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        done => done.with_context(|| shared.display().to_string())?,
    }
    std::fs::remove_file(&new).context("the cookie")?;
    std::fs::hard_link(shared, cookie).context("the cookie")
}

/// What `rabbitmqctl` needs to find this instance, for the tests.
fn script_of(variables: &[(&str, String)], control: &Path) -> String {
    let export = |(name, value): &(&str, String)| {
        format!("export {name}='{}'\n", value.replace('\'', "'\\''"))
    };
    let exports: Vec<String> = variables.iter().map(export).collect();
    let exports = exports.concat();
    format!("#!/bin/sh\n{exports}exec '{}' \"$@\"\n", control.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_keeps_every_value_in_one_piece() {
        let variables = [("HOME", "/a b/it's".to_owned())];
        let script = script_of(&variables, Path::new("/usr/bin/rabbitmqctl"));
        let expected =
            "#!/bin/sh\nexport HOME='/a b/it'\\''s'\nexec '/usr/bin/rabbitmqctl' \"$@\"\n";
        assert_eq!(script, expected);
    }
}
