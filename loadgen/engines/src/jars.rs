//! Where the jars of an engine in Java are: a folder that somebody names, or that of `cargo xtask engines`, which
//! fetches them.

use anyhow::{Context, bail, ensure};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// An engine that is made of jars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Product {
    /// What it is called.
    pub name: &'static str,
    /// Its name on command lines.
    pub word: &'static str,
    /// The variable of the environment that names the folder.
    pub variable: &'static str,
    /// Where the jars are in what is downloaded and unpacked.
    unpacked: &'static str,
    /// What the jar of the server is called, before its versions.
    server: &'static [&'static str],
}

/// Apache Kafka.
pub const KAFKA: Product = Product {
    name: "Kafka",
    word: "kafka",
    variable: "FRACAS_KAFKA_JARS",
    unpacked: "libs",
    server: &["kafka_2."],
};

/// Apache Cassandra: Maven's jar has another name than that of the release.
pub const CASSANDRA: Product = Product {
    name: "Cassandra",
    word: "cassandra",
    variable: "FRACAS_CASSANDRA_JARS",
    unpacked: "lib",
    server: &["apache-cassandra-", "cassandra-all-"],
};

/// The folder with the jars of an engine and of all that they need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jars(PathBuf);

impl Jars {
    /// Looks into this folder.
    ///
    /// # Errors
    /// The engine is not in it.
    pub fn of(product: Product, folder: &Path) -> anyhow::Result<Self> {
        let within = || folder.display().to_string();
        let entries = std::fs::read_dir(folder).with_context(within)?;
        let Product { name, server, .. } = product;
        let is_server = |file: OsString| {
            let file = file.to_string_lossy();
            file.ends_with(".jar") && server.iter().any(|begins| file.starts_with(begins))
        };
        let found = entries.flatten().any(|entry| is_server(entry.file_name()));
        let wanted = server.join("*.jar or ");
        ensure!(found, "{}: expected the jars of {name}, found no {wanted}*.jar", within());
        Ok(Self(folder.canonicalize().with_context(within)?))
    }

    /// Where [`Jars::find`] looks below the folder that cargo builds in.
    pub fn below(product: Product, target: &Path) -> PathBuf {
        target.join("engines").join(format!("{}-jars", product.word))
    }

    /// Finds them.
    ///
    /// # Errors
    /// They are not there: with what to do.
    pub fn find(product: Product) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("where this program is")?;
        Self::find_by(product, std::env::var_os(product.variable), &program)
    }

    fn find_by(product: Product, named: Option<OsString>, program: &Path) -> anyhow::Result<Self> {
        let Product { name, word, variable, unpacked, .. } = product;
        if let Some(folder) = named {
            return Self::of(product, Path::new(&folder)).context(variable);
        }
        let targets = program.ancestors().skip(1).take(3).chain([Path::new("target")]);
        let mut folders = targets.map(|target| Self::below(product, target));
        let Some(found) = folders.find_map(|folder| Self::of(product, &folder).ok()) else {
            bail!(
                "the jars of {name} are not there: `cargo xtask engines {word}` fetches them to \
                 target/engines/{word}-jars; or name their folder, such as {unpacked} of a {name} that is \
                 unpacked, in {variable}"
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

    fn are_found(product: Product, servers: &[&str]) {
        let word = product.word;
        let name = format!("fracas-jars-{word}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let (program, beside) = (folder.join("target/release/fracas"), folder.join("target"));
        let missing = Jars::find_by(product, None, &program).unwrap_err().to_string();
        for told in [&format!("cargo xtask engines {word}"), product.variable] {
            assert!(missing.contains(told), "{missing}");
        }
        let jars = Jars::below(product, &beside);
        let named = || Some(jars.clone().into_os_string());
        for server in servers {
            std::fs::create_dir_all(&jars).unwrap();
            let empty = format!("{:#}", Jars::find_by(product, named(), &program).unwrap_err());
            assert!(empty.starts_with(product.variable), "{empty}");
            assert!(product.server.iter().all(|server| empty.contains(server)), "{empty}");
            std::fs::write(jars.join(server), "").unwrap();
            let found = [(named(), Path::new("/")), (None, &program)];
            for (named, program) in found {
                let found = Jars::find_by(product, named, program).unwrap().class_path();
                assert!(found.ends_with(&format!("target/engines/{word}-jars/*")), "{found}");
            }
            std::fs::remove_dir_all(&jars).unwrap();
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn they_are_found_beside_the_program_or_where_somebody_says() {
        are_found(KAFKA, &["kafka_2.13-4.1.1.jar"]);
        are_found(CASSANDRA, &["apache-cassandra-5.0.6.jar", "cassandra-all-5.0.6.jar"]);
    }
}
