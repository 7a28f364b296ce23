//! The tests against a RabbitMQ: of one node, and of three.

use super::{folder, serve_during, test};
use engines::rabbitmq::{Mapper, Ports, RabbitMq, Together};
use engines::{Instance, free_ports};
use std::path::Path;
use std::time::Duration;

/// The tests look at depths.
const STATISTICS: Duration = Duration::from_millis(200);

/// Runs every test that needs it.
pub fn run() -> anyhow::Result<bool> {
    let folder = folder("rabbitmq")?;
    Ok(on_nodes(&folder.join("one"), 1, &["conformance", "outages", "queues", "traces"])?
        && on_nodes(&folder.join("three"), 3, &["conformance", "three_nodes", "majority"])?)
}

fn on_nodes(folder: &Path, nodes: usize, targets: &[&str]) -> anyhow::Result<bool> {
    let [mapper, ports @ ..] = free_ports::<13>()?;
    let (ports, _) = ports.as_chunks::<4>();
    let ports: Vec<Ports> = ports[..nodes].iter().copied().map(ports_of).collect();
    let amqp = ports.iter().map(|ports| ports.amqp).collect();
    let secret = folder.join("secret");
    let together = Together { mapper, secret, amqp, statistics: STATISTICS };
    let mapper = Mapper::prepare(&folder.join("mapper"), mapper)?;
    let nodes: Vec<RabbitMq> = ports
        .iter()
        .zip(1..)
        .map(|(ports, n)| RabbitMq::prepare(&folder.join(format!("node-{n}")), *ports, &together))
        .collect::<anyhow::Result<_>>()?;
    let told = told(&ports, &nodes);
    let together: Vec<&dyn Instance> = nodes.iter().map(|node| node as &dyn Instance).collect();
    serve_during(&[&mapper], &together, || {
        for target in targets {
            if !test("rabbitmq", &[], target, &told)? {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

const fn ports_of([amqp, encrypted, management, distribution]: [u16; 4]) -> Ports {
    Ports { amqp, encrypted: Some(encrypted), management, distribution, numbers: None }
}

/// What the tests must know. Where there are several, separated by commas, in the order of the nodes.
fn told(ports: &[Ports], nodes: &[RabbitMq]) -> [(&'static str, String); 6] {
    let first = &ports[0];
    let at = |node: &RabbitMq, name: &str| node.folder().join(name).display().to_string();
    let addresses: Vec<String> =
        ports.iter().map(|ports| format!("127.0.0.1:{}", ports.amqp)).collect();
    let pids: Vec<String> = nodes.iter().map(|node| at(node, "pid")).collect();
    let encrypted = first.encrypted.map_or_else(String::new, |port| format!("localhost:{port}"));
    [
        ("FRACAS_RABBITMQ", addresses.join(",")),
        ("FRACAS_RABBITMQ_ENCRYPTED", encrypted),
        ("FRACAS_RABBITMQ_AUTHORITY", at(&nodes[0], "certificate.pem")),
        ("FRACAS_RABBITMQ_MANAGEMENT", format!("127.0.0.1:{}", first.management)),
        ("FRACAS_RABBITMQ_CONTROL", at(&nodes[0], "control")),
        ("FRACAS_RABBITMQ_PID", pids.join(",")),
    ]
}
