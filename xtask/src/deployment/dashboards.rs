//! The queries of all panels, and the rules of all alerts, as their files have them.

use crate::repository::root;
use anyhow::Context;
use serde_json::Value;

/// Where the dashboards are.
const FOLDER: &str = "deploy/grafana/dashboards";
/// Where the alerts are.
const ALERTS: &str = "deploy/prometheus/alerts.yml";
/// The data source that is provisioned.
const SOURCE: &str = "prometheus";

/// A query of a panel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The dashboard and the panel.
    pub place: String,
    /// In PromQL.
    pub expression: String,
}

/// All queries of all dashboards.
///
/// # Errors
/// A file is no dashboard, a panel asks nothing, or asks another source.
pub fn queries() -> anyhow::Result<Vec<Query>> {
    let folder = root().join(FOLDER);
    let mut queries = Vec::new();
    let mut files: Vec<_> =
        std::fs::read_dir(&folder).context(FOLDER)?.collect::<Result<_, _>>().context(FOLDER)?;
    files.sort_by_key(std::fs::DirEntry::file_name);
    for file in files {
        let name = file.file_name().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(file.path()).with_context(|| name.clone())?;
        queries.extend(of_dashboard(&name, &text).with_context(|| format!("{FOLDER}/{name}"))?);
    }
    anyhow::ensure!(!queries.is_empty(), "there is no query in {FOLDER}");
    Ok(queries)
}

fn of_dashboard(name: &str, text: &str) -> anyhow::Result<Vec<Query>> {
    let dashboard: Value = serde_json::from_str(text).context("no JSON")?;
    let mut queries = Vec::new();
    for panel in list(&dashboard, "panels").context("it has no panels")? {
        if panel["type"] == "row" {
            continue;
        }
        let title = panel["title"].as_str().context("a panel without a title")?;
        let place = format!("{name}, {title}");
        let targets = list(panel, "targets").filter(|targets| !targets.is_empty());
        for target in targets.with_context(|| format!("{place}: it asks nothing"))? {
            let source = &target["datasource"]["uid"];
            anyhow::ensure!(source == SOURCE, "{place}: its source is {source}, not {SOURCE}");
            let expression =
                target["expr"].as_str().with_context(|| format!("{place}: no expr"))?;
            queries.push(Query { place: place.clone(), expression: expression.to_owned() });
        }
    }
    Ok(queries)
}

fn list<'a>(value: &'a Value, name: &str) -> Option<&'a Vec<Value>> {
    value.get(name).and_then(Value::as_array)
}

/// All expressions of all alerts: `expr` stands on one line there.
///
/// # Errors
/// The file cannot be read, or has none.
pub fn alerts() -> anyhow::Result<Vec<Query>> {
    let text = std::fs::read_to_string(root().join(ALERTS)).context(ALERTS)?;
    let mut alerts = Vec::new();
    let mut name = String::new();
    for line in text.lines() {
        let line = line.trim().trim_start_matches("- ");
        if let Some(alert) = line.strip_prefix("alert: ") {
            alert.clone_into(&mut name);
        } else if let Some(expression) = line.strip_prefix("expr: ") {
            let (place, expression) = (format!("alert {name}"), expression.to_owned());
            alerts.push(Query { place, expression });
        }
    }
    anyhow::ensure!(!alerts.is_empty(), "there is no alert in {ALERTS}");
    Ok(alerts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panel_that_asks_nothing_or_another_source_is_refused() {
        let of = |targets: &str| {
            let panel = format!("{{\"type\":\"stat\",\"title\":\"A\",\"targets\":{targets}}}");
            let row = "{\"type\":\"row\",\"title\":\"R\"}";
            of_dashboard("a.json", &format!("{{\"panels\":[{row},{panel}]}}"))
        };
        let good = of("[{\"datasource\":{\"uid\":\"prometheus\"},\"expr\":\"up\"}]").unwrap();
        let expected = Query { place: "a.json, A".to_owned(), expression: "up".to_owned() };
        assert_eq!(good, [expected]);
        for bad in [
            "[]",
            "[{\"datasource\":{\"uid\":\"other\"},\"expr\":\"up\"}]",
            "[{\"datasource\":{\"uid\":\"prometheus\"}}]",
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn dashboards_and_alerts_are_there() {
        assert!(queries().unwrap().len() > 40);
        let alerts = alerts().unwrap();
        assert!(alerts.len() > 10 && alerts.iter().all(|alert| alert.place != "alert "));
    }
}
