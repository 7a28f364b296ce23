//! The mistakes of a file: all of them at once, each with its place and its remedy.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Where a key or a value was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nowhere: it is missing from the file, or a default.
    Whole,
    /// In the file: from and to this byte.
    File(usize, usize),
    /// In a `--set`, as it was given.
    Set(Arc<str>),
}

impl From<Range<usize>> for Origin {
    fn from(span: Range<usize>) -> Self {
        Self::File(span.start, span.end)
    }
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not TOML.
    #[error("not TOML: {0}")]
    Syntax(String),
    /// A key that the section does not have.
    #[error("unknown key \"{key}\" in {section}; {}", hint(nearest.as_deref(), known))]
    UnknownKey {
        /// The key.
        key: String,
        /// The section, with its brackets.
        section: String,
        /// The nearest key that it has.
        nearest: Option<String>,
        /// All keys that it has.
        known: Vec<String>,
    },
    /// A key that must be there.
    #[error("{section} needs \"{key}\": {expected}")]
    Missing {
        /// The key.
        key: String,
        /// The section, with its brackets.
        section: String,
        /// What it takes.
        expected: String,
    },
    /// A value of the wrong type, form or range.
    #[error("{key}: expected {expected}, found {found}{}", did_you_mean(nearest.as_deref()))]
    Value {
        /// The key.
        key: String,
        /// What it takes.
        expected: String,
        /// What stands there.
        found: String,
        /// The nearest word that it takes.
        nearest: Option<String>,
    },
    /// A value that is good by itself, but not together with the others.
    #[error("{key}: {what}")]
    Conflict {
        /// The key.
        key: String,
        /// What does not fit, with the values.
        what: String,
    },
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where it stands.
    pub origin: Origin,
    /// Its line in the file, from 1 (also for what is missing from it); 0 for a `--set`.
    pub line: usize,
    /// Its column, in characters, from 1; 0 for a `--set`.
    pub column: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// All mistakes of a file (and of the overrides that were given with it), by position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes {
    whole: &'static str,
    name: String,
    text: String,
    list: Vec<Mistake>,
}

impl Mistakes {
    /// None yet. `whole` is what the file holds, as messages call it: `the scenario`.
    pub fn new(whole: &'static str, name: &str, text: &str) -> Self {
        Self { whole, name: name.into(), text: text.into(), list: Vec::new() }
    }

    /// The mistakes, by position; those of `--set` come last.
    pub fn list(&self) -> &[Mistake] {
        &self.list
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Notes a mistake, unless the same one is there already.
    pub fn note(&mut self, origin: &Origin, problem: Problem) {
        let (line, column) = match origin {
            Origin::Whole => (1, 1),
            Origin::File(from, _) => self.line_and_column(*from),
            Origin::Set(_) => (0, 0),
        };
        let mistake = Mistake { origin: origin.clone(), line, column, problem };
        if !self.list.contains(&mistake) {
            self.list.push(mistake);
        }
    }

    /// Puts them in the order of the file.
    pub fn sort(&mut self) {
        self.list.sort_by(|a, b| a.origin.cmp(&b.origin));
    }

    /// Keeps those of which `is_one` is true.
    pub fn retain(&mut self, is_one: impl FnMut(&Mistake) -> bool) {
        self.list.retain(is_one);
    }

    /// A section's name as it stands in the file: `[cluster]`, `[[fault]]`.
    pub(crate) fn section(&self, key: &str) -> String {
        match key.split_once('.') {
            None if key.is_empty() => self.whole.into(),
            Some((list, number)) if number.parse::<usize>().is_ok() => format!("[[{list}]]"),
            _ => format!("[{key}]"),
        }
    }

    fn line_and_column(&self, byte: usize) -> (usize, usize) {
        let before = self.text.get(..byte).unwrap_or(&self.text);
        let line_begins = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_begins..].chars().count() + 1)
    }

    fn fmt_one(&self, mistake: &Mistake, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = match &mistake.origin {
            Origin::Set(given) => return write!(f, "--set {given}: {}", mistake.problem),
            Origin::Whole => return write!(f, "{}:1:1: {}", self.name, mistake.problem),
            Origin::File(from, to) => (*from, *to),
        };
        let (line, column) = (mistake.line, mistake.column);
        writeln!(f, "{}:{line}:{column}: {}", self.name, mistake.problem)?;
        let source = self.text.lines().nth(line - 1).unwrap_or_default();
        let margin = line.to_string().len();
        let rest_of_line = source.chars().count().saturating_sub(column - 1);
        let marked = self.text.get(from..to).map_or(0, |span| span.chars().count());
        // A tab in the source must be a tab above the caret too, or the caret stands elsewhere.
        let indent: String =
            source.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        writeln!(f, "  {line} | {source}")?;
        let carets = "^".repeat(marked.clamp(1, rest_of_line.max(1)));
        write!(f, "  {:margin$} | {indent}{carets}", "")
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, mistake) in self.list.iter().enumerate() {
            if nth > 0 {
                writeln!(f)?;
            }
            self.fmt_one(mistake, f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

fn hint(nearest: Option<&str>, known: &[String]) -> String {
    match nearest {
        Some(word) => format!("did you mean \"{word}\"?"),
        None => format!("its keys are {}", known.join(", ")),
    }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |word| format!("; did you mean \"{word}\"?"))
}
