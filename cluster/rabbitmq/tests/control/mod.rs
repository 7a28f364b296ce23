//! `rabbitmqctl` of the RabbitMQ that `cargo xtask engines` has started.

use crate::support::told;
use std::process::Command;

/// Something that `rabbitmqctl` does.
pub fn control(arguments: &[&str]) {
    let output = Command::new(told("FRACAS_RABBITMQ_CONTROL")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}
