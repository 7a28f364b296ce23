//! The table `[oidc]`: an issuer outside of the cluster, whose tokens gateways honour too.

use super::ClusterConfig;
use super::file::{or, or_empty};
use auth::Location;
use settings::value::number::Whole;
use settings::{TextForm, section};

/// The claim that names the user, unless the file says otherwise.
const USER_CLAIM: &str = "sub";
/// How often keys are fetched, in seconds: by default, and at the bounds.
const REFRESH_SECONDS: u64 = 300;
const REFRESH_SECONDS_MIN: u64 = 10;
const REFRESH_SECONDS_MAX: u64 = 24 * 3_600;

/// An issuer outside of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oidc {
    /// Its URL, as it stands in its tokens.
    pub issuer: String,
    /// What must stand in `aud` of its tokens.
    pub audience: String,
    /// The claim that names the user.
    pub user_claim: String,
    /// A file of the certificates that its server is trusted by; absent: those of the system.
    pub authority: Option<String>,
    /// How often its keys are fetched, in seconds.
    pub refresh_seconds: u64,
}

section! {
    /// An issuer outside of the cluster.
    OidcTable {
        /// Its URL.
        issuer: IssuerUrl,
        /// What must stand in `aud` of its tokens.
        audience: Word,
        /// The claim that names the user.
        user_claim: Word = Word(USER_CLAIM.to_owned()),
        /// A file of certificates that are trusted instead of those of the system.
        authority: Option<String> = None,
        /// How often its keys are fetched, in seconds.
        refresh_seconds: Whole<u64, REFRESH_SECONDS_MIN, REFRESH_SECONDS_MAX> = Whole(REFRESH_SECONDS),
    }
}

/// The URL of an issuer.
#[derive(Clone, Debug, Default)]
pub struct IssuerUrl(String);

impl TextForm for IssuerUrl {
    fn expected() -> String {
        "a URL like \"https://id.example\", without a query".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        Location::of_discovery(text).map(|_| Self(text.to_owned()))
    }

    fn text(&self) -> String {
        self.0.clone()
    }
}

/// A text with something in it.
#[derive(Clone, Debug, Default)]
pub struct Word(pub String);

impl TextForm for Word {
    fn expected() -> String {
        "text in quotes that is not empty".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    fn text(&self) -> String {
        self.0.clone()
    }
}

impl OidcTable {
    pub(super) fn config(&self) -> Oidc {
        Oidc {
            issuer: or_empty(&self.issuer).0,
            audience: or_empty(&self.audience).0,
            user_claim: or(&self.user_claim, Word(USER_CLAIM.to_owned())).0,
            authority: or_empty(&self.authority),
            refresh_seconds: or(&self.refresh_seconds, Whole(REFRESH_SECONDS)).0,
        }
    }
}

impl Oidc {
    /// Whether its server is reached over TLS.
    pub fn is_encrypted(&self) -> bool {
        Location::of(&self.issuer).is_some_and(|at| at.is_encrypted)
    }

    /// What does not go together.
    pub(super) fn conflicts(&self, cluster: &ClusterConfig) -> Vec<(String, String)> {
        let mut conflicts = Vec::new();
        let mut note = |key: &str, what: &str| {
            conflicts.push((format!("oidc.{key}"), what.to_owned()));
        };
        if cluster.own_issuer().as_ref() == Some(&self.issuer) {
            note("issuer", "it is the cluster's own, which needs no table");
        }
        if self.authority.is_some() && !self.is_encrypted() {
            note("authority", "it is for an issuer at https:// alone");
        }
        conflicts
    }
}
