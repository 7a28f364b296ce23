//! `fracas completions`: what a shell needs to complete the command line.

use crate::command_line::command;
use crate::{VERSION, console};
use clap::Args;
use clap_complete::{Shell, generate};

/// Print the completions for a shell.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    /// Prints them.
    pub fn execute(self) -> anyhow::Result<u8> {
        console::result(&script(self.shell)?);
        Ok(0)
    }
}

fn script(shell: Shell) -> anyhow::Result<String> {
    let mut script = Vec::new();
    generate(shell, &mut visible(), "fracas", &mut script);
    Ok(String::from_utf8(script)?)
}

/// The command line without what is hidden, which shells would offer.
fn visible() -> clap::Command {
    let whole = command();
    let subcommands = whole.get_subcommands().filter(|one| !one.is_hide_set());
    clap::Command::new("fracas")
        .version(VERSION)
        .propagate_version(true)
        .args(whole.get_arguments().cloned())
        .subcommands(subcommands.cloned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    fn script(shell: Shell) -> String {
        super::script(shell).expect("the command line is text")
    }

    #[test]
    fn every_shell_is_told_of_what_is_not_hidden() {
        for &shell in Shell::value_variants() {
            let script = script(shell);
            for name in ["run", "explain", "check-data", "until-caught"] {
                assert!(script.contains(name), "{shell} does not know {name}");
            }
            assert!(!script.contains("Run a private server of an engine"), "{shell}");
        }
        // Elvish and PowerShell complete no values.
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            assert!(script(shell).contains("no_duplicate_delivery"), "{shell}");
        }
        assert!(!script(Shell::Bash).contains(" history "));
    }
}
