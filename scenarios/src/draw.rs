//! Values drawn by seed: `{ draw = [1, 2, 4] }` stands for one of its values.
//!
//! A draw is resolved in the tree, before anything is read, so that every key takes one and a scenario
//! has concrete values only. Each draw depends on the seed and on its key alone: one more draw disturbs
//! no other.

use protocol::mix::derive;
use settings::tree::{Is, Node, join};
use settings::{Mistake, Mistakes, Problem};

/// The key that makes a table a draw.
pub const WORD: &str = "draw";
/// What must stand there.
const EXPECTED: &str = "a list of the values to draw from";

/// Which value of each draw is taken.
#[derive(Clone, Copy, Debug)]
pub enum Choice {
    /// By this seed.
    Seed(u64),
    /// The value of this number, from 0, of every draw; the list begins again at its end.
    Nth(usize),
}

/// What was found in a tree.
#[derive(Debug, Default)]
pub struct Lots {
    /// What was drawn: `cluster.gateways = 3`.
    pub told: Vec<String>,
    /// The length of the longest draw.
    pub longest: usize,
}

/// Replaces every draw by one of its values.
pub fn resolve(root: &mut Node, choice: Choice, mistakes: &mut Mistakes) -> Lots {
    let mut lots = Lots::default();
    visit(root, &root.key.clone(), choice, &mut lots, mistakes);
    lots
}

/// `key` is that of the draw, where the node's own names the value that was taken.
fn visit(node: &mut Node, key: &str, choice: Choice, lots: &mut Lots, mistakes: &mut Mistakes) {
    if let Some(values) = values_of(node, mistakes) {
        let index = match choice {
            Choice::Seed(seed) => (derive(seed, key) % values.len() as u64) as usize,
            Choice::Nth(nth) => nth % values.len(),
        };
        lots.longest = lots.longest.max(values.len());
        *node = values[index].clone();
        if values_of(node, mistakes).is_none() {
            lots.told.push(format!("{key} = {}", node.written()));
        }
        return visit(node, key, choice, lots, mistakes);
    }
    match &mut node.is {
        Is::Table(entries) => {
            for entry in entries {
                visit(&mut entry.node, &join(key, &entry.name), choice, lots, mistakes);
            }
        }
        Is::List(nodes) => {
            for (nth, node) in nodes.iter_mut().enumerate() {
                visit(node, &join(key, &(nth + 1).to_string()), choice, lots, mistakes);
            }
        }
        _ => {}
    }
}

/// The values of a draw; `None` if the node is none, or one without values, which is noted.
fn values_of(node: &Node, mistakes: &mut Mistakes) -> Option<Vec<Node>> {
    let Is::Table(entries) = &node.is else { return None };
    let [entry] = entries.as_slice() else { return None };
    (entry.name == WORD).then_some(())?;
    match &entry.node.is {
        Is::List(values) if !values.is_empty() => Some(values.clone()),
        _ => {
            let problem = Problem::Value {
                key: entry.node.key.clone(),
                expected: EXPECTED.into(),
                found: entry.node.described(),
                nearest: None,
            };
            mistakes.note(&entry.node.origin, problem);
            None
        }
    }
}

/// A draw without values stands for nothing: that it is not what its key takes is no second mistake.
pub fn forget_what_follows(mistakes: &mut Mistakes) {
    let empty = |mistake: &Mistake| match &mistake.problem {
        Problem::Value { key, expected, .. } if expected == EXPECTED => {
            Some(key.strip_suffix(WORD)?.trim_end_matches('.').to_owned())
        }
        _ => None,
    };
    let empty: Vec<String> = mistakes.list().iter().filter_map(empty).collect();
    let in_section = |section: &str| empty.iter().any(|key| section == format!("[{key}]"));
    mistakes.retain(|mistake| match &mistake.problem {
        Problem::Value { key, .. } | Problem::Conflict { key, .. } => !empty.contains(key),
        Problem::UnknownKey { key, section, .. } => key != WORD || !in_section(section),
        Problem::Missing { section, .. } => !in_section(section),
        Problem::Syntax(_) => true,
    });
}
