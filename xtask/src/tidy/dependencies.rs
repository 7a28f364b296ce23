//! Who may depend on whom: the table of ARCHITECTURE.md, checked against cargo's own view.

use super::Finding;
use anyhow::Context;
use serde_json::Value;

/// Each crate with the crates of this workspace that it may depend on.
const MAY_DEPEND_ON: [(&str, &[&str]); 33] = [
    ("protocol", &[]),
    ("ports", &["protocol"]),
    ("real", &["ports"]),
    ("fakes", &["protocol", "ports"]),
    ("segments", &["ports", "protocol", "fakes"]),
    ("link", &["protocol", "ports", "fakes"]),
    ("client", &["protocol", "ports"]),
    ("gateway", &["protocol", "ports", "link", "fakes"]),
    ("broker", &["protocol", "ports", "link", "segments", "fakes"]),
    ("rabbitmq", &["protocol", "ports", "link", "fakes"]),
    ("postgres", &["protocol", "ports"]),
    ("traces", &["protocol", "ports", "fakes"]),
    ("cassandra", &["protocol", "ports"]),
    ("kafka", &["protocol", "ports", "fakes"]),
    ("store", &["protocol", "ports", "link", "segments", "fakes"]),
    ("notifier", &["protocol", "ports", "link", "fakes"]),
    ("auth", &["protocol", "ports", "link", "segments", "fakes"]),
    (
        "node",
        &[
            "protocol", "ports", "link", "settings", "gateway", "broker", "store", "notifier",
            "auth",
        ],
    ),
    ("settings", &["protocol"]),
    ("scenarios", &["protocol", "settings", "verify"]),
    ("verify", &["protocol"]),
    ("report", &["protocol", "scenarios", "verify"]),
    ("workload", &["protocol", "ports", "link", "client", "scenarios", "verify", "fakes"]),
    ("loadgen", &["protocol", "ports", "real", "link", "workload", "scenarios", "verify"]),
    ("engines", &[]),
    ("journeys", &["protocol", "ports", "workload", "loadgen", "verify", "scenarios", "fakes"]),
    ("sim", &["protocol", "ports", "link", "node", "workload", "scenarios", "verify", "fakes"]),
    ("fuzz", &["auth", "node", "protocol", "scenarios", "verify", "workload"]),
    ("campaign", &["ports", "scenarios", "workload", "verify", "report"]),
    (
        "fracas",
        &[
            "campaign",
            "protocol",
            "ports",
            "real",
            "link",
            "client",
            "gateway",
            "broker",
            "rabbitmq",
            "postgres",
            "cassandra",
            "kafka",
            "store",
            "notifier",
            "auth",
            "node",
            "traces",
            "scenarios",
            "verify",
            "report",
            "workload",
            "loadgen",
            "engines",
            "journeys",
            "sim",
        ],
    ),
    (
        "benches",
        &[
            "protocol",
            "ports",
            "real",
            "link",
            "client",
            "gateway",
            "broker",
            "store",
            "notifier",
            "auth",
            "node",
            "scenarios",
            "verify",
            "report",
            "workload",
            "loadgen",
            "sim",
        ],
    ),
    ("generators", &["protocol", "real", "client", "workload", "benches"]),
    ("xtask", &["scenarios", "verify", "engines"]),
];

/// Ours that is for tests, and where else it may be.
const FOR_TESTS: (&str, &[&str]) = ("fakes", &["sim"]);

/// What the tests of a crate may stand on beside that: the real broker, instead of a copy of its manners.
/// An engine is tested on a real machine, one of rows by the suite that stands beside the engine in memory.
const IN_TESTS: [(&str, &[&str]); 6] = [
    ("notifier", &["broker"]),
    ("store", &["broker"]),
    ("rabbitmq", &["real"]),
    ("postgres", &["real", "store"]),
    ("cassandra", &["real", "store"]),
    ("kafka", &["real"]),
];

/// Outside crates that belong to certain crates only.
const BELONGS_TO: [(&str, &[&str]); 10] = [
    ("turmoil", &["sim"]),
    ("goose", &["journeys", "generators"]),
    ("ctrlc", &["journeys"]),
    ("lapin", &["rabbitmq"]),
    ("tokio-postgres", &["postgres"]),
    ("deadpool-postgres", &["postgres"]),
    ("scylla", &["cassandra"]),
    ("rdkafka", &["kafka"]),
    ("axum", &["gateway", "auth", "node"]),
    ("libc", &["sim"]),
];

/// Checks the output of `cargo metadata --no-deps`.
pub fn check(metadata: &Value) -> anyhow::Result<Vec<Finding>> {
    let packages = list(metadata, "packages")?;
    let ours: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let root = metadata["workspace_root"].as_str().context("no workspace root")?;
    let mut findings = Vec::new();
    for package in packages {
        let name = package["name"].as_str().context("a package without a name")?;
        let manifest = package["manifest_path"].as_str().context("a package without a manifest")?;
        let manifest = manifest.trim_start_matches(root).trim_start_matches('/');
        for dependency in list(package, "dependencies")? {
            let on = dependency["name"].as_str().context("a dependency without a name")?;
            let for_tests = dependency["kind"].as_str() == Some("dev");
            if let Some((what, remedy)) = wrong(name, on, for_tests, &ours) {
                findings.push(Finding::new(manifest, 1, what, remedy));
            }
        }
    }
    Ok(findings)
}

fn list<'a>(value: &'a Value, key: &str) -> anyhow::Result<&'a Vec<Value>> {
    value[key].as_array().with_context(|| format!("cargo metadata has no {key}"))
}

/// What is wrong with a dependency, and the remedy.
fn wrong(name: &str, on: &str, for_tests: bool, ours: &[&str]) -> Option<(String, String)> {
    if let Some((_, owners)) = BELONGS_TO.iter().find(|(outside, _)| *outside == on)
        && !owners.contains(&name)
    {
        let remedy = format!("only {} may: go through a port", owners.join(", "));
        return Some((format!("{name} depends on {on}"), remedy));
    }
    if !ours.contains(&on) {
        return None;
    }
    if on == FOR_TESTS.0 && !for_tests && !FOR_TESTS.1.contains(&name) {
        let what = format!("{name} depends on {on} outside of its tests");
        return Some((what, "make it a dev-dependency".into()));
    }
    let Some((_, allowed)) = MAY_DEPEND_ON.iter().find(|(known, _)| *known == name) else {
        let remedy = "say in xtask/src/tidy/dependencies.rs what it may depend on";
        return Some((format!("the crate {name} has no place in the house"), remedy.into()));
    };
    let in_tests = |(known, on_too): &(&str, &[&str])| *known == name && on_too.contains(&on);
    let is_allowed = allowed.contains(&on) || for_tests && IN_TESTS.iter().any(in_tests);
    (!is_allowed).then(|| {
        let remedy = format!("it may depend on: {}", allowed.join(", "));
        (format!("{name} depends on {on}"), remedy)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(packages: &[(&str, &[&str])]) -> Vec<String> {
        let packages: Vec<Value> = packages
            .iter()
            .map(|(name, on)| {
                let on: Vec<Value> = on.iter().map(|name| json!({ "name": name })).collect();
                json!({ "name": name, "manifest_path": format!("/r/{name}/Cargo.toml"), "dependencies": on })
            })
            .collect();
        let metadata = json!({ "workspace_root": "/r", "packages": packages });
        check(&metadata).expect("good metadata").into_iter().map(|f| f.what).collect()
    }

    #[test]
    fn roles_that_know_each_other_are_found() {
        let house: [(&str, &[&str]); 4] = [
            ("gateway", &["protocol", "store", "axum", "serde"]),
            ("store", &["protocol"]),
            ("protocol", &[]),
            ("loadgen", &["protocol", "gateway"]),
        ];
        assert_eq!(told(&house), ["gateway depends on store", "loadgen depends on gateway"]);
    }

    #[test]
    fn outside_crates_in_the_wrong_place_are_found() {
        let house: [(&str, &[&str]); 3] =
            [("store", &["turmoil"]), ("sim", &["turmoil"]), ("report", &["axum"])];
        assert_eq!(told(&house), ["store depends on turmoil", "report depends on axum"]);
    }

    #[test]
    fn fakes_outside_of_tests_are_found() {
        let on = |kind: &str| json!([{ "name": "fakes", "kind": kind }]);
        let package = |name: &str, kind: &str| json!({ "name": name, "manifest_path": "/r/Cargo.toml", "dependencies": on(kind) });
        let packages = [
            package("store", "normal"),
            package("auth", "dev"),
            package("sim", "normal"),
            json!({ "name": "fakes", "manifest_path": "/r/Cargo.toml", "dependencies": [] }),
        ];
        let metadata = json!({ "workspace_root": "/r", "packages": packages });
        let found: Vec<_> = check(&metadata).expect("good").into_iter().map(|f| f.what).collect();
        assert_eq!(found, ["store depends on fakes outside of its tests"]);
    }

    #[test]
    fn the_real_broker_is_for_tests_alone() {
        let found = |name: &str, kind: Option<&str>| {
            let on = json!([{ "name": "broker", "kind": kind }]);
            let package =
                json!({ "name": name, "manifest_path": "/r/Cargo.toml", "dependencies": on });
            let broker =
                json!({ "name": "broker", "manifest_path": "/r/Cargo.toml", "dependencies": [] });
            let metadata = json!({ "workspace_root": "/r", "packages": [package, broker] });
            check(&metadata).expect("good").len()
        };
        assert_eq!(found("notifier", Some("dev")), 0);
        assert_eq!((found("notifier", None), found("gateway", Some("dev"))), (1, 1));
    }

    #[test]
    fn a_crate_without_a_place_is_found() {
        let house: [(&str, &[&str]); 2] = [("shed", &["protocol"]), ("protocol", &[])];
        assert_eq!(told(&house), ["the crate shed has no place in the house"]);
    }
}
