//! The table `[traces]`: where the steps of single messages are sent.

use super::file::{or, or_empty};
use super::is_address;
use super::oidc::Word;
use protocol::trace::Tracing;
use settings::value::number::Whole;
use settings::{TextForm, section};

/// One message in so many is traced, unless the file says otherwise.
const ONE_IN: u64 = 100;
const ONE_IN_MAX: u64 = 1_000_000_000;
/// The name of the cluster, unless the file says otherwise.
const CLUSTER: &str = "fracas";

section! {
    /// A collector of OpenTelemetry.
    TracesTable {
        /// The URL at which it takes OTLP.
        endpoint: Endpoint,
        /// One message in so many is traced.
        one_in: Whole<u64, 1, ONE_IN_MAX> = Whole(ONE_IN),
        /// The cluster's name there.
        cluster: Word = Word(CLUSTER.to_owned()),
    }
}

/// What stands for the URL of a collector.
pub const AN_ENDPOINT: &str = "a URL like \"http://127.0.0.1:4318/v1/traces\"";

/// Whether a text is the URL of a collector.
pub fn is_endpoint(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let parts = rest.and_then(|rest| rest.split_once('/'));
    parts.is_some_and(|(host, path)| {
        let is_host = if host.contains(':') { is_address(host) } else { !host.is_empty() };
        let is_path = !path.is_empty() && !path.starts_with('/');
        is_host && is_path && !host.contains('@') && !text.contains(char::is_whitespace)
    })
}

/// The URL of a collector.
#[derive(Clone, Debug, Default)]
pub struct Endpoint(String);

impl TextForm for Endpoint {
    fn expected() -> String {
        AN_ENDPOINT.into()
    }

    fn from_text(text: &str) -> Option<Self> {
        is_endpoint(text).then(|| Self(text.to_owned()))
    }

    fn text(&self) -> String {
        self.0.clone()
    }
}

impl TracesTable {
    pub(super) fn config(&self) -> Tracing {
        Tracing {
            endpoint: or_empty(&self.endpoint).0,
            one_in: or(&self.one_in, Whole(ONE_IN)).0,
            cluster: or(&self.cluster, Word(CLUSTER.to_owned())).0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_endpoint;

    #[test]
    fn an_endpoint_has_a_scheme_a_host_and_a_path() {
        for good in ["http://127.0.0.1:4318/v1/traces", "https://traces.example/v1/traces"] {
            assert!(is_endpoint(good), "{good}");
        }
        for bad in [
            "127.0.0.1:4318/v1/traces",
            "http://127.0.0.1:4318",
            "http://127.0.0.1:4318/",
            "http://127.0.0.1:99999/v1/traces",
            "http://:4318/v1/traces",
            "http://me:secret@traces.example:4318/v1/traces",
            "http://traces.example//",
            "http://traces.example/v1 traces",
            "ftp://traces.example/v1/traces",
        ] {
            assert!(!is_endpoint(bad), "{bad}");
        }
    }
}
