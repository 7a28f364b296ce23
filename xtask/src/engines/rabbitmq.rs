//! The tests against a RabbitMQ.

use super::{folder, serve_during, test};
use engines::free_ports;
use engines::rabbitmq::{Ports, RabbitMq};
use std::time::Duration;

/// The tests look at depths.
const STATISTICS: Duration = Duration::from_millis(200);

/// Runs every test that needs it.
pub fn run() -> anyhow::Result<bool> {
    let [mapper, amqp, encrypted, management, distribution] = free_ports()?;
    let ports = Ports { amqp, encrypted: Some(encrypted), management, distribution, mapper };
    let instance = RabbitMq::prepare(&folder("rabbitmq")?, ports, STATISTICS)?;
    let at = |name: &str| instance.folder().join(name).display().to_string();
    let told = [
        ("FRACAS_RABBITMQ", format!("127.0.0.1:{amqp}")),
        ("FRACAS_RABBITMQ_ENCRYPTED", format!("localhost:{encrypted}")),
        ("FRACAS_RABBITMQ_AUTHORITY", at("certificate.pem")),
        ("FRACAS_RABBITMQ_MANAGEMENT", format!("127.0.0.1:{management}")),
        ("FRACAS_RABBITMQ_CONTROL", at("control")),
        ("FRACAS_RABBITMQ_PID", at("pid")),
    ];
    serve_during(&instance, || {
        for target in ["conformance", "outages"] {
            if !test("rabbitmq", target, &told)? {
                return Ok(false);
            }
        }
        Ok(true)
    })
}
