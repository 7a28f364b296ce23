//! The cluster of a scenario is the same in both worlds.

use super::*;
use scenarios::{Addresses, cluster_file};

/// One scenario, two worlds: what a real cluster is told is what a simulated one is told.
#[test]
fn a_real_cluster_is_configured_as_a_simulated_one() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let mut compared = 0;
    for listing in scenarios::library(&folder).unwrap() {
        let text = std::fs::read_to_string(&listing.path).unwrap();
        let name = listing.path.display().to_string();
        let scenario = scenarios::parse(&text, &name, &[]).unwrap();
        if scenario.cluster.engine == StoreEngine::Shared {
            continue;
        }
        let simulated = config(&scenario);
        let topology = simulated.topology.clone();
        let Topology { gateways, brokers, stores, auth, push_provider, .. } = topology;
        let addresses = Addresses {
            gateways,
            brokers,
            rabbitmq: Vec::new(),
            rabbitmq_management: None,
            quorum_queues: true,
            kafka: Vec::new(),
            all_acks: true,
            postgres: None,
            cassandra: None,
            synchronous_commit: true,
            stores,
            auth,
            push_provider,
            tls: None,
            is_balanced: false,
            traces: None,
        };
        let real = ClusterConfig::read(&cluster_file(&scenario, &addresses), &name);
        assert_eq!(real.unwrap_or_else(|mistakes| panic!("{mistakes}")), simulated);
        compared += 1;
    }
    assert!(compared > 20, "{compared} scenarios");
}
