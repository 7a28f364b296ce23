//! Free ports of this machine, for the cluster and the push provider of a run.

/// Where ports are looked for: below the range from which systems take ports of clients.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// An address that nobody listens on.
pub fn free_address() -> std::io::Result<String> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?.to_string())
}

/// The first of so many free ports in a row. Another process may take one in between; then the
/// cluster does not start, and says so.
pub fn free_ports(count: u16) -> Option<u16> {
    // Runs that begin at the same moment look in different places.
    let own = (std::process::id() as u16 % 400) * 25;
    let starts = (PORTS.start + own..PORTS.end).chain(PORTS).step_by(25);
    starts
        .filter(|start| start + count < PORTS.end)
        .take(800)
        .find(|start| (*start..start + count).all(is_free))
}

/// Whether nobody listens on it.
pub fn is_free(port: u16) -> bool {
    std::net::TcpListener::bind(("127.0.0.1", port)).is_ok()
}
