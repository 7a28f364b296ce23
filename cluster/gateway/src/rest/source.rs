//! Where a request comes from, and how much one address may ask without saying who it is.

use super::Rest;
use super::problem::{Kind, Problem};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use link::http_server::Peer;
use ports::entered;
use protocol::limits::GatewayLimits;
use protocol::throttle::Throttle;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex};

/// Where proxies say whose request they pass on.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// An address. Of IPv6 the network: a host may use all addresses in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source(IpAddr);

impl Source {
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self(address),
            IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
                Some(v4) => Self(IpAddr::V4(v4)),
                None => Self(IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64))),
            },
        }
    }
}

impl FromRequestParts<Arc<Rest>> for Source {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, rest: &Arc<Rest>) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<Peer>();
        // Without a connection there is one source: nobody is unlimited.
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
        let lines = parts.headers.get_all(FORWARDED_FOR).iter();
        // What is no text is no address, either.
        let lines: Vec<&str> = lines.map(|line| line.to_str().unwrap_or_default()).collect();
        Ok(Self::of(rest.state.proxies.source(peer, lines.into_iter())))
    }
}

/// What the addresses may still ask.
pub struct Sources {
    /// Requests that need no token.
    open: Mutex<Throttle<Source>>,
    /// Requests to the auth service that fail. A crowd that logs in from one address has its right
    /// passwords, and is not held up; somebody who guesses has wrong ones.
    failures: Mutex<Throttle<Source>>,
}

impl Sources {
    /// Nobody has asked for anything.
    pub fn new(limits: &GatewayLimits) -> Self {
        let &GatewayLimits { open_per_second, open_burst, sources, .. } = limits;
        let &GatewayLimits { auth_failures_per_minute, auth_failures_burst, .. } = limits;
        let failures = Throttle::per_minute(auth_failures_per_minute, auth_failures_burst, sources);
        Self {
            open: Mutex::new(Throttle::per_second(open_per_second, open_burst, sources)),
            failures: Mutex::new(failures),
        }
    }

    /// Counts a request that needs no token.
    pub fn take(&self, source: Source, now_ms: u64) -> Result<(), Problem> {
        entered(self.open.lock()).take(source, now_ms).map_err(too_many)
    }

    /// Counts a request to the auth service as a failure, until `succeeded`: of many that are under way
    /// at a time no more may fail than of so many in a row.
    pub fn risk(&self, source: Source, now_ms: u64) -> Result<(), Problem> {
        entered(self.failures.lock()).take(source, now_ms).map_err(too_many)
    }

    /// It was no failure.
    pub fn succeeded(&self, source: Source) {
        entered(self.failures.lock()).give_back(&source);
    }
}

fn too_many(seconds: u64) -> Problem {
    Problem::new(Kind::TooManyRequests, "too many requests from this address").retry_after(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_one_source_whatever_address_of_its_network_it_takes() {
        let source = |text: &str| Source::of(text.parse().unwrap());
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:2"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_eq!(source("::ffff:10.0.0.1"), source("10.0.0.1"));
        assert_ne!(source("10.0.0.1"), source("10.0.0.2"));
    }
}
