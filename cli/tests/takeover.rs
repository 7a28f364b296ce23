//! Two store nodes over one engine: the owner of half of the partitions is killed under load, the other one takes
//! them over, and nothing is lost. A process for each node, and the instance of `cargo xtask engines`, of PostgreSQL
//! or of Cassandra.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod processes;

use ports::message_store::MessageStore;
use processes::{FRACAS, Playground, ended, soon};
use protocol::{NodeNumber, Partition};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What a takeover may take, from the kill to the last partition.
const TAKEOVER: Duration = Duration::from_secs(5);
const PARTITIONS: u16 = 8;

/// A load in whose middle the test kills.
const SCENARIO: &str = r#"
question = "Does anybody notice that an owner was killed?"
lesson = "They wait for seconds, and lose nothing."
[cluster]
gateways = 1
stores = 2
partitions = 8
engine = "shared"
[users]
count = 20
devices = 2
conversations = { direct = 12, groups = 6, group_size = "uniform(4..8)" }
[load]
phases = [{ for = "40s", rate = "30/s" }]
mix = { send = 0.80, reply = 0.06, edit = 0.04, delete = 0.02, read_history = 0.08 }
[phases]
warm_up = "2s"
[expect]
verdict = "valid"
"#;

/// What `cargo xtask engines` says about its instance.
fn told(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run `cargo xtask engines`"))
}

/// The engine of the instance: how nodes are told to reach it, and a look at what it keeps.
fn engine() -> (String, Box<dyn MessageStore>) {
    let name = format!("takeover_{}", std::process::id());
    let Ok(host) = std::env::var("FRACAS_CASSANDRA") else { return postgres(name) };
    let table = format!(
        "[engine]\nstore = \"cassandra\"\n\
         [engine.cassandra]\nhosts = [\"{host}\"]\nkeyspace = \"{name}\"\nreplication = 1\n"
    );
    let config = cassandra::CassandraConfig {
        hosts: vec![host],
        keyspace: name,
        replication: 1,
        user: None,
        partitions: PARTITIONS,
        timing: cassandra::Timing::default(),
    };
    (table, Box::new(cassandra::CassandraStore::start(config, 0).unwrap()))
}

fn postgres(schema: String) -> (String, Box<dyn MessageStore>) {
    let (host, password) = (told("FRACAS_POSTGRES"), told("FRACAS_POSTGRES_PASSWORD"));
    let table = format!(
        "[engine]\nstore = \"postgres\"\n\
         [engine.postgres]\nhosts = [\"{host}\"]\ndatabase = \"chat\"\nuser = \"chat\"\n\
         password = \"{password}\"\nschema = \"{schema}\"\n"
    );
    let config = postgres::PostgresConfig {
        hosts: vec![host],
        database: "chat".into(),
        user: "chat".into(),
        password: password.as_str().into(),
        schema,
        tls: false,
        authority: None,
        connections: 1,
        synchronous_commit: true,
        partitions: PARTITIONS,
        timing: postgres::Timing::default(),
    };
    (table, Box::new(postgres::PostgresStore::start("takeover", &config).unwrap()))
}

/// A process, killed at the end of the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A cluster with a process for each node.
struct Cluster {
    playground: Playground,
    gateway: String,
    engine: Box<dyn MessageStore>,
}

impl Cluster {
    fn new() -> Self {
        let playground = Playground::new("takeover", "scenario.toml", SCENARIO);
        let [gateway, broker, first, second, auth] = free_addresses();
        let (table, engine) = engine();
        let config = format!(
            "partitions = {PARTITIONS}\ndevelopment_users = 100\n\
             [topology]\ngateways = [\"{gateway}\"]\nbrokers = [\"{broker}\"]\n\
             stores = [\"{first}\", \"{second}\"]\nauth = \"{auth}\"\n{table}\
             [[services]]\nid = \"fracas-service\"\nsecret = \"fracas-secret\"\n\
             scopes = [\"admin\", \"audit\"]\n"
        );
        std::fs::write(playground.path().join("cluster.toml"), config).unwrap();
        Self { playground, gateway, engine }
    }

    fn start(&self, role: &str, number: u16) -> Running {
        let name = format!("{role}-{number}");
        let log = self.playground.path().join(format!("{name}.log"));
        let log = File::options().create(true).append(true).open(log).unwrap();
        let node = Command::new(FRACAS)
            .args(["node", role, "--number", &number.to_string(), "--config", "cluster.toml"])
            .current_dir(self.playground.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        Running(node.unwrap())
    }

    /// How many partitions a store node owns, as the engine has it.
    fn owned(&self, owner: u16) -> u16 {
        // While it makes its tables it may not answer.
        let Ok(view) = self.engine.view() else { return 0 };
        let owns = |n| view.ownership(Partition(n)).unwrap().owner == NodeNumber(owner);
        (0..PARTITIONS).filter(|n| owns(*n)).count() as u16
    }

    fn is_ready(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(&self.gateway) else { return false };
        let asked = "GET /ready HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n";
        let mut answer = String::new();
        stream.write_all(asked.as_bytes()).is_ok()
            && stream.read_to_string(&mut answer).is_ok()
            && answer.starts_with("HTTP/1.1 200")
    }

    /// Kills a store node, and measures until the other one owns everything.
    fn kill(&self, node: Running, number: u16, other: u16) -> Duration {
        let had = self.owned(number);
        assert!(had > 0, "store-{number} owns nothing");
        let began = Instant::now();
        drop(node);
        while self.owned(other) < PARTITIONS {
            assert!(began.elapsed() < 4 * TAKEOVER, "store-{other} has not taken over");
            sleep(Duration::from_millis(50));
        }
        let took = began.elapsed();
        println!("{had} partitions of store-{number} were taken over in {took:.2?}");
        took
    }

    /// What the nodes said, for whoever reads of a failure.
    fn said(&self) -> String {
        let mut said = String::new();
        for node in ["store-1", "store-2", "gateway-1", "broker-1", "auth-1"] {
            let log = self.playground.path().join(format!("{node}.log"));
            let log = std::fs::read_to_string(log).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(8).collect();
            writeln!(said, "{node}:").unwrap();
            last.iter().rev().for_each(|line| writeln!(said, "  {line}").unwrap());
        }
        said
    }
}

fn free_addresses<const N: usize>() -> [String; N] {
    // All at once: one that is given back may be given away again.
    let taken: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind(("127.0.0.1", 0)).unwrap());
    taken.map(|listener| listener.local_addr().unwrap().to_string())
}

#[test]
fn an_owner_that_is_killed_is_replaced_and_nothing_is_lost() {
    let cluster = Cluster::new();
    let _others = ["auth", "broker", "notifier", "gateway"].map(|role| cluster.start(role, 1));
    let (first, second) = (cluster.start("store", 1), cluster.start("store", 2));
    soon("the gateway is ready", || cluster.is_ready());
    soon("all partitions have an owner", || cluster.owned(1) + cluster.owned(2) == PARTITIONS);
    let load = Command::new(FRACAS)
        .args(["load", "scenario.toml", "--target", &cluster.gateway, "--without-faults"])
        .args(["--quiet", "--json", "--out", "run"])
        .current_dir(cluster.playground.path())
        .stdin(Stdio::null())
        .stdout(File::create(cluster.playground.path().join("verdict.json")).unwrap())
        .stderr(Stdio::null())
        .spawn();
    let mut load = Running(load.unwrap());
    // Its users have connected by then.
    sleep(Duration::from_secs(10));
    let took = cluster.kill(first, 1, 2);
    assert!(took < TAKEOVER, "{took:?}\n{}", cluster.said());
    // The one that was killed comes back as a standby, and is the next owner.
    let _first = cluster.start("store", 1);
    sleep(Duration::from_secs(5));
    assert_eq!(cluster.owned(2), PARTITIONS, "nobody takes from an owner that renews");
    let took = cluster.kill(second, 2, 1);
    assert!(took < TAKEOVER, "{took:?}\n{}", cluster.said());
    ended(&mut load.0);
    let verdict = cluster.playground.path().join("verdict.json");
    judged(&std::fs::read_to_string(verdict).unwrap());
}

/// What would be lost or confused if two owners wrote, or one that was replaced.
const CLAIMS: [&str; 8] = [
    "accepted_message_survives",
    "no_phantom_message",
    "no_duplicate_delivery",
    "conversation_order_agrees",
    "no_gap_in_sequence",
    "every_message_accounted",
    "one_owner_per_partition",
    "sequence_agrees_with_ack",
];

/// Nothing is violated, and these claims are valid. A verdict is unknown on a machine that has other things
/// to do, too: then the generator was late, which changes nothing about what became of the messages.
fn judged(verdict: &str) {
    let verdict: serde_json::Value = serde_json::from_str(verdict).expect("a verdict");
    for doubt in verdict["doubts"].as_array().unwrap() {
        assert!(doubt.as_str().unwrap().contains("generator"), "{doubt}");
    }
    let findings = verdict["findings"].as_array().unwrap();
    for finding in findings {
        assert_ne!(finding["verdict"], "violated", "{finding:#}");
    }
    for claim in CLAIMS {
        let finding = findings.iter().find(|finding| finding["invariant"] == claim).unwrap();
        assert_eq!(finding["verdict"], "valid", "{finding:#}");
    }
    let accepted = &verdict["measured"]["accept"]["all"];
    let (count, longest) = (&accepted["count"], &accepted["max_us"]);
    println!("{count} messages were accepted, each within {longest} us");
    assert!(count.as_u64().unwrap() > 500, "{accepted}");
    let longest = Duration::from_micros(longest.as_u64().unwrap());
    // A takeover, and what the clients needed to send again.
    assert!(longest < 2 * TAKEOVER, "{longest:?}");
}
