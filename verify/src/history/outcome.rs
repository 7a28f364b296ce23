//! What comes of an attack.

use serde::{Deserialize, Serialize};

/// How a stranger fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With this close code or HTTP status, and not in.
    Answered(u16),
    /// In: a `welcome`, an upgrade to a trunk, or a document.
    Admitted,
    /// Neither: the connection still stood when the stranger gave up.
    Held,
    /// There was no connection, or it broke without a close code.
    Lost,
}
