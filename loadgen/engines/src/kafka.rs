//! A private Kafka: one node or several, each of them broker and controller (KRaft). What is started is the
//! class that Kafka's own scripts start.

use crate::certificate::make_certificate;
use crate::jars::Jars;
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

/// Most replicas of what Kafka itself keeps: more of them do not make it safer.
const REPLICAS_MAX: usize = 3;

/// For so long after its last sign of life nobody takes the place of a broker, not even itself: a controller that
/// has just begun knows no better, so one node that was killed would be away for 9 s more, the default.
const SILENT_MS: u16 = 3_000;
/// Between two signs of life.
const SIGN_OF_LIFE_MS: u16 = 500;

/// A node of a Kafka, with its configuration in its folder.
pub struct Kafka {
    java: PathBuf,
    classes: String,
    folder: PathBuf,
    ports: Ports,
}

/// Where a node listens, always on loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// For everybody.
    pub plain: u16,
    /// Encrypted, if it is wanted; the certificate is `certificate.pem` in the folder.
    pub encrypted: Option<Encrypted>,
    /// For the nodes among themselves.
    pub controller: u16,
}

/// Where a node listens for encrypted connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encrypted {
    /// For everybody.
    pub everybody: u16,
    /// For users with a password.
    pub users: u16,
}

impl Kafka {
    /// Finds Java, writes the configuration of a node into a folder, and formats the storage, unless an
    /// earlier start with the same ports has. `controllers` are those of all nodes, its own among them.
    ///
    /// # Errors
    /// Java is missing and cannot be installed, or the storage cannot be formatted.
    pub fn prepare(
        folder: &Path,
        jars: &Jars,
        ports: Ports,
        controllers: &[u16],
    ) -> anyhow::Result<Self> {
        let java = ["/usr/lib/jvm/java-17-openjdk-amd64/bin/java", "java"];
        let java = program(&java, "openjdk-17-jre-headless")?;
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let folder = folder.canonicalize().with_context(|| folder.display().to_string())?;
        check(&folder)?;
        let classes = jars.class_path();
        let instance = Self { java, classes, folder, ports };
        let at = |name: &str| instance.folder.join(name);
        // Formatting writes it last.
        if at("data/meta.properties").exists() {
            return Ok(instance);
        }
        let mut format = ["format", "--cluster-id", CLUSTER].map(str::to_owned).to_vec();
        if ports.encrypted.is_some() {
            make_certificate(&instance.folder)?;
            let read = |name| std::fs::read_to_string(at(name)).context("the certificate");
            write(&at("keystore.pem"), &[read("key.pem")?, read("certificate.pem")?].concat())?;
            format.extend(["--add-scram", USER].map(str::to_owned));
        }
        write(&at("server.properties"), &ports.configuration(&instance.folder, controllers))?;
        write(&at("log4j2.yaml"), LOGGING)?;
        format.push("--config".to_owned());
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
    /// Nodes are numbered from 1, in the order of their controllers.
    fn configuration(self, folder: &Path, controllers: &[u16]) -> String {
        let Self { plain, encrypted, controller } = self;
        let own = controllers.iter().position(|port| *port == controller).unwrap_or(0);
        let numbered = controllers.iter().zip(1..);
        let voters: Vec<String> =
            numbered.map(|(port, number)| format!("{number}@127.0.0.1:{port}")).collect();
        let replicas = controllers.len().min(REPLICAS_MAX);
        let majority = replicas / 2 + 1;
        let folder = folder.display();
        let (mut listeners, mut advertised, mut secured) = Default::default();
        if let Some(Encrypted { everybody, users }) = encrypted {
            listeners = format!(",SSL://127.0.0.1:{everybody},SASL_SSL://127.0.0.1:{users}");
            advertised = format!(",SSL://localhost:{everybody},SASL_SSL://localhost:{users}");
            secured = format!(
                "ssl.keystore.type=PEM\n\
                 ssl.keystore.location={folder}/keystore.pem\n\
                 sasl.enabled.mechanisms=SCRAM-SHA-512\n\
                 listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=\
                 org.apache.kafka.common.security.scram.ScramLoginModule required;\n"
            );
        }
        format!(
            "process.roles=broker,controller\n\
             node.id={number}\n\
             controller.quorum.voters={voters}\n\
             listeners=PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller}{listeners}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{plain}{advertised}\n\
             controller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,\
             SASL_SSL:SASL_SSL\n\
             {secured}\
             log.dirs={folder}/data\n\
             broker.session.timeout.ms={SILENT_MS}\n\
             broker.heartbeat.interval.ms={SIGN_OF_LIFE_MS}\n\
             auto.create.topics.enable=false\n\
             min.insync.replicas={majority}\n\
             offsets.topic.replication.factor={replicas}\n\
             offsets.topic.num.partitions=4\n\
             transaction.state.log.replication.factor={replicas}\n\
             transaction.state.log.min.isr={majority}\n\
             share.coordinator.state.topic.replication.factor={replicas}\n\
             share.coordinator.state.topic.min.isr={majority}\n\
             num.network.threads=2\n\
             num.io.threads=4\n",
            number = own + 1,
            voters = voters.join(","),
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

/// Its settings take a list of folders, with commas between them and no way to write one in a name.
fn check(folder: &Path) -> anyhow::Result<()> {
    ensure!(
        !folder.display().to_string().contains([',', '\\']),
        "{}: Kafka can have no folder with a comma or a backslash in its path: choose another one (with --out)",
        folder.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENCRYPTED: Encrypted = Encrypted { everybody: 21_002, users: 21_003 };

    #[test]
    fn a_folder_that_it_would_misread_is_refused() {
        assert!(check(Path::new("/a b/kafka-postgres")).is_ok());
        let refused = check(Path::new("/runs/kafka,postgres")).expect_err("two folders");
        assert!(refused.to_string().starts_with("/runs/kafka,postgres: "), "{refused}");
    }

    #[test]
    fn it_listens_on_loopback_alone() {
        for (encrypted, count) in [(None, 2), (Some(ENCRYPTED), 4)] {
            let ports = Ports { plain: 21_001, encrypted, controller: 21_004 };
            let text = ports.configuration(Path::new("/a b"), &[21_004]);
            let listeners = text.lines().find_map(|line| line.strip_prefix("listeners="));
            let listeners: Vec<_> = listeners.expect("listeners").split(',').collect();
            assert_eq!(listeners.len(), count);
            assert!(listeners.iter().all(|it| it.contains("://127.0.0.1:")), "{listeners:?}");
            assert!(text.contains("log.dirs=/a b/data\n"));
        }
    }

    #[test]
    fn nodes_know_each_other_and_keep_a_majority() {
        let ports = |controller| Ports { plain: controller - 1, encrypted: None, controller };
        let controllers = [7_002, 7_004, 7_006, 7_008, 7_010];
        for (nodes, replicas, majority) in [(1, 1, 1), (2, 2, 2), (3, 3, 2), (5, 3, 2)] {
            let last = controllers[nodes - 1];
            let text = ports(last).configuration(Path::new("/a"), &controllers[..nodes]);
            let all = [
                format!("node.id={nodes}\n"),
                format!("{nodes}@127.0.0.1:{last}\n"),
                format!("offsets.topic.replication.factor={replicas}\n"),
                format!("\nmin.insync.replicas={majority}\n"),
            ];
            assert!(all.iter().all(|line| text.contains(line)), "{text}");
        }
    }
}
