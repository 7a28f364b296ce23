//! What a process uses of the machine's memory, as the kernel counts it.
//!
//! `smaps_rollup` (proc(5)) counts pages of user space only: what the kernel keeps for a socket is not
//! in it.

use anyhow::Context;
use std::collections::BTreeMap;
use std::iter::Sum;

/// Memory of a process, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Everything that is in memory (`VmRSS`), shared libraries and the program included.
    pub resident: u64,
    /// The same with shared pages divided among those who share them.
    pub proportional: u64,
    /// Pages that no other process uses.
    pub private: u64,
}

impl Memory {
    /// Of a running process.
    pub fn of(process: u32) -> anyhow::Result<Self> {
        let path = format!("/proc/{process}/smaps_rollup");
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        Self::parse(&text).with_context(|| format!("{path} lacks a field"))
    }

    /// Of a running process with its children and theirs, all together: a generator may be a script that
    /// starts another program. What ends meanwhile counts for nothing.
    pub fn of_tree(process: u32) -> anyhow::Result<Self> {
        let descendants = descendants(process, &parents()?);
        let rest: Self = descendants.into_iter().filter_map(|child| Self::of(child).ok()).sum();
        Ok([Self::of(process)?, rest].into_iter().sum())
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
            Some(kibibytes * 1024)
        };
        Some(Self {
            resident: bytes("Rss")?,
            proportional: bytes("Pss")?,
            private: bytes("Private_Clean")? + bytes("Private_Dirty")?,
        })
    }
}

impl Sum for Memory {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        let none = Self { resident: 0, proportional: 0, private: 0 };
        all.fold(none, |sum, one| Self {
            resident: sum.resident + one.resident,
            proportional: sum.proportional + one.proportional,
            private: sum.private + one.private,
        })
    }
}

/// Each process and its parent.
fn parents() -> anyhow::Result<BTreeMap<u32, u32>> {
    let entries = std::fs::read_dir("/proc").context("reading /proc")?.flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let parent = |process: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        Some((process, parent(&stat)?))
    };
    Ok(processes.filter_map(parent).collect())
}

/// The parent in `/proc/PID/stat`. It follows the state, and that the name, in which anything may be.
fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// The children of a process, theirs, and so on.
fn descendants(process: u32, parents: &BTreeMap<u32, u32>) -> Vec<u32> {
    let mut found = Vec::new();
    let mut generation = vec![process];
    while !generation.is_empty() {
        let children = parents.iter().filter(|(_, parent)| generation.contains(parent));
        generation = children.map(|(child, _)| *child).collect();
        found.extend(&generation);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_the_kernel_are_found_by_their_whole_names() {
        let text = "5581-7ffd ---p 00000000 00:00 0 [rollup]\n\
                    Rss:                4096 kB\nPss:                2000 kB\n\
                    Pss_Dirty:          1000 kB\nShared_Clean:       2096 kB\n\
                    Private_Clean:       500 kB\nPrivate_Dirty:      1500 kB\n";
        let memory = Memory { resident: 4_194_304, proportional: 2_048_000, private: 2_048_000 };
        assert_eq!(Memory::parse(text), Some(memory));
        assert_eq!(Memory::parse("Rss: 1 kB\n"), None);
    }

    #[test]
    fn the_parent_follows_a_name_with_brackets() {
        assert_eq!(parent("4711 (a) b (c)) S 42 4711 4711 0 -1"), Some(42));
        assert_eq!(parent("4711 (a"), None);
    }

    #[test]
    fn a_tree_has_the_children_of_children_and_nobody_else() {
        let parents = BTreeMap::from([(1, 0), (10, 1), (11, 10), (12, 10), (13, 12), (20, 1)]);
        assert_eq!(descendants(10, &parents), [11, 12, 13]);
        assert!(descendants(20, &parents).is_empty());
    }

    #[test]
    fn a_child_counts_beside_its_parent() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let parents = parents().unwrap();
        assert_eq!(parents.get(&child.id()), Some(&std::process::id()));
        let (alone, both) = (Memory::of(child.id()), Memory::of_tree(std::process::id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(alone.unwrap().private > 0);
        assert!(both.unwrap().private > 0);
        assert!(Memory::of_tree(child.id()).is_err(), "it has ended");
    }

    #[test]
    fn this_process_uses_memory() {
        let memory = Memory::of(std::process::id()).unwrap();
        assert!(memory.private > 0 && memory.private <= memory.resident, "{memory:?}");
    }
}
