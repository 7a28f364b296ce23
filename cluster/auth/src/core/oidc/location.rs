//! Where something of an issuer is: a URL, taken apart for an HTTP client.

use hyper::Uri;

/// The end of the URL under which an issuer describes itself.
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// An `http` or `https` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Whether it is `https`.
    pub is_encrypted: bool,
    /// `host:port`.
    pub address: String,
    /// For the header `Host`: without the port, if that is the usual one.
    pub host: String,
    /// With the query, if there is one.
    pub path: String,
}

impl Location {
    /// Of a URL; `None` if it is none, or one with credentials or a fragment.
    pub fn of(url: &str) -> Option<Self> {
        // The parser would leave a fragment out in silence.
        let uri: Uri = (!url.contains('#')).then(|| url.parse().ok())??;
        let is_encrypted = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?;
        let (host, port) = (authority.host(), authority.port_u16());
        let has_port = authority.as_str().len() > host.len();
        if host.is_empty() || authority.as_str().contains('@') || has_port != port.is_some() {
            return None;
        }
        let port = port.unwrap_or(if is_encrypted { 443 } else { 80 });
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Some(Self {
            is_encrypted,
            address: format!("{host}:{port}"),
            host: authority.as_str().to_owned(),
            path: path.to_owned(),
        })
    }

    /// Of the discovery document of an issuer, whose URL has no query.
    pub fn of_discovery(issuer: &str) -> Option<Self> {
        let is_plain = !issuer.contains('?') && Self::of(issuer).is_some();
        is_plain.then(|| Self::of(&format!("{}{WELL_KNOWN}", issuer.trim_end_matches('/'))))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        for (url, is_encrypted, address, host, path) in [
            ("https://id.example", true, "id.example:443", "id.example", "/"),
            ("http://id.example/a/b?c=d", false, "id.example:80", "id.example", "/a/b?c=d"),
            ("http://127.0.0.1:9000/keys", false, "127.0.0.1:9000", "127.0.0.1:9000", "/keys"),
            ("https://[::1]:8443/", true, "[::1]:8443", "[::1]:8443", "/"),
        ] {
            let (address, host, path) = (address.into(), host.into(), path.into());
            let expected = Location { is_encrypted, address, host, path };
            assert_eq!(Location::of(url), Some(expected), "{url}");
        }
    }

    #[test]
    fn what_is_no_url_for_an_issuer_is_refused() {
        for url in [
            "",
            "id.example",
            "/path",
            "ftp://id.example",
            "https://",
            "https://user:word@id.example",
            "https://id.example/#here",
            "https://id.example:port/",
            "https://id.example:99999/",
            "https://a b/",
        ] {
            assert_eq!(Location::of(url), None, "{url:?}");
            assert_eq!(Location::of_discovery(url), None, "{url:?}");
        }
        assert_eq!(Location::of_discovery("https://id.example/?a=b"), None);
    }

    #[test]
    fn an_issuer_describes_itself_under_its_own_path() {
        let path = |issuer| Location::of_discovery(issuer).unwrap().path;
        assert_eq!(path("https://id.example"), "/.well-known/openid-configuration");
        assert_eq!(path("https://id.example/"), "/.well-known/openid-configuration");
        assert_eq!(path("https://id.example/a/"), "/a/.well-known/openid-configuration");
    }
}
