//! What can be said of the files without running anything: they are there, they agree with each other, and the tools
//! that are on this machine take them.

use crate::deployment::dashboards::{Query, alerts, queries};
use crate::deployment::expressions::{is_documented, metrics};
use crate::repository::root;
use crate::say;
use anyhow::Context;
use std::process::{Command, Stdio};

/// How the metrics of the nodes begin; they are all in the documentation.
const OWN: [&str; 7] = ["auth_", "broker_", "gateway_", "link_", "notifier_", "store_", "fracas_"];
/// Those of a load stand in its own code.
const OF_A_LOAD: &str = "fracas_load_";
/// Where metrics are documented.
const PAGE: &str = "docs/running.md";
const LOAD_PAGE: &str = "report/src/text/live_metrics.rs";

/// When each alert fires, and when not.
const TESTS: &str = "deploy/prometheus/alerts.test.yml";

/// Everything that is wrong, a sentence each.
///
/// # Errors
/// A file cannot be read.
pub fn findings() -> anyhow::Result<Vec<String>> {
    let compose = read("docker-compose.yml")?;
    let mut findings: Vec<String> = mentioned(&compose)
        .into_iter()
        .filter(|path| !root().join(path).exists())
        .map(|path| format!("docker-compose.yml: there is no {path}"))
        .collect();
    let (panels, alerts) = (queries()?, alerts()?);
    let (page, load_page) = (read(PAGE)?, read(LOAD_PAGE)?);
    for query in panels.iter().chain(&alerts) {
        findings.extend(undocumented(query, &page, &load_page));
    }
    let tests = read(TESTS)?;
    findings.extend(alerts.iter().filter_map(|alert| untested(alert, &tests)));
    say(&format!("lint: {} queries of panels, {} alerts", panels.len(), alerts.len()));
    for (tool, arguments) in TOOLS {
        findings.extend(taken(tool, arguments)?);
    }
    Ok(findings)
}

/// Tools that read the files, if they are on this machine.
const TOOLS: [(&str, &[&str]); 6] = [
    ("docker-compose", &["--file", "docker-compose.yml", "config", "--quiet"]),
    ("docker", &["compose", "--file", "docker-compose.yml", "config", "--quiet"]),
    ("haproxy", &["-c", "-f", "deploy/haproxy/haproxy.cfg"]),
    ("promtool", &["check", "config", "deploy/prometheus/prometheus.yml"]),
    ("promtool", &["test", "rules", TESTS]),
    ("amtool", &["check-config", "deploy/alertmanager/alertmanager.yml"]),
];

fn taken(tool: &str, arguments: &[&str]) -> anyhow::Result<Option<String>> {
    let words = format!("{tool} {}", arguments.join(" "));
    let is_plugin = arguments[0] == "compose";
    let version = if is_plugin { &["compose", "version"][..] } else { &["--help"] };
    let there = Command::new(tool).args(version).stdin(Stdio::null()).output();
    if !there.is_ok_and(|there| !is_plugin || there.status.success()) {
        say(&format!("lint: not on this machine: {words}"));
        return Ok(None);
    }
    let output =
        Command::new(tool).args(arguments).current_dir(root()).output().context(words.clone())?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    say(&format!("lint: {words}: {}", if output.status.success() { "good" } else { "refused" }));
    Ok((!output.status.success()).then(|| format!("{words}: {said}")))
}

/// The files of this repository that the file of Compose mounts.
fn mentioned(compose: &str) -> Vec<String> {
    let lines = compose.lines().map(str::trim);
    let mounted = lines.clone().filter_map(|line| {
        let path = line.strip_prefix("- ./")?;
        path.split(':').next()
    });
    let secrets = lines.filter_map(|line| {
        let (_, path) = line.split_once("file: \"${SECRETS:-./")?;
        path.split('"').next()
    });
    mounted.map(str::to_owned).chain(secrets.map(|path| path.replace('}', ""))).collect()
}

/// An alert that no test lets fire, or none keeps silent.
fn untested(Query { place, .. }: &Query, tests: &str) -> Option<String> {
    let line = format!("alertname: {}\n", place.trim_start_matches("alert "));
    let expects = |what: &str| {
        let after = tests.split(&line).skip(1);
        after.into_iter().any(|rest| {
            rest.trim_start().strip_prefix("exp_alerts:").is_some_and(|rest| rest.starts_with(what))
        })
    };
    (!expects(" []") || !expects("\n")).then(|| format!("{place}: {TESTS} does not test it"))
}

fn undocumented(query: &Query, page: &str, load_page: &str) -> Vec<String> {
    let Query { place, expression } = query;
    let is_missing = |metric: &String| {
        if let Some(name) = metric.strip_prefix(OF_A_LOAD) {
            // Quantiles of the last second, and histograms of the whole run.
            let ends = ["_latency_seconds", "_seconds_bucket", "_seconds_sum", "_seconds_count"];
            let told = ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            return !load_page.contains(&format!("\"{told}\""));
        }
        OWN.iter().any(|own| metric.starts_with(own)) && !is_documented(metric, page)
    };
    let missing = metrics(expression).into_iter().filter(is_missing);
    missing.map(|metric| format!("{place}: no node has the metric {metric}")).collect()
}

fn read(path: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(root().join(path)).context(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_tested_that_fires_and_keeps_silent() {
        let of = |name: &str| Query { place: format!("alert {name}"), expression: String::new() };
        let tests = "- alertname: A\n  exp_alerts: []\n- alertname: A\n  exp_alerts:\n    - x\n\
                     - alertname: AB\n  exp_alerts:\n    - x\n";
        assert_eq!(untested(&of("A"), tests), None);
        assert!(untested(&of("AB"), tests).is_some() && untested(&of("B"), tests).is_some());
    }

    #[test]
    fn every_file_that_is_mounted_is_found() {
        let compose = "volumes:\n  - ./deploy/a.yml:/etc/a.yml:ro\n  - data:/var/lib\n\
                       secrets:\n  a: { file: \"${SECRETS:-./deploy/secrets}/a\" }\n";
        assert_eq!(mentioned(compose), ["deploy/a.yml", "deploy/secrets/a"]);
    }

    #[test]
    fn a_metric_that_no_node_has_is_found() {
        let page = "| `gateway_sessions` | Open |\n| `store_commit_seconds` | A |\n";
        let load = "put(\"sent_total\", \"counter\"), (\"accept\", x)";
        let told = |expression: &str| {
            let query = Query { place: "here".to_owned(), expression: expression.to_owned() };
            undocumented(&query, page, load).len()
        };
        assert_eq!(told("sum(gateway_sessions) + rate(store_commit_seconds_sum[1m])"), 0);
        assert_eq!(told("histogram_quantile(0.5, rate(store_commit_seconds_bucket[1m]))"), 0);
        assert_eq!(told("store_commit_seconds{quantile=\"0.99\"} + gateway_sessions_bucket"), 2);
        assert_eq!(told("rate(fracas_load_accept_seconds_bucket[1m])"), 0);
        assert_eq!(told("fracas_load_sent_total + fracas_load_accept_latency_seconds"), 0);
        assert_eq!(told("up{job=\"x\"} + rabbitmq_connections"), 0);
        assert_eq!(told("sum(gateway_session) + fracas_load_send_total"), 2);
    }
}
