//! Finds the program of an engine, and installs its package if it is missing.

use anyhow::{Context, bail};
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The first of these programs that is there; after installing the Debian package, if none is.
///
/// # Errors
/// It is missing, and cannot be installed from here: with what to do by hand.
pub fn program(candidates: &[&str], package: &str) -> anyhow::Result<PathBuf> {
    if let Some(found) = found(candidates) {
        return Ok(found);
    }
    // The processes of an engine look for it at the same time, and dpkg serves one.
    let path = std::env::temp_dir().join("fracas-install.lock");
    let lock = File::create(&path).with_context(|| format!("opening {}", path.display()))?;
    lock.lock().with_context(|| format!("locking {}", path.display()))?;
    if let Some(found) = found(candidates) {
        return Ok(found);
    }
    install(package)?;
    let names = candidates.join(", ");
    found(candidates).with_context(|| format!("{package} is installed, but not one of {names}"))
}

fn found(candidates: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    candidates.iter().find_map(|candidate| {
        // An absolute candidate stays as it is.
        folders.iter().map(|folder| folder.join(candidate)).find(|program| program.is_file())
    })
}

fn install(package: &str) -> anyhow::Result<()> {
    let by_hand = format!("install it by hand: apt-get install {package}");
    if !is_root()? || found(&["apt-get"]).is_none() {
        bail!("the package {package} is missing, and not to be installed by this user; {by_hand}");
    }
    writeln!(std::io::stderr().lock(), "installing {package}").context("telling so")?;
    for arguments in [&["update"][..], &["install", "-y", "--no-install-recommends", package]] {
        let status = Command::new("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .context("running apt-get")?;
        if !status.success() {
            bail!("apt-get {} ended with {status}; {by_hand}", arguments.join(" "));
        }
    }
    Ok(())
}

/// Whether this user may do everything.
pub fn is_root() -> anyhow::Result<bool> {
    let output = Command::new("id").arg("-u").output().context("running id")?;
    Ok(output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_program_that_is_there_is_taken() {
        let shell = found(&["/usr/lib/no/such/program", "no-such-program", "sh"]);
        assert!(shell.is_some_and(|path| path.ends_with("sh")));
        assert_eq!(found(&["no-such-program"]), None);
    }
}
