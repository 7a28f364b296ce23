//! What the judge says of a run.

use serde::{Deserialize, Serialize};

/// Valid, violated or unknown; exit status 0, 1 or 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every invariant that was asked for judged something, and none was violated.
    Valid,
    /// Something could not be judged, and nothing was violated.
    Unknown,
    /// At least one invariant was violated.
    Violated,
}

impl Verdict {
    /// The process exit status.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Valid => 0,
            Self::Violated => 1,
            Self::Unknown => 2,
        }
    }
}

/// The judgement of a whole run: `verdict.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// Over everything.
    pub verdict: Verdict,
    /// Why it is unknown, if it is: one sentence each.
    pub doubts: Vec<String>,
    /// One per invariant, in the order of the catalogue.
    pub findings: Vec<Finding>,
    /// Events that were read.
    pub events: u64,
}

/// The judgement of one invariant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The claim: `accepted_message_survives`.
    pub invariant: String,
    /// Of this invariant alone; unknown if nothing was judged.
    pub verdict: Verdict,
    /// How many things were judged.
    pub judged: u64,
    /// What is counted in `judged`: "accepted messages".
    pub unit: String,
    /// How often it was violated.
    pub violations: u64,
    /// Evidence for the first few violations.
    pub evidence: Vec<Evidence>,
}

/// One violation, shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Microseconds since the run began.
    pub at: u64,
    /// One sentence with the values.
    pub what: String,
    /// The faults that were active then or had been shortly before; of something that did not stay, also
    /// those that began shortly after.
    pub faults: Vec<String>,
    /// The events that show it, as lines of the history, oldest first.
    pub history: Vec<String>,
}

/// How `Evidence::faults` begins to name a fault: by this a report finds the rest that is known of it.
pub fn fault_began(number: u32, kind: &str, target: &str, at: u64) -> String {
    format!("fault {number}: {kind} on {target} from {:.3} s", at as f64 / 1e6)
}
