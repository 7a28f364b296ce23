//! A TOML file as a tree of values, each with its key and the place where it was written.
//!
//! Says nothing about which keys there are. Overrides are laid over the tree before it is read, so
//! that a value is checked in the same way wherever it comes from.

use crate::mistake::{Mistakes, Origin, Problem};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value in the tree.
#[derive(Clone, Debug)]
pub struct Node {
    /// The value.
    pub is: Is,
    /// Where it was written.
    pub origin: Origin,
    /// Its key from the top: `cluster.gateways`, `fault.2.at` (elements count from 1).
    pub key: String,
}

/// What a value is.
#[derive(Clone, Debug)]
pub enum Is {
    /// `"text"`.
    Text(String),
    /// `12`; as wide as every integer type that a key needs.
    Whole(i128),
    /// `0.5`.
    Real(f64),
    /// `true`.
    Flag(bool),
    /// A date, which no key takes.
    Date(String),
    /// `[1, 2]`.
    List(Vec<Node>),
    /// `{ a = 1 }` or a section.
    Table(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub name: String,
    /// Where the key was written.
    pub origin: Origin,
    /// Its value.
    pub node: Node,
}

impl Node {
    /// An entry of a table.
    pub fn get(&self, name: &str) -> Option<&Node> {
        match &self.is {
            Is::Table(entries) => entries.iter().find(|e| e.name == name).map(|e| &e.node),
            _ => None,
        }
    }

    /// A value by its key, counted from here: `fault.2.at`.
    pub fn find(&self, key: &str) -> Option<&Node> {
        key.split('.').try_fold(self, |node, part| match &node.is {
            Is::List(nodes) => nodes.get(part.parse::<usize>().ok()?.checked_sub(1)?),
            _ => node.get(part),
        })
    }

    /// The same, to be changed.
    pub fn find_mut(&mut self, key: &str) -> Option<&mut Node> {
        key.split('.').try_fold(self, |node, part| match &mut node.is {
            Is::List(nodes) => nodes.get_mut(part.parse::<usize>().ok()?.checked_sub(1)?),
            Is::Table(entries) => {
                entries.iter_mut().find(|entry| entry.name == part).map(|entry| &mut entry.node)
            }
            _ => None,
        })
    }

    /// The value in a few words, for messages.
    pub fn described(&self) -> String {
        match &self.is {
            Is::Text(text) => format!("{text:?}"),
            Is::Whole(number) => number.to_string(),
            Is::Real(number) => format!("{number:?}"),
            Is::Flag(flag) => flag.to_string(),
            Is::Date(text) => format!("the date {text}"),
            Is::List(nodes) if nodes.is_empty() => "an empty list".into(),
            Is::List(_) => "a list".into(),
            Is::Table(_) => "a table".into(),
        }
    }

    /// The value as it is written in a file.
    pub fn written(&self) -> String {
        match &self.is {
            Is::List(nodes) => {
                let written: Vec<String> = nodes.iter().map(Self::written).collect();
                format!("[{}]", written.join(", "))
            }
            Is::Table(entries) => {
                let written: Vec<String> = entries
                    .iter()
                    .map(|entry| format!("{} = {}", entry.name, entry.node.written()))
                    .collect();
                format!("{{ {} }}", written.join(", "))
            }
            Is::Date(text) => text.clone(),
            Is::Text(_) | Is::Whole(_) | Is::Real(_) | Is::Flag(_) => self.described(),
        }
    }
}

/// Reads TOML into a tree; notes every mistake in its syntax.
pub fn read(text: &str, mistakes: &mut Mistakes) -> Node {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        mistakes.note(&span.into(), Problem::Syntax(error.message().to_owned()));
    }
    table_node(table.into_inner(), Origin::Whole, String::new(), &mut |span| span.into())
}

/// Reads one value as it stands behind `--set KEY=`: TOML if it is, else a word.
fn read_word(word: &str, key: &str, origin: &Origin) -> Node {
    match DeValue::parse(word) {
        Ok(value) => node(value, key.to_owned(), &mut |_| origin.clone()),
        Err(_) => {
            Node { is: Is::Text(word.to_owned()), origin: origin.clone(), key: key.to_owned() }
        }
    }
}

/// Lays a value over the tree, as it is given behind `--set KEY=`; tables on its way are made where they
/// are missing.
pub fn lay_over(root: &mut Node, key: &str, word: &str, origin: &Origin, mistakes: &mut Mistakes) {
    let mut at = root;
    let mut above = String::new();
    for part in key.split('.') {
        above = join(&above, part);
        at = match step(at, part, &above, origin) {
            Ok(next) => next,
            Err(what) => return mistakes.note(origin, Problem::Conflict { key: above, what }),
        };
    }
    *at = read_word(word, key, origin);
}

fn step<'a>(
    at: &'a mut Node,
    part: &str,
    key: &str,
    origin: &Origin,
) -> Result<&'a mut Node, String> {
    match &mut at.is {
        Is::Table(entries) => {
            let index = entries.iter().position(|e| e.name == part).unwrap_or_else(|| {
                let is = Is::Table(Vec::new());
                let node = Node { is, origin: origin.clone(), key: key.to_owned() };
                entries.push(Entry { name: part.to_owned(), origin: origin.clone(), node });
                entries.len() - 1
            });
            Ok(&mut entries[index].node)
        }
        Is::List(nodes) => {
            let count = nodes.len();
            part.parse::<usize>()
                .ok()
                .and_then(|number| nodes.get_mut(number.checked_sub(1)?))
                .ok_or_else(|| format!("a list of {count}: pick one by its number, from 1"))
        }
        _ => Err("there is nothing inside a plain value".into()),
    }
}

type Place<'a> = &'a mut dyn FnMut(std::ops::Range<usize>) -> Origin;

fn table_node(table: DeTable<'_>, origin: Origin, key: String, place: Place<'_>) -> Node {
    let mut entries: Vec<Entry> = table
        .into_iter()
        .map(|(name, value)| {
            let origin = place(name.span());
            let name = name.into_inner().into_owned();
            let node = node(value, join(&key, &name), place);
            Entry { name, origin, node }
        })
        .collect();
    // The parser sorts by name; mistakes and sections are told in the order of the file.
    entries.sort_by(|a, b| a.origin.cmp(&b.origin));
    Node { is: Is::Table(entries), origin, key }
}

fn node(value: Spanned<DeValue<'_>>, key: String, place: Place<'_>) -> Node {
    let origin = place(value.span());
    let is = match value.into_inner() {
        DeValue::String(text) => Is::Text(text.into_owned()),
        DeValue::Integer(number) => {
            // Too long for 128 bits: out of every range, and said so.
            let digits = i128::from_str_radix(number.as_str(), number.radix());
            digits.map_or_else(|_| Is::Text(number.to_string()), Is::Whole)
        }
        DeValue::Float(number) => {
            let value = number.as_str().parse();
            value.map_or_else(|_| Is::Text(number.to_string()), Is::Real)
        }
        DeValue::Boolean(flag) => Is::Flag(flag),
        DeValue::Datetime(date) => Is::Date(date.to_string()),
        DeValue::Array(values) => Is::List(
            values
                .into_iter()
                .enumerate()
                .map(|(nth, value)| node(value, join(&key, &(nth + 1).to_string()), place))
                .collect(),
        ),
        DeValue::Table(table) => return table_node(table, origin, key, place),
    };
    Node { is, origin, key }
}

/// The key of a part of what has this key.
pub fn join(key: &str, part: &str) -> String {
    if key.is_empty() { part.to_owned() } else { format!("{key}.{part}") }
}
