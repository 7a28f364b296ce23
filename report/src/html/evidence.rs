//! Violations with what shows them.

use super::space_time::space_time;
use crate::claim;
use crate::number;
use crate::run::Run;
use crate::violations::diagram::diagram;
use crate::violations::{self, Group, grouped};
use maud::{Markup, html};
use serde_json::{Map, Value};
use verify::verdict::{Evidence, Finding};

/// The violation to look at first, drawn.
pub(super) fn leading(run: &Run) -> Markup {
    let Some((found, shown)) = violations::leading(run.judgement) else { return html! {} };
    html! {
        section {
            h2 { "Look at this first" }
            p {
                (link(found))
                @if let Some(claim) = claim::of(&found.invariant) { ": " (claim) }
            }
            (drawn(run, found, shown))
            @if let Some((found, shown)) = violations::earlier(run.judgement) {
                p.note { "The earliest violation was " (link(found)) " at " (number::moment(shown.at)) "." }
            }
        }
    }
}

fn link(found: &Finding) -> Markup {
    html! { a href={ "#" (found.invariant) } { code { (found.invariant) } } }
}

/// The diagram of an evidence, if it has one; its steps lead to the lines of the history.
fn drawn(run: &Run, found: &Finding, shown: &Evidence) -> Markup {
    let number = found.evidence.iter().position(|other| other == shown).unwrap_or_default();
    let diagram = diagram(run.header, shown, &run.measured.faults, run.path);
    html! {
        @if let Some(diagram) = diagram {
            (space_time(&diagram, |line| line_id(found, number, line)))
        }
    }
}

/// What a line of the history is called on the page.
fn line_id(found: &Finding, evidence: usize, line: usize) -> String {
    format!("{}-{}-{}", found.invariant, evidence + 1, line + 1)
}

pub(super) fn violations(run: &Run) -> Markup {
    let groups = grouped(run.judgement);
    html! {
        @if !groups.is_empty() {
            section {
                h2 { "Violations" }
                @for group in &groups { (told(run, group)) }
            }
        }
    }
}

fn told(run: &Run, group: &Group) -> Markup {
    html! {
        (violation(run, group.first))
        @if !group.consequences.is_empty() {
            details.consequences {
                summary {
                    "What usually breaks with it: "
                    @for (number, found) in group.consequences.iter().enumerate() {
                        @if number > 0 { ", " }
                        code { (found.invariant) }
                    }
                }
                @for found in &group.consequences { (violation(run, found)) }
            }
        }
    }
}

fn violation(run: &Run, found: &Finding) -> Markup {
    let shown = found.evidence.len() as u64;
    let leading = violations::leading(run.judgement);
    let is_drawn = leading.is_some_and(|(other, _)| other.invariant == found.invariant);
    html! {
        article.violated id=(found.invariant) {
            h3 {
                code { (found.invariant) }
                span.times { (number::counted(found.violations, "violations", number::NARROW)) }
            }
            @if let Some(claim) = claim::of(&found.invariant) { p.claim { (claim) } }
            @if let Some(first) = found.evidence.first() {
                (evidence(found, 0, first))
                @if !is_drawn { (drawn(run, found, first)) }
            }
            @if found.evidence.len() > 1 {
                details {
                    summary { "Evidence of " (number::counted(shown - 1, "more violations", number::NARROW)) }
                    @for (number, one) in found.evidence.iter().enumerate().skip(1) {
                        (evidence(found, number, one))
                    }
                }
            }
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

fn evidence(found: &Finding, number: usize, shown: &Evidence) -> Markup {
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
                        @for (line, text) in shown.history.iter().enumerate() {
                            span id=(line_id(found, number, line)) { (history(text)) } "\n"
                        }
                    }
                }
            }
        }
    }
}

/// A line of the history, shortened; what is no event is shown as it is.
fn history(line: &str) -> Markup {
    let Some((at, word, rest)) = shortened(line) else { return html! { (line) } };
    let at = format!("{}.{:06} s", at / 1_000_000, at % 1_000_000);
    html! {
        span.at { (format!("{at:>12}")) } "  " b { (word) } " " (rest)
    }
}

/// Time, word and fields of an event.
fn shortened(line: &str) -> Option<(u64, String, String)> {
    let event: Map<String, Value> = serde_json::from_str(line).ok()?;
    let at = event.get("at")?.as_u64()?;
    let (word, rest) = match event.get("is")? {
        Value::String(word) => (word.clone(), String::new()),
        Value::Object(is) if is.len() == 1 => {
            let (word, value) = is.iter().next()?;
            let mut fields = Vec::new();
            field("", value, &mut fields);
            fields.sort_by_key(|(name, _)| rank(name));
            (word.clone(), fields.iter().fold(String::new(), |rest, pair| rest + &told_as(pair)))
        }
        _ => return None,
    };
    Some((at, word, rest))
}

/// The most important fields come first: the ends of long lines are out of sight.
const FIRST: [&str; 10] = [
    "device",
    "conversation",
    "sequence",
    "from",
    "head",
    "said",
    "user",
    "target",
    "author",
    "message",
];
/// What is seldom looked at comes last.
const LAST: [&str; 5] = ["request", "epoch", "owner", "intended", "hash"];

/// The rank of a field among the others, which keep their order.
fn rank(name: &str) -> usize {
    let rank = |names: &[&str]| names.iter().position(|other| *other == name);
    rank(&FIRST).or_else(|| rank(&LAST).map(|at| FIRST.len() + 1 + at)).unwrap_or(FIRST.len())
}

fn told_as((name, value): &(String, String)) -> String {
    if name.is_empty() { value.clone() } else { format!("{name}={value} ") }
}

/// Appends fields with their values; nested ones without the names of what holds them.
fn field(name: &str, value: &Value, out: &mut Vec<(String, String)>) {
    let mut push = |value: String| out.push((name.to_owned(), value));
    match value {
        Value::Object(fields) => {
            if let (Some(user), Some(device), 2) =
                (fields.get("user"), fields.get("device"), fields.len())
            {
                push(format!("{user}/{device}"));
                return;
            }
            // The kind of what is said is itself a name.
            if let ("said", Some(kind)) = (name, fields.keys().next()) {
                push(kind.clone());
            }
            fields.iter().for_each(|(name, value)| field(name, value, out));
        }
        Value::String(text) => push(text.clone()),
        Value::Null => {}
        _ => push(value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::shortened;
    use protocol::{
        ClientMessageId, ConversationId, DeviceId, Epoch, NodeNumber, Sequence, UserId,
    };
    use verify::history::event::{Device, Event, Said, Seen, What};

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
        let (at, word, rest) = shortened(&line).expect("an event");
        assert_eq!((at, word.as_str()), (1_500, "sent"));
        let expected = "device=3/2 conversation=4 said=message message=9 intended=1400 hash=77";
        assert_eq!(rest.trim(), expected);
    }

    #[test]
    fn an_entry_begins_with_where_it_is() {
        let entry = Seen {
            conversation: ConversationId(4),
            sequence: Sequence(17),
            epoch: Epoch(2),
            owner: NodeNumber(1),
            author: UserId(3),
            message: ClientMessageId(9),
            said: Said::Join { user: UserId(5) },
        };
        let device = Device { user: UserId(3), device: DeviceId(2) };
        let event = Event { at: 1, is: What::Shown { device, entry } };
        let line = serde_json::to_string(&event).expect("a plain structure");
        let (.., rest) = shortened(&line).expect("an event");
        let expected = "device=3/2 conversation=4 sequence=17 said=join user=5 author=3 message=9";
        assert!(rest.starts_with(expected), "{rest}");
    }

    #[test]
    fn what_is_no_event_is_left_as_it_is() {
        for line in ["", "{", "[1]", r#"{"at":"x","is":{}}"#, r#"{"at":1,"is":{"a":1,"b":2}}"#] {
            assert!(shortened(line).is_none(), "{line}");
        }
    }
}
