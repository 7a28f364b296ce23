//! Laying all `--set` over a scenario. Two things follow from one that is set: what the file says instead of
//! it makes room, and the rest of a mix scales.

use crate::file::{journeys, load};
use crate::{Override, draw};
use settings::section::KeyInfo;
use settings::tree::{self, Is, Node};
use settings::{Mistakes, Origin, Problem, Section};

/// Keys of one table of which one stands instead of others; an element of a list has any number.
const INSTEAD: [(&str, &str, &[&str]); 5] = [
    ("expect", "verdict", &["violates"]),
    ("expect", "violates", &["verdict"]),
    ("fault", "between", &["from", "to"]),
    ("fault", "from", &["between"]),
    ("fault", "to", &["between"]),
];

/// A table of shares that add up to 1.
struct Mix {
    table: &'static str,
    /// The share that is all of it without the table.
    all: &'static str,
    shares: fn() -> Vec<KeyInfo>,
}

const MIXES: [Mix; 2] = [
    Mix { table: "load.mix", all: "send", shares: load::Mix::keys },
    Mix { table: "journeys.mix", all: "page_backlog", shares: journeys::JourneyMix::keys },
];

/// Shares add up to 1 if they miss it by less: as `load.mix` is checked.
const ROUNDING: f64 = 1e-6;

/// Lays them over, one after another; shares of a mix come last.
pub fn lay_over(root: &mut Node, overrides: &[Override], mistakes: &mut Mistakes) {
    let in_a_mix = |given: &&Override| MIXES.iter().any(|mix| mix.has(given.key()));
    for given in overrides.iter().filter(|given| !in_a_mix(given)) {
        make_room(root, given.key());
        given.lay_over(root, mistakes);
    }
    for mix in MIXES {
        let shares: Vec<&Override> =
            overrides.iter().filter(|given| mix.has(given.key())).collect();
        if let Some(last) = shares.last() {
            mix.lay_over(root, &shares, last.origin(), mistakes);
        }
    }
}

/// Removes what the file says instead of a key that is about to be set. What another `--set` says stays: the
/// two do not go together.
fn make_room(root: &mut Node, key: &str) {
    let Some((above, key)) = key.rsplit_once('.') else { return };
    let table = match above.split_once('.') {
        Some((list, number)) if number.parse::<usize>().is_ok() => list,
        _ => above,
    };
    let Some((_, _, others)) = INSTEAD.iter().find(|(of, one, _)| (*of, *one) == (table, key))
    else {
        return;
    };
    if let Some(Node { is: Is::Table(entries), .. }) = root.find_mut(above) {
        let is_set = |origin: &Origin| matches!(origin, Origin::Set(_));
        entries
            .retain(|entry| is_set(&entry.node.origin) || !others.contains(&entry.name.as_str()));
    }
}

impl Mix {
    /// Whether a key is one of the shares.
    fn has(&self, key: &str) -> bool {
        let share = key.strip_prefix(self.table).and_then(|rest| rest.strip_prefix('.'));
        share.is_some_and(|share| (self.shares)().iter().any(|known| known.name == share))
    }

    /// Sets shares, and scales the others to what is left of 1. Shares that do not add up before that are a
    /// mistake of the file, and stay as they are. `last` is where the last share was set.
    fn lay_over(
        &self,
        root: &mut Node,
        shares: &[&Override],
        last: Origin,
        mistakes: &mut Mistakes,
    ) {
        if root.find(&tree::join(self.table, draw::WORD)).is_some() {
            let what = "the seed draws it: set the whole of it, or nothing".into();
            let key = self.table.to_owned();
            return mistakes.note(&last, Problem::Conflict { key, what });
        }
        if root.find(self.table).is_none() {
            tree::lay_over(root, &tree::join(self.table, self.all), "1.0", &last, mistakes);
        }
        let adds_up = (sum(root.find(self.table), |_| true) - 1.0).abs() <= ROUNDING;
        for given in shares {
            given.lay_over(root, mistakes);
        }
        let is_set =
            |name: &str| shares.iter().any(|given| given.key() == tree::join(self.table, name));
        let set = sum(root.find(self.table), is_set);
        let others = sum(root.find(self.table), |name| !is_set(name));
        let node = root.find_mut(self.table).filter(|_| adds_up && !set.is_nan());
        let Some(Node { is: Is::Table(entries), origin, .. }) = node else { return };
        // If they do not add up now, that is not the file's doing.
        *origin = last;
        let factor = if others > 0.0 { (1.0 - set).max(0.0) / others } else { 0.0 };
        for entry in entries.iter_mut().filter(|entry| !is_set(&entry.name)) {
            entry.node.is = Is::Real(number(&entry.node) * factor);
        }
    }
}

/// The sum of some shares of a table; no number, if one of them is none.
fn sum(table: Option<&Node>, is_one: impl Fn(&str) -> bool) -> f64 {
    let Some(Node { is: Is::Table(entries), .. }) = table else { return f64::NAN };
    entries.iter().filter(|entry| is_one(&entry.name)).map(|entry| number(&entry.node)).sum()
}

fn number(node: &Node) -> f64 {
    match node.is {
        Is::Real(number) => number,
        Is::Whole(number) => number as f64,
        _ => f64::NAN,
    }
}
