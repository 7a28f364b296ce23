//! Every command that the README shows is run by CI.

use super::Finding;
use crate::repository::{Repository, TextFile};

const README: &str = "README.md";
const CI: &str = ".ci/run";

pub fn check(repository: &Repository) -> Vec<Finding> {
    let (Some(readme), Some(ci)) = (repository.get(README), repository.get(CI)) else {
        let missing = if repository.get(README).is_none() { README } else { CI };
        return vec![Finding::new(missing, 1, "the file is missing", "write it")];
    };
    let run: Vec<&str> = ci.lines().map(|(_, line)| line.trim()).collect();
    let is_run = |command: &str| {
        let words = format!(" {command} ");
        run.iter().any(|line| !line.starts_with('#') && format!(" {line} ").contains(&words))
    };
    let commands = commands(readme);
    if commands.is_empty() {
        return vec![Finding::new(README, 1, "it shows no command", "show one in a code block")];
    }
    commands
        .into_iter()
        .filter(|(_, command)| !is_run(command))
        .map(|(line, command)| {
            let what = format!("CI does not run `{command}`");
            Finding::new(README, line, what, format!("add it to {CI}"))
        })
        .collect()
}

/// The commands in the code blocks: what stands behind `$ ` where a block shows a session, every
/// line of a block that is a script.
fn commands(readme: &TextFile) -> Vec<(usize, String)> {
    let mut commands = Vec::new();
    let mut block = None;
    for (number, line) in readme.lines() {
        let line = line.trim();
        if let Some(kind) = line.strip_prefix("```") {
            block = if block.is_some() { None } else { Some(kind.to_owned()) };
            continue;
        }
        let command = match block.as_deref() {
            Some("console") => line.strip_prefix("$ "),
            Some("sh" | "bash") => (!line.is_empty() && !line.starts_with('#')).then_some(line),
            _ => None,
        };
        let command = command.map(|command| command.split(" #").next().unwrap_or(command).trim());
        commands.extend(command.map(|command| (number, command.to_owned())));
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::super::told;
    use super::check;

    const README: &str = "# A\n```console\n$ cargo run -- a   # why\nits output\n```\n\n\
                          ```sh\ncargo test\n```\n\n```toml\n[a]\n```\n";

    #[test]
    fn a_command_that_nobody_runs_is_found() {
        let ci = "# cargo run -- a\nbounded 60 cargo test\n";
        assert_eq!(told(check, &[("README.md", README), (".ci/run", ci)]), ["README.md:3"]);
    }

    #[test]
    fn a_command_with_more_behind_it_is_another_command() {
        let ci = "cargo run -- a\ncargo tests\n";
        assert_eq!(told(check, &[("README.md", README), (".ci/run", ci)]), ["README.md:8"]);
        let more = "cargo run -- a --quiet\ncargo test\n";
        assert!(told(check, &[("README.md", README), (".ci/run", more)]).is_empty());
    }

    #[test]
    fn a_missing_file_or_a_readme_without_commands_is_found() {
        assert_eq!(told(check, &[("README.md", README)]), [".ci/run:1"]);
        assert_eq!(told(check, &[("README.md", "# A\n"), (".ci/run", "")]), ["README.md:1"]);
    }
}
