//! Where a request comes from, and how much one address may ask without saying who it is.

use super::problem::{Kind, Problem};
use super::{Proxies, Rest};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};
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
        Ok(Self::of(rest.state.proxies.origin(&parts.extensions, &parts.headers)))
    }
}

impl Proxies {
    /// From where a request comes, as far as is known.
    fn origin(&self, extensions: &Extensions, headers: &HeaderMap) -> IpAddr {
        // Without a connection there is one source: nobody is unlimited.
        let peer = extensions.get::<Peer>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
        let lines = headers.get_all(FORWARDED_FOR).iter();
        // What is no text is no address, either.
        let lines: Vec<&str> = lines.map(|line| line.to_str().unwrap_or_default()).collect();
        self.source(peer, lines.into_iter())
    }

    /// As whose a connection counts; `None`: a proxy's, which carries the requests of many.
    pub fn whose_connection(&self, peer: IpAddr) -> Option<IpAddr> {
        let peer = peer.to_canonical();
        (!self.trusts(peer)).then(|| Source::of(peer).0)
    }

    /// As whose a request counts, whoever passed it on; `None`: it is a proxy's own.
    pub fn whose_request(&self, extensions: &Extensions, headers: &HeaderMap) -> Option<IpAddr> {
        let origin = self.origin(extensions, headers).to_canonical();
        let peer = extensions.get::<Peer>().map(|peer| peer.0.to_canonical());
        // Whoever a proxy names is a client, even with an address of its network.
        if peer == Some(origin) {
            self.whose_connection(origin)
        } else {
            Some(Source::of(origin).0)
        }
    }
}

/// What the addresses may still ask.
pub struct Sources {
    /// Requests that need no token.
    open: Mutex<Throttle<Source>>,
    /// Requests to the auth service that fail. A crowd that logs in from one address has its right
    /// passwords, and is not held up; somebody who guesses has wrong ones.
    failures: Mutex<Throttle<Source>>,
    /// Requests with a bearer token that is not honoured.
    tokens: Mutex<Throttle<Source>>,
}

/// So many bad tokens count as one failed login. Tokens run out and are revoked through no fault of their users,
/// and a crowd behind one address may find that out in one moment; each of them then gets a new one. What a
/// forged token costs, the check of a signature, is small beside a login, too.
const TOKENS_PER_FAILURE: u32 = 10;

impl Sources {
    /// Nobody has asked for anything.
    pub fn new(limits: &GatewayLimits) -> Self {
        let &GatewayLimits { open_per_second, open_burst, sources, .. } = limits;
        let &GatewayLimits { auth_failures_per_minute, auth_failures_burst, .. } = limits;
        let failures = Throttle::per_minute(auth_failures_per_minute, auth_failures_burst, sources);
        Self {
            open: Mutex::new(Throttle::per_second(open_per_second, open_burst, sources)),
            failures: Mutex::new(failures),
            tokens: Mutex::new(Throttle::per_minute(
                auth_failures_per_minute.saturating_mul(TOKENS_PER_FAILURE),
                auth_failures_burst.saturating_mul(TOKENS_PER_FAILURE),
                sources,
            )),
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

    /// Counts a bearer token as a bad one, until `honoured`.
    pub fn risk_token(&self, source: Source, now_ms: u64) -> Result<(), Problem> {
        entered(self.tokens.lock()).take(source, now_ms).map_err(too_many)
    }

    /// It was a good one, or nobody could tell.
    pub fn honoured(&self, source: Source) {
        entered(self.tokens.lock()).give_back(&source);
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

    #[test]
    fn a_proxy_counts_as_nobody_and_whoever_is_behind_it_as_himself() {
        let proxies = Proxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
        let whose = |peer: &str, forwarded: Option<&str>| {
            let (mut extensions, mut headers) = (Extensions::new(), HeaderMap::new());
            let peer: IpAddr = peer.parse().unwrap();
            extensions.insert(Peer(peer));
            if let Some(forwarded) = forwarded {
                headers.insert(FORWARDED_FOR, forwarded.parse().unwrap());
            }
            [proxies.whose_connection(peer), proxies.whose_request(&extensions, &headers)]
                .map(|whose| whose.map(|whose| whose.to_string()))
        };
        let client = || Some("192.0.2.7".to_owned());
        assert_eq!(whose("192.0.2.7", None), [client(), client()]);
        assert_eq!(whose("192.0.2.7", Some("198.51.100.1")), [client(), client()], "made up");
        assert_eq!(whose("::ffff:10.0.0.1", Some("192.0.2.7")), [None, client()]);
        assert_eq!(whose("10.0.0.1", None), [None, None]);
        let within = Some("10.7.0.7".to_owned());
        assert_eq!(
            whose("10.0.0.1", Some("10.7.0.7")),
            [None, within],
            "a client beside the proxy"
        );
        assert_eq!(whose("2001:db8::7", None)[0].as_deref(), Some("2001:db8::"));
    }
}
