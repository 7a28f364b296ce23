//! The steps that nodes took with a message, where the run was made again to see them.

use super::lane::Lane;
use super::step::Course;
use super::{Step, insert};
use crate::number;
use protocol::trace::Step as Taken;
use verify::history::PathStep;

/// So many steps of each kind are drawn: more nobody follows.
const EACH_MAX: usize = 2;

/// Puts the steps of a message, which is called so, between the others. Whether there were any.
pub(super) fn follow(
    steps: &mut Vec<Step>,
    message: (u64, u64),
    name: &str,
    path: &[PathStep],
) -> bool {
    let of_it = |step: &&PathStep| (step.message.1.0, step.message.2.0) == message;
    let of_it: Vec<&PathStep> = path.iter().filter(of_it).collect();
    // What comes behind the violation is not needed to see it.
    let last = steps.iter().rev().find_map(|step| step.at).unwrap_or(u64::MAX);
    let mut drawn = [0; KINDS.len()];
    let mut is_followed = false;
    for step in &of_it {
        let Some((kind, at, what, course)) = told(step, name, &of_it) else { continue };
        if at > last || drawn[kind as usize] == EACH_MAX {
            continue;
        }
        drawn[kind as usize] += 1;
        is_followed = true;
        insert(steps, at, what, course);
    }
    if is_followed {
        through_the_gateway(steps, name, &of_it);
        before_it_was_durable(steps, name, &of_it);
    }
    is_followed
}

/// What is counted on its own.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Published,
    Got,
    Sequenced,
    Delivered,
    Pushed,
}

const KINDS: [Kind; 5] =
    [Kind::Published, Kind::Got, Kind::Sequenced, Kind::Delivered, Kind::Pushed];

/// When, in words, and between whom; `None`: other steps say it.
fn told(step: &PathStep, name: &str, all: &[&PathStep]) -> Option<(Kind, u64, String, Course)> {
    let PathStep { node, from_us, to_us, failure, .. } = step;
    let (here, queue) = (Lane::node(node), Lane::node("broker-1"));
    let why = failure.as_ref().map_or_else(String::new, |why| format!(": {why}"));
    let took = |to: u64| number::latency(to.saturating_sub(*from_us));
    Some(match (step.step, to_us) {
        (Taken::Publish, Some(to)) => {
            let again = if step.number("attempt").unwrap_or(1) > 1 { " again" } else { "" };
            let confirmed = if failure.is_none() {
                format!("; the broker confirms it after {}", took(*to))
            } else {
                why
            };
            let what = format!("{node} publishes {name}{again}{confirmed}");
            (Kind::Published, *from_us, what, Course::Sent(here, queue))
        }
        (Taken::Sequence, None) => {
            let what = format!("{node} gets {name} from its queue");
            (Kind::Got, *from_us, what, Course::Got(queue, here))
        }
        (Taken::Sequence, Some(to)) => {
            let what = match (failure, step.number("repeated")) {
                (Some(why), _) => format!("{node} makes {name} a dead letter: {why}"),
                (None, Some(1)) => format!("{node} has {name} already, and answers again"),
                (None, _) => format!("{name} is durable on {node}, {} after it came", took(*to)),
            };
            (Kind::Sequenced, *to, what, Course::Point(here))
        }
        (Taken::Deliver, Some(to)) => {
            let by = |it: &&&PathStep| it.step == Taken::Sequence && it.from_us <= *to;
            let owner = all.iter().rev().find(by).map_or(queue, |it| Lane::node(&it.node));
            let what = format!("{node} has {name} for its sessions");
            (Kind::Delivered, *to, what, Course::Got(owner, here))
        }
        (Taken::Push, Some(to)) => {
            (Kind::Pushed, *to, format!("{node} pushes {name}{why}"), Course::Point(here))
        }
        _ => return None,
    })
}

/// The message goes to the gateway that publishes it, which is known now: the first one after it was sent, and
/// before it is sent again. One that no gateway publishes has arrived nowhere that is known.
fn through_the_gateway(steps: &mut [Step], name: &str, all: &[&PathStep]) {
    let is_sent = |step: &Step| {
        let said = step.what.strip_prefix(name).is_some_and(|said| said.contains(" is sent"));
        said && step.line.is_some() && matches!(step.course, Course::Sent(..))
    };
    let sent: Vec<(usize, u64)> = steps
        .iter()
        .enumerate()
        .filter_map(|(number, step)| Some((number, step.at.filter(|_| is_sent(step))?)))
        .collect();
    for (nth, (number, at)) in sent.iter().enumerate() {
        let next = sent.get(nth + 1).map_or(u64::MAX, |(_, next)| *next);
        let is_its =
            |it: &&&PathStep| it.step == Taken::Publish && (*at..next).contains(&it.from_us);
        let publish = all.iter().filter(is_its).min_by_key(|it| it.from_us);
        if let (Course::Sent(_, to), Some(publish)) = (&mut steps[*number].course, publish) {
            *to = Lane::node(&publish.node);
        }
    }
}

/// An answer that came while its message was written says so: a crash would have lost it.
fn before_it_was_durable(steps: &mut [Step], name: &str, all: &[&PathStep]) {
    for step in steps {
        let (Some(at), Course::Got(node, _)) = (step.at, &step.course) else { continue };
        let here = |it: &&&PathStep| it.step == Taken::Sequence && Lane::node(&it.node) == *node;
        let has_come = all.iter().filter(here).any(|it| it.to_us.is_none() && it.from_us <= at);
        let is_durable = all.iter().filter(here).any(|it| it.to_us.is_some_and(|to| to <= at));
        if step.what.starts_with(&format!("{name} is accepted")) && has_come && !is_durable {
            step.what.push_str(", before it is durable");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::violations::diagram::{Course, diagram};
    use crate::violations::fixture;
    use protocol::trace::Step as Taken;
    use verify::history::PathStep;

    /// What is drawn of a message that was accepted and lost, and these steps of it, milliseconds before it was
    /// accepted: where, from when, until when.
    fn drawn(taken: &[(Taken, &str, u64, Option<u64>)]) -> (Vec<String>, bool, String) {
        let history = fixture::after_power_loss(fixture::lost);
        let (judgement, measured) = fixture::judged(&history);
        let survives = judgement.findings.iter().find(|one| one.invariant.contains("survives"));
        let shown = survives.and_then(|found| found.evidence.first()).expect("it is violated");
        let message = crate::violations::messages(&judgement);
        let sent = history.events.iter().find_map(|event| {
            let is_promise = event.at == shown.at;
            event.is.message().filter(|it| is_promise && message.contains(it))
        });
        let message = sent.expect("the evidence names it");
        let path = taken.iter().map(|(step, node, from, to)| PathStep {
            message,
            node: (*node).into(),
            step: *step,
            from_us: shown.at - from * 1_000,
            to_us: to.map(|to| shown.at - to * 1_000),
            failure: None,
            about: std::collections::BTreeMap::new(),
        });
        let path: Vec<PathStep> = path.collect();
        let drawn = diagram(&history.header, shown, &measured.faults, &path).expect("two steps");
        let words = drawn.steps.iter().map(|step| step.what.clone()).collect();
        let sent_to = drawn.steps.iter().find_map(|step| match &step.course {
            Course::Sent(_, to) if step.line.is_some() => Some(to.kind.clone()),
            _ => None,
        });
        (words, drawn.is_followed, sent_to.unwrap_or_default())
    }

    #[test]
    fn the_steps_of_nodes_stand_between_those_of_clients() {
        let store = {
            let history = fixture::after_power_loss(fixture::lost);
            let owner = history.events.iter().rev().find_map(|event| match &event.is {
                verify::history::What::Accepted { owner, sequence, .. } if sequence.0 == 5 => {
                    Some(*owner)
                }
                _ => None,
            });
            format!("store-{}", owner.expect("it was accepted"))
        };
        let (words, is_followed, _) = drawn(&[]);
        assert!(!is_followed && words.iter().all(|step| !step.contains("publishes")), "{words:?}");
        let early =
            [(Taken::Publish, "gateway-1", 0, Some(0)), (Taken::Sequence, &*store, 0, None)];
        let (words, is_followed, sent_to) = drawn(&early);
        assert!(is_followed && sent_to == "gateway", "{sent_to}: {words:?}");
        let at = |part: &str| words.iter().position(|step| step.contains(part));
        assert!(at("gateway-1 publishes").is_some() && at("from its queue").is_some(), "{words:?}");
        assert!(at("before it is durable").is_some(), "{words:?}");
        let sound = [early[0], early[1], (Taken::Sequence, &*store, 0, Some(0))];
        let (words, ..) = drawn(&sound);
        assert!(words.iter().any(|step| step.contains("is durable on")), "{words:?}");
        assert!(words.iter().all(|step| !step.contains("before it is durable")), "{words:?}");
    }
}
