//! The faults beside a violation: which of them is told, and in which words.
//!
//! A fault is told by its time alone ("13 ms later"): whether it is the cause nobody has recorded.

use super::lines::{Line, store};
use crate::measured::Band;
use crate::number;
use verify::history::event::What;
use verify::verdict::{Evidence, fault_began};

/// The faults that the evidence names, with everything that is known of them.
pub(crate) fn named<'a>(shown: &Evidence, faults: &'a [Band]) -> Vec<&'a Band> {
    let is_named = |band: &&Band| {
        let name = fault_began(band.fault, &band.kind, &band.target, band.from_us);
        shown
            .faults
            .iter()
            .any(|fault| fault.strip_prefix(&name).is_some_and(|rest| rest.starts_with(',')))
    };
    faults.iter().filter(is_named).collect()
}

/// The fault nearest to a violation: one that hit a node which the violation names, if there is one.
pub(super) fn nearest<'a>(
    shown: &Evidence,
    lines: &[Line],
    faults: &'a [Band],
) -> Option<&'a Band> {
    let nodes = nodes(shown, lines);
    let rank = |band: &&Band| {
        let is_elsewhere = !nodes.iter().any(|node| hits(band, node));
        (is_elsewhere, distance(band, shown.at))
    };
    named(shown, faults).into_iter().min_by_key(rank)
}

/// The nodes that a violation names.
fn nodes(shown: &Evidence, lines: &[Line]) -> Vec<String> {
    let mut nodes: Vec<String> = words(&shown.what).map(str::to_owned).collect();
    nodes.extend(lines.iter().filter_map(|line| match &line.event.is {
        What::Accepted { owner, .. } | What::Owner { owner, .. } => Some(store(owner.0)),
        What::Opened { gateway, .. } => Some(format!("gateway-{gateway}")),
        What::NodePanicked { node, .. } | What::Gauge { node, .. } => Some(node.to_string()),
        _ => None,
    }));
    nodes
}

/// Whether a fault was on a node.
pub(super) fn hits(band: &Band, node: &str) -> bool {
    words(&band.target).any(|word| word == node)
}

/// The nodes that a fault hit: `store-1`, `notifier`.
pub(super) fn nodes_of(band: &Band) -> impl Iterator<Item = &str> {
    const ALONE: [&str; 2] = ["notifier", "auth"];
    words(&band.target).filter(|word| {
        let numbered = word
            .rsplit_once('-')
            .is_some_and(|(kind, number)| !kind.is_empty() && number.parse::<u32>().is_ok());
        numbered || ALONE.contains(word)
    })
}

/// The words of a text that can name a node: with what belongs to a word.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).filter(|word| !word.is_empty())
}

/// From a moment to a fault.
fn distance(band: &Band, at: u64) -> u64 {
    let ended = band.to_us.unwrap_or(u64::MAX);
    band.from_us.saturating_sub(at).max(at.saturating_sub(ended))
}

/// What a fault did, as a sentence.
pub(super) fn began(band: &Band) -> String {
    let (target, network) = (listed(&band.target), network(&band.target));
    let be = if band.target.contains(", ") { "were" } else { "was" };
    match &*band.kind {
        "kill" => format!("{target} {be} killed"),
        "power_loss" => format!("{target} lost power"),
        "drain" => format!("{target} {be} asked to end"),
        "pause" => format!("{target} {be} paused"),
        "skew" => format!("the clock of {target} was set off"),
        "full_disk" => format!("the disk of {target} was full"),
        "cut" => format!("{network} was cut"),
        "reset" => format!("streams on {network} were reset"),
        "blip" => format!("{network} stalled"),
        "slow_link" => format!("{network} became slow"),
        "corrupt" => format!("bytes on {network} were flipped"),
        "narrow_link" => format!("{network} became narrow"),
        "flap" => format!("{network} began to flap"),
        "surge" => format!("a surge of load began ({})", band.target),
        "storm" => format!("a storm of reconnects began ({})", band.target),
        "hostile" => format!("strangers began to attack ({})", band.target),
        kind => format!("{kind} of {target} began"),
    }
}

/// The links that a fault hit.
fn network(target: &str) -> String {
    let sides = |(from, to)| (listed(from), listed(to), str::matches(to, ", ").count());
    match (target.split_once(" <-> ").map(sides), target.split_once(" -> ").map(sides)) {
        // The links of a node to everybody: the other side is long and says nothing.
        (Some((from, _, 2..)), _) => format!("the network of {from}"),
        (Some((from, to, _)), _) => format!("the network between {from} and {to}"),
        (_, Some((from, _, 2..))) => format!("the network from {from} to others"),
        (_, Some((from, to, _))) => format!("the network from {from} to {to}"),
        (None, None) => format!("the network of {}", listed(target)),
    }
}

/// "a, b, c" as "a, b and c".
fn listed(names: &str) -> String {
    names.rsplit_once(", ").map_or(names.to_owned(), |(names, last)| format!("{names} and {last}"))
}

/// Whether nodes do nothing while the fault lasts.
pub(super) fn is_outage(band: &Band) -> bool {
    ["kill", "power_loss", "drain", "pause"].contains(&&*band.kind)
}

/// The end of a fault, as a sentence.
pub(super) fn ended(band: &Band) -> String {
    match &*band.kind {
        "kill" | "power_loss" | "drain" => format!("{} started again", listed(&band.target)),
        "pause" => format!("{} went on", listed(&band.target)),
        kind => format!("the end of the {}", kind.replace('_', " ")),
    }
}

/// A fault that began after a moment.
pub(super) fn later(band: &Band, at: u64) -> String {
    let gap = number::latency(band.from_us.saturating_sub(at));
    format!("{} {gap} later{}", began(band), back(band))
}

/// A fault with its time, and how long before a moment it was over.
pub(super) fn told(band: &Band, at: u64) -> String {
    let told = format!("{} at {}{}", began(band), number::moment(band.from_us), back(band));
    match band.to_us {
        Some(to) if to <= at => format!("{told}, {} before that", number::latency(at - to)),
        _ => told,
    }
}

/// When it was over.
fn back(band: &Band) -> String {
    let Some(to) = band.to_us.map(number::moment) else { return String::new() };
    match &*band.kind {
        "kill" | "power_loss" | "drain" => format!(" and started again at {to}"),
        "pause" => format!(" and went on at {to}"),
        _ => format!(", until {to}"),
    }
}
