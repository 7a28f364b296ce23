//! The levels of a broker, each with its limit.

use super::shared::Shared;
use ports::broker::Queue;
use protocol::limits::BrokerLimits;
use std::sync::Arc;
use std::time::Duration;

/// How often they are reported at least, even when nothing is written.
const REPORT: Duration = Duration::from_secs(1);

/// Reports them until the node dies.
pub async fn run(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(REPORT).await;
        report(&shared);
    }
}

/// Reports them.
pub fn report(shared: &Shared) {
    let mut deepest_durable = 0;
    let mut deepest_gateway = 0;
    let mut deepest_jobs = 0;
    let (mut unsettled, mut window) = (0, 0);
    let (limits, dead_letters, log_bytes) = shared.read(|queues| {
        for (name, queue) in queues.each() {
            match name {
                // The limit of a gateway queue counts what waits.
                Queue::Gateway(_) => deepest_gateway = queue.ready().max(deepest_gateway),
                Queue::Jobs(_) => deepest_jobs = queue.len().max(deepest_jobs),
                _ => deepest_durable = queue.len().max(deepest_durable),
            }
            unsettled += queue.unsettled();
            window += queue.prefetch();
        }
        (queues.rules().limits, queues.dead(), queues.log_bytes())
    });
    let telemetry = &shared.machine.telemetry;
    let gauge =
        |name, value: usize, limit: usize| telemetry.gauge(name, value as u64, limit as u64);
    gauge("broker_queue_messages", deepest_durable, limits.durable_queue_messages);
    gauge("broker_notify_queue_messages", deepest_jobs, limits.notify_queue_messages);
    gauge("broker_gateway_queue_messages", deepest_gateway, limits.gateway_queue_messages);
    gauge("broker_unsettled_messages", unsettled, window);
    gauge("broker_dead_letters", dead_letters, limits.dead_letters);
    telemetry.gauge("broker_log_bytes", log_bytes, log_limit(limits));
}

/// What the log may take on the disk: see `core::usage`, with room for the group that is being
/// written while old segments are being removed.
fn log_limit(limits: BrokerLimits) -> u64 {
    4 * limits.durable_bytes + 8 * limits.segment_bytes
}
