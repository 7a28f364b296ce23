//! The table `[push]`: how the push provider is reached.

use super::ClusterConfig;
use super::file::{Hidden, or, or_empty};
use protocol::Secret;
use settings::{TextForm, section};

/// The path of its webhook, unless the file says otherwise.
const PATH: &str = "/push";

/// What no path has as it is.
const NOT_IN_PATHS: [char; 7] = ['#', '<', '>', '`', '"', '{', '}'];

/// How the push provider is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// The path of its webhook, from the slash on.
    pub path: String,
    /// Whether that is over TLS.
    pub tls: bool,
    /// A file of the certificates that it is trusted by; absent: those of the system.
    pub authority: Option<String>,
    /// What it knows the cluster by; absent: nothing.
    pub secret: Option<Secret>,
}

section! {
    /// How the push provider is reached.
    PushTable {
        /// The path of its webhook.
        path: Path = Path(PATH.to_owned()),
        /// Whether it is reached over TLS.
        tls: bool = false,
        /// A file of certificates that are trusted instead of those of the system.
        authority: Option<String> = None,
        /// What it knows the cluster by.
        secret: Option<Hidden> = None,
    }
}

/// The path of a webhook.
#[derive(Clone, Debug)]
pub struct Path(String);

impl TextForm for Path {
    fn expected() -> String {
        "a path like \"/push\"".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        let is_path = text.starts_with('/') && is_visible(text) && !text.contains(NOT_IN_PATHS);
        is_path.then(|| Self(text.to_owned()))
    }

    fn text(&self) -> String {
        self.0.clone()
    }
}

/// Whether a text can stand in the head of a request as it is.
fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Default for Push {
    fn default() -> Self {
        Self { path: PATH.to_owned(), tls: false, authority: None, secret: None }
    }
}

impl PushTable {
    pub(super) fn config(&self) -> Push {
        Push {
            path: or(&self.path, Path(PATH.to_owned())).0,
            tls: or_empty(&self.tls),
            authority: or_empty(&self.authority),
            secret: or_empty(&self.secret).map(|Hidden(secret)| secret),
        }
    }
}

impl Push {
    /// What does not go together.
    pub(super) fn conflicts(&self, cluster: &ClusterConfig) -> Vec<(String, String)> {
        let secret = self.secret.as_ref().map(|secret| secret.expose().as_str());
        let demands = [
            (
                !cluster.topology.push_provider.is_empty(),
                "push",
                "there is no provider: its address stands in topology.push_provider",
            ),
            (self.authority.is_none() || self.tls, "push.authority", "it is for tls = true alone"),
            (
                secret.is_none() || self.tls,
                "push.secret",
                "it would be sent in plaintext: it is for tls = true alone",
            ),
            (
                secret.is_none_or(|secret| !secret.is_empty() && is_visible(secret)),
                "push.secret",
                "expected visible ASCII characters without white space",
            ),
        ];
        let broken = demands.into_iter().filter(|(holds, ..)| !holds);
        broken.map(|(_, key, what)| (key.to_owned(), what.to_owned())).collect()
    }
}
