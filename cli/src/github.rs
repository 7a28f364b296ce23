//! What GitHub Actions shows of runs: an annotation for each that did not come out as expected, and a table in
//! the summary of the job.
//!
//! The form of annotations and their number per step are those of GitHub's "Workflow commands" and
//! "Limits"; the summary is the file that `GITHUB_STEP_SUMMARY` names.

use crate::console;
use report::Sweep;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;

/// GitHub shows no more of either kind for a step.
const SHOWN_MAX: usize = 10;

/// A run that did not come out as expected.
pub struct Problem {
    /// Which.
    pub run: String,
    /// Whether that is known to be wrong, or only not known to be right.
    pub is_error: bool,
    /// What is violated, missed or in doubt.
    pub why: String,
    /// The violation to look at first, as a sentence.
    pub first: Option<String>,
    /// One command.
    pub reproduce: String,
}

impl Problem {
    /// For people, in lines of at most so many columns. The command stands alone on the last one, so that it
    /// is found and copied without a search.
    pub fn told(&self, width: u16) -> String {
        let Self { run, why, first, reproduce, .. } = self;
        let words = first.iter().fold(format!("{run}: {why}"), |words, first| words + ". " + first);
        format!("\n{}\n{reproduce}", report::wrapped(&words, width))
    }

    /// The same, each on a line of its own.
    fn lines(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.why).chain(&self.first).chain([&self.reproduce])
    }
}

/// Tells GitHub, if the process is a step of a job there.
pub fn tell(sweep: &Sweep, problems: &[Problem]) {
    if std::env::var_os("GITHUB_ACTIONS").is_none_or(|value| value != "true") {
        return;
    }
    for line in annotations(problems) {
        console::note(&line);
    }
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY") else { return };
    let file = OpenOptions::new().append(true).create(true).open(&path);
    let written = file.and_then(|mut file| file.write_all(summary(sweep, problems).as_bytes()));
    if let Err(error) = written {
        console::error(&format!("cannot write the summary to {}: {error}", path.display()));
    }
}

fn annotations(problems: &[Problem]) -> Vec<String> {
    let of = |is_error: bool, word: &'static str| {
        let those = problems.iter().filter(move |one| one.is_error == is_error).take(SHOWN_MAX);
        those.map(move |one| {
            let title = escaped(&one.run).replace(':', "%3A").replace(',', "%2C");
            let lines: Vec<&str> = one.lines().map(String::as_str).collect();
            format!("::{word} title={title}::{}", escaped(&lines.join("\n")))
        })
    };
    of(true, "error").chain(of(false, "warning")).collect()
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn summary(sweep: &Sweep, problems: &[Problem]) -> String {
    let mut text = sweep.clone().without_links().markdown();
    // Indented, it is shown as it is.
    for one in problems {
        let _ = write!(text, "\n    {}\n", one.run);
        for line in one.lines() {
            let _ = writeln!(text, "    {}", line.replace('\n', " "));
        }
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(seed: u64, is_error: bool) -> Problem {
        let run = format!("smoke, seed {seed}");
        let (why, reproduce) =
            ("100 % lost:\nall of it".to_owned(), format!("fracas run smoke --seed {seed}"));
        Problem { run, is_error, why, first: None, reproduce }
    }

    #[test]
    fn an_annotation_is_one_line_whatever_it_says() {
        let lines = annotations(&[problem(1, false), problem(2, true)]);
        let wanted = [
            "::error title=smoke%2C seed 2::100 %25 lost:%0Aall of it%0Afracas run smoke --seed 2",
            "::warning title=smoke%2C seed 1::100 %25 lost:%0Aall of it%0Afracas run smoke --seed 1",
        ];
        assert_eq!(lines, wanted);
    }

    #[test]
    fn no_more_than_github_shows() {
        let problems: Vec<Problem> = (0..30).map(|seed| problem(seed, seed % 2 == 0)).collect();
        assert_eq!(annotations(&problems).len(), 20);
        let told = summary(&Sweep::default(), &problems);
        assert_eq!(told.matches("    fracas run smoke --seed").count(), 30, "the summary has all");
    }
}
