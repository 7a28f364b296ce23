//! Developer commands: `cargo xtask check`, `engines`, `pages`, `compose`, `stack`, `kubernetes`, `deny`, `fuzz` and `tidy`.

mod asserting;
mod check;
mod deny;
mod deployment;
mod engines;
mod examples;
mod fuzz;
mod pages;
mod repository;
mod tidy;
mod tool;

use deployment::{compose, kubernetes, stack};
use engines::Tested;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask check [--skip STEP]... [--only STEP]...
       cargo xtask engines [ENGINE]...
       cargo xtask pages [FOLDER]...
       cargo xtask compose [--lint]
       cargo xtask stack
       cargo xtask kubernetes
       cargo xtask deny
       cargo xtask fuzz [TARGET]... [--for SECONDS]
       cargo xtask tidy

check runs every step that a change must pass; CI runs the same.
engines runs the tests that need a real engine (rabbitmq, kafka, postgres, cassandra), each against an instance that
is started for them on loopback, asks the REST face of a cluster what its document says (rest, by schemathesis), and
lets users of an OpenID provider into one (oidc, by oidc-provider), looks at the traces of a load (traces), and loads
one behind a balancer, in plaintext and encrypted (haproxy). Exit status 75: none failed, but something could not be had or started.
pages opens reports of every kind in a headless Chromium, or those that are in some folders. Exit status 75: there is
no Chromium.
compose runs the stack of docker-compose.yml and breaks parts of it under load; with --lint it checks its files
alone. Exit status 75: no Docker engine or no images can be had.
stack does the same to `fracas stack`, without containers. Exit status 75: a program cannot be had, or this machine was
too busy to tell.
kubernetes does the same to the manifests of deploy, on a Kubernetes of one node that it builds and starts. Exit
status 75: it cannot be had.
deny asks cargo-deny about licences, bans, sources and advisories. Exit status 75: it cannot be had.
fuzz feeds whatever reads bytes of others, a minute each. Exit status 75: cargo-fuzz cannot be had.
tidy checks the rules of STYLE.md that no other tool knows.
";

/// `EX_TEMPFAIL` of sysexits.h.
const NOT_HAD: u8 = 75;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["tidy"] => tidy::run(),
        ["engines", names @ ..] => match names.iter().find(|name| !engines::ENGINES.contains(name))
        {
            None => match engines::run(names) {
                Ok(Tested::InPart) => return ExitCode::from(NOT_HAD),
                tested => tested.map(|tested| tested == Tested::Passed),
            },
            Some(name) => {
                let known = engines::ENGINES.join(", ");
                return usage(&format!("there is no engine {name}, only {known}"));
            }
        },
        ["pages", folders @ ..] => match pages::run(folders) {
            Ok(Ok(())) => Ok(true),
            Ok(Err(wrong)) => {
                say(&wrong);
                Ok(false)
            }
            Err(error) => {
                say(&format!("pages NOT LOOKED AT: {error:#}"));
                return ExitCode::from(NOT_HAD);
            }
        },
        ["compose", "--lint"] => compose::lint(),
        ["compose"] => return had("compose", compose::run().map(well)),
        ["stack"] => return had("stack", stack::run().map(well)),
        ["kubernetes"] => return had("kubernetes", kubernetes::run().map(well)),
        ["kubernetes", kubernetes::WITHIN] => {
            return had("its node", kubernetes::run_within().map(well));
        }
        ["deny"] => return had("deny", deny::run().map(Ok)),
        ["fuzz", words @ ..] => match fuzz::wanted(words) {
            Ok(wanted) => return had("fuzz", fuzz::run(&wanted).map(Ok)),
            Err(what) => return usage(&what),
        },
        ["check", options @ ..] => match check::selection(options) {
            Ok(selection) => check::run(&selection),
            Err(what) => return usage(&what),
        },
        _ => return usage(""),
    };
    status(done)
}

/// The status of what could be had, or not.
fn had(what: &str, tried: anyhow::Result<anyhow::Result<bool>>) -> ExitCode {
    match tried {
        Ok(done) => status(done),
        Err(error) => {
            say(&format!("{what} NOT RUN: {error:#}"));
            ExitCode::from(NOT_HAD)
        }
    }
}

fn status(done: anyhow::Result<bool>) -> ExitCode {
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn well(done: anyhow::Result<()>) -> anyhow::Result<bool> {
    done.map(|()| true)
}

fn usage(what: &str) -> ExitCode {
    say(&format!("{what}{}{USAGE}", if what.is_empty() { "" } else { "\n\n" }));
    ExitCode::from(64)
}

/// The cargo that runs us, or else the one of the path.
fn cargo_program() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Writes a line for the developer. A closed pipe is no reason to fail.
fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout().lock(), "{}", line.trim_end());
}
