//! The scenario file: its types, its schema, its validation, its library.
//!
//! A scenario says what to run and what to expect; it knows nothing of simulators or sockets.

pub mod duration;
mod effective;
mod figures;
mod file;
mod library;
mod mistake;
mod overrides;
mod reference;
pub mod scenario;
mod schema;
mod section;
mod tree;
mod value;

pub use effective::effective_toml;
pub use figures::CLIENT_HOSTS;
pub use library::{About, Listing, library};
pub use mistake::{BadOverride, Mistake, Mistakes, Origin, Problem};
pub use overrides::{Override, sweep};
pub use reference::reference;
pub use scenario::Scenario;
pub use schema::schema;
pub use value::design::{names as design_choices, options as design_options};

use std::path::Path;
use value::Value;

/// Reads a scenario file with overrides laid over it.
///
/// `name` is the file's path or name: messages begin with it, and the scenario is called after it
/// unless the file has a `name`. Each override must have one value (see [`sweep`]).
///
/// # Errors
/// All mistakes of the file and the overrides, by position.
pub fn parse(text: &str, name: &str, overrides: &[Override]) -> Result<Scenario, Mistakes> {
    let mut mistakes = Mistakes::new(name, text);
    let mut root = tree::read(text, &mut mistakes);
    if !mistakes.is_empty() {
        // What broken TOML means is a guess; complaints about guesses would only hide the cause.
        mistakes.sort();
        return Err(mistakes);
    }
    for given in overrides {
        tree::lay_over(&mut root, given, &mut mistakes);
    }
    let stem =
        Path::new(name).file_stem().map_or_else(|| name.into(), |stem| stem.to_string_lossy());
    let file = file::File::read(&root, &mut mistakes);
    let scenario = file.and_then(|file| file.validated(&stem, &mut mistakes));
    if mistakes.is_empty() {
        return Ok(scenario.expect("what could not be validated was noted as a mistake"));
    }
    mistakes.sort();
    Err(mistakes)
}
