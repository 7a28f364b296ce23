//! A cluster whose nodes are scripts.

use super::*;
use crate::world::layout::{Program, Tier};
use std::sync::Mutex;
use tokio::time::{sleep, timeout};

#[derive(Default)]
struct Events(Mutex<Vec<What>>);

impl Recorder for Events {
    fn record(&self, what: What) {
        self.0.lock().unwrap().push(what);
    }

    fn now_us(&self) -> u64 {
        0
    }
}

pub struct World {
    pub cluster: Cluster,
    events: Arc<Events>,
    data: PathBuf,
    pub http: Http,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

/// A node that does nothing.
pub const RUNS: &str = "echo ready; exec sleep 60";

/// Nodes by name and script, in a folder with the logs of earlier processes.
pub fn world(test: &str, scripts: &[(&str, &str)]) -> World {
    let data = std::env::temp_dir().join(format!("fracas-{test}-{}", std::process::id()));
    std::fs::create_dir_all(&data).unwrap();
    let program = |(name, script): &(&str, &str)| {
        let log = data.join(format!("{name}.log"));
        std::fs::write(&log, "fracas panicked at old.rs:1:1: an earlier run\n").unwrap();
        let arguments = vec!["-c".to_owned(), (*script).to_owned()];
        let tier = if name.starts_with("gateway") { Tier::Gateway } else { Tier::Node };
        Node::new(Program { name: (*name).into(), arguments, log, tier })
    };
    let events = Arc::new(Events::default());
    let cluster = Cluster {
        binary: "/bin/sh".into(),
        nodes: scripts.iter().map(program).collect(),
        gateways: Vec::new(),
        balancer: None,
        monitoring: None,
        rabbitmq: Vec::new(),
        carried: Vec::new(),
        metrics: Vec::new(),
        recorder: events.clone(),
        left: watch::Sender::default(),
        ids: watch::Sender::default(),
    };
    let http = Http::new(crate::machine::machine("test", 1, &Arc::default()));
    World { cluster, events, data, http }
}

impl World {
    fn told(&self) -> Vec<What> {
        std::mem::take(&mut *self.events.0.lock().unwrap())
    }

    async fn left(&self) -> Left {
        timeout(Duration::from_secs(5), self.cluster.leaves()).await.expect("somebody leaves")
    }
}

fn started(node: &str) -> What {
    What::NodeStarted { node: node.into() }
}

/// What is told of a node that ends like that while another one runs.
async fn told_of(test: &str, end: &str) -> Vec<What> {
    let script = format!("echo ready; sleep 0.1; {end}");
    let mut world = world(test, &[("broker-1", RUNS), ("store-2", &script)]);
    world.cluster.start_all(&world.http).await.expect("no gateway is waited for");
    assert_eq!(world.told(), [started("broker-1"), started("store-2")]);
    assert_eq!(world.left().await, ("store-2".into(), Departure::Died));
    world.cluster.tell_ends("store-2").await;
    assert_eq!(world.cluster.running(), ["broker-1".into()]);
    world.cluster.kill_all().await;
    world.told()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_told_once_with_its_node_and_its_place() {
    let end = "echo 'fracas panicked at cluster/a.rs:1:2: odd: 3' >&2; kill -ABRT $$";
    let (message, place) = ("odd: 3".into(), "cluster/a.rs:1:2".into());
    let panicked = What::NodePanicked { node: "store-2".into(), message, place };
    assert_eq!(told_of("panicked", end).await, [panicked]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_stack_is_a_panic_and_another_end_is_not() {
    let overflow = "echo \"thread 'main' (7) has overflowed its stack\" >&2; kill -ABRT $$";
    let told = told_of("overflowed", overflow).await;
    assert!(matches!(&told[..], [What::NodePanicked { .. }]), "{told:?}");
    for end in ["kill -KILL $$", "kill -ABRT $$", "echo damaged >&2; exit 2"] {
        let told = told_of("ended", end).await;
        let [What::NodeEnded { node, why }] = &told[..] else { panic!("{end}: {told:?}") };
        assert_eq!(&**node, "store-2");
        assert!(
            why.contains("signal") || why.contains("2; last line of its log: damaged"),
            "{why}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_start_is_named_with_its_last_words() {
    let script = "echo 'the address is in use' >&2; exit 2";
    let mut world = world("not-started", &[("broker-1", RUNS), ("store-1", script)]);
    let why = world.cluster.start_all(&world.http).await.unwrap_err().to_string();
    assert!(why.starts_with("store-1 did not start: exit status: 2"), "{why}");
    assert!(why.ends_with("the address is in use"), "{why}");
    world.cluster.kill_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_killed_on_purpose_has_not_left_and_the_others_run_on() {
    let mut world = world("killed", &[("store-1", RUNS), ("store-2", RUNS), ("auth-1", RUNS)]);
    world.cluster.start_all(&world.http).await.unwrap();
    let before = world.cluster.ids().borrow().clone();
    let stores: [Arc<str>; 2] = ["store-1".into(), "store-2".into()];
    assert_eq!(world.cluster.kill(&stores), 2);
    world.cluster.gone().await;
    assert_eq!(world.cluster.running(), ["auth-1".into()]);
    assert_eq!(world.cluster.kill(&stores[..1]), 0, "it is down already");
    let mut starts = Starts::new();
    world.cluster.start_again(&stores[1..], &mut starts).unwrap();
    let begun = starts.join_next().await.unwrap();
    world.cluster.check_start(begun).await.unwrap();
    let after = world.cluster.ids().borrow().clone();
    let names: Vec<_> = after.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["store-2", "auth-1"]);
    assert_eq!(after[1], before[2], "it was left alone");
    assert_ne!(after[0], before[1], "another process");
    assert!(world.cluster.left.borrow().is_none());
    world.cluster.kill_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_goes_on_when_the_last_pause_ends_and_a_killed_one_is_not_paused() {
    let mut world = world("paused", &[("store-1", RUNS)]);
    let store: [Arc<str>; 1] = ["store-1".into()];
    world.cluster.start_all(&world.http).await.unwrap();
    let state = |cluster: &Cluster| {
        let id = cluster.ids.borrow()[0].1;
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.starts_with('T')
    };
    for fault in [1, 2] {
        assert_eq!(world.cluster.pause(&store, fault).await.unwrap(), 1);
    }
    world.cluster.resume(1).await.unwrap();
    assert!(state(&world.cluster), "the second fault holds it");
    world.cluster.resume(2).await.unwrap();
    while state(&world.cluster) {
        sleep(Duration::from_millis(1)).await;
    }
    world.cluster.pause(&store, 3).await.unwrap();
    world.cluster.kill(&store);
    world.cluster.gone().await;
    let mut starts = Starts::new();
    world.cluster.start_again(&store, &mut starts).unwrap();
    world.cluster.resume(3).await.unwrap();
    let begun = starts.join_next().await.unwrap();
    world.cluster.check_start(begun).await.expect("it runs");
    assert!(!state(&world.cluster));
    world.cluster.kill_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_end_before_those_that_they_need() {
    let order = std::env::temp_dir().join(format!("fracas-order-of-ends-{}", std::process::id()));
    let script = |name: &str| {
        let told = format!("echo {name} >> {}", order.display());
        format!("trap '{told}; exit 0' TERM; echo ready; while :; do sleep 0.02; done")
    };
    let (store, gateway) = (script("store"), script("gateway"));
    let mut world = world("order", &[("store-1", &store), ("gateway-1", &gateway)]);
    world.cluster.start_all(&world.http).await.unwrap();
    assert_eq!(world.cluster.end().await.unwrap(), [], "all end well");
    assert_eq!(std::fs::read_to_string(&order).unwrap(), "gateway\nstore\n");
    std::fs::remove_file(order).unwrap();
}
