//! A private HAProxy in front of gateways, with the configuration that the deployment uses: other addresses, and
//! no names to resolve.

use crate::running::{Instance, Program};
use crate::{listens, program, write};
use anyhow::Context;
use std::path::{Path, PathBuf};

/// The configuration of the deployment.
const DEPLOYED: &str = include_str!("../../../deploy/haproxy/haproxy.cfg");

/// Where users come to, on loopback; the port after it has its numbers.
pub struct HaProxy {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
}

impl HaProxy {
    /// Finds the program, and writes its configuration into a folder: `gateways` are `host:port`.
    ///
    /// # Errors
    /// It is missing and cannot be installed, or a file cannot be written.
    pub fn prepare(folder: &Path, port: u16, gateways: &[String]) -> anyhow::Result<Self> {
        let program = installed()?;
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        write(&folder.join("haproxy.cfg"), &configuration(DEPLOYED, port, gateways))?;
        Ok(Self { program, folder: folder.to_owned(), port })
    }
}

/// Its program, installed if it is missing.
///
/// # Errors
/// It is missing, and cannot be installed from here.
pub fn installed() -> anyhow::Result<PathBuf> {
    program(&["/usr/sbin/haproxy", "haproxy"], "haproxy")
}

impl Instance for HaProxy {
    fn name(&self) -> &'static str {
        "HAProxy"
    }

    fn program(&self) -> Program {
        let configuration = self.folder.join("haproxy.cfg").display().to_string();
        // In the foreground.
        let arguments = ["-db".to_owned(), "-f".to_owned(), configuration].to_vec();
        Program::new(&self.program, arguments, &self.folder)
    }

    fn is_ready(&self) -> bool {
        listens(self.port) && listens(self.port + 1)
    }
}

/// The deployed configuration for gateways at these addresses.
fn configuration(deployed: &str, port: u16, gateways: &[String]) -> String {
    let mut lines = Vec::new();
    let mut is_left_out = false;
    let servers = gateways.iter().zip(1..);
    let mut servers = servers.map(|(address, n)| format!("    server gateway-{n} {address}"));
    for line in deployed.lines() {
        let words = line.trim_start();
        // Names are not resolved here: that section goes, up to its end.
        is_left_out = words.starts_with("resolvers ") || is_left_out && !words.is_empty();
        // Comments speak of the deployment.
        if is_left_out || words.starts_with('#') {
            continue;
        }
        match words {
            "bind :7800" => lines.push(format!("    bind 127.0.0.1:{port}")),
            "bind :8404" => lines.push(format!("    bind 127.0.0.1:{}", port + 1)),
            // All of ours are in the place of the first.
            server if server.starts_with("server ") => lines.extend(servers.by_ref()),
            _ => {
                let (kept, _) = line.split_once(" resolvers ").unwrap_or((line, ""));
                lines.push(kept.to_owned());
            }
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deployed_configuration_is_used_with_other_addresses() {
        let gateways = ["127.0.0.1:21".to_owned(), "127.0.0.1:22".to_owned()];
        let written = configuration(DEPLOYED, 7, &gateways);
        for line in [
            "    bind 127.0.0.1:7\n",
            "    bind 127.0.0.1:8\n",
            "    server gateway-1 127.0.0.1:21\n    server gateway-2 127.0.0.1:22\n",
            " rise 1 on-marked-down shutdown-sessions\n",
            "    balance leastconn\n",
        ] {
            assert!(written.contains(line), "{line} is missing in\n{written}");
        }
        for gone in ["resolve", "DOMAIN", "bind :", "gateway-3", "hold"] {
            assert!(!written.contains(gone), "{gone} is left in\n{written}");
        }
        assert_eq!(written.matches("server gateway-").count(), 2);
    }
}
