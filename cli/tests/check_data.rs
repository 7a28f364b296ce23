//! A data folder is checked while nobody uses it, and damage ends the start of a cluster.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod processes;

use processes::{FRACAS, Playground, ended, soon};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const PORT: u16 = 21_740;

fn cluster(playground: &Playground) -> Child {
    Command::new(FRACAS)
        .args(["cluster", "--data=data", "--users=9", &format!("--port={PORT}")])
        .current_dir(playground.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(playground.path().join("errors")).unwrap())
        .spawn()
        .unwrap()
}

/// The exit status, and a line for each role's data.
fn check(playground: &Playground) -> (Option<i32>, String) {
    check_of(playground, "data")
}

fn check_of(playground: &Playground, folder: &str) -> (Option<i32>, String) {
    let output = Command::new(FRACAS)
        .args(["check-data", folder])
        .current_dir(playground.path())
        .output()
        .unwrap();
    let text =
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code(), text)
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> = entries
        .map(|entry| {
            (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn what_is_damaged_is_said_and_refused_and_left_as_it_is() {
    let playground = Playground::new("check-data", "unused", "");
    let (status, said) = check(&playground);
    assert_eq!(status, Some(64), "{said}");
    let mut running = cluster(&playground);
    let issuer = playground.path().join("data/auth-1");
    soon("the issuer has a key", || {
        issuer.join("auth-0000000001.log").metadata().is_ok_and(|log| log.len() > 24)
    });
    soon("the stores are open", || playground.path().join("data/store-1/store.ready").exists());
    let (status, said) = check(&playground);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("in use by another process"), "{said}");
    running.kill().unwrap();
    ended(&mut running);

    let (status, said) = check(&playground);
    assert_eq!(status, Some(0), "{said}");
    for what in ["broker", "auth", "store"] {
        assert!(said.contains(&format!("{what} is sound: ")), "{said}");
    }

    let log = issuer.join("auth-0000000001.log");
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[60] ^= 4;
    std::fs::write(&log, bytes).unwrap();
    let before = files(&issuer);
    let (status, said) = check(&playground);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("auth is damaged: auth-0000000001.log is damaged at byte 24"), "{said}");
    assert_eq!(ended(&mut cluster(&playground)).code(), Some(2));
    let errors = std::fs::read_to_string(playground.path().join("errors")).unwrap();
    assert!(errors.contains("auth-0000000001.log is damaged at byte 24"), "{errors}");
    assert!(files(&issuer) == before, "nothing was changed");
}

#[test]
fn data_of_another_version_is_not_called_damaged() {
    let playground = Playground::new("check-old", "unused", "");
    let issuer = playground.path().join("old/auth-1");
    std::fs::create_dir_all(&issuer).unwrap();
    std::fs::write(issuer.join("auth-00000003.journal"), "whatever it is").unwrap();
    let (status, said) = check_of(&playground, "old");
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("auth cannot be read: auth-00000003.journal has version 1"), "{said}");
}
