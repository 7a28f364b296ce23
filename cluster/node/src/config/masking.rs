//! What messages show of a configuration: no secret, no comment, and of a URL nothing before its `@`.
//!
//! A key counts as a secret's if it is one or may have been meant to be one: whoever writes `passwrd` has
//! written a password behind it. All masks have as many bytes as what they hide, so that places stay right.

use super::file::{File, SECRETS};
use protocol::nearest;
use settings::tree::Is;
use settings::{Mistakes, Node, Origin, Problem, Value};
use std::collections::BTreeSet;
use std::ops::Range;

/// What a message calls the file.
pub const WHOLE: &str = "the configuration";

/// What a part of a secret's name is, or is near to.
const WORDS: [&str; 5] = ["secret", "password", "passwd", "passphrase", "credentials"];
/// Words in which too little is left to be near to.
const SHORT: [&str; 3] = ["pass", "pwd", "pw"];
/// What a name with something in front of it or behind it holds: `clientsecret`.
const WITHIN: [&str; 3] = ["secret", "passw", "credential"];

/// See the module.
pub struct Masking {
    /// All keys of a configuration.
    keys: BTreeSet<String>,
}

impl Masking {
    /// By the keys that there are.
    pub fn new() -> Self {
        let mut keys = BTreeSet::new();
        collect(&File::schema(), &mut keys);
        Self { keys }
    }

    /// Whether a secret stands behind this key.
    pub fn is_secret(&self, key: &str) -> bool {
        let key = key.to_lowercase();
        let is_near = || !self.keys.contains(&key) && nearest(&key, SECRETS).is_some();
        let is_word = |word: &str| nearest(word, WORDS).is_some() || SHORT.contains(&word);
        WITHIN.iter().any(|word| key.contains(word))
            || key.split(['_', '-']).any(is_word)
            || is_near()
    }

    /// The mistakes of a file as they may be shown, in its order, over a text that was masked.
    pub fn told(&self, mut found: Mistakes, name: &str, masked: &str) -> Mistakes {
        found.sort();
        let mut told = Mistakes::new(WHOLE, name, masked);
        for mistake in found.list() {
            told.note(&mistake.origin, self.problem(mistake.problem.clone()));
        }
        told
    }

    fn problem(&self, problem: Problem) -> Problem {
        match problem {
            Problem::Value { key, expected, found, nearest } => {
                let is_shown = !key.split('.').any(|part| self.is_secret(part));
                let is_told = is_shown || found.starts_with("another ");
                let found = if is_told { without_user(&found) } else { "another value".into() };
                Problem::Value { key, expected, found, nearest: nearest.filter(|_| is_shown) }
            }
            Problem::Conflict { key, what } => Problem::Conflict { key, what: without_user(&what) },
            other => other,
        }
    }

    /// A text that is TOML, as messages show it.
    pub fn of_tree(&self, text: &str, root: &Node) -> String {
        let mut spans = Spans { text, written: Vec::new(), hidden: Vec::new() };
        self.look(root, false, &mut spans);
        let Spans { mut written, mut hidden, .. } = spans;
        written.sort_by_key(|span| span.start);
        hidden.extend(comments(text, &written));
        masked(text, &hidden)
    }

    fn look(&self, node: &Node, is_secret: bool, spans: &mut Spans<'_>) {
        match &node.is {
            Is::Table(entries) => {
                for entry in entries {
                    spans.written.extend(span(&entry.origin));
                    // What no key of ours stands before may be anything.
                    let is_hidden = self.is_secret(&entry.name) || !self.keys.contains(&entry.name);
                    self.look(&entry.node, is_secret || is_hidden, spans);
                }
            }
            Is::List(nodes) => nodes.iter().for_each(|node| self.look(node, is_secret, spans)),
            _ => spans.leaf(node, is_secret),
        }
    }

    /// A text that is not TOML. Where a value ends is a guess there: what stands behind the key of a secret
    /// is hidden up to the next line that begins with a key or a table of a configuration.
    pub fn of_broken(&self, text: &str) -> String {
        let mut hidden = Vec::new();
        let (mut at, mut within) = (0, false);
        for line in text.split_inclusive('\n') {
            within &= !self.begins_with_a_key(line);
            let secret = if within { Some(0) } else { self.behind_a_secret(line) };
            let secret = secret.or_else(|| self.behind_an_unknown_key(line));
            within = secret.is_some();
            let from = secret.into_iter().chain(line.find('#')).min();
            let user = user(line).map(|user| at + user.start..at + user.end);
            hidden.extend(user.into_iter().chain(from.map(|from| at + from..at + line.len())));
            at += line.len();
        }
        masked(text, &hidden)
    }

    /// Whether a line is `key = ...`, `[table]` or `[[table]]`.
    fn begins_with_a_key(&self, line: &str) -> bool {
        let line = line.trim_start();
        let (name, is_closed) = match line.trim_start_matches('[') {
            rest if rest.len() < line.len() => (rest.split(']').next(), rest.contains(']')),
            _ => (line.split('=').next(), line.contains('=')),
        };
        let is_key = |part: &str| self.keys.contains(part.trim());
        is_closed && name.is_some_and(|name| name.split('.').all(is_key))
    }

    /// Where the value begins in a line with a key that there is not: behind it may be anything.
    fn behind_an_unknown_key(&self, line: &str) -> Option<usize> {
        let (name, _) = line.split_once('=').filter(|_| !self.begins_with_a_key(line))?;
        Some(name.len() + 1)
    }

    /// Where in a line stands what follows the name of a secret, or of what may be one.
    fn behind_a_secret(&self, line: &str) -> Option<usize> {
        let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        let mut from = 0;
        for word in line.split(|c| !is_part(c)) {
            if self.is_secret(word) {
                let rest = &line[from + word.len()..];
                let value = rest.trim_start_matches([' ', '\t', '"', '\'', ':', '=', ']']);
                return Some(line.len() - value.len());
            }
            from += word.len();
            from += line[from..].chars().next().map_or(0, char::len_utf8);
        }
        None
    }
}

/// The names of all properties of a JSON Schema.
fn collect(schema: &settings::serde_json::Value, keys: &mut BTreeSet<String>) {
    if let Some(properties) = schema.get("properties").and_then(|it| it.as_object()) {
        keys.extend(properties.keys().cloned());
    }
    let within = schema.as_object().into_iter().flat_map(|object| object.values());
    within.chain(schema.as_array().into_iter().flatten()).for_each(|it| collect(it, keys));
}

/// What a file consists of.
struct Spans<'a> {
    text: &'a str,
    /// Keys and values: a `#` between them begins a comment.
    written: Vec<Range<usize>>,
    hidden: Vec<Range<usize>>,
}

impl Spans<'_> {
    fn leaf(&mut self, node: &Node, is_secret: bool) {
        let Some(span) = span(&node.origin) else { return };
        self.written.push(span.clone());
        let source = &self.text[span.clone()];
        match &node.is {
            _ if is_secret => self.hidden.push(span),
            // An `@` may be written as an escape, and then stands elsewhere.
            Is::Text(text) if text.contains('@') && source.contains('\\') => self.hidden.push(span),
            Is::Text(_) => {
                let user = user(source).map(|it| span.start + it.start..span.start + it.end);
                self.hidden.extend(user);
            }
            _ => {}
        }
    }
}

const fn span(origin: &Origin) -> Option<Range<usize>> {
    match origin {
        Origin::File(from, to) => Some(*from..*to),
        Origin::Whole | Origin::Set(_) => None,
    }
}

/// Where comments stand: who writes one beside a secret may repeat it.
fn comments(text: &str, written: &[Range<usize>]) -> Vec<Range<usize>> {
    let (mut comments, mut at) = (Vec::new(), 0);
    let end = text.len()..text.len();
    for next in written.iter().chain([&end]) {
        while let Some(from) = text.get(at..next.start).and_then(|gap| gap.find('#')) {
            let from = at + from;
            at = text[from..].find('\n').map_or(text.len(), |length| from + length);
            comments.push(from + 1..at);
        }
        at = at.max(next.end);
    }
    comments
}

/// What stands before the last `@`: behind a scheme, a quotation mark or a space.
fn user(text: &str) -> Option<Range<usize>> {
    let end = text.rfind('@')?;
    let before = &text[..end];
    let scheme = before.find("://").map(|at| at + 3);
    let quote = || before.find(['"', '\'']).map(|at| at + 1);
    let space = || before.rfind(' ').map(|at| at + 1);
    let start = scheme.or_else(quote).or_else(space).unwrap_or(0);
    Some(start..end)
}

fn without_user(text: &str) -> String {
    let mut text = text.to_owned();
    if let Some(user) = user(&text) {
        text.replace_range(user, "***");
    }
    text
}

fn masked(text: &str, hidden: &[Range<usize>]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for byte in hidden.iter().flat_map(Range::clone) {
        if !matches!(bytes[byte], b'\n' | b'\r') {
            bytes[byte] = b'*';
        }
    }
    String::from_utf8(bytes).expect("whole characters are masked")
}
