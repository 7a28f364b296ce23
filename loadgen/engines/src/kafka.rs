//! A private Kafka: one process that is broker and controller (KRaft). What is started is the class that
//! Kafka's own scripts start.

use crate::certificate::make_certificate;
use crate::running::{Instance, Program};
use crate::{listens, program, write};
use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Who may connect with a password.
const USER: &str = "SCRAM-SHA-512=[name=chat,password=a-secret]";
/// The identity of its storage: any 16 bytes in base64 will do.
const CLUSTER: &str = "ZnJhY2FzLWVuZ2luZXMtaw";

/// A Kafka, with its configuration in its folder.
pub struct Kafka {
    java: PathBuf,
    classes: String,
    folder: PathBuf,
    ports: Ports,
}

/// Where it listens, always on loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// For everybody.
    pub plain: u16,
    /// For everybody, encrypted; the certificate is `certificate.pem` in the folder.
    pub encrypted: u16,
    /// Encrypted, for users with a password.
    pub users: u16,
    /// For itself.
    pub controller: u16,
}

impl Kafka {
    /// Finds Java, writes the configuration into a folder, and formats the storage, unless an earlier start
    /// has. `jars` has those of Kafka and of all that they need.
    ///
    /// # Errors
    /// Java is missing and cannot be installed, or the storage cannot be formatted.
    pub fn prepare(folder: &Path, jars: &Path, ports: Ports) -> anyhow::Result<Self> {
        let java = ["/usr/lib/jvm/java-17-openjdk-amd64/bin/java", "java"];
        let java = program(&java, "openjdk-17-jre-headless")?;
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let folder = folder.canonicalize().with_context(|| folder.display().to_string())?;
        let classes = format!("{}/*", jars.display());
        let instance = Self { java, classes, folder, ports };
        let at = |name: &str| instance.folder.join(name);
        if at("data").exists() {
            return Ok(instance);
        }
        make_certificate(&instance.folder)?;
        let read = |name| std::fs::read_to_string(at(name)).context("the certificate");
        write(&at("keystore.pem"), &[read("key.pem")?, read("certificate.pem")?].concat())?;
        write(&at("server.properties"), &ports.configuration(&instance.folder))?;
        write(&at("log4j2.yaml"), LOGGING)?;
        let mut format = vec!["format".to_owned(), "--cluster-id".to_owned(), CLUSTER.to_owned()];
        format.extend(["--add-scram".to_owned(), USER.to_owned(), "--config".to_owned()]);
        let output = Command::new(&instance.java)
            .args(instance.arguments("kafka.tools.StorageTool", &format))
            .stdin(Stdio::null())
            .output()
            .context("running java")?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        ensure!(output.status.success(), "formatting the storage: {said}");
        Ok(instance)
    }

    /// Its folder: `pid` has the number of its process.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Of the Java machine: a class with its arguments, the last of which is the configuration.
    fn arguments(&self, class: &str, arguments: &[String]) -> Vec<String> {
        let at = |name: &str| self.folder.join(name).display().to_string();
        let own = ["-Xmx512m", "-Xms256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
        let mut all: Vec<String> = own.map(str::to_owned).to_vec();
        all.push(format!("-Dlog4j2.configurationFile={}", at("log4j2.yaml")));
        all.extend(["-cp".to_owned(), self.classes.clone(), class.to_owned()]);
        all.extend_from_slice(arguments);
        all.push(at("server.properties"));
        all
    }
}

impl Instance for Kafka {
    fn name(&self) -> &'static str {
        "Kafka"
    }

    fn program(&self) -> Program {
        Program {
            file: self.java.clone(),
            arguments: self.arguments("kafka.Kafka", &[]),
            variables: Vec::new(),
            console: self.folder.join("console"),
            user: None,
            end: Signal::SIGTERM,
        }
    }

    /// It listens for others once it has registered itself and its log is read.
    fn is_ready(&self) -> bool {
        listens(self.ports.plain)
    }
}

impl Ports {
    /// One broker, so everything has one replica.
    fn configuration(self, folder: &Path) -> String {
        let Self { plain, encrypted, users, controller } = self;
        let folder = folder.display();
        format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{plain},SSL://127.0.0.1:{encrypted},\
             SASL_SSL://127.0.0.1:{users},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{plain},SSL://localhost:{encrypted},\
             SASL_SSL://localhost:{users}\n\
             controller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,\
             SASL_SSL:SASL_SSL\n\
             ssl.keystore.type=PEM\n\
             ssl.keystore.location={folder}/keystore.pem\n\
             sasl.enabled.mechanisms=SCRAM-SHA-512\n\
             listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=\
             org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
             log.dirs={folder}/data\n\
             auto.create.topics.enable=false\n\
             offsets.topic.replication.factor=1\n\
             offsets.topic.num.partitions=4\n\
             transaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\n\
             share.coordinator.state.topic.replication.factor=1\n\
             share.coordinator.state.topic.min.isr=1\n\
             num.network.threads=2\n\
             num.io.threads=4\n"
        )
    }
}

/// Warnings and worse, to the console.
const LOGGING: &str = "\
Configuration:
  Appenders:
    Console:
      name: console
      PatternLayout:
        pattern: \"%d %p %m (%c)%n\"
  Loggers:
    Root:
      level: WARN
      AppenderRef:
        ref: console
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_listens_on_loopback_alone() {
        let ports = Ports { plain: 21_001, encrypted: 21_002, users: 21_003, controller: 21_004 };
        let text = ports.configuration(Path::new("/a b"));
        let listeners = text.lines().find_map(|line| line.strip_prefix("listeners="));
        let listeners: Vec<_> = listeners.expect("listeners").split(',').collect();
        assert_eq!(listeners.len(), 4);
        assert!(listeners.iter().all(|it| it.contains("://127.0.0.1:")), "{listeners:?}");
        assert!(text.contains("log.dirs=/a b/data\n"));
    }
}
