//! Secrets that do not stand in the configuration: `{ file = "..." }` or `{ variable = "..." }` in the place of a
//! text.
//!
//! Where they are read is left to the caller: a configuration opens nothing.

use super::file::SECRETS;
use settings::tree::Is;
use settings::{Mistakes, Node, Problem};

/// Where a secret is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept<'a> {
    /// In a file of its own.
    File(&'a str),
    /// In a variable of the environment.
    Variable(&'a str),
}

/// Reads a secret from where it is kept; an error is a sentence.
pub type Fetch<'a> = &'a dyn Fn(Kept<'_>) -> Result<String, String>;

/// What a place looks like.
const EXPECTED: &str = "text in quotes, { file = \"PATH\" } or { variable = \"NAME\" }";

/// Puts the secrets themselves where the file says where they are kept. After a mistake, an empty one stands in.
pub fn put_in(node: &mut Node, fetch: Fetch<'_>, mistakes: &mut Mistakes) {
    match &mut node.is {
        Is::List(nodes) => nodes.iter_mut().for_each(|node| put_in(node, fetch, mistakes)),
        Is::Table(entries) => {
            for entry in entries {
                let is_secret = SECRETS.contains(&entry.name.as_str());
                if is_secret && matches!(entry.node.is, Is::Table(_)) {
                    let secret = fetched(&entry.node, fetch);
                    let secret = secret.map_err(|why| mistakes.note(&entry.node.origin, why));
                    entry.node.is = Is::Text(secret.unwrap_or_default());
                } else {
                    put_in(&mut entry.node, fetch, mistakes);
                }
            }
        }
        _ => {}
    }
}

fn fetched(node: &Node, fetch: Fetch<'_>) -> Result<String, Problem> {
    let key = || node.key.clone();
    let Some(kept) = kept(node) else {
        let (expected, found) = (EXPECTED.to_owned(), "another table".to_owned());
        return Err(Problem::Value { key: key(), expected, found, nearest: None });
    };
    let secret = fetch(kept).map_err(|what| Problem::Conflict { key: key(), what })?;
    // Whoever writes a file ends its last line.
    let secret = secret.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        let what = match kept {
            Kept::File(path) => format!("the file {path} is empty"),
            Kept::Variable(name) => format!("the variable {name} is empty"),
        };
        return Err(Problem::Conflict { key: key(), what });
    }
    Ok(secret.to_owned())
}

fn kept(node: &Node) -> Option<Kept<'_>> {
    let Is::Table(entries) = &node.is else { return None };
    let [entry] = &entries[..] else { return None };
    match (entry.name.as_str(), &entry.node.is) {
        ("file", Is::Text(path)) => Some(Kept::File(path)),
        ("variable", Is::Text(name)) => Some(Kept::Variable(name)),
        _ => None,
    }
}
