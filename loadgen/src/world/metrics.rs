//! The levels that a cluster shows at `/metrics`, taken into the history.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use std::collections::BTreeMap;
use std::time::Duration;
use verify::history::What;
use workload::recorder::Recorder;
use workload::rest::Http;

/// How often levels are taken.
const EVERY: Duration = Duration::from_secs(1);
/// The metric that names the limits of others.
const LIMIT: &str = "fracas_limit";

/// A level of a node, and its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Level {
    node: String,
    name: String,
    value: u64,
    limit: u64,
}

/// Takes levels every second, for ever. A cluster that does not answer is asked again.
pub async fn poll(http: Http, gateway: String, recorder: std::sync::Arc<dyn Recorder>) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let request = Request::get("/metrics").body(Full::<Bytes>::default());
        let answer = http.exchange(&gateway, request.expect("its parts are valid")).await;
        let Ok(answer) = answer.inspect_err(|error| tracing::debug!(%error, "no metrics")) else {
            continue;
        };
        if !answer.status().is_success() {
            continue;
        }
        for Level { node, name, value, limit } in levels(&String::from_utf8_lossy(answer.body())) {
            recorder.record(What::Gauge { node: node.into(), name: name.into(), value, limit });
        }
    }
}

/// The levels that have a limit, in the Prometheus text format (version 0.0.4).
fn levels(text: &str) -> Vec<Level> {
    let mut values: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let mut limits: Vec<(&str, &str, u64)> = Vec::new();
    for (name, labels, value) in text.lines().filter_map(sample) {
        let Some(node) = label(labels, "node") else { continue };
        if name == LIMIT {
            limits.extend(label(labels, "of").map(|of| (node, of, value)));
        } else {
            values.insert((node, name), value);
        }
    }
    limits
        .into_iter()
        .filter_map(|(node, name, limit)| {
            let value = *values.get(&(node, name))?;
            Some(Level { node: node.to_owned(), name: name.to_owned(), value, limit })
        })
        .collect()
}

/// `name{labels} value`.
fn sample(line: &str) -> Option<(&str, &str, u64)> {
    let (name, rest) = line.split_once('{')?;
    let (labels, value) = rest.rsplit_once('}')?;
    let value: f64 = value.split_whitespace().next()?.parse().ok()?;
    Some((name, labels, value.max(0.0) as u64))
}

fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    labels.split(',').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key.trim() == name).then(|| value.trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_joined_with_their_limits() {
        let text = "\
            # TYPE sessions gauge\n\
            sessions{node=\"gateway-1\"} 12\n\
            sessions{node=\"gateway-2\"} 7\n\
            unlimited{node=\"gateway-1\"} 3\n\
            frames_total 5\n\
            fracas_limit{node=\"gateway-1\",of=\"sessions\"} 1000\n\
            fracas_limit{node=\"gateway-1\",of=\"missing\"} 1000\n\
            broken{node=\"x\"\n";
        let level =
            Level { node: "gateway-1".into(), name: "sessions".into(), value: 12, limit: 1_000 };
        assert_eq!(levels(text), [level]);
    }
}
