//! Which metrics an expression of PromQL asks for.
//!
//! Not a parser: it knows enough of the language to tell a metric from a function, a keyword and a label.

/// Words that are neither metrics nor functions.
const WORDS: [&str; 14] = [
    "and",
    "or",
    "unless",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "offset",
    "inf",
    "nan",
    "atan2",
];
/// Behind these, labels stand in parentheses.
const LABELS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// The metrics that an expression names, each once.
pub fn metrics(expression: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut rest = expression;
    let mut before = String::new();
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '"' => behind(&rest[1..], '"'),
            '{' => behind_braces(rest),
            '[' => behind(rest, ']'),
            '(' if LABELS.contains(&before.as_str()) => behind(rest, ')'),
            first if first.is_ascii_alphabetic() || first == '_' => {
                let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
                let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
                let (word, behind) = rest.split_at(end);
                before = word.to_lowercase();
                let is_called = behind.trim_start().starts_with('(');
                let is_aggregated = followed_by_labels(behind);
                let is_metric = !is_called && !is_aggregated && !WORDS.contains(&before.as_str());
                if is_metric && !found.iter().any(|other| other == word) {
                    found.push(word.to_owned());
                }
                rest = behind;
                continue;
            }
            // A number, perhaps with the unit of a duration.
            first if first.is_ascii_digit() => {
                let is_part = |c: char| c.is_ascii_alphanumeric() || c == '.';
                &rest[rest.find(|c| !is_part(c)).unwrap_or(rest.len())..]
            }
            other => &rest[other.len_utf8()..],
        };
        if !first.is_whitespace() {
            before.clear();
        }
    }
    found
}

/// Whether the page has a row for a metric. A duration is a histogram: it is asked for by its parts alone; a time
/// (`_timestamp_seconds`) is none.
pub fn is_documented(metric: &str, page: &str) -> bool {
    let part = ["_bucket", "_sum", "_count"].iter().find_map(|end| metric.strip_suffix(end));
    let is_duration =
        |name: &str| name.ends_with("_seconds") && !name.ends_with("_timestamp_seconds");
    let duration = part.filter(|name| is_duration(name));
    let is_whole = duration.is_none() && is_duration(metric);
    !is_whole && page.contains(&format!("| `{}` |", duration.unwrap_or(metric)))
}

/// `sum by (job) (...)`: the word before is an aggregation.
fn followed_by_labels(behind: &str) -> bool {
    let next = behind.trim_start();
    ["by", "without"].iter().any(|word| {
        let rest = next.strip_prefix(word);
        rest.is_some_and(|rest| rest.trim_start().starts_with('('))
    })
}

fn behind(text: &str, end: char) -> &str {
    text.split_once(end).map_or("", |(_, rest)| rest)
}

/// Braces may hold strings with braces.
fn behind_braces(text: &str) -> &str {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '}' if !quoted => return &text[at + 1..],
            _ => {}
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::{is_documented, metrics};

    #[test]
    fn a_duration_is_asked_for_by_its_parts() {
        let page = "| `a_seconds` | A |\n| `b_total` | B |\n| `d_timestamp_seconds` | D |\n";
        for (metric, expected) in [
            ("a_seconds_bucket", true),
            ("a_seconds_sum", true),
            ("a_seconds_count", true),
            ("a_seconds", false),
            ("b_total", true),
            ("b_total_bucket", false),
            ("c_seconds_bucket", false),
            ("d_timestamp_seconds", true),
            ("d_timestamp_seconds_bucket", false),
        ] {
            assert_eq!(is_documented(metric, page), expected, "{metric}");
        }
    }

    #[test]
    fn metrics_are_told_from_functions_labels_and_words() {
        for (expression, expected) in [
            ("up", &["up"][..]),
            ("sum by (job) (up)", &["up"]),
            ("sum (rate(a_total[1m])) or vector(0)", &["a_total"]),
            ("sum(a_sum) by (instance) / sum(a_count) by (instance) > 0.25", &["a_sum", "a_count"]),
            ("count(ALERTS{alertstate=\"firing\"}) or vector(0)", &["ALERTS"]),
            ("a{state=\"x}y\"} == 1 or b{job=~\"p|q\"} == 0", &["a", "b"]),
            ("a / on (instance) group_left () b{of=\"a\"} > 1e3", &["a", "b"]),
            ("rate(a_total[5m:30s] offset 1h)", &["a_total"]),
            ("max_over_time(job:a:rate1m[10m])", &["job:a:rate1m"]),
        ] {
            assert_eq!(metrics(expression), expected, "{expression}");
        }
    }
}
