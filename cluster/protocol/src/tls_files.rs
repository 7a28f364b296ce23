//! Where the nodes of a cluster find what they need for TLS.

/// The paths of PEM files; on each machine they are those of its own node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Who signs the certificates of nodes.
    pub authority: String,
    /// The node's certificate, with what lies between it and the authority.
    pub certificate: String,
    /// Its private key.
    pub key: String,
    /// Whether nodes encrypt their numbers for Prometheus, too.
    pub metrics: bool,
}
