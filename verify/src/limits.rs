//! The limits that a load generator can meet, in words: the causes behind `generator_limited`.

/// One sentence on a limit that was met so many times: what it is, and what helps.
pub fn told(limit: &str, times: u64) -> String {
    let (what, remedy) = meaning(limit);
    let often = if times == 1 { "once".to_owned() } else { format!("{times} times") };
    format!("the load generator met a limit of its own, {limit}, {often}: {what}; {remedy}")
}

/// What a limit is, and what to set.
fn meaning(limit: &str) -> (&'static str, &'static str) {
    match limit {
        "EADDRNOTAVAIL" => (
            "no local port was free for a connection",
            "widen net.ipv4.ip_local_port_range, carry the users over trunks \
             (users.connect.by = \"trunk\"), or spread them over more gateways",
        ),
        "EMFILE" => (
            "its process had too many open files",
            "raise the hard limit of open files (ulimit -Hn), or carry the users over trunks",
        ),
        "ENFILE" => ("the system had too many open files", "raise fs.file-max"),
        "ENOBUFS" | "ENOMEM" | "EAGAIN" => (
            "the system had no room for a connection",
            "let fewer users connect, or raise net.ipv4.tcp_mem",
        ),
        "EPERM" => (
            "the system did not allow a connection",
            "look at its firewall, and at net.netfilter.nf_conntrack_max",
        ),
        "name_resolution" => {
            ("the name of a gateway was not found", "name the gateways by their addresses")
        }
        "ENOSPC" => (
            "the disk of the cluster that it started was full",
            "make room there, or name another disk with --out (or TMPDIR)",
        ),
        "memory" => ("the memory of its machine ran out", "let fewer users connect"),
        "lateness" => (
            "operations were invoked more than 100 ms after their time",
            "lower the rate, or give the generator more processors",
        ),
        "judging" => (
            "events waited for the judge, and the users with them",
            "lower the rate, or give the generator more processors",
        ),
        "processors" => (
            "for seconds its process or the cluster's waited for a processor more than it ran, \
             because others had them",
            "end what else runs on this machine, or give it more processors",
        ),
        "lag" => (
            "its own tasks waited for a processor, or its users for each other, for longer than a \
             tenth of the shortest deadline",
            "let fewer users connect, lower the rate, or give the generator more processors",
        ),
        _ => ("something of its own was used up", "see the notes of the run"),
    }
}

#[cfg(test)]
mod tests {
    use super::told;

    #[test]
    fn a_limit_is_told_with_its_count_and_what_helps() {
        let ports = told("EADDRNOTAVAIL", 258);
        assert!(ports.contains("EADDRNOTAVAIL, 258 times: no local port"), "{ports}");
        assert!(
            ports.ends_with("more gateways") && ports.contains("ip_local_port_range"),
            "{ports}"
        );
        assert!(told("EMFILE", 1).contains("EMFILE, once: its process had too many open files"));
        assert!(told("ENOSPC", 1).contains("ENOSPC, once: the disk of the cluster"));
        let processors = told("processors", 12);
        assert!(processors.contains("12 times: for seconds its process or the cluster's"));
        assert!(told("unheard_of", 2).contains("unheard_of, 2 times"));
    }
}
