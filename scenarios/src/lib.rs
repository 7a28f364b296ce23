//! The scenario file: its types, its schema, its validation, its library.
//!
//! A scenario says what to run and what to expect; it knows nothing of simulators or sockets.

mod cluster_file;
mod draw;
mod effective;
pub mod faults;
mod figures;
mod file;
mod idle;
pub mod intensity;
mod laid_over;
mod library;
mod overrides;
mod reference;
pub mod scenario;
mod schema;
pub mod shell;
mod starting_point;
mod value;

pub use cluster_file::{Addresses, cluster_file, on_loopback};
use draw::Choice;
pub use effective::effective_toml;
pub use figures::{CLIENT_HOSTS, STRANGERS_PATIENCE};
pub use idle::idle;
pub use library::{About, BUILT_IN, BuiltIn, Listing, built_in, built_in_library, library};
pub use overrides::{BadOverride, Override, sweep};
pub use protocol::nearest;
pub use reference::reference;
pub use scenario::Scenario;
pub use schema::schema;
pub use settings::duration;
pub use settings::value::design::{
    is_sound as is_sound_design, names as design_choices, options as design_options,
};
pub use settings::{Mistake, Mistakes, Origin, Problem};
pub use starting_point::starting_point;

use settings::tree::{self, Is, Node};
use settings::value::Value;
use std::path::Path;

/// A scenario of which every draw was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// The scenario.
    pub scenario: Scenario,
    /// What was drawn: `cluster.gateways = 3`. Nothing, if the file leaves nothing to the seed.
    pub lots: Vec<String>,
}

/// Reads a scenario file with overrides laid over it, and makes its draws with the seed 1.
///
/// # Errors
/// As of [`parse_with_seed`].
pub fn parse(text: &str, name: &str, overrides: &[Override]) -> Result<Scenario, Mistakes> {
    parse_with_seed(text, name, overrides, 1).map(|drawn| drawn.scenario)
}

/// Reads a scenario file with overrides laid over it, and makes its draws.
///
/// `name` is the file's path or name: messages begin with it, and the scenario is called after it
/// unless the file has a `name`. Each override must have one value (see [`sweep`]).
///
/// # Errors
/// All mistakes of the file and the overrides, by position; also those of values that this seed does
/// not draw, and of values that do not go together with others that it draws.
pub fn parse_with_seed(
    text: &str,
    name: &str,
    overrides: &[Override],
    seed: u64,
) -> Result<Drawn, Mistakes> {
    let mut mistakes = Mistakes::new("the scenario", name, text);
    let mut root = tree::read(text, &mut mistakes);
    if !mistakes.is_empty() {
        // What broken TOML means is a guess; complaints about guesses would only hide the cause.
        mistakes.sort();
        return Err(mistakes);
    }
    without_hints(&mut root);
    laid_over::lay_over(&mut root, overrides, &mut mistakes);
    let stem =
        Path::new(name).file_stem().map_or_else(|| name.into(), |stem| stem.to_string_lossy());
    let mut drawn = root.clone();
    let lots = draw::resolve(&mut drawn, Choice::Seed(seed), &mut mistakes);
    let scenario = validated(&drawn, &stem, &mut mistakes);
    // Every value of every draw is looked at, whatever the seed.
    for nth in 0..lots.longest {
        let mut other = root.clone();
        draw::resolve(&mut other, Choice::Nth(nth), &mut mistakes);
        validated(&other, &stem, &mut mistakes);
    }
    if mistakes.is_empty() {
        let scenario = scenario.expect("what could not be validated was noted as a mistake");
        return Ok(Drawn { scenario, lots: lots.told });
    }
    draw::forget_what_follows(&mut mistakes);
    mistakes.sort();
    Err(mistakes)
}

/// Versions up to November 2026 had lists of options in `try`, without predictions. Folders of runs keep such
/// scenarios, and can be run again.
fn without_hints(root: &mut Node) {
    let is_hint = |node: &Node| matches!(node.is, Is::Text(_));
    if let Is::Table(entries) = &mut root.is {
        entries.retain(|entry| match &entry.node.is {
            Is::List(nodes) if entry.name == "try" => {
                nodes.is_empty() || !nodes.iter().all(is_hint)
            }
            _ => true,
        });
    }
}

fn validated(root: &Node, stem: &str, mistakes: &mut Mistakes) -> Option<Scenario> {
    file::File::read(root, mistakes)?.validated(stem, mistakes)
}
