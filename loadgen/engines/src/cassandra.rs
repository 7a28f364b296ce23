//! A private Cassandra: a cluster of one node. What is started is the class that Cassandra's own scripts start.

use crate::jars::Jars;
use crate::running::{Instance, Program};
use crate::{listens, program, write};
use anyhow::Context;
use nix::sys::signal::Signal;
use std::path::{Path, PathBuf};

/// A Cassandra, with its configuration in its folder.
pub struct Cassandra {
    java: PathBuf,
    classes: String,
    folder: PathBuf,
    ports: Ports,
}

/// Where it listens, always on loopback. JMX is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// For clients (CQL).
    pub clients: u16,
    /// For itself.
    pub storage: u16,
}

/// What Cassandra does with the classes of Java beside calling them (`jvm17-server.options` of its release).
const EXPORTS: [&str; 12] = [
    "java.base/java.lang.ref",
    "java.base/jdk.internal.misc",
    "java.base/jdk.internal.ref",
    "java.base/sun.nio.ch",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.rmi/sun.rmi.transport.tcp",
    "java.sql/java.sql",
    "jdk.attach/sun.tools.attach",
    "jdk.compiler/com.sun.tools.javac.file",
    "jdk.unsupported/sun.misc",
];
const OPENS: [&str; 16] = [
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.module",
    "java.base/java.lang.reflect",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.util.jar",
    "java.base/sun.nio.ch",
    "jdk.management/com.sun.management.internal",
];

impl Cassandra {
    /// Finds Java 17 and writes the configuration into a folder, which may have the data of an earlier start.
    ///
    /// # Errors
    /// Java is missing and cannot be installed.
    pub fn prepare(folder: &Path, jars: &Jars, ports: Ports) -> anyhow::Result<Self> {
        // Not the one on the path: Cassandra 5.0 runs on 11 and 17 alone.
        let java =
            program(&["/usr/lib/jvm/java-17-openjdk-amd64/bin/java"], "openjdk-17-jre-headless")?;
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let folder = folder.canonicalize().with_context(|| folder.display().to_string())?;
        write(&folder.join("cassandra.yaml"), &ports.configuration(&folder))?;
        write(&folder.join("logback.xml"), LOGGING)?;
        let classes = jars.class_path();
        Ok(Self { java, classes, folder, ports })
    }

    /// Its folder: `pid` has the number of its process.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn arguments(&self) -> Vec<String> {
        let folder = self.folder.display();
        let mut all: Vec<String> = [
            "-Xms1g",
            "-Xmx1g",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:+ExitOnOutOfMemoryError",
            "-Djdk.attach.allowAttachSelf=true",
            "-Dcassandra-foreground=yes",
            // There is nobody to wait for.
            "-Dcassandra.ring_delay_ms=0",
            "-Dcassandra.skip_wait_for_gossip_to_settle=0",
        ]
        .map(str::to_owned)
        .to_vec();
        all.push(format!("-Dcassandra.config=file://{folder}/cassandra.yaml"));
        all.push(format!("-Dcassandra.storagedir={folder}"));
        all.push(format!("-Dlogback.configurationFile={folder}/logback.xml"));
        for (option, modules) in [("--add-exports", &EXPORTS[..]), ("--add-opens", &OPENS[..])] {
            all.extend(modules.iter().map(|module| format!("{option}={module}=ALL-UNNAMED")));
        }
        let class = "org.apache.cassandra.service.CassandraDaemon".to_owned();
        all.extend(["-cp".to_owned(), self.classes.clone(), class]);
        all
    }
}

impl Instance for Cassandra {
    fn name(&self) -> &'static str {
        "Cassandra"
    }

    fn program(&self) -> Program {
        Program {
            file: self.java.clone(),
            arguments: self.arguments(),
            variables: Vec::new(),
            console: self.folder.join("console"),
            user: None,
            end: Signal::SIGTERM,
        }
    }

    /// It listens for clients last.
    fn is_ready(&self) -> bool {
        listens(self.ports.clients)
    }
}

impl Ports {
    /// One node has nobody else who would remember what it confirmed: so it confirms what is on its disk
    /// (`commitlog_sync`).
    fn configuration(self, folder: &Path) -> String {
        let Self { clients, storage } = self;
        let folder = folder.display();
        format!(
            "cluster_name: fracas\n\
             partitioner: org.apache.cassandra.dht.Murmur3Partitioner\n\
             num_tokens: 1\n\
             endpoint_snitch: SimpleSnitch\n\
             seed_provider:\n\
             - class_name: org.apache.cassandra.locator.SimpleSeedProvider\n  \
               parameters:\n  \
               - seeds: '127.0.0.1:{storage}'\n\
             listen_address: 127.0.0.1\n\
             rpc_address: 127.0.0.1\n\
             storage_port: {storage}\n\
             native_transport_port: {clients}\n\
             commitlog_sync: batch\n\
             data_file_directories: ['{folder}/data']\n\
             commitlog_directory: '{folder}/commitlog'\n\
             saved_caches_directory: '{folder}/saved_caches'\n\
             hints_directory: '{folder}/hints'\n\
             cdc_raw_directory: '{folder}/cdc_raw'\n\
             auto_snapshot: false\n"
        )
    }
}

/// Warnings and worse, to the console.
const LOGGING: &str = "\
<configuration>
  <appender name=\"console\" class=\"ch.qos.logback.core.ConsoleAppender\">
    <encoder><pattern>%d{ISO8601} %-5level %logger{0} %msg%n</pattern></encoder>
  </appender>
  <root level=\"WARN\"><appender-ref ref=\"console\"/></root>
</configuration>
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_listens_on_loopback_alone() {
        let text = Ports { clients: 21_001, storage: 21_002 }.configuration(Path::new("/a b"));
        for key in ["listen_address", "rpc_address"] {
            let told = text.lines().find_map(|line| line.strip_prefix(&format!("{key}: ")));
            assert_eq!(told, Some("127.0.0.1"), "{key}");
        }
        assert!(text.contains("\n  - seeds: '127.0.0.1:21002'\n"), "{text}");
        assert!(text.contains("commitlog_directory: '/a b/commitlog'\n"));
    }
}
