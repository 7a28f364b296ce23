//! Private servers of the engines that a cluster may stand on: each on loopback, with ports and a folder of
//! its own, installed first if it is missing and this user may.
//!
//! An [`Instance`] knows the program of one server and when it is ready; [`Running`] has its process. What is
//! done to it, and when, is left to the tests of the adapters and to `fracas load`.

pub mod cassandra;
mod certificate;
pub mod haproxy;
mod install;
pub mod jars;
pub mod kafka;
pub mod maven;
pub mod monitoring;
pub mod postgres;
pub mod rabbitmq;
mod running;

pub use install::{is_root, program};
pub use nix::sys::signal::Signal;
pub use running::{Instance, Program, Running};

use anyhow::Context;
use std::net::{TcpListener, TcpStream};
use std::path::Path;

/// Ports on loopback that nobody listens on, below those that the system gives away on its own. Each process
/// begins to look elsewhere: while a test has killed its engine, another one must not find its ports free.
///
/// # Errors
/// There are not as many.
pub fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    const PROCESSES: u32 = 100;
    const PORTS_EACH: u16 = 100;
    let first = 21_000 + (std::process::id() % PROCESSES) as u16 * PORTS_EACH;
    let mut free = (first..32_000).filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    let mut ports = [0; N];
    for port in &mut ports {
        *port = free.next().context("there is no free port below 32000")?;
    }
    Ok(ports)
}

fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_different_ones() {
        let [first, second, third] = free_ports().expect("there are some");
        assert!(first < second && second < third, "{first} {second} {third}");
    }
}
