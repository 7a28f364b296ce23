//! The limits that the system tells of.

use crate::limits::supply::{Supply, free_swap, supply};
use std::path::Path;

/// What there is; `None`: the system does not say, or has no such limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct System {
    /// What bounds every run.
    pub supply: Supply,
    /// Descriptors of the whole system that are not in use.
    pub files_left: Option<u64>,
    /// Connections that wait to be accepted, by listener.
    pub listen_backlog: Option<u64>,
    /// Handshakes under way, by listener.
    pub syn_backlog: Option<u64>,
    /// Pages of all TCP buffers.
    pub buffer_pages: Option<u64>,
    /// Threads of the whole system.
    pub threads: Option<u64>,
    /// Connections that the firewall tracks.
    pub tracked_connections: Option<u64>,
    /// Free bytes to which memory can be swapped.
    pub swap: Option<u64>,
}

impl System {
    /// What this system tells. `data`: where a cluster that is started will keep its data.
    pub fn here(data: Option<&Path>) -> Self {
        Self {
            supply: supply(data),
            files_left: sysctl("fs/file-max", 0).zip(sysctl("fs/file-nr", 0)).map(left),
            listen_backlog: sysctl("net/core/somaxconn", 0),
            syn_backlog: sysctl("net/ipv4/tcp_max_syn_backlog", 0),
            buffer_pages: sysctl("net/ipv4/tcp_mem", 2),
            threads: sysctl("kernel/threads-max", 0),
            tracked_connections: sysctl("net/netfilter/nf_conntrack_max", 0),
            swap: free_swap(),
        }
    }
}

const fn left((most, used): (u64, u64)) -> u64 {
    most.saturating_sub(used)
}

/// The nth number of a setting.
fn sysctl(name: &str, at: usize) -> Option<u64> {
    number(&std::fs::read_to_string(format!("/proc/sys/{name}")).ok()?, at)
}

fn number(text: &str, at: usize) -> Option<u64> {
    text.split_whitespace().nth(at)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_by_place() {
        assert_eq!(number("287901\t383869\t575802\n", 2), Some(575_802));
        assert_eq!(number("1024\t0\t2466183\n", 0), Some(1_024));
        assert_eq!(number("1024", 1), None);
        assert_eq!(number("many", 0), None);
        assert_eq!(left((5, 9)), 0);
    }
}
