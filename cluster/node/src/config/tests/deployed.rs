//! The configuration of the stack in `docker-compose.yml`.

use super::super::*;

const FILE: &str = include_str!("../../../../../deploy/cluster.toml");
const COMPOSE: &str = include_str!("../../../../../docker-compose.yml");

/// A secret of a file that the stack mounts.
fn fetch(kept: Kept<'_>) -> Result<String, String> {
    let Kept::File(path) = kept else { return Err("the stack has files alone".to_owned()) };
    let name = path.strip_prefix("/run/secrets/").ok_or("secrets are mounted elsewhere")?;
    let is_mounted = COMPOSE.contains(&format!("\n  {name}: {{ file: "));
    is_mounted.then(|| name.to_owned()).ok_or_else(|| format!("{name} is not mounted"))
}

#[test]
fn the_deployed_cluster_is_a_good_one_whose_nodes_are_services() {
    let config = ClusterConfig::read_with(FILE, "deploy/cluster.toml", &fetch);
    let config = config.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(config.engine.broker, BrokerChoice::RabbitMq);
    assert_eq!(config.engine.store, StoreChoice::Postgres);
    assert!(config.service_of_all_scopes().is_some(), "a load needs one");
    let nodes = config.topology.nodes().filter(|(role, _)| *role != Role::Notifier);
    for (role, number) in nodes {
        let address = config.topology.address(role, number).expect("it listens");
        let (host, _) = address.split_once(':').expect("an address");
        assert!(COMPOSE.contains(&format!("\n  {host}:\n")), "{host} is no service");
        assert!(COMPOSE.contains(&format!("\n    hostname: {host}\n")), "{host} is no host name");
    }
}
