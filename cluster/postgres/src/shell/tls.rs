//! Whom an encrypted connection trusts.

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use tokio_postgres_rustls::MakeRustlsConnect;

/// Why nobody can be trusted.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file has none, or something else.
    #[error("the authority holds no certificate that can be used: {0}")]
    Authority(String),
    /// Neither the system has any nor the file.
    #[error("there is no certificate to trust: the system has none: {0}")]
    NobodyTrusted(String),
    /// The library refuses its own defaults.
    #[error("TLS cannot be set up: {0}")]
    Library(#[from] rustls::Error),
}

/// Trusts the certificates of the system, and those of the authority. The name of the host is checked
/// always: `rustls` knows no other way.
pub fn connector(authority: Option<&str>) -> Result<MakeRustlsConnect, TlsError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    if let Some(pem) = authority {
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate =
                certificate.map_err(|error| TlsError::Authority(error.to_string()))?;
            roots.add(certificate).map_err(|error| TlsError::Authority(error.to_string()))?;
        }
        if roots.len() == before {
            return Err(TlsError::Authority("it is empty".into()));
        }
    }
    if roots.is_empty() {
        let why = system.errors.first().map_or_else(|| "no store".into(), ToString::to_string);
        return Err(TlsError::NobodyTrusted(why));
    }
    Ok(MakeRustlsConnect::new(client(roots)?))
}

/// For connections that are not encrypted.
pub fn unused() -> Result<MakeRustlsConnect, TlsError> {
    Ok(MakeRustlsConnect::new(client(RootCertStore::empty())?))
}

fn client(roots: RootCertStore) -> Result<ClientConfig, TlsError> {
    // By name: two crates of this program choose different defaults.
    let provider = Arc::new(aws_lc_rs::default_provider());
    let versions =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_without_a_certificate_is_refused() {
        let refused = connector(Some("no certificate")).err();
        assert!(matches!(refused, Some(TlsError::Authority(_))), "{refused:?}");
    }
}
