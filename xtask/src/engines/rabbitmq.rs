//! A private RabbitMQ, and the tests against it.
//!
//! Traps that cost time: `RABBITMQ_NODE_PORT` beside `listeners.tcp.1` binds twice and dies; the cookie must be
//! in `HOME` and readable by its owner alone; the wrapper in `sbin` changes the user; without a port mapper
//! of its own the instance would be found by, and find, whatever else runs on the machine.

use super::{folder, free_ports, install, test, write};
use crate::say;
use anyhow::{Context, bail};
use std::fs::{File, Permissions};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long it may take until it listens.
const START: Duration = Duration::from_mins(2);
/// How long it may take to shut down before it is killed.
const STOP: Duration = Duration::from_secs(30);
/// Between two looks at something.
const LOOK: Duration = Duration::from_millis(100);

/// Runs every test that needs it.
pub fn run() -> anyhow::Result<bool> {
    let server = ["/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server"];
    let server = install::program(&server, "rabbitmq-server")?;
    let control = ["/usr/lib/rabbitmq/bin/rabbitmqctl", "rabbitmqctl"];
    let control = install::program(&control, "rabbitmq-server")?;
    let mapper = install::program(&["epmd"], "erlang-base")?;
    let certify = install::program(&["openssl"], "openssl")?;
    let instance = Instance::prepare(server, &control, &certify)?;
    let _mapper = Running(instance.start_mapper(&mapper)?);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let serving = scope.spawn(|| instance.serve_until(&over));
        let tested = instance.test();
        over.store(true, Ordering::Relaxed);
        let served = serving.join().expect("serving does not panic");
        let passed = tested?;
        served?;
        Ok(passed)
    })
}

/// Killed, if nothing else has ended it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Instance {
    server: PathBuf,
    folder: PathBuf,
    variables: Vec<(&'static str, String)>,
    ports: Ports,
    mapper: u16,
}

/// Where it listens.
struct Ports {
    port: u16,
    encrypted: u16,
    management: u16,
}

impl Instance {
    /// Writes its configuration.
    fn prepare(server: PathBuf, control: &Path, certify: &Path) -> anyhow::Result<Self> {
        let folder = folder("rabbitmq")?;
        let [mapper, port, encrypted, management, distribution] = free_ports()?;
        let at = |name: &str| folder.join(name).display().to_string();
        std::fs::create_dir(at("home")).context("its home")?;
        let cookie = folder.join("home/.erlang.cookie");
        write(&cookie, &format!("fracas{}", std::process::id()))?;
        std::fs::set_permissions(&cookie, Permissions::from_mode(0o400)).context("the cookie")?;
        make_certificate(certify, &folder)?;
        let ports = Ports { port, encrypted, management };
        write(&folder.join("rabbitmq.conf"), &ports.configuration(&folder))?;
        // Depths are read from statistics that are collected at this pace; by default it is five seconds.
        write(&folder.join("advanced.config"), "[{rabbit, [{quorum_tick_interval, 200}]}].\n")?;
        write(&folder.join("enabled_plugins"), "[rabbitmq_management].\n")?;
        write(&folder.join("environment"), "")?;
        let loopback = "-kernel inet_dist_use_interface {127,0,0,1}";
        let variables = vec![
            ("HOME", at("home")),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".into()),
            ("ERL_EPMD_PORT", mapper.to_string()),
            ("RABBITMQ_NODENAME", format!("fracas-{}@localhost", std::process::id())),
            ("RABBITMQ_DIST_PORT", distribution.to_string()),
            ("RABBITMQ_CONF_ENV_FILE", at("environment")),
            ("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", at("advanced.config")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", at("enabled_plugins")),
            ("RABBITMQ_MNESIA_BASE", at("data")),
            ("RABBITMQ_LOG_BASE", at("log")),
            ("RABBITMQ_PID_FILE", at("pid")),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", loopback.into()),
        ];
        let script = folder.join("control");
        write(&script, &script_of(&variables, control))?;
        std::fs::set_permissions(&script, Permissions::from_mode(0o700)).context("its script")?;
        Ok(Self { server, folder, variables, ports, mapper })
    }

    /// The port mapper of its own; in the foreground, so that it can be ended.
    fn start_mapper(&self, program: &Path) -> anyhow::Result<Child> {
        Command::new(program)
            .args(["-port", &self.mapper.to_string(), "-address", "127.0.0.1"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting epmd")
    }

    /// Keeps it running, whatever a test does to it, until the tests are over.
    fn serve_until(&self, over: &AtomicBool) -> anyhow::Result<()> {
        while !over.load(Ordering::Relaxed) {
            let log = File::create(self.folder.join("console")).context("its output")?;
            let mut server = Running(
                Command::new(&self.server)
                    .envs(self.variables.iter().map(|(name, value)| (name, value)))
                    .stdin(Stdio::null())
                    .stdout(log.try_clone().context("its output")?)
                    .stderr(log)
                    .spawn()
                    .context("starting RabbitMQ")?,
            );
            while !over.load(Ordering::Relaxed) && ended(&mut server.0)?.is_none() {
                std::thread::sleep(LOOK);
            }
            if over.load(Ordering::Relaxed) {
                return stop(&mut server.0);
            }
        }
        Ok(())
    }

    /// Waits until it listens, and runs the tests.
    fn test(&self) -> anyhow::Result<bool> {
        self.wait_until_ready()?;
        say(&format!("RabbitMQ listens on 127.0.0.1:{}", self.ports.port));
        let at = |name: &str| self.folder.join(name).display().to_string();
        let told = [
            ("FRACAS_RABBITMQ", format!("127.0.0.1:{}", self.ports.port)),
            ("FRACAS_RABBITMQ_ENCRYPTED", format!("localhost:{}", self.ports.encrypted)),
            ("FRACAS_RABBITMQ_AUTHORITY", at("certificate.pem")),
            ("FRACAS_RABBITMQ_MANAGEMENT", format!("127.0.0.1:{}", self.ports.management)),
            ("FRACAS_RABBITMQ_CONTROL", at("control")),
            ("FRACAS_RABBITMQ_PID", at("pid")),
        ];
        for target in ["conformance", "outages"] {
            if !test("rabbitmq", target, &told)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn wait_until_ready(&self) -> anyhow::Result<()> {
        let listens = |port| TcpStream::connect(("127.0.0.1", port)).is_ok();
        for _ in 0..START.as_millis() / LOOK.as_millis() {
            if listens(self.ports.port) && listens(self.ports.management) {
                return Ok(());
            }
            std::thread::sleep(LOOK);
        }
        let said = std::fs::read_to_string(self.folder.join("console")).unwrap_or_default();
        let last: Vec<&str> = said.lines().rev().take(30).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        bail!("RabbitMQ does not listen after {START:?}; it said:\n{}", last.join("\n"));
    }
}

impl Ports {
    fn configuration(&self, folder: &Path) -> String {
        let Self { port, encrypted, management } = self;
        let folder = folder.display();
        format!(
            "listeners.tcp.1 = 127.0.0.1:{port}\n\
             listeners.ssl.1 = 127.0.0.1:{encrypted}\n\
             ssl_options.cacertfile = {folder}/certificate.pem\n\
             ssl_options.certfile = {folder}/certificate.pem\n\
             ssl_options.keyfile = {folder}/key.pem\n\
             management.tcp.ip = 127.0.0.1\n\
             management.tcp.port = {management}\n\
             collect_statistics_interval = 200\n"
        )
    }
}

/// A certificate for `localhost` that nobody trusts who is not told to.
fn make_certificate(openssl: &Path, folder: &Path) -> anyhow::Result<()> {
    const REQUEST: &str = "[req]\n\
        distinguished_name = name\n\
        x509_extensions = extensions\n\
        prompt = no\n\
        [name]\n\
        CN = localhost\n\
        [extensions]\n\
        basicConstraints = critical, CA:FALSE\n\
        subjectAltName = DNS:localhost\n";
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

fn ended(child: &mut Child) -> anyhow::Result<Option<ExitStatus>> {
    child.try_wait().context("waiting for RabbitMQ")
}

/// Asks it to shut down.
fn stop(child: &mut Child) -> anyhow::Result<()> {
    let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    asked.context("running kill")?;
    for _ in 0..STOP.as_millis() / LOOK.as_millis() {
        if ended(child)?.is_some() {
            return Ok(());
        }
        std::thread::sleep(LOOK);
    }
    bail!("RabbitMQ does not shut down in {STOP:?}")
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
