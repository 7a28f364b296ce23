//! What the running Prometheus answers: its targets, every query of every panel, every alert.

use super::dashboards::Query;
use super::expressions::{is_documented, metrics};
use anyhow::{Context, bail};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two points of a range, in seconds: as often as numbers are asked for.
const STEP: u64 = 5;

/// A Prometheus at a port of loopback.
pub struct Monitoring {
    pub port: u16,
}

impl Monitoring {
    /// Targets that are not up, each with its reason; and how many there are.
    ///
    /// # Errors
    /// There is no answer.
    pub fn targets(&self) -> anyhow::Result<(Vec<String>, usize)> {
        let answer = self.get("/api/v1/targets?state=active")?;
        let targets = answer["data"]["activeTargets"].as_array().context("no targets")?;
        let down = targets.iter().filter(|target| target["health"] != "up").map(|target| {
            let of = |name: &str| target[name].as_str().unwrap_or("?").to_owned();
            format!("{} is {}: {}", of("scrapeUrl"), of("health"), of("lastError"))
        });
        Ok((down.collect(), targets.len()))
    }

    /// The value of a query that has one, now.
    ///
    /// # Errors
    /// There is no answer.
    pub fn value(&self, expression: &str) -> anyhow::Result<Option<f64>> {
        let answer = self.get(&format!("/api/v1/query?query={}", encoded(expression)))?;
        let value = &answer["data"]["result"][0]["value"][1];
        Ok(value.as_str().and_then(|value| value.parse().ok()))
    }

    /// Queries that were not answered, or without data for the time since then.
    ///
    /// # Errors
    /// There is no answer at all.
    pub fn unanswered(&self, queries: &[Query], seconds: u64) -> anyhow::Result<Vec<String>> {
        let now = self.value("vector(time())")?.context("Prometheus knows no time")? as u64;
        let from = now.saturating_sub(seconds);
        let mut wrong = Vec::new();
        for Query { place, expression } in queries {
            let path = format!(
                "/api/v1/query_range?query={}&start={from}&end={now}&step={STEP}",
                encoded(expression)
            );
            match self.get(&path) {
                Ok(answer)
                    if answer["data"]["result"].as_array().is_some_and(|it| !it.is_empty()) => {}
                Ok(_) => wrong.push(format!("{place}: no data for {expression}")),
                Err(error) => wrong.push(format!("{place}: {expression}: {error:#}")),
            }
        }
        Ok(wrong)
    }

    /// Alerts whose expression is not understood, or that name a metric which neither Prometheus nor the
    /// documentation has.
    ///
    /// # Errors
    /// There is no answer at all.
    pub fn misunderstood(&self, alerts: &[Query], page: &str) -> anyhow::Result<Vec<String>> {
        let names = self.get("/api/v1/label/__name__/values")?;
        let names = names["data"].as_array().context("no names")?;
        let mut wrong = Vec::new();
        for Query { place, expression } in alerts {
            let path = format!("/api/v1/query?query={}", encoded(expression));
            if let Err(error) = self.get(&path) {
                wrong.push(format!("{place}: {expression}: {error:#}"));
            }
            let known = |metric: &String| {
                names.iter().any(|name| name == metric.as_str()) || is_documented(metric, page)
            };
            let unknown = metrics(expression).into_iter().filter(|metric| !known(metric));
            wrong.extend(unknown.map(|metric| format!("{place}: nobody has the metric {metric}")));
        }
        let rules = self.get("/api/v1/rules")?;
        for group in rules["data"]["groups"].as_array().context("no rules")? {
            for rule in group["rules"].as_array().context("a group without rules")? {
                if rule["health"] != "ok" {
                    let of = |name: &str| rule[name].as_str().unwrap_or("?").to_owned();
                    wrong.push(format!(
                        "rule {} is {}: {}",
                        of("name"),
                        of("health"),
                        of("lastError")
                    ));
                }
            }
        }
        Ok(wrong)
    }

    /// A document in JSON.
    ///
    /// # Errors
    /// No answer, or one of another status, with what it says.
    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).context("connecting")?;
        stream.set_read_timeout(Some(PATIENCE)).context("a timeout")?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").context("asking")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).context("reading")?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP")?;
        let status = head.split(' ').nth(1).unwrap_or_default();
        if status != "200" {
            bail!("{status}: {}", body.trim());
        }
        serde_json::from_str(body).context("no JSON")
    }
}

/// Percent-encoded, as a part of a query string.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn an_expression_is_one_part_of_a_path() {
        assert_eq!(encoded("up{job=\"a\"} & 1"), "up%7Bjob%3D%22a%22%7D%20%26%201");
    }
}
