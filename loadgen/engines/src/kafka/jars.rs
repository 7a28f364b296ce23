//! Where the jars of Kafka are: a folder that somebody names, or that of `cargo xtask engines kafka`, which
//! fetches them.

use anyhow::{Context, bail, ensure};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The variable of the environment that names the folder: of a Kafka that is unpacked it is `libs`.
pub const JARS: &str = "FRACAS_KAFKA_JARS";
/// What the jar of the server is called, before its versions.
const SERVER: &str = "kafka_2.";

/// The folder with the jars of Kafka and of all that they need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jars(PathBuf);

impl Jars {
    /// Looks into this folder.
    ///
    /// # Errors
    /// Kafka is not in it.
    pub fn of(folder: &Path) -> anyhow::Result<Self> {
        let within = || folder.display().to_string();
        let entries = std::fs::read_dir(folder).with_context(within)?;
        let is_server = |name: OsString| {
            let name = name.to_string_lossy();
            name.starts_with(SERVER) && name.ends_with(".jar")
        };
        let found = entries.flatten().any(|entry| is_server(entry.file_name()));
        ensure!(found, "{}: expected the jars of Kafka, found no {SERVER}*.jar", within());
        Ok(Self(folder.canonicalize().with_context(within)?))
    }

    /// Where [`Jars::find`] looks below the folder that cargo builds in.
    pub fn below(target: &Path) -> PathBuf {
        target.join("engines/kafka-jars")
    }

    /// Finds them.
    ///
    /// # Errors
    /// They are not there: with what to do.
    pub fn find() -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("where this program is")?;
        Self::find_by(std::env::var_os(JARS), &program)
    }

    fn find_by(named: Option<OsString>, program: &Path) -> anyhow::Result<Self> {
        if let Some(folder) = named {
            return Self::of(Path::new(&folder)).context(JARS);
        }
        let targets: Vec<&Path> = program.ancestors().skip(1).take(3).collect();
        let folders = targets.into_iter().chain([Path::new("target")]).map(Self::below);
        let Some(found) = folders.into_iter().find_map(|folder| Self::of(&folder).ok()) else {
            bail!(
                "the jars of Kafka are not there: `cargo xtask engines kafka` fetches them to \
                 target/engines/kafka-jars; or name their folder, such as libs of a Kafka that is unpacked, \
                 in {JARS}"
            );
        };
        Ok(found)
    }

    /// All of them, as Java is told.
    pub fn class_path(&self) -> String {
        format!("{}/*", self.0.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_found_beside_the_program_or_where_somebody_says() {
        let folder = std::env::temp_dir().join(format!("fracas-jars-{}", std::process::id()));
        let (program, beside) = (folder.join("target/release/fracas"), folder.join("target"));
        let missing = Jars::find_by(None, &program).unwrap_err().to_string();
        assert!(
            missing.contains("cargo xtask engines kafka") && missing.contains(JARS),
            "{missing}"
        );
        let jars = Jars::below(&beside);
        std::fs::create_dir_all(&jars).unwrap();
        let named = || Some(jars.clone().into_os_string());
        let empty = format!("{:#}", Jars::find_by(named(), &program).unwrap_err());
        assert!(empty.starts_with(JARS) && empty.contains("kafka_2."), "{empty}");
        std::fs::write(jars.join("kafka_2.13-4.1.1.jar"), "").unwrap();
        let found = [Jars::find_by(named(), Path::new("/")), Jars::find_by(None, &program)];
        for found in found {
            assert!(found.unwrap().class_path().ends_with("target/engines/kafka-jars/*"));
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
