//! Violations with what shows them.

use crate::claim;
use crate::number;
use crate::run::Run;
use maud::{Markup, html};
use serde_json::{Map, Value};
use std::fmt::Write as _;
use verify::verdict::{Evidence, Finding};

pub(super) fn violations(run: &Run) -> Markup {
    let violated = || run.judgement.findings.iter().filter(|found| found.violations > 0);
    html! {
        @if violated().next().is_some() {
            section {
                h2 { "Violations" }
                @for found in violated() { (violation(found)) }
            }
        }
    }
}

fn violation(found: &Finding) -> Markup {
    let shown = found.evidence.len() as u64;
    html! {
        article.violated id=(found.invariant) {
            h3 {
                code { (found.invariant) }
                span.times { (number::counted(found.violations, "violations", number::NARROW)) }
            }
            @if let Some(claim) = claim::of(&found.invariant) { p.claim { (claim) } }
            @for one in &found.evidence { (evidence(one)) }
            @if shown < found.violations {
                p.note {
                    @if shown == 0 { "Without evidence." } @else {
                        "Evidence for the first " (shown) "; the rest is in the history."
                    }
                }
            }
        }
    }
}

fn evidence(shown: &Evidence) -> Markup {
    html! {
        div.evidence {
            p { time { (number::moment(shown.at)) } " " (shown.what) }
            @if !shown.faults.is_empty() {
                ul.during { @for fault in &shown.faults { li { (fault) } } }
            }
            @if !shown.history.is_empty() {
                div.history {
                    button type="button" data-copy=(shown.history.join("\n")) { "Copy lines" }
                    pre tabindex="0" {
                        @for line in &shown.history { (history(line)) "\n" }
                    }
                }
            }
        }
    }
}

/// A line of the history, told shortly; what is no event is shown as it is.
fn history(line: &str) -> Markup {
    let Some((at, word, rest)) = told(line) else { return html! { (line) } };
    let at = format!("{}.{:06} s", at / 1_000_000, at % 1_000_000);
    html! {
        span.at { (format!("{at:>12}")) } "  " b { (word) } " " (rest)
    }
}

/// Time, word and fields of an event.
fn told(line: &str) -> Option<(u64, String, String)> {
    let event: Map<String, Value> = serde_json::from_str(line).ok()?;
    let at = event.get("at")?.as_u64()?;
    let (word, rest) = match event.get("is")? {
        Value::String(word) => (word.clone(), String::new()),
        Value::Object(is) if is.len() == 1 => {
            let (word, fields) = is.iter().next()?;
            let mut rest = String::new();
            field("", fields, &mut rest);
            (word.clone(), rest)
        }
        _ => return None,
    };
    Some((at, word, rest))
}

/// Appends fields as `name=value`; nested ones without the names of what holds them.
fn field(name: &str, value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => match (fields.get("user"), fields.get("device"), fields.len()) {
            (Some(user), Some(device), 2) => {
                let _ = write!(out, "{name}={user}/{device} ");
            }
            _ => fields.iter().for_each(|(name, value)| field(name, value, out)),
        },
        Value::String(text) if name.is_empty() => out.push_str(text),
        Value::String(text) => {
            let _ = write!(out, "{name}={text} ");
        }
        Value::Null => {}
        _ => {
            let _ = write!(out, "{name}={value} ");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::told;
    use protocol::{ClientMessageId, ConversationId, DeviceId, UserId};
    use verify::history::event::{Device, Event, Said, What};

    #[test]
    fn an_event_is_told_shortly() {
        let event = Event {
            at: 1_500,
            is: What::Sent {
                device: Device { user: UserId(3), device: DeviceId(2) },
                conversation: ConversationId(4),
                message: ClientMessageId(9),
                said: Said::Message { hash: 77, parent: None },
                intended: 1_400,
            },
        };
        let line = serde_json::to_string(&event).expect("a plain structure");
        let (at, word, rest) = told(&line).expect("an event");
        assert_eq!((at, word.as_str()), (1_500, "sent"));
        assert_eq!(rest.trim(), "conversation=4 device=3/2 intended=1400 message=9 hash=77");
    }

    #[test]
    fn what_is_no_event_is_left_as_it_is() {
        for line in ["", "{", "[1]", r#"{"at":"x","is":{}}"#, r#"{"at":1,"is":{"a":1,"b":2}}"#] {
            assert!(told(line).is_none(), "{line}");
        }
    }
}
