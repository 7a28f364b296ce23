//! A private RabbitMQ of one node.
//!
//! Traps that cost time: `RABBITMQ_NODE_PORT` beside `listeners.tcp.1` binds twice and dies; the cookie must be
//! in `HOME` and readable by its owner alone; the wrapper in `sbin` changes the user; without a port mapper
//! of its own the instance would be found by, and find, whatever else runs on the machine; only under
//! `RUNNING_UNDER_SYSTEMD` does its script become the server instead of waiting for it.

use crate::running::{Instance, Program};
use crate::{listens, program, write};
use anyhow::Context;
use nix::sys::signal::Signal;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A RabbitMQ, with its configuration in its folder. The user is `guest`, with the password `guest`.
pub struct RabbitMq {
    server: PathBuf,
    mapper: PathBuf,
    folder: PathBuf,
    variables: Vec<(&'static str, String)>,
    ports: Ports,
}

/// Where it listens, always on loopback.
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
    /// The port mapper.
    pub mapper: u16,
}

impl RabbitMq {
    /// Finds the programs, and writes the configuration into a folder, which may have data of an earlier
    /// start with the same ports. Depths are as old as `statistics`.
    ///
    /// # Errors
    /// A program is missing and cannot be installed, or a file cannot be written.
    pub fn prepare(folder: &Path, ports: Ports, statistics: Duration) -> anyhow::Result<Self> {
        let server = ["/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server"];
        let server = program(&server, "rabbitmq-server")?;
        let control = ["/usr/lib/rabbitmq/bin/rabbitmqctl", "rabbitmqctl"];
        let control = program(&control, "rabbitmq-server")?;
        let mapper = program(&["epmd"], "erlang-base")?;
        // It is told absolute paths.
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let folder = folder.canonicalize().with_context(|| folder.display().to_string())?;
        let at = |name: &str| folder.join(name).display().to_string();
        std::fs::create_dir_all(at("home")).context("its home")?;
        write_cookie(&folder.join("home/.erlang.cookie"))?;
        if ports.encrypted.is_some() {
            make_certificate(&folder)?;
        }
        let statistics = statistics.as_millis();
        write(&folder.join("rabbitmq.conf"), &ports.configuration(&folder, statistics))?;
        // Depths are read from statistics that are collected at this pace; by default it is five seconds.
        let advanced = format!("[{{rabbit, [{{quorum_tick_interval, {statistics}}}]}}].\n");
        write(&folder.join("advanced.config"), &advanced)?;
        write(&folder.join("enabled_plugins"), "[rabbitmq_management].\n")?;
        write(&folder.join("environment"), "")?;
        let variables = vec![
            ("HOME", at("home")),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".into()),
            ("ERL_EPMD_PORT", ports.mapper.to_string()),
            ("RABBITMQ_NODENAME", format!("fracas-{}@localhost", ports.amqp)),
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
        Ok(Self { server, mapper, folder, variables, ports })
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

    fn programs(&self) -> Vec<Program> {
        let mapper = Program {
            file: self.mapper.clone(),
            arguments: ["-port", &self.ports.mapper.to_string(), "-address", "127.0.0.1"]
                .map(str::to_owned)
                .to_vec(),
            variables: Vec::new(),
            console: self.folder.join("mapper"),
            end: Signal::SIGTERM,
        };
        let server = Program {
            file: self.server.clone(),
            arguments: Vec::new(),
            variables: self.variables.clone(),
            console: self.folder.join("console"),
            end: Signal::SIGTERM,
        };
        vec![mapper, server]
    }

    fn is_ready(&self) -> bool {
        let Ports { amqp, encrypted, management, .. } = self.ports;
        listens(amqp) && listens(management) && encrypted.is_none_or(listens)
    }
}

impl Ports {
    fn configuration(&self, folder: &Path, statistics: u128) -> String {
        let Self { amqp, encrypted, management, .. } = self;
        let folder = folder.display();
        let encrypted = encrypted.map_or_else(String::new, |port| {
            format!(
                "listeners.ssl.1 = 127.0.0.1:{port}\n\
                 ssl_options.cacertfile = {folder}/certificate.pem\n\
                 ssl_options.certfile = {folder}/certificate.pem\n\
                 ssl_options.keyfile = {folder}/key.pem\n"
            )
        });
        format!(
            "listeners.tcp.1 = 127.0.0.1:{amqp}\n\
             {encrypted}\
             management.tcp.ip = 127.0.0.1\n\
             management.tcp.port = {management}\n\
             collect_statistics_interval = {statistics}\n"
        )
    }
}

/// The same one for every start: it is readable by its owner alone, and cannot be written again.
fn write_cookie(cookie: &Path) -> anyhow::Result<()> {
    if cookie.exists() {
        return Ok(());
    }
    write(cookie, &format!("fracas{}", std::process::id()))?;
    std::fs::set_permissions(cookie, Permissions::from_mode(0o400)).context("the cookie")
}

/// A certificate for `localhost` that nobody trusts who is not told to.
fn make_certificate(folder: &Path) -> anyhow::Result<()> {
    const REQUEST: &str = "[req]\n\
        distinguished_name = name\n\
        x509_extensions = extensions\n\
        prompt = no\n\
        [name]\n\
        CN = localhost\n\
        [extensions]\n\
        basicConstraints = critical, CA:FALSE\n\
        subjectAltName = DNS:localhost\n";
    let openssl = program(&["openssl"], "openssl")?;
    let request = folder.join("request.conf");
    write(&request, REQUEST)?;
    let output = Command::new(openssl)
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout"])
        .arg(folder.join("key.pem"))
        .arg("-out")
        .arg(folder.join("certificate.pem"))
        .arg("-config")
        .arg(request)
        .output()
        .context("running openssl")?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
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
