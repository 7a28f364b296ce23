//! A `core/` decides and does nothing else: no async, no I/O, no clock, no randomness of its own, and
//! nothing that it shares with a task: it is a value, and somebody else locks and wakes.

use super::Finding;
use crate::repository::{Repository, TextFile};

/// What a core must not name, and what takes its place.
const STRANGERS: [(&str, &str); 16] = [
    ("async fn", "the shell awaits; the core is told what came"),
    (".await", "the shell awaits; the core is told what came"),
    ("tokio::", "the shell runs; the core is a value"),
    ("std::fs", "the shell reads and writes"),
    ("std::net", "the shell sends and receives"),
    ("std::thread", "the shell runs; the core is a value"),
    ("Instant::now", "time comes in as an argument"),
    ("SystemTime::now", "time comes in as an argument"),
    ("rand::rng", "random numbers come in as arguments"),
    ("thread_rng", "random numbers come in as arguments"),
    ("Mutex", "the shell shares the core; the core is a value"),
    ("RwLock", "the shell shares the core; the core is a value"),
    ("Condvar", "the shell waits and wakes"),
    ("Waker", "the shell waits and wakes"),
    ("sync::atomic", "the shell shares the core; the core is a value"),
    ("Arc<dyn", "the shell holds the ports; the core is told what came"),
];

pub fn check(repository: &Repository) -> Vec<Finding> {
    repository.rust().filter(|file| file.path.contains("/src/core/")).flat_map(of_file).collect()
}

fn of_file(file: &TextFile) -> Vec<Finding> {
    let on_line = |(line, text): (usize, &str)| {
        let code = text.split("//").next().unwrap_or_default();
        let (word, remedy) = STRANGERS.iter().find(|(word, _)| code.contains(word))?;
        Some(Finding::new(&file.path, line, format!("a core names `{word}`"), *remedy))
    };
    file.lines().filter_map(on_line).collect()
}

#[cfg(test)]
mod tests {
    use super::super::told;
    use super::{STRANGERS, check};

    #[test]
    fn every_stranger_is_found_in_a_core_and_left_alone_elsewhere() {
        for (word, _) in STRANGERS {
            let text = format!("// {word} in a comment\nlet x = {word};\n");
            let files = [("a/src/core/b.rs", text.as_str()), ("a/src/shell/b.rs", &text)];
            assert_eq!(told(check, &files), ["a/src/core/b.rs:2"], "{word}");
        }
    }
}
