//! Traces of a load on RabbitMQ, decoded by OpenTelemetry's own definitions: every message that was sent has one,
//! whole, from its sender's frame to fan-out; four of five reach a gateway, and some a push provider.

use super::{folder, python};
use crate::repository::root;
use crate::{asserting, say};
use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// What decodes them.
const TOOL: &str = "opentelemetry-proto==1.45.2";
const SCENARIO: &str = "scenarios/safety/smoke.toml";
/// A machine that is too busy to tell is asked so often.
const TRIES: u32 = 3;
/// What every message has. `process entry` is left out: nobody else may be there.
const STEPS: [&str; 5] =
    ["send message", "publish inbound", "process inbound", "commit", "publish entry"];

/// A span, as the collector writes it.
#[derive(Debug, Deserialize)]
struct Span {
    trace: String,
    id: String,
    /// Empty: it is the first.
    parent: String,
    name: String,
    began: u64,
    ended: u64,
    cluster: String,
}

/// Runs it; an error says that something cannot be had, or that nothing could be judged.
pub fn run() -> anyhow::Result<bool> {
    engines::rabbitmq::installed()?;
    let python = python::with(TOOL, "opentelemetry.proto")?;
    let folder = folder("traces")?;
    for _ in 0..TRIES {
        let spans = folder.join("spans.jsonl");
        let collector = Collector::start(&python, &spans)?;
        say(&format!("traces of {SCENARIO} on RabbitMQ, without faults"));
        let out = folder.join("out");
        let mut load = asserting::fracas()?;
        load.args(["load", SCENARIO, "--engines", "rabbitmq", "--without-faults", "--quiet"])
            .args(["--traces", &collector.endpoint, "--traces-one-in", "1", "--out"])
            .arg(&out);
        let status = load.status().context("running fracas")?.code();
        drop(collector);
        match status {
            Some(0) => return Ok(complaints(&spans, &out)?.is_empty()),
            Some(2) => {}
            _ => return Ok(false),
        }
    }
    bail!("the verdict was unknown {TRIES} times: this machine is too busy to tell")
}

/// What is wrong with the spans; each is said.
fn complaints(spans: &Path, out: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(spans).context("what the collector was sent")?;
    let spans: Vec<Span> =
        text.lines().map(serde_json::from_str).collect::<Result<_, _>>().context("a span")?;
    let verdict = std::fs::read(out.join("verdict.json")).context("the verdict")?;
    let verdict: serde_json::Value = serde_json::from_slice(&verdict)?;
    let totals = &verdict["measured"]["totals"];
    let count = |what: &str| totals[what].as_u64().with_context(|| format!("its {what}"));
    let sent = count("messages")? + count("edits")? + count("deletes")?;
    let complaints = of(&spans, sent);
    for complaint in &complaints {
        say(complaint);
    }
    say(&format!("{} spans of {sent} messages, {} complaints", spans.len(), complaints.len()));
    Ok(complaints)
}

fn of(spans: &[Span], sent: u64) -> Vec<String> {
    let mut complaints = Vec::new();
    let ids: BTreeSet<(&str, &str)> = spans.iter().map(|it| (&*it.trace, &*it.id)).collect();
    if ids.len() != spans.len() {
        complaints.push(format!("{} spans have {} ids", spans.len(), ids.len()));
    }
    let clusters: BTreeSet<&str> = spans.iter().map(|span| &*span.cluster).collect();
    if clusters.len() != 1 {
        complaints.push(format!("they are of the clusters {clusters:?}"));
    }
    let mut traces: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for span in spans {
        traces.entry(&span.trace).or_default().insert(&span.name);
        if !span.parent.is_empty() && !ids.contains(&(&*span.trace, &*span.parent)) {
            complaints.push(format!("nobody has told what this follows from: {span:?}"));
        }
        if span.parent.is_empty() != (span.name == STEPS[0]) || span.ended < span.began {
            complaints.push(format!("this cannot be: {span:?}"));
        }
    }
    for (trace, steps) in &traces {
        if let Some(missing) = STEPS.iter().find(|step| !steps.contains(*step)) {
            complaints.push(format!("trace {trace} has no {missing}: {steps:?}"));
        }
    }
    if traces.len() as u64 != sent {
        complaints.push(format!("{sent} messages were sent, and {} traced", traces.len()));
    }
    for (step, least) in [("process entry", sent * 8 / 10), ("push", 1)] {
        let has_it = traces.values().filter(|steps| steps.contains(step)).count() as u64;
        if has_it < least {
            complaints.push(format!("{has_it} of {sent} messages have a {step}"));
        }
    }
    complaints
}

/// It ends with this.
struct Collector {
    child: Child,
    endpoint: String,
}

impl Collector {
    fn start(python: &Path, spans: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new(python)
            .arg(root().join("xtask/engines/collector.py"))
            .arg(spans)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting a collector")?;
        let told = child.stdout.take().context("its output")?;
        let mut collector = Self { child, endpoint: String::new() };
        let mut port = String::new();
        BufReader::new(told).read_line(&mut port)?;
        ensure!(!port.trim().is_empty(), "the collector has not started");
        collector.endpoint = format!("http://127.0.0.1:{}/v1/traces", port.trim());
        Ok(collector)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It is on its way out.
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: &str, parent: &str, name: &str) -> Span {
        let [trace, cluster] = ["1", "chat"].map(str::to_owned);
        let [id, parent, name] = [id, parent, name].map(str::to_owned);
        Span { trace, id, parent, name, began: 1, ended: 2, cluster }
    }

    fn whole() -> Vec<Span> {
        let names = STEPS.into_iter().chain(["process entry", "push"]).zip(1..);
        let parent = |n: u32| if n == 1 { String::new() } else { (n - 1).to_string() };
        names.map(|(name, n)| span(&n.to_string(), &parent(n), name)).collect()
    }

    #[test]
    fn whatever_is_missing_is_a_complaint() {
        assert_eq!(of(&whole(), 1), Vec::<String>::new());
        for (gone, step) in STEPS.into_iter().enumerate() {
            let mut spans = whole();
            spans.remove(gone);
            assert!(!of(&spans, 1).is_empty(), "without {step}");
        }
        let mut twice = whole();
        twice.push(span("1", "", STEPS[0]));
        assert_eq!(of(&twice, 1), ["8 spans have 7 ids"]);
        assert!(of(&whole(), 2).contains(&"2 messages were sent, and 1 traced".to_owned()));
        assert_eq!(of(&whole()[..6], 1), ["0 of 1 messages have a push"]);
    }
}
