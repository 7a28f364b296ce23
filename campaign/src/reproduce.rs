//! The command line that reproduces a run.

use scenarios::shell::{escaped, quoted};
use std::path::Path;

/// One command that reproduces a run, to be pasted into a shell.
pub fn reproduce(command: &str, scenario: &Path, seed: u64, overrides: &[String]) -> String {
    let scenario = quoted(&scenario.display().to_string());
    let mut words = vec![format!("fracas {command} {scenario} --seed {seed}")];
    words.extend(overrides.iter().map(|set| format!("--set '{}'", escaped(set))));
    words.join(" ")
}

/// The same for a run that replays a recording.
pub fn replaying(scenario: &Path, recording: &Path, overrides: &[String]) -> String {
    let [scenario, recording] =
        [scenario, recording].map(|path| quoted(&path.display().to_string()));
    let mut words = vec![format!("fracas run {scenario} --replay {recording}")];
    words.extend(overrides.iter().map(|set| format!("--set '{}'", escaped(set))));
    words.join(" ")
}
