//! The suites of the broker's ports, against a Kafka that `cargo xtask engines` has started.

mod support;

use ports::broker::conformance::Stage;
use support::{brokers, config, prefix};

/// Two adapters of queues that nobody has used.
async fn start() -> Stage {
    let config = config(&prefix());
    let (here, there) = (brokers("here", &config).await, brokers("there", &config).await);
    Stage { here, there, keep: Box::new(()) }
}

ports::conformance!(inbound, start, tokio::test(flavor = "multi_thread"));
ports::conformance!(jobs, start, tokio::test(flavor = "multi_thread"));
ports::conformance!(fanout, start, tokio::test(flavor = "multi_thread"));
ports::conformance!(dead_letters, start, tokio::test(flavor = "multi_thread"));
ports::conformance!(depths, start, tokio::test(flavor = "multi_thread"));
