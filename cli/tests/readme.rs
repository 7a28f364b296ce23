//! The README shows what comes out. `UPDATE_EXPECT=1` writes it anew.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::process::Command;

/// Begins the block with the run that fails.
const PROMPT: &str = "$ cargo run --release -- run scenarios/safety/owner-killed.toml --set ";

/// The beginning of an output, up to the table of the invariants, and its end.
fn shortened(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    let table = lines.iter().position(|line| line.trim_start().starts_with("invariant ")).unwrap();
    [&lines[..table - 1], &["...", lines[lines.len() - 1]]].concat().join("\n")
}

#[test]
fn the_run_that_fails_comes_out_as_shown() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let block = readme.find(PROMPT).unwrap();
    let (command, shown) = readme[block..].split_once('\n').unwrap();
    let shown = &shown[..shown.find("\n```").unwrap()];
    let arguments = command.split(" -- ").nth(1).unwrap();
    let ended = Command::new(env!("CARGO_BIN_EXE_fracas"))
        .args(arguments.split(' '))
        .arg("--quiet")
        .current_dir(root)
        .env_remove("COLUMNS")
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let comes = shortened(&String::from_utf8(ended.stdout).unwrap());
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(root.join("README.md"), readme.replace(shown, &comes)).unwrap();
    } else {
        assert_eq!(shown, comes, "UPDATE_EXPECT=1 writes it anew");
    }
}
