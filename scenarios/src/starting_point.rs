//! A scenario of one's own, begun as another one: the same text, with what it means written into it.

use crate::file::{
    File, cluster, expect, fault, journeys, load, network, phases, random_faults, tries, users,
};
use settings::tree::{self, Entry, Is, Node};
use settings::value::design;
use settings::{Mistakes, Origin};

/// The file of a scenario called `name` that is otherwise the same as the one in `text`, which must be
/// valid. Each section and key is explained where it first stands, and keys that are left out follow as
/// comments, with their defaults.
pub fn starting_point(text: &str, name: &str) -> String {
    let text = renamed(text, name);
    let root = tree::read(&text, &mut Mistakes::new("the scenario", name, &text));
    let mut page = String::new();
    let explain = |words: &str, page: &mut String| {
        page.extend(["# ", words, "\n"]);
    };
    let mut section = Section::begun(&root, "", 0);
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let end = at + line.len();
        if let Some(header) = entries(&root).iter().find(|entry| is_header(entry, at, line)) {
            section = Section::begun(&header.node, &header.name, end);
            if let Some(section) = &section {
                explain(&section.meaning, &mut page);
            }
        }
        if let Some(key) = section.as_ref().and_then(|section| section.key_at(at)) {
            explain(&key.meaning, &mut page);
        }
        page.push_str(line);
        if let Some(section) =
            section.as_ref().filter(|section| (at + 1..=end).contains(&section.end))
        {
            section.left_out().for_each(|words| explain(&words, &mut page));
        }
        at = end;
    }
    page
}

/// A section as it stands in the file.
struct Section<'a> {
    meaning: String,
    keys: Vec<Key>,
    entries: &'a [Entry],
    /// Behind its last value.
    end: usize,
}

impl<'a> Section<'a> {
    fn begun(node: &'a Node, name: &str, header_ends: usize) -> Option<Self> {
        let About { meaning, keys } = about(name)?;
        let entries = entries(node);
        let end = entries.iter().filter_map(|entry| span(&entry.node.origin)).map(|(_, to)| to);
        let end = end.max().unwrap_or(header_ends);
        Some(Self { meaning, keys, entries, end })
    }

    /// The key that begins at this byte.
    fn key_at(&self, at: usize) -> Option<&Key> {
        let begins = |entry: &&Entry| span(&entry.origin).is_some_and(|(from, _)| from == at);
        let entry = self.entries.iter().find(begins)?;
        self.keys.iter().find(|key| key.name == entry.name)
    }

    /// Keys that it does not have, with their defaults.
    fn left_out(&self) -> impl Iterator<Item = String> {
        let is_there = |key: &&Key| self.entries.iter().any(|entry| entry.name == key.name);
        self.keys.iter().filter(move |key| !is_there(key)).filter_map(|key| {
            let default = key.default.as_ref()?;
            Some(format!("{} = {default}  # {}", key.name, key.meaning))
        })
    }
}

/// The keys of a table; of a list of tables, those of its first one.
fn entries(node: &Node) -> &[Entry] {
    match &node.is {
        Is::Table(entries) => entries,
        Is::List(nodes) => nodes.first().map_or(&[], entries),
        _ => &[],
    }
}

/// Whether `[name]` or `[[name]]` is the line that begins at this byte.
fn is_header(entry: &Entry, at: usize, line: &str) -> bool {
    let name = &entry.name;
    let is_here = span(&entry.origin).is_some_and(|(from, to)| from > at && to < at + line.len());
    is_here && [format!("[{name}]"), format!("[[{name}]]")].contains(&line.trim().to_owned())
}

const fn span(origin: &Origin) -> Option<(usize, usize)> {
    match origin {
        Origin::File(from, to) => Some((*from, *to)),
        Origin::Whole | Origin::Set(_) => None,
    }
}

/// What a section is for, and its keys.
struct About {
    meaning: String,
    keys: Vec<Key>,
}

/// A key with its default, as a file would have it.
struct Key {
    name: &'static str,
    meaning: String,
    default: Option<String>,
}

/// `None` of what is no section of a file; nothing stands for the keys at its top.
fn about(section: &str) -> Option<About> {
    Some(match section {
        "" => of::<File>(),
        "cluster" => of::<cluster::Cluster>(),
        "design" => of_design(),
        "users" => of::<users::Users>(),
        "load" => of::<load::Load>(),
        "journeys" => of::<journeys::Journeys>(),
        "network" => of::<network::Network>(),
        "phases" => of::<phases::Phases>(),
        "fault" => of::<fault::Fault>(),
        "random_faults" => of::<random_faults::RandomFaults>(),
        "expect" => of::<expect::Expect>(),
        "try" => of::<tries::Try>(),
        _ => return None,
    })
}

fn of<S: settings::Section>() -> About {
    let keys = S::keys().into_iter().map(|key| Key {
        name: key.name,
        meaning: key.meaning,
        // What a table holds has defaults of its own.
        default: key.default.filter(|value| !value.is_table()).map(|value| value.to_string()),
    });
    About { meaning: S::meaning(), keys: keys.collect() }
}

fn of_design() -> About {
    let keys = design::names().iter().map(|&name| {
        let options = design::options(name);
        let meaning = format!("{}; fracas explain {name}", options.join(" or "));
        Key { name, meaning, default: Some(format!("{:?}", options[0])) }
    });
    About {
        meaning: "Design choices; each defaults to a sound option.".into(),
        keys: keys.collect(),
    }
}

/// The same with another name, if it has one (otherwise it is called after its file), and without the
/// schema that stands beside the original.
fn renamed(text: &str, name: &str) -> String {
    let mut text = match text.split_once('\n') {
        Some((first, rest)) if first.starts_with("#:schema") => rest.to_owned(),
        _ => text.to_owned(),
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let root = tree::read(&text, &mut Mistakes::new("the scenario", name, &text));
    if let Some((from, to)) = root.get("name").and_then(|node| span(&node.origin)) {
        text.replace_range(from..to, &toml::Value::from(name).to_string());
    }
    text
}
