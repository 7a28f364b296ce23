//! How many requests a server had, how they ended and how long they took: what its operators watch.
//!
//! What a request is called is left to the server. Its name is one of few, whatever a client asks for.

use ports::Telemetry;
use ports::telemetry::Label;
use std::sync::Arc;
use tokio::time::Instant;

/// What the numbers of a server are called.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// Requests, with a label `status`.
    pub requests: &'static str,
    /// How long those that were answered took.
    pub seconds: &'static str,
}

/// A request under way. One that is dropped without an answer has the status `gone`: its client did not wait,
/// or the server ended.
pub struct Measured {
    telemetry: Arc<dyn Telemetry>,
    names: Names,
    labels: Vec<Label>,
    begun: Instant,
    is_answered: bool,
}

impl Measured {
    /// It begins now.
    pub fn begin(telemetry: Arc<dyn Telemetry>, names: Names, labels: &[Label]) -> Self {
        let (begun, labels) = (Instant::now(), labels.to_vec());
        Self { telemetry, names, labels, begun, is_answered: false }
    }

    /// It is known by now what is asked for.
    pub fn is(&mut self, labels: &[Label]) {
        self.labels = labels.to_vec();
    }

    /// It is answered, with this status.
    pub fn answered(mut self, status: u16) {
        self.is_answered = true;
        self.telemetry.time_of(self.names.seconds, &self.labels, self.begun.elapsed());
        self.count(class(status));
    }

    fn count(&mut self, status: &'static str) {
        self.labels.push(("status", status));
        self.telemetry.count_of(self.names.requests, &self.labels, 1);
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        if !self.is_answered {
            // Without a time: a host of the simulator is dropped outside its time.
            self.count("gone");
        }
    }
}

/// The class of a status of HTTP.
const fn class(status: u16) -> &'static str {
    match status {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fakes::Memory;
    use std::time::Duration;
    use tokio::time::sleep;

    const NAMES: Names = Names { requests: "requests", seconds: "seconds" };

    #[tokio::test(start_paused = true)]
    async fn a_request_is_counted_by_its_status_and_timed_if_it_was_answered() {
        let telemetry = Memory::default().telemetry;
        let begin = || Measured::begin(telemetry.clone(), NAMES, &[("of", "a")]);
        let (mut first, second, third) = (begin(), begin(), begin());
        sleep(Duration::from_millis(20)).await;
        first.is(&[("of", "b")]);
        first.answered(204);
        second.answered(503);
        drop(third);
        for (of, status) in [("b", "2xx"), ("a", "5xx"), ("a", "gone")] {
            let labels = [("of", of), ("status", status)];
            assert_eq!(telemetry.counted_of("requests", &labels), 1, "{labels:?}");
        }
        assert_eq!(telemetry.counted("requests"), 3);
        assert_eq!(telemetry.counted_of("seconds", &[("of", "b")]), 1);
        assert_eq!(telemetry.counted("seconds"), 2);
        assert_eq!(telemetry.took("seconds"), Duration::from_millis(40));
    }
}
