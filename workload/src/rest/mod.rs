//! The cluster's REST interface, as users and services of a run use it.
//!
//! `http` keeps connections, `tokens` gets and keeps access tokens, `api` and `bulk` know paths and
//! documents.

pub mod api;
pub mod bulk;
mod http;
pub mod tokens;

pub use api::Api;
pub use http::Http;
pub use link::http::HttpError;
pub use tokens::Tokens;

use hyper::StatusCode;

/// Why a call has no good answer.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// No answer: maybe done.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The cluster cannot answer now.
    #[error("{path} answered {status}")]
    Unavailable {
        /// The request's path.
        path: String,
        /// The status.
        status: StatusCode,
    },
    /// The cluster refused, and will again.
    #[error("{path} answered {status}: {detail}")]
    Refused {
        /// The request's path.
        path: String,
        /// The status.
        status: StatusCode,
        /// The beginning of the answer.
        detail: String,
    },
    /// The answer is not what was agreed on.
    #[error("{path} answered with an unknown document")]
    Document {
        /// The request's path.
        path: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl RestError {
    /// An answer that is no good one.
    fn of(path: &str, status: StatusCode, detail: &str) -> Self {
        let path = path.to_owned();
        if status.is_server_error()
            || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
        {
            return Self::Unavailable { path, status };
        }
        Self::Refused { path, status, detail: detail.chars().take(300).collect() }
    }

    /// Whether the same call may succeed later. All calls of this crate are idempotent.
    pub const fn may_retry(&self) -> bool {
        matches!(self, Self::Http(_) | Self::Unavailable { .. })
    }

    /// Whether the cluster says that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == StatusCode::NOT_FOUND)
    }
}
