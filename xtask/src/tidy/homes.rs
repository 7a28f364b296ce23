//! What the house has once: its text stands in its home, and nowhere else.

use super::Finding;
use crate::repository::{Repository, TextFile};

/// What gives a copy away, where the one stands, and what to do. The words are put together from halves,
/// so that this file does not find itself.
const HOMES: [(&str, &[&str], &str); 7] = [
    (concat!("0xbf58", "_476d"), &["cluster/protocol/src/mix.rs"], "use protocol::mix"),
    (
        concat!("impl Disk", " for"),
        &["cluster/real/src/", "cluster/fakes/src/", "loadgen/src/machine/"],
        "use the disk of real or of fakes",
    ),
    (
        concat!("tokio::net::", "Tcp"),
        // What is compared with ours does not use ours.
        &["cluster/real/src/", "benches/generators/"],
        "use ports::Network, with real behind it",
    ),
    (
        concat!("listener.", "accept().await"),
        &["cluster/link/src/accept.rs", "sim/src/machine/", "cluster/real/src/tls/"],
        "use link::accept",
    ),
    (
        concat!("client::conn", "::http1"),
        &["cluster/link/src/http.rs"],
        "use link::http::HttpClient",
    ),
    (concat!("DeTable::", "parse"), &["settings/src/tree.rs"], "use the reader of settings"),
    (concat!("strsim", "::"), &["cluster/protocol/src/nearest.rs"], "use protocol::nearest"),
];

pub fn check(repository: &Repository) -> Vec<Finding> {
    repository.rust().flat_map(of_file).collect()
}

fn of_file(file: &TextFile) -> impl Iterator<Item = Finding> {
    file.lines().flat_map(move |(line, text)| {
        HOMES.iter().filter_map(move |(word, homes, remedy)| {
            let at_home = homes.iter().any(|home| file.path.starts_with(home));
            let found = !at_home && text.contains(word);
            found.then(|| Finding::new(&file.path, line, format!("a copy of `{word}`"), *remedy))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::told;
    use super::{HOMES, check};

    #[test]
    fn every_copy_is_found_and_the_one_at_home_is_not() {
        for (word, homes, _) in HOMES {
            let text = format!("fine\n{word}\n");
            assert_eq!(told(check, &[("a.rs", &text), (homes[0], &text)]), ["a.rs:2"], "{word}");
        }
    }
}
