//! Encryption of a run: whom its users trust, and certificates for a cluster that lives as long as the run.

use protocol::TlsFiles;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use real::tls::{Certificates, Identity, TlsError, Trust};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

/// The folder of the certificates, beside the data of the nodes.
const FOLDER: &str = "tls";
/// All nodes of a cluster that is started are on this machine.
const NAMES: [&str; 2] = ["127.0.0.1", "localhost"];

/// How a cluster is reached that does not speak in plaintext.
#[derive(Clone, Debug)]
pub struct Encryption {
    /// Whom its users trust.
    pub trust: Trust,
    /// Whether the numbers of nodes are encrypted, too.
    pub numbers: bool,
    /// Of a cluster that is started: the files of its nodes.
    pub files: Option<TlsFiles>,
    /// Of such a cluster: its authority in PEM, for other generators of the run.
    pub authority: Option<String>,
    /// Of such a cluster: the certificate of its nodes, which the push provider shows as well.
    pub certificates: Option<Arc<Certificates>>,
}

impl Encryption {
    /// An authority, and a certificate of it for all nodes of a cluster on this machine. Nobody has the key of
    /// the authority afterwards.
    ///
    /// # Errors
    /// They cannot be made, or not be written into a folder of the data folder.
    pub fn for_a_run(data: &Path) -> io::Result<Self> {
        let (authority, certificate, key) = certificates().map_err(io::Error::other)?;
        let folder = data.join(FOLDER);
        std::fs::create_dir_all(&folder)?;
        // A configuration is read from other folders, too.
        let folder = folder.canonicalize()?;
        let write = |name: &str, mode: u32, pem: &str| {
            let path = folder.join(name);
            let mut options = std::fs::OpenOptions::new();
            let file = options.write(true).create(true).truncate(true).mode(mode).open(&path);
            file?.write_all(pem.as_bytes())?;
            Ok::<_, io::Error>(path.display().to_string())
        };
        let identity = Identity { authority, certificate, key };
        let Identity { authority, certificate, key } = &identity;
        let files = TlsFiles {
            authority: write("authority.pem", 0o644, authority)?,
            certificate: write("node.pem", 0o644, certificate)?,
            key: write("node.key", 0o600, key)?,
            metrics: true,
        };
        let trust = Trust::new(authority).map_err(io::Error::other)?;
        let certificates = Certificates::new(&identity).map_err(io::Error::other)?;
        Ok(Self {
            trust,
            numbers: files.metrics,
            files: Some(files),
            authority: Some(identity.authority),
            certificates: Some(Arc::new(certificates)),
        })
    }

    /// That of a generator which is led: the lead has started the cluster, and asks it for its numbers.
    ///
    /// # Errors
    /// The lead has told of no authority.
    pub fn of_the_lead(authority: &str) -> Result<Self, TlsError> {
        let (trust, authority) = (Trust::new(authority)?, Some(authority.to_owned()));
        Ok(Self { trust, numbers: false, files: None, authority, certificates: None })
    }
}

/// The authority's certificate, that of the nodes, and its key, in PEM.
fn certificates() -> Result<(String, String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name = named("Fracas, the authority of a run");
    let authority = params.self_signed(&key)?.pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(NAMES.map(str::to_owned))?;
    // Without a name of its own it would seem to have signed itself.
    params.distinguished_name = named("Fracas, a node");
    params.use_authority_key_identifier_extension = true;
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, &issuer)?.pem();
    Ok((authority, certificate, key.serialize_pem()))
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_made_can_be_used_and_the_key_is_nobody_elses() {
        let data = std::env::temp_dir().join(format!("fracas-tls-{}", std::process::id()));
        let made = Encryption::for_a_run(&data).and_then(|made| {
            let files = made.files.expect("they were just written");
            let mode = std::fs::metadata(&files.key)?.permissions().mode() & 0o777;
            let read = |path: &str| std::fs::read_to_string(path);
            let (authority, certificate) = (read(&files.authority)?, read(&files.certificate)?);
            Ok((mode, Identity { authority, certificate, key: read(&files.key)? }))
        });
        std::fs::remove_dir_all(&data).expect("our own folder");
        let (mode, identity) = made.expect("it is a good disk");
        assert_eq!(mode, 0o600);
        Certificates::new(&identity).expect("they go together");
        identity.check(NAMES.into_iter()).expect("nodes believe each other");
    }
}
