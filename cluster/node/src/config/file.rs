//! The configuration as a file: read with all its mistakes at once, each with its line.
//!
//! What the values mean together is checked by `ClusterConfig::mistakes`; here it is only given the
//! lines.

use super::{ClusterConfig, EngineConfig, Service};
use crate::topology::Topology;
use protocol::{Design, StoreEngine};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// What addresses look like.
const ADDRESS: &str = "an address like \"127.0.0.1:7801\"";
/// What lists of addresses look like.
const ADDRESSES: &str = "a list of addresses like [\"127.0.0.1:7801\", \"127.0.0.1:7802\"]";

/// Reads a configuration.
///
/// # Errors
/// Everything that is wrong, a sentence each, in the order of the file.
pub fn read(text: &str) -> Result<ClusterConfig, Vec<String>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut file = File { text, mistakes: Vec::new(), lines: BTreeMap::new() };
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        file.note(at, &format!("not TOML: {}", error.message()));
    }
    let config = if errors.is_empty() { file.config(table) } else { None };
    // What is missing from the values, or guessed in their place, is no further mistake.
    if file.mistakes.is_empty()
        && let Some(config) = &config
    {
        for mistake in config.mistakes() {
            let key = mistake.split(": ").next().unwrap_or_default();
            let at = file.lines.get(key).copied().unwrap_or_default();
            file.note(at, &mistake);
        }
    }
    file.mistakes.sort_by_key(|(at, _)| *at);
    match config {
        Some(config) if file.mistakes.is_empty() => Ok(config),
        _ => Err(file.mistakes.into_iter().map(|(_, mistake)| mistake).collect()),
    }
}

/// A file being read.
struct File<'t> {
    text: &'t str,
    /// By the byte at which they stand.
    mistakes: Vec<(usize, String)>,
    /// Where each key stands, by its full name.
    lines: BTreeMap<String, usize>,
}

impl File<'_> {
    fn note(&mut self, at: usize, mistake: &str) {
        let line = self.text.get(..at).unwrap_or_default().matches('\n').count() + 1;
        self.mistakes.push((at, format!("line {line}: {mistake}")));
    }

    fn config(&mut self, table: Spanned<DeTable<'_>>) -> Option<ClusterConfig> {
        let mut top = Section::new(String::new(), table);
        let topology = if let Some(value) = top.take(self, "topology") {
            self.table("topology", value)
        } else {
            top.miss(self, "topology", "a table with the addresses of the nodes");
            None
        };
        let topology = topology.and_then(|section| self.topology(section));
        let design = match top.take(self, "design") {
            Some(value) => self.table("design", value).map(|section| self.design(section)),
            None => Some(Design::default()),
        };
        let engine = match top.take(self, "engine") {
            Some(value) => self.table("engine", value).map(|section| self.engine(section)),
            None => Some(EngineConfig::default()),
        };
        let services = match top.take(self, "services") {
            Some(value) => self.services(value),
            None => Vec::new(),
        };
        let partitions = top.optional(self, "partitions", "a whole number from 1 to 65535");
        let users = top.optional(self, "development_users", "a whole number, 0 for none");
        let password = top.optional(self, "development_password", "a text");
        let token = top.optional(self, "access_token_seconds", "a whole number of seconds");
        let retention = top.optional(self, "retention", "a whole number of entries");
        let limits = top.optional(self, "limits", "\"default\" or \"tiny\"");
        let rate = top.optional(self, "rate_per_second", "a whole number from 1 to 4294967295");
        top.end(self);
        let plain = ClusterConfig::plain(topology?);
        Some(ClusterConfig {
            partitions: partitions.unwrap_or(plain.partitions),
            design: design?,
            development_users: users.unwrap_or(plain.development_users),
            development_password: password.unwrap_or(plain.development_password),
            services,
            access_token_seconds: token.unwrap_or(plain.access_token_seconds),
            retention,
            engine: engine?,
            limits: limits.unwrap_or(plain.limits),
            rate_per_second: rate,
            topology: plain.topology,
        })
    }

    fn topology(&mut self, mut section: Section<'_>) -> Option<Topology> {
        let gateways = section.required(self, "gateways", ADDRESSES);
        let brokers = section.required(self, "brokers", ADDRESSES);
        let stores = section.required(self, "stores", ADDRESSES);
        let auth = section.required(self, "auth", ADDRESS);
        let notifiers = section.optional(self, "notifiers", "a whole number, at least 1");
        let push_provider = section.optional(self, "push_provider", ADDRESS);
        section.end(self);
        Some(Topology {
            gateways: gateways?,
            brokers: brokers?,
            stores: stores?,
            auth: auth?,
            notifiers: notifiers.unwrap_or(1),
            push_provider: push_provider.unwrap_or_default(),
        })
    }

    fn engine(&mut self, mut section: Section<'_>) -> EngineConfig {
        let broker = section.optional(self, "broker", "\"embedded\" or \"memory\"");
        let words = "\"redb\" or \"memory\"";
        let at = section.at;
        let store = section.optional(self, "store", words);
        section.end(self);
        if store == Some(StoreEngine::Shared) {
            let at = self.lines.get("engine.store").copied().unwrap_or(at);
            self.note(
                at,
                &format!("engine.store: \"shared\" is for the simulator: expected {words}"),
            );
        }
        EngineConfig { broker: broker.unwrap_or_default(), store: store.unwrap_or_default() }
    }

    fn services(&mut self, value: Spanned<DeValue<'_>>) -> Vec<Service> {
        let at = value.span().start;
        let DeValue::Array(values) = value.into_inner() else {
            self.note(at, "services: expected one [[services]] per service");
            return Vec::new();
        };
        let mut services = Vec::new();
        for (index, value) in values.into_iter().enumerate() {
            let name = format!("services.{}", index + 1);
            let Some(mut section) = self.table(&name, value) else { continue };
            let id = section.required(self, "id", "a text");
            let secret = section.required(self, "secret", "a text");
            let scopes = section.required(self, "scopes", "a list like [\"admin\", \"audit\"]");
            section.end(self);
            if let (Some(id), Some(secret), Some(scopes)) = (id, secret, scopes) {
                services.push(Service { id, secret, scopes });
            }
        }
        services
    }

    /// Each choice by itself, so that one wrong word does not hide the next.
    fn design(&mut self, mut section: Section<'_>) -> Design {
        let default = toml::Table::try_from(Design::default()).expect("words under names");
        let mut choices = default.clone();
        for name in default.keys() {
            let Some(value) = section.take(self, name) else { continue };
            let (at, word) = (value.span().start, described(value.get_ref()));
            let choice = toml::Value::String(word.trim_matches('"').to_owned());
            let alone = toml::Table::from_iter([(name.clone(), choice.clone())]);
            match alone.try_into::<Design>() {
                Ok(_) => {
                    choices.insert(name.clone(), choice);
                }
                Err(error) => {
                    let what = error.message().to_owned();
                    self.note(at, &format!("design.{name}: {what}"));
                }
            }
        }
        section.end(self);
        choices.try_into().unwrap_or_default()
    }

    fn table<'v>(&mut self, name: &str, value: Spanned<DeValue<'v>>) -> Option<Section<'v>> {
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(table) => Some(Section::new(name.to_owned(), Spanned::new(span, table))),
            other => {
                let found = described(&other);
                self.note(span.start, &format!("{name}: expected a table, found {found}"));
                None
            }
        }
    }
}

/// A table whose keys are taken one by one; what is left is unknown.
struct Section<'v> {
    name: String,
    at: usize,
    table: DeTable<'v>,
    known: Vec<String>,
}

impl<'v> Section<'v> {
    fn new(name: String, table: Spanned<DeTable<'v>>) -> Self {
        Self { name, at: table.span().start, table: table.into_inner(), known: Vec::new() }
    }

    fn key(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    fn take(&mut self, file: &mut File<'_>, key: &str) -> Option<Spanned<DeValue<'v>>> {
        self.known.push(key.to_owned());
        let value = self.table.remove(key)?;
        file.lines.insert(self.key(key), value.span().start);
        Some(value)
    }

    fn optional<T: DeserializeOwned>(
        &mut self,
        file: &mut File<'_>,
        key: &str,
        expected: &str,
    ) -> Option<T> {
        let value = self.take(file, key)?;
        let (at, found) = (value.span().start, described(value.get_ref()));
        let read = T::deserialize(ValueDeserializer::from(value));
        if read.is_err() {
            file.note(at, &format!("{}: expected {expected}, found {found}", self.key(key)));
        }
        read.ok()
    }

    fn required<T: DeserializeOwned>(
        &mut self,
        file: &mut File<'_>,
        key: &str,
        expected: &str,
    ) -> Option<T> {
        if !self.table.contains_key(key) {
            self.known.push(key.to_owned());
            self.miss(file, key, expected);
            return None;
        }
        self.optional(file, key, expected)
    }

    fn miss(&self, file: &mut File<'_>, key: &str, expected: &str) {
        file.note(self.at, &format!("{} is missing: expected {expected}", self.key(key)));
    }

    /// Notes what was not taken.
    fn end(self, file: &mut File<'_>) {
        for key in self.table.keys() {
            let name = self.key(key.get_ref());
            let hint = match nearest(key.get_ref(), self.known.iter().map(String::as_str)) {
                Some(word) => format!("did you mean {word:?}?"),
                None => format!("expected one of {}", self.known.join(", ")),
            };
            file.note(key.span().start, &format!("unknown key {name}; {hint}"));
        }
    }
}

/// A value in a few words.
fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(date) => format!("the date {date}"),
        DeValue::Array(values) => match values.iter().find(|v| !v.get_ref().is_str()) {
            Some(odd) => format!("a list containing {}", described(odd.get_ref())),
            None => "a list of strings".to_owned(),
        },
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// The word that was probably meant: at most a third of its letters, and two at least, differ.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(2))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
