//! The lines of an evidence as events.

use verify::history::Event;
use verify::history::event::What;
use verify::verdict::Evidence;

/// An event, and which line of the evidence it is.
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) event: Event,
}

/// All lines that are events; a judgement of another version may have others.
pub(super) fn lines(shown: &Evidence) -> Vec<Line> {
    let events = shown.history.iter().enumerate();
    events
        .filter_map(|(number, line)| Some(Line { number, event: serde_json::from_str(line).ok()? }))
        .collect()
}

/// The answer that was not kept: something was accepted or done, and did not stay. Then the judge's
/// sentence names its moment; otherwise the violation is what happened at the moment of the evidence.
pub(super) fn promise<'a>(shown: &Evidence, lines: &'a [Line]) -> Option<&'a Line> {
    let is_answer = |line: &&Line| {
        line.event.at == shown.at
            && matches!(line.event.is, What::Accepted { .. } | What::MemberChanged { .. })
    };
    lines.iter().find(is_answer).filter(|_| names_its_moment(shown))
}

/// Whether the sentence of a violation names the moment at which it went wrong.
pub(super) fn names_its_moment(shown: &Evidence) -> bool {
    shown.what.contains(&format!("{:.3} s", shown.at as f64 / 1e6))
}

/// What is said of a violation, and what came of it: "message 1/1 #2 was accepted at 1 s", "the store has
/// nothing there".
pub(super) fn halves(what: &str) -> Option<(&str, &str)> {
    what.split_once(", and ")
}

/// A store node, as the events number them.
pub(super) fn store(number: u16) -> String {
    format!("store-{number}")
}
