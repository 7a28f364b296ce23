//! What is told of every publication that is to be kept, whichever broker it goes to.

use super::PublishError;
use crate::Telemetry;
use std::time::Duration;

/// A batch was confirmed, or not, after so long.
pub fn published<T>(
    telemetry: &dyn Telemetry,
    took: Duration,
    confirms: &[Result<T, PublishError>],
) {
    telemetry.time("broker_publish", took);
    let confirmed = confirms.iter().filter(|confirm| confirm.is_ok()).count();
    let unconfirmed = confirms.len() - confirmed;
    for (name, count) in
        [("broker_confirmed_messages", confirmed), ("broker_unconfirmed_messages", unconfirmed)]
    {
        if count > 0 {
            telemetry.count(name, count as u64);
        }
    }
}
