//! A private HAProxy in front of gateways, with the configuration that the deployment uses: other addresses, and
//! no names to resolve.

use crate::running::{Instance, Program};
use crate::{listens, program, write};
use anyhow::Context;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
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
    /// Finds the program, and writes its configuration into a folder: `gateways` are `host:port`. With `tls`,
    /// which gateways use, it shows their certificate to users, and encrypts what it says to gateways.
    ///
    /// # Errors
    /// It is missing and cannot be installed, or a file cannot be read or written.
    pub fn prepare(
        folder: &Path,
        port: u16,
        gateways: &[String],
        tls: Option<&Certificates>,
    ) -> anyhow::Result<Self> {
        let program = installed()?;
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let encrypted = tls.map(|files| Encrypted::written(folder, files)).transpose()?;
        let configuration = configuration(DEPLOYED, port, gateways, encrypted.as_ref());
        write(&folder.join("haproxy.cfg"), &configuration)?;
        Ok(Self { program, folder: folder.to_owned(), port })
    }
}

/// The paths of PEM files: whom gateways are trusted by, their certificate, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificates {
    /// Who signs the certificate.
    pub authority: String,
    /// It is good for `localhost`.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// What it encrypts with.
struct Encrypted {
    /// Whom it trusts.
    authority: String,
    /// One file with its certificate and its key, as it wants them.
    identity: PathBuf,
}

impl Encrypted {
    fn written(folder: &Path, files: &Certificates) -> anyhow::Result<Self> {
        let read = |file: &str| std::fs::read_to_string(file).with_context(|| file.to_owned());
        let both = format!("{}\n{}", read(&files.certificate)?, read(&files.key)?);
        let identity = folder.join("haproxy.pem");
        // The mode is that of a new file.
        let _ = std::fs::remove_file(&identity);
        let mut options = std::fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&identity);
        let written = file.and_then(|mut file| file.write_all(both.as_bytes()));
        written.with_context(|| identity.display().to_string())?;
        Ok(Self { authority: files.authority.clone(), identity })
    }

    /// Behind `bind`; its health checks and its numbers stay on their own port.
    fn of_users(&self) -> String {
        let identity = quoted(&self.identity.display().to_string());
        format!(" ssl crt {identity} ssl-min-ver TLSv1.2 alpn http/1.1")
    }

    /// Behind `server`: gateways are on this machine.
    fn of_gateways(&self) -> String {
        format!(" ssl verify required verifyhost localhost ca-file {}", quoted(&self.authority))
    }
}

/// One word of a configuration: strong quotes, as in a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
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
fn configuration(
    deployed: &str,
    port: u16,
    gateways: &[String],
    encrypted: Option<&Encrypted>,
) -> String {
    let of_users = encrypted.map_or_else(String::new, Encrypted::of_users);
    let of_gateways = encrypted.map_or_else(String::new, Encrypted::of_gateways);
    let mut lines = Vec::new();
    let mut is_left_out = false;
    let servers = gateways.iter().zip(1..);
    let mut servers =
        servers.map(|(address, n)| format!("    server gateway-{n} {address}{of_gateways}"));
    for line in deployed.lines() {
        let words = line.trim_start();
        // Names are not resolved here: that section goes, up to its end.
        is_left_out = words.starts_with("resolvers ") || is_left_out && !words.is_empty();
        // Comments speak of the deployment.
        if is_left_out || words.starts_with('#') {
            continue;
        }
        match words {
            "bind :7800" => lines.push(format!("    bind 127.0.0.1:{port}{of_users}")),
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
        let written = configuration(DEPLOYED, 7, &gateways, None);
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

    #[test]
    fn what_is_encrypted_is_so_on_both_sides() {
        let encrypted = Encrypted { authority: "/a.pem".into(), identity: "/it's #1.pem".into() };
        let written = configuration(DEPLOYED, 7, &["127.0.0.1:21".to_owned()], Some(&encrypted));
        for line in [
            "    bind 127.0.0.1:7 ssl crt '/it'\\''s #1.pem' ssl-min-ver TLSv1.2 alpn http/1.1\n",
            "    bind 127.0.0.1:8\n",
            "    server gateway-1 127.0.0.1:21 ssl verify required verifyhost localhost ca-file '/a.pem'\n",
        ] {
            assert!(written.contains(line), "{line} is missing in\n{written}");
        }
    }
}
