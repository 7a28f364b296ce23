//! The tests against a Kafka. Its jars and what they need come from Maven, named in
//! `xtask/engines/kafka.xml`, and are kept between runs.

use super::{Features, folder, serve_during, test};
use crate::repository::root;
use crate::say;
use anyhow::{Context, ensure};
use engines::kafka::{Encrypted, Jars, Kafka, Ports};
use engines::{free_ports, program};
use std::process::{Command, Stdio};

/// Runs every test that needs it.
pub fn run() -> anyhow::Result<bool> {
    // What the encrypted client is built with.
    program(&["/usr/include/openssl/ssl.h"], "libssl-dev")?;
    program(&["pkg-config"], "pkg-config")?;
    let [plain, everybody, users, controller] = free_ports()?;
    let ports = Ports { plain, encrypted: Some(Encrypted { everybody, users }), controller };
    let kafka = Kafka::prepare(&folder("kafka")?, &jars()?, ports, &[controller])?;
    let at = |name: &str| kafka.folder().join(name).display().to_string();
    let told = [
        ("FRACAS_KAFKA", format!("127.0.0.1:{plain}")),
        ("FRACAS_KAFKA_ENCRYPTED", format!("localhost:{everybody}")),
        ("FRACAS_KAFKA_USERS", format!("localhost:{users}")),
        ("FRACAS_KAFKA_AUTHORITY", at("certificate.pem")),
        ("FRACAS_KAFKA_PID", at("pid")),
    ];
    serve_during(&[], &[&kafka], || {
        for target in ["conformance", "encrypted", "outages"] {
            if !test("kafka", Features::All, target, &told)? {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

/// The folder with the jars of Kafka and of what it needs. A run that was cut off leaves no mark, and the next
/// one begins anew.
fn jars() -> anyhow::Result<Jars> {
    let named = root().join("xtask/engines/kafka.xml");
    let folder = Jars::below(&root().join("target"));
    let (mark, wanted) = (folder.join("complete"), std::fs::read(&named).context("kafka.xml")?);
    if std::fs::read(&mark).is_ok_and(|complete| complete == wanted) {
        return Jars::of(&folder);
    }
    let maven = program(&["mvn"], "maven")?;
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    say("fetching the jars of Kafka");
    let status = Command::new(maven)
        .args(["--batch-mode", "--quiet", "--file"])
        .arg(&named)
        .arg("dependency:copy-dependencies")
        .arg(format!("-DoutputDirectory={}", folder.display()))
        .stdin(Stdio::null())
        .status()
        .context("running mvn")?;
    ensure!(status.success(), "the jars of Kafka: mvn ended with {status}");
    std::fs::write(&mark, wanted).context("marking the jars as complete")?;
    Jars::of(&folder)
}
