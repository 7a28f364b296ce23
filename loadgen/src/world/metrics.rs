//! The levels that nodes show at `/metrics`, and what they gave up, taken into the history.

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

/// What nodes had given up, by node and counter, at the last look.
#[derive(Default)]
struct GivenUp(Option<BTreeMap<(String, String), u64>>);

impl GivenUp {
    /// What is new at this look; the first one is where counting begins. A process that was started anew
    /// counts from nothing.
    fn news(&mut self, text: &str) -> Vec<What> {
        let counters = samples(text).filter(|(_, name, _)| workload::shed(name).is_some());
        let now: BTreeMap<_, _> = counters
            .map(|(node, name, value)| ((node.to_owned(), name.to_owned()), value))
            .collect();
        let Some(before) = self.0.replace(now.clone()) else { return Vec::new() };
        let news = now.into_iter().filter_map(|(counter, value)| {
            let known = before.get(&counter).copied().unwrap_or(0);
            let count = value.checked_sub(known).unwrap_or(value);
            let (node, name) = counter;
            let what = workload::shed(&name)?;
            (count > 0).then(|| What::Shed { node: node.into(), what, count })
        });
        news.collect()
    }
}

/// Takes the levels of a process every second, for ever. One that does not answer is asked again.
pub async fn poll(http: Http, address: String, recorder: std::sync::Arc<dyn Recorder>) {
    let (mut tick, mut given_up) = (tokio::time::interval(EVERY), GivenUp::default());
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let request = Request::get("/metrics").body(Full::<Bytes>::default());
        let answer = http.exchange(&address, request.expect("its parts are valid")).await;
        let Ok(answer) = answer.inspect_err(|error| tracing::debug!(%error, "no metrics")) else {
            continue;
        };
        if !answer.status().is_success() {
            continue;
        }
        let text = String::from_utf8_lossy(answer.body());
        given_up.news(&text).into_iter().for_each(|what| recorder.record(what));
        for Level { node, name, value, limit } in levels(&text) {
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

/// All samples of a node: node, name, value.
fn samples(text: &str) -> impl Iterator<Item = (&str, &str, u64)> {
    let of_node = |(name, labels, value)| Some((label(labels, "node")?, name, value));
    text.lines().filter_map(sample).filter_map(of_node)
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
    use verify::history::event::Shed;

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

    #[test]
    fn what_nodes_give_up_is_told_once() {
        let mut given_up = GivenUp::default();
        let mut told = |counts: &[(&str, u64)]| {
            let line = |(what, count): &(&str, u64)| {
                format!("broker_shed_{what}_total{{node=\"broker-1\"}} {count}\n")
            };
            let text: String = counts.iter().map(line).collect();
            let news = given_up.news(&format!("sessions{{node=\"gateway-1\"}} 12\n{text}"));
            let counts = news.into_iter().map(|is| match is {
                What::Shed { node, what, count } if &*node == "broker-1" => (what, count),
                other => panic!("{other:?}"),
            });
            counts.collect::<Vec<_>>()
        };
        assert_eq!(told(&[("notifications", 7)]), [], "before the run");
        let both = told(&[("notifications", 9), ("dead_letters", 1)]);
        assert_eq!(both, [(Shed::DeadLetters, 1), (Shed::PushJobs, 2)]);
        assert_eq!(told(&[("notifications", 9), ("dead_letters", 1)]), []);
        assert_eq!(told(&[("notifications", 3)]), [(Shed::PushJobs, 3)], "a new process");
        assert_eq!(told(&[]), [], "another one");
        assert_eq!(told(&[("notifications", 5)]), [(Shed::PushJobs, 5)]);
    }
}
