//! Certificates of servers that encrypt.

use crate::{program, write};
use anyhow::Context;
use std::path::Path;
use std::process::Command;

/// `certificate.pem` and `key.pem`: a certificate for `localhost` that nobody trusts who is not told to.
pub fn make_certificate(folder: &Path) -> anyhow::Result<()> {
    const REQUEST: &str = "[req]\n\
        distinguished_name = name\n\
        x509_extensions = extensions\n\
        prompt = no\n\
        [name]\n\
        CN = localhost\n\
        [extensions]\n\
        basicConstraints = critical, CA:FALSE\n\
        subjectAltName = DNS:localhost\n";
    let openssl = program(&["openssl"], "openssl")?;
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
