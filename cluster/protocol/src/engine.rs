//! What keeps the rows of the store nodes.

use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// An engine of the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreEngine {
    /// redb, on a disk of each node.
    #[default]
    Redb,
    /// The memory of each node: everything is lost with its process.
    Memory,
    /// One engine that all nodes reach, like a database on its own. In the simulator only.
    Shared,
}

impl StoreEngine {
    /// All engines.
    pub const ALL: [Self; 3] = [Self::Redb, Self::Memory, Self::Shared];

    /// Its word in configurations and scenarios.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Redb => "redb",
            Self::Memory => "memory",
            Self::Shared => "shared",
        }
    }
}

/// Of a real cluster.
impl FromStr for StoreEngine {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let real = [Self::Redb, Self::Memory];
        real.into_iter().find(|engine| engine.word() == word).ok_or_else(|| {
            format!("no engine of a real cluster: {word:?}: expected redb or memory")
        })
    }
}
