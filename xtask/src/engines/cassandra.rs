//! The tests against a Cassandra of one node. Its jars and what they need come from Maven, named in
//! `xtask/engines/cassandra.xml`, and are kept between runs.

use super::{folder, jars, serve_during, test};
use engines::cassandra::{Cassandra, Ports};
use engines::free_ports;
use engines::jars::{CASSANDRA, Jars};

/// Runs every test that needs it.
pub fn run() -> anyhow::Result<bool> {
    let [clients, storage] = free_ports()?;
    let ports = Ports { clients, storage };
    let jars = Jars::of(CASSANDRA, &jars("cassandra")?)?;
    let cassandra = Cassandra::prepare(&folder("cassandra")?, &jars, ports)?;
    let told = [
        ("FRACAS_CASSANDRA", format!("127.0.0.1:{clients}")),
        ("FRACAS_CASSANDRA_PID", cassandra.folder().join("pid").display().to_string()),
    ];
    serve_during(&[], &[&cassandra], || {
        for (package, target) in
            [("cassandra", "conformance"), ("cassandra", "outages"), ("fracas", "takeover")]
        {
            if !test(package, &[], target, &told)? {
                return Ok(false);
            }
        }
        Ok(true)
    })
}
