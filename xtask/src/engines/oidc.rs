//! A cluster whose users come from an OpenID provider: oidc-provider, a certified one, with keys of every type
//! that gateways take, which change while the cluster runs.

use super::cluster::{Cluster, topology};
use super::folder;
use crate::repository::root;
use crate::say;
use anyhow::{Context, ensure};
use engines::free_ports;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// What is installed.
const PACKAGE: &str = "oidc-provider@9.13.3";
/// It runs the provider, and asks it and the gateway.
const SCRIPT: &str = include_str!("../../engines/oidc.mjs");

const ALGORITHMS: [&str; 3] = ["RS256", "ES256", "EdDSA"];
/// What a gateway answers to whom it lets in, and to whom it does not.
const LET_IN: &str = "200";
const REFUSED: &str = "401";
/// The shortest that can be configured.
const REFRESH_SECONDS: u64 = 10;
/// Until a change of keys has reached a gateway, and a little.
const PATIENCE: Duration = Duration::from_secs(REFRESH_SECONDS + 10);

/// Starts a provider and a cluster, and gets users of the one into the other.
pub fn run() -> anyhow::Result<bool> {
    let script = installed()?;
    let folder = folder("oidc")?;
    let (topology, gateway) = topology()?;
    // Behind the ports of the cluster, which nobody listens on yet.
    let [.., issuer] = free_ports::<5>()?;
    let mut provider = Provider::start(&script, issuer)?;
    let config = format!(
        "partitions = 4\ndevelopment_users = 20\n{topology}[oidc]\nissuer = \"http://127.0.0.1:{issuer}\"\n\
         audience = \"https://chat.example\"\nrefresh_seconds = {REFRESH_SECONDS}\n"
    );
    let _cluster = Cluster::start(&config, &folder)?;
    let (issuer, gateway) = (issuer.to_string(), gateway.to_string());
    let asked = Asked { script, issuer, gateway };
    match asked.all(&mut provider) {
        // Here the gateway was asked, and has not answered as it should.
        Err(error) if error.is::<Unexpected>() => {
            say(&format!("{error}"));
            Ok(false)
        }
        done => done.map(|()| true),
    }
}

/// The script, beside the provider that it uses; both are kept between runs.
fn installed() -> anyhow::Result<PathBuf> {
    let home = root().join("target/engines/oidc-provider");
    std::fs::create_dir_all(&home).with_context(|| home.display().to_string())?;
    let script = home.join("oidc.mjs");
    std::fs::write(&script, SCRIPT).with_context(|| script.display().to_string())?;
    let manifest = home.join("node_modules/oidc-provider/package.json");
    let version = PACKAGE.split_once('@').map_or("", |(_, version)| version);
    let has_it = std::fs::read_to_string(manifest).is_ok_and(|text| text.contains(version));
    if !has_it {
        engines::program(&["node"], "nodejs")?;
        let npm = engines::program(&["npm"], "npm")?;
        let options = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefix"];
        let mut install = Command::new(npm);
        let installed = install.arg("install").args(options).arg(&home).arg(PACKAGE).status()?;
        ensure!(installed.success(), "{PACKAGE} could not be installed");
    }
    Ok(script)
}

/// The provider, which ends with this.
struct Provider {
    child: Child,
    told: ChildStdin,
    tells: BufReader<std::process::ChildStdout>,
}

impl Provider {
    fn start(script: &Path, port: u16) -> anyhow::Result<Self> {
        let mut child = Command::new("node")
            .arg(script)
            .args(["serve", &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting node")?;
        let told = child.stdin.take().context("its input")?;
        let tells = BufReader::new(child.stdout.take().context("its output")?);
        let mut provider = Self { child, told, tells };
        provider.hear("ready")?;
        Ok(provider)
    }

    /// Changes its keys.
    fn tell(&mut self, what: &str) -> anyhow::Result<()> {
        writeln!(self.told, "{what}")?;
        self.hear(what)
    }

    /// Waits for a line; it has notices of its own between them.
    fn hear(&mut self, what: &str) -> anyhow::Result<()> {
        let mut line = String::new();
        while line.trim_end() != what {
            line.clear();
            ensure!(self.tells.read_line(&mut line)? > 0, "the provider has ended");
        }
        Ok(())
    }

    fn end(&mut self) {
        // It may have ended; its id is ours until it is waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.end();
    }
}

/// The gateway has answered in another way than it should.
#[derive(Debug)]
struct Unexpected(String);

impl std::fmt::Display for Unexpected {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Unexpected {}

/// Who is asked.
struct Asked {
    script: PathBuf,
    issuer: String,
    gateway: String,
}

impl Asked {
    fn all(&self, provider: &mut Provider) -> anyhow::Result<()> {
        let mut old = Vec::new();
        for algorithm in ALGORITHMS {
            let token = self.token(&format!("urn:chat:{algorithm}"))?;
            self.expect(&token, LET_IN, &format!("a token with {algorithm}"))?;
            let other = self.token(&format!("urn:other:{algorithm}"))?;
            self.expect(&other, REFUSED, &format!("one for another audience, with {algorithm}"))?;
            old.push((algorithm, token));
        }
        let own = self.script(&["own", &self.gateway])?;
        self.expect(&own, LET_IN, "a token of the cluster's own auth service")?;
        provider.tell("add")?;
        let mut new = Vec::new();
        for (algorithm, of_old_key) in &old {
            let token = self.token(&format!("urn:chat:{algorithm}"))?;
            self.expect_soon(&token, LET_IN, &format!("a token of a new key, with {algorithm}"))?;
            self.expect(of_old_key, LET_IN, "one of the old key, which is still published")?;
            new.push((algorithm, token));
        }
        provider.tell("retire")?;
        for (algorithm, token) in &old {
            let what = format!("a token of a key that was taken out, with {algorithm}");
            self.expect_soon(token, REFUSED, &what)?;
        }
        provider.end();
        sleep(Duration::from_secs(REFRESH_SECONDS + 1));
        for (algorithm, token) in &new {
            let what = format!("a token while the provider is gone, with {algorithm}");
            self.expect(token, LET_IN, &what)?;
        }
        self.expect(&own, LET_IN, "and a token of the auth service")
    }

    fn token(&self, resource: &str) -> anyhow::Result<String> {
        self.script(&["token", &self.issuer, resource])
    }

    fn expect(&self, token: &str, status: &str, what: &str) -> anyhow::Result<()> {
        let found = self.script(&["ask", &self.gateway, token])?;
        if found != status {
            let why = format!("{what}: the gateway answers {found} and not {status}");
            return Err(Unexpected(why).into());
        }
        say(&format!("{status}: {what}"));
        Ok(())
    }

    /// The same, as soon as the gateway has heard of it.
    #[expect(clippy::disallowed_types, reason = "a developer waits in real time")]
    fn expect_soon(&self, token: &str, status: &str, what: &str) -> anyhow::Result<()> {
        let begun = std::time::Instant::now();
        loop {
            match self.expect(token, status, what) {
                Err(error) if error.is::<Unexpected>() && begun.elapsed() < PATIENCE => {
                    sleep(Duration::from_millis(250));
                }
                done => return done,
            }
        }
    }

    fn script(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = Command::new("node").arg(&self.script).args(arguments).output()?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {told}", arguments[0]);
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}
