//! The tests against a PostgreSQL, and one that follows it.

use super::{folder, serve_during, test};
use engines::postgres::{PASSWORD, Postgres};
use engines::{Running, free_ports};

/// Whatever is durable here is so because the adapter asked for it.
const SETTINGS: [&str; 3] =
    ["synchronous_commit=off", "wal_writer_delay=10s", "wal_writer_flush_after=64MB"];

/// Runs every test that needs it.
pub fn run() -> anyhow::Result<bool> {
    engines::program(&["ps"], "procps")?;
    let folder = folder("postgres")?;
    let [port, standby] = free_ports()?;
    let first = Postgres::prepare(&folder.join("first"), port, &SETTINGS)?;
    serve_during(&[], &[&first], || {
        let follower = first.follower(&folder.join("follower"), standby)?;
        let mut following = Running::start(&follower)?;
        following.wait_until_ready()?;
        let at = |name: &str| first.folder().join(name).display().to_string();
        let told = [
            ("FRACAS_POSTGRES", format!("127.0.0.1:{port}")),
            ("FRACAS_POSTGRES_STANDBY", format!("127.0.0.1:{standby}")),
            ("FRACAS_POSTGRES_PASSWORD", PASSWORD.to_owned()),
            ("FRACAS_POSTGRES_AUTHORITY", at("certificate.pem")),
            ("FRACAS_POSTGRES_DATA", at("data")),
        ];
        for (package, target) in
            [("postgres", "conformance"), ("postgres", "outages"), ("fracas", "takeover")]
        {
            if !test(package, &[], target, &told)? {
                return Ok(false);
            }
        }
        Ok(true)
    })
}
