//! One seed in two processes, line by line: the history, what every host did in every step, the log,
//! and the exit status.

use crate::Opening;
use std::io::{self, BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

/// How the last line of a traced run begins.
pub const END: &str = "end with status ";

/// What came of comparing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compared {
    /// So many lines, and nothing differs.
    Same(u64),
    /// The first difference, in words.
    Differs(String),
    /// They agree, but did not end as a run does.
    NotEnded(ExitStatus),
}

/// A process that is ended when it is no longer needed.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs one seed twice and stops at the first difference; `show` gets the number of equal lines, now and
/// then.
///
/// # Errors
/// No process, or no output of it.
pub fn compare(opening: &Opening, seed: u64, mut show: impl FnMut(u64)) -> io::Result<Compared> {
    let (mut first, first_lines) = start(opening, seed)?;
    let (mut second, second_lines) = start(opening, seed)?;
    let (mut first_lines, mut second_lines) = (first_lines.lines(), second_lines.lines());
    let (mut number, mut last) = (0_u64, String::new());
    loop {
        let (one, other) = (first_lines.next().transpose()?, second_lines.next().transpose()?);
        if one != other {
            let mut pair = (one, other);
            let mut told = difference(number + 1, &pair);
            // An event says little about why; the next step of a host that differs does.
            let mut more = 0;
            while !traces(&pair) && more < LOOK_ON && pair != (None, None) {
                pair = (first_lines.next().transpose()?, second_lines.next().transpose()?);
                more += 1;
            }
            if more > 0 && traces(&pair) {
                told.push('\n');
                told.push_str(&difference(number + more + 1, &pair));
            }
            return Ok(Compared::Differs(told));
        }
        let Some(line) = one else { break };
        last = line;
        number += 1;
        if number.is_multiple_of(1_000) {
            show(number);
        }
    }
    let (one, other) = (first.0.wait()?, second.0.wait()?);
    Ok(match () {
        () if one != other => {
            Compared::Differs(format!("one process ended with {one}, one with {other}"))
        }
        () if !last.starts_with(END) => Compared::NotEnded(one),
        () => Compared::Same(number),
    })
}

fn start(opening: &Opening, seed: u64) -> io::Result<(Process, BufReader<ChildStdout>)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("history").arg(&opening.scenario).arg("--trace");
    command.arg("--seed").arg(seed.to_string());
    for set in &opening.overrides {
        command.arg("--set").arg(set);
    }
    if std::env::var_os(LOG).is_none() {
        command.env(LOG, "debug");
    }
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().expect("it is piped");
    Ok((Process(child), BufReader::with_capacity(1 << 16, output)))
}

/// What asks for more of the log.
const LOG: &str = "RUST_LOG";
/// Lines after a difference in which the difference of a trace is looked for.
const LOOK_ON: u64 = 10_000;

type Pair = (Option<String>, Option<String>);

/// Both are steps of a host, and differ.
fn traces((one, other): &Pair) -> bool {
    let is_trace =
        |line: &Option<String>| line.as_ref().is_some_and(|line| line.starts_with("trace "));
    one != other && is_trace(one) && is_trace(other)
}

fn difference(line: u64, pair: &Pair) -> String {
    let show = |text: &Option<String>| text.clone().unwrap_or_else(|| "(ended)".to_owned());
    let (one, other) = (show(&pair.0), show(&pair.1));
    format!(
        "line {line} differs{}:\n  first:  {one}\n  second: {other}",
        what_differs(&one, &other)
    )
}

/// For two lines of a trace: when, which host, and what of it.
fn what_differs(one: &str, other: &str) -> String {
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let (one, other) = (words(one), words(other));
    let ([word, at, host, kinds @ ..], [_, other_at, other_host, other_kinds @ ..]) =
        (&one[..], &other[..])
    else {
        return String::new();
    };
    let Ok(micros) = at.parse::<u64>() else { return String::new() };
    if word != "trace" || (at, host) != (other_at, other_host) {
        return String::new();
    }
    let differing = kinds.iter().zip(other_kinds).filter(|(one, other)| one != other);
    let kinds: Vec<&str> =
        differing.map(|(kind, _)| kind.split_once('=').map_or(&**kind, |(name, _)| name)).collect();
    format!(" ({:.6} s, {host}: {})", micros as f64 / 1e6, kinds.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_told_with_time_host_and_kind() {
        let line = |disk: &str, random: &str| {
            Some(format!("trace 1234000 store-1 tasks=1 network=2 disk={disk} random={random}"))
        };
        let told = difference(7, &(line("3", "4"), line("3", "5")));
        assert!(told.starts_with("line 7 differs (1.234000 s, store-1: random):"), "{told}");
        let told = difference(7, &(line("3", "4"), line("1", "5")));
        assert!(told.starts_with("line 7 differs (1.234000 s, store-1: disk, random):"), "{told}");
        let ended = difference(8, &(Some("{\"at\":1}".to_owned()), None));
        assert!(ended.starts_with("line 8 differs:") && ended.contains("(ended)"), "{ended}");
    }
}
