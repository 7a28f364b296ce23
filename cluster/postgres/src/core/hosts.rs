//! Which of several servers is tried first.
//!
//! There is no waiting here: the pool connects when somebody wants to work, and whoever wants to work
//! pauses between attempts.

/// The servers of one database: a primary, and those that may take its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts {
    all: Vec<(String, u16)>,
    first: usize,
}

impl Hosts {
    /// The port of PostgreSQL.
    const PORT: u16 = 5432;

    /// From `host:port` each; there is at least one.
    pub fn new(addresses: &[String]) -> Self {
        assert!(!addresses.is_empty(), "whoever chose this engine gave it an address");
        let all = addresses.iter().map(|address| {
            let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
            let host = host.trim_matches(['[', ']']).to_owned();
            (host, port.parse().unwrap_or(Self::PORT))
        });
        Self { all: all.collect(), first: 0 }
    }

    /// All of them, by their numbers: the one that took the last connection, then the others in their
    /// order.
    pub fn in_turn(&self) -> Vec<(usize, (String, u16))> {
        let count = self.all.len();
        let turn = |n| (self.first + n) % count;
        (0..count).map(turn).map(|number| (number, self.all[number].clone())).collect()
    }

    /// This one takes writes.
    pub fn found(&mut self, number: usize) {
        self.first = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_primary_of_last_time_is_tried_first() {
        let mut hosts = Hosts::new(&["a:1".into(), "b:2".into(), "[::1]:3".into()]);
        let tried = |hosts: &Hosts| {
            let turns = hosts.in_turn().into_iter();
            turns
                .map(|(number, (host, port))| format!("{number} {host} {port}"))
                .collect::<Vec<_>>()
        };
        assert_eq!(tried(&hosts), ["0 a 1", "1 b 2", "2 ::1 3"]);
        hosts.found(1);
        assert_eq!(tried(&hosts), ["1 b 2", "2 ::1 3", "0 a 1"]);
    }

    #[test]
    fn a_host_without_a_port_has_the_usual_one() {
        assert_eq!(Hosts::new(&["db".into()]).in_turn(), [(0, ("db".to_owned(), 5432))]);
    }
}
