//! Whom to believe about where a request comes from.
//!
//! A proxy adds the address of whoever has connected to it to the end of `X-Forwarded-For`. So the list is
//! read from its end, as long as whoever has written the entry is trusted; what stands before that, anybody
//! may have made up.

use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// The addresses of proxies that are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies(Vec<IpNet>);

impl Proxies {
    /// These, and no others.
    pub const fn new(trusted: Vec<IpNet>) -> Self {
        Self(trusted)
    }

    /// The address that a request comes from: `peer` has connected, and the header has said so, its lines in
    /// their order.
    pub fn source<'a>(
        &self,
        peer: IpAddr,
        forwarded: impl DoubleEndedIterator<Item = &'a str>,
    ) -> IpAddr {
        let mut source = peer.to_canonical();
        for hop in forwarded.rev().flat_map(|line| line.rsplit(',')) {
            let Some(before) = address(hop.trim()).filter(|_| self.trusts(source)) else { break };
            source = before;
        }
        source
    }

    /// Whether this is one of them, or one of the networks where they are.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// `192.0.2.7`, `192.0.2.7:4711`, `2001:db8::7` or `[2001:db8::7]:4711`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let alone = bare.parse::<IpAddr>().ok();
    alone.or_else(|| text.parse().ok().map(|at: SocketAddr| at.ip())).map(|it| it.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(peer: &str, lines: &[&str]) -> String {
        let trusted = ["10.0.0.0/8", "2001:db8:1::/48"].map(|it| it.parse().expect("a network"));
        let proxies = Proxies::new(trusted.to_vec());
        proxies.source(peer.parse().expect("an address"), lines.iter().copied()).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        assert_eq!(source("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(source("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(source("::ffff:10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(source("2001:db8:1::5", &["[2001:db8:2::7]:4711"]), "2001:db8:2::7");
        assert_eq!(source("10.0.0.1", &[]), "10.0.0.1");
        let none = Proxies::default();
        let peer = "10.0.0.1".parse().expect("an address");
        assert_eq!(none.source(peer, ["198.51.100.7"].into_iter()), peer);
    }

    #[test]
    fn what_a_client_has_made_up_is_not_believed() {
        // The client said it was 203.0.113.9; the proxy saw 198.51.100.7.
        assert_eq!(source("10.0.0.1", &["203.0.113.9, 198.51.100.7"]), "198.51.100.7");
        // Two proxies in a row, and two lines.
        let lines = ["203.0.113.9", "198.51.100.7:1, 10.0.0.2"];
        assert_eq!(source("10.0.0.1", &lines), "198.51.100.7");
        // It was said by somebody who is trusted, but it is no address: he is as far as is known.
        assert_eq!(source("10.0.0.1", &["203.0.113.9, unknown"]), "10.0.0.1");
        assert_eq!(source("10.0.0.1", &["203.0.113.9, "]), "10.0.0.1");
    }
}
