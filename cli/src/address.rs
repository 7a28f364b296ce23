//! Addresses on the command line.

/// `host:port`, as sockets take it.
pub fn host_and_port(text: &str) -> Result<String, String> {
    let expected = "expected host:port, such as 127.0.0.1:7800";
    if text.contains("://") {
        return Err(format!("{expected}, without a scheme"));
    }
    let (host, port) = text.rsplit_once(':').ok_or(expected)?;
    // An IPv6 address stands in brackets.
    let is_bracketed = host.starts_with('[') && host.ends_with(']');
    let is_host = !host.is_empty()
        && (is_bracketed || !host.contains(':'))
        && !host.contains(|one: char| one == '/' || one == '@' || one.is_whitespace());
    let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
    if is_host && is_port { Ok(text.to_owned()) } else { Err(expected.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_host_and_a_port() {
        for good in ["127.0.0.1:7800", "gateway.example:80", "[::1]:7800"] {
            assert_eq!(host_and_port(good).as_deref(), Ok(good));
        }
        let bad = ["foo", "http://127.0.0.1:7800", ":80", "a:0", "a:65536", "::1:80", "a/b:80", ""];
        for bad in bad {
            assert!(host_and_port(bad).is_err_and(|why| why.contains("host:port")), "{bad}");
        }
    }
}
