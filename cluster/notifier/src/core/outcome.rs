//! What an attempt came to, by the provider's answer.

use crate::core::breaker::Health;
use std::time::Duration;

/// A provider that wants to be left alone for longer is asked again after this all the same: a delay
/// without a bound would hide a job for ever.
pub const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx: the provider has it.
    Delivered,
    /// The provider will never take it.
    Refused {
        /// A 4xx other than 401, 407, 408 and 429.
        status: u16,
    },
    /// It may work later.
    Failed {
        /// For the reason of a dead letter: `status 503`, `no response in 2s`.
        why: String,
        /// When the provider wants to be asked again.
        retry_after: Option<Duration>,
    },
}

impl Outcome {
    /// The outcome of an answer with this status.
    pub fn of_status(status: u16, retry_after: Option<Duration>) -> Self {
        match status {
            200..=299 => Self::Delivered,
            // It is not known who asks (401, of a proxy 407), and who does asks too slowly (408) or too often (429).
            // None of that is about the message.
            401 | 407 | 408 | 429 => Self::Failed { why: format!("status {status}"), retry_after },
            400..=499 => Self::Refused { status },
            _ => Self::Failed { why: format!("status {status}"), retry_after },
        }
    }

    /// What it says of the provider, for the breaker. A refusal is work.
    pub fn health(&self) -> Health {
        match self {
            Self::Delivered | Self::Refused { .. } => Health::Well,
            Self::Failed { retry_after, .. } => {
                Health::Ill { rest: retry_after.unwrap_or_default().min(RETRY_AFTER_MAX) }
            }
        }
    }
}

/// The delay of a `Retry-After` header (RFC 9110 section 10.2.3): seconds, or a date, which is
/// compared with `now_ms`, milliseconds since the Unix epoch. `None` if it is neither.
pub fn retry_after(value: &str, now_ms: u64) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let at = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(at.saturating_sub(Duration::from_millis(now_ms)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_done_refused_or_worth_another_try() {
        for (status, expected) in [
            (200, "done"),
            (202, "done"),
            (204, "done"),
            (301, "again"),
            (400, "refused"),
            (401, "again"),
            (403, "refused"),
            (404, "refused"),
            (407, "again"),
            (408, "again"),
            (410, "refused"),
            (429, "again"),
            (500, "again"),
            (503, "again"),
            (599, "again"),
        ] {
            let outcome = Outcome::of_status(status, None);
            let kind = match outcome {
                Outcome::Delivered => "done",
                Outcome::Refused { .. } => "refused",
                Outcome::Failed { .. } => "again",
            };
            assert_eq!(kind, expected, "{status}");
            assert_eq!(outcome.health() == Health::Well, expected != "again", "{status}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        // 784111777 s after the epoch.
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let at_ms = 784_111_777_000;
        for (value, now_ms, expected) in [
            ("7", 0, Some(7_000)),
            (" 0 ", 0, Some(0)),
            (date, at_ms - 1_500, Some(1_500)),
            (date, at_ms + 1, Some(0)),
            ("soon", 0, None),
            ("-1", 0, None),
            ("", 0, None),
        ] {
            let delay = retry_after(value, now_ms);
            assert_eq!(delay, expected.map(Duration::from_millis), "{value}");
        }
    }
}
