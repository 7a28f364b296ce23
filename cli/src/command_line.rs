//! The whole command line as clap sees it: what the subcommands declare, with examples for each of them.

use crate::VERSION;
use crate::commands::Command;
use clap::error::{ContextKind, ContextValue};
use clap::{ColorChoice, CommandFactory, Parser};
use scenarios::nearest;

/// Simulates, load-tests and judges a chat cluster.
///
/// Exit status: 0 everything came out as the scenario expects, 1 it did not, 2 that is unknown or the
/// command failed, 64 invalid usage or an invalid file.
///
/// The log goes to standard error: only errors, unless RUST_LOG asks for more (RUST_LOG=info) or
/// less (RUST_LOG=off). It also shows the notifications of a `fracas cluster` without --push.
#[derive(Debug, Parser)]
#[command(name = "fracas", version = VERSION, propagate_version = true)]
pub struct Arguments {
    /// Colour: of what goes to a terminal, unless NO_COLOR is set or TERM is dumb; always; or never.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true
    )]
    pub color: ColorChoice,
    #[command(subcommand)]
    pub command: Command,
}

/// Command lines to try, by subcommand; one that nobody is shown has none.
const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "run",
        &[
            "fracas run smoke",
            "fracas run owner-killed --set design.accept=before_persist --out lost",
            "fracas run smoke --set cluster.gateways=2,4",
            "fracas run lost/scenario.toml --replay lost/recording.jsonl",
        ],
    ),
    (
        "explore",
        &[
            "fracas explore smoke --seeds 200 --for 10m",
            "fracas explore order-race --until-caught --set design.requeue=back",
            "fracas explore smoke --seeds 6 --out before",
        ],
    ),
    ("try", &["fracas try owner-killed", "fracas try smoke retry-duplicates --seeds 5"]),
    ("twin", &["fracas twin smoke --seed 7"]),
    (
        "load",
        &[
            "fracas load smoke --out run",
            "fracas load smoke owner-killed --seeds 20 --engines rabbitmq,postgres",
            "fracas load ten-thousand-a-second --without-faults --agents 2",
            "fracas load thousand-users --target 127.0.0.1:7800",
            "fracas load smoke --target chat.example:80 --config cluster.toml --without-faults",
        ],
    ),
    ("merge", &["fracas merge part-0 part-1 part-2 --out whole"]),
    (
        "knee",
        &[
            "fracas knee knee --out knee",
            "fracas knee knee --from 500/s --set expect.accept.p99='< 50ms'",
        ],
    ),
    (
        "compare",
        &[
            "fracas compare before -- after",
            "fracas compare --fail-if 'accept_p99 > 10%' --fail-if 'throughput < -5%' before -- after",
        ],
    ),
    ("report", &["fracas report runs", "fracas report before after --out both"]),
    ("fidelity", &["fracas fidelity runs", "fracas fidelity simulated real --out fidelity"]),
    ("doctor", &["fracas doctor million", "fracas doctor smoke --set users.count=50_000"]),
    (
        "cluster",
        &[
            "fracas cluster --port 7800",
            "fracas cluster --gateways 2 --stores 2 --design accept=before_persist",
        ],
    ),
    (
        "stack",
        &[
            "fracas stack",
            "fracas stack kill store-1",
            "fracas stack start store-1",
            "fracas stack ps",
        ],
    ),
    ("node", &["fracas node store --number 2 --config cluster.toml --data /var/lib/fracas"]),
    ("probe", &["fracas probe 127.0.0.1:7800", "fracas probe 127.0.0.1:9100/health"]),
    ("check-data", &["fracas check-data fracas-data"]),
    ("judge", &["fracas judge run/history.jsonl.gz"]),
    ("new", &["fracas new mine", "fracas new mine --from owner-killed"]),
    ("scenarios", &["fracas scenarios", "fracas scenarios my-scenarios"]),
    ("explain", &["fracas explain", "fracas explain no_duplicate_delivery", "fracas explain kill"]),
    ("schema", &["fracas schema > schema.json"]),
    (
        "completions",
        &[
            "fracas completions bash > ~/.local/share/bash-completion/completions/fracas",
            "fracas completions zsh > ~/.zfunc/_fracas",
            "fracas completions fish > ~/.config/fish/completions/fracas.fish",
        ],
    ),
    ("man", &["fracas man > fracas.1", "fracas man --out ~/.local/share/man/man1"]),
];

/// The command line, ready to read arguments.
pub fn command() -> clap::Command {
    EXAMPLES.iter().fold(Arguments::command(), |command, (name, lines)| {
        command.mut_subcommand(name, |subcommand| {
            let mut help = format!("Examples:\n  {}", lines.join("\n  "));
            if let Some(more) = subcommand.get_after_help() {
                help = format!("{more}\n\n{help}");
            }
            subcommand.after_help(help)
        })
    })
}

/// A subcommand that there is none of is told with the nearest one, also where clap finds none: it looks for
/// words that begin alike.
pub fn with_the_nearest(mut answer: clap::Error) -> clap::Error {
    let (given, found) = (ContextKind::InvalidSubcommand, ContextKind::SuggestedSubcommand);
    let Some(ContextValue::String(given)) = answer.get(given) else { return answer };
    if answer.get(found).is_some() {
        return answer;
    }
    let command = command();
    let names = command.get_subcommands().filter(|one| !one.is_hide_set());
    let nearest = nearest(given, names.map(clap::Command::get_name));
    if let Some(nearest) = nearest.map(str::to_owned) {
        answer.insert(found, ContextValue::Strings(vec![nearest]));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documented::{read, words};

    #[test]
    fn every_subcommand_has_examples_that_are_good_usage() {
        command().debug_assert();
        let command = command();
        for subcommand in command.get_subcommands().filter(|one| !one.is_hide_set()) {
            let name = subcommand.get_name();
            let (_, lines) = EXAMPLES
                .iter()
                .find(|(of, _)| *of == name)
                .unwrap_or_else(|| panic!("{name} has no example"));
            for line in *lines {
                let words = words(line);
                assert_eq!(words[1], name, "{line}");
                let read = command.clone().try_get_matches_from(&words);
                assert!(read.is_ok(), "{line}: {}", read.unwrap_err());
            }
        }
    }

    #[test]
    fn the_scenarios_of_the_examples_and_what_is_set_in_them_are_there() {
        let lines = EXAMPLES.iter().flat_map(|(_, lines)| *lines);
        let named = lines.map(|line| match read(&words(line)) {
            Ok(named) => named,
            Err((_, why)) => panic!("{line}: {why}"),
        });
        assert!(named.sum::<usize>() > 10);
    }

    /// Whatever takes a number, an address or a word says what it expects.
    #[test]
    fn a_bad_value_is_told_with_what_is_expected() {
        let command = command();
        let mut told = 0;
        for subcommand in command.get_subcommands() {
            for argument in subcommand.get_arguments().filter(|one| one.get_action().takes_values())
            {
                let Some(long) = argument.get_long() else { continue };
                let line = ["fracas", subcommand.get_name(), &format!("--{long}"), "\u{1}"];
                let Err(error) = command.clone().try_get_matches_from(line) else { continue };
                if error.kind() != clap::error::ErrorKind::ValueValidation {
                    continue;
                }
                let text = error.to_string();
                assert!(text.contains("expected "), "{text}");
                told += 1;
            }
        }
        assert!(told > 30, "{told}");
    }

    #[test]
    fn a_misspelt_subcommand_tells_the_nearest() {
        for (misspelt, meant) in [
            ("lod", "load"),
            ("explian", "explain"),
            ("scenario", "scenarios"),
            ("rnu", "run"),
            ("tyr", "try"),
        ] {
            let error = command().try_get_matches_from(["fracas", misspelt]).unwrap_err();
            let text = with_the_nearest(error).to_string();
            assert!(text.contains("similar subcommand") && text.contains(meant), "{text}");
        }
    }
}
