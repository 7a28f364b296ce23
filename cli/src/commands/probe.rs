//! `fracas probe`: one question to a node, for health checks in images that have no other HTTP client.

use crate::address::host_and_port;
use crate::console;
use crate::tls::trust;
use campaign::InvalidUsage;
use clap::Args;

/// Ask a node whether it is alive, or ready: exit status 0 if it says so, 1 if it says no, or nothing.
#[derive(Debug, Args)]
pub struct Probe {
    /// `host:port` of a gateway, or of what `fracas node --metrics` serves; with a path, or else `/ready`.
    #[arg(value_name = "HOST:PORT[/PATH]", value_parser = question)]
    question: Question,
    /// Ask over TLS, and trust the certificates of this authority (PEM) alone.
    #[arg(long, value_name = "FILE")]
    authority: Option<String>,
}

/// Whom to ask, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Question {
    address: String,
    path: String,
}

impl Probe {
    /// Asks once.
    pub fn execute(self) -> u8 {
        let Question { address, path } = &self.question;
        let authority = self.authority.as_deref();
        let trust = match authority.map(|file| trust("--authority", file)).transpose() {
            Ok(trust) => trust,
            Err(InvalidUsage(why)) => {
                console::error(&why);
                return 64;
            }
        };
        match loadgen::probe(address, path, trust) {
            Ok(()) => 0,
            Err(why) => {
                console::error(&format!("{address}{path}: {why}"));
                1
            }
        }
    }
}

fn question(text: &str) -> Result<Question, String> {
    let (address, path) = match text.find('/') {
        Some(at) if !text.contains("://") => text.split_at(at),
        _ => (text, "/ready"),
    };
    Ok(Question { address: host_and_port(address)?, path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_an_address_and_a_path() {
        let asked = |text: &str| question(text).map(|asked| (asked.address, asked.path));
        let of = |address: &str, path: &str| Ok((address.to_owned(), path.to_owned()));
        assert_eq!(asked("127.0.0.1:9100/health"), of("127.0.0.1:9100", "/health"));
        assert_eq!(asked("gateway-1:7800"), of("gateway-1:7800", "/ready"));
        assert!(asked("http://gateway-1:7800/ready").is_err());
        assert!(asked("gateway-1/ready").is_err());
    }
}
