//! What a process uses of the machine's memory, as the kernel counts it.
//!
//! `smaps_rollup` (proc(5)) counts pages of user space only: what the kernel keeps for a socket is not
//! in it.

use anyhow::Context;

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
    fn this_process_uses_memory() {
        let memory = Memory::of(std::process::id()).unwrap();
        assert!(memory.private > 0 && memory.private <= memory.resident, "{memory:?}");
    }
}
