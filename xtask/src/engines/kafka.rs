//! The tests against a Kafka, of one node and of three. Its jars and what they need come from Maven, named in
//! `xtask/engines/kafka.xml`, and are kept between runs.

use super::{folder, jars, serve_during, test};
use engines::jars::{Jars, KAFKA};
use engines::kafka::{Encrypted, Kafka, Ports};
use engines::{Instance, free_ports, program};
use std::path::Path;

/// Runs every test that needs it.
pub fn run() -> anyhow::Result<bool> {
    // What the encrypted client is built with.
    program(&["/usr/include/openssl/ssl.h"], "libssl-dev")?;
    program(&["pkg-config"], "pkg-config")?;
    let (folder, jars) = (folder("kafka")?, Jars::of(KAFKA, &jars("kafka")?)?);
    Ok(on_nodes(&folder.join("one"), &jars, 1, &["conformance", "encrypted", "outages"])?
        && on_nodes(&folder.join("three"), &jars, 3, &["conformance", "three_nodes"])?)
}

fn on_nodes(folder: &Path, jars: &Jars, nodes: usize, targets: &[&str]) -> anyhow::Result<bool> {
    let ports = free_ports::<12>()?;
    let (ports, _) = ports.as_chunks::<4>();
    let ports: Vec<Ports> = ports[..nodes].iter().copied().map(ports_of).collect();
    let controllers: Vec<u16> = ports.iter().map(|ports| ports.controller).collect();
    let nodes: Vec<Kafka> = ports
        .iter()
        .zip(1..)
        .map(|(ports, n)| {
            Kafka::prepare(&folder.join(format!("node-{n}")), jars, *ports, &controllers)
        })
        .collect::<anyhow::Result<_>>()?;
    let told = told(&ports, &nodes);
    let together: Vec<&dyn Instance> = nodes.iter().map(|node| node as &dyn Instance).collect();
    serve_during(&[], &together, || {
        for target in targets {
            if !test("kafka", &["kafka/tls"], target, &told)? {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

const fn ports_of([plain, everybody, users, controller]: [u16; 4]) -> Ports {
    Ports { plain, encrypted: Some(Encrypted { everybody, users }), controller }
}

/// What the tests must know. Where there are several, separated by commas, in the order of the nodes.
fn told(ports: &[Ports], nodes: &[Kafka]) -> [(&'static str, String); 5] {
    let at = |node: &Kafka, name: &str| node.folder().join(name).display().to_string();
    let all = |each: Vec<String>| each.join(",");
    let encrypted = |port: fn(Encrypted) -> u16| {
        ports[0].encrypted.map(|it| format!("localhost:{}", port(it))).unwrap_or_default()
    };
    [
        ("FRACAS_KAFKA", all(ports.iter().map(|it| format!("127.0.0.1:{}", it.plain)).collect())),
        ("FRACAS_KAFKA_ENCRYPTED", encrypted(|it| it.everybody)),
        ("FRACAS_KAFKA_USERS", encrypted(|it| it.users)),
        ("FRACAS_KAFKA_AUTHORITY", at(&nodes[0], "certificate.pem")),
        ("FRACAS_KAFKA_PID", all(nodes.iter().map(|node| at(node, "pid")).collect())),
    ]
}
