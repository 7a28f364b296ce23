//! Claims about who comes in, with certificates made on the spot.

use super::*;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

/// An authority and what it has signed, good for this name.
fn identity(name: &str) -> Identity {
    let key = KeyPair::generate().expect("randomness");
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).expect("its own key").pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().expect("randomness");
    let signed = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    let certificate = signed.signed_by(&key, &issuer).expect("signed").pem();
    Identity { authority, certificate, key: key.serialize_pem() }
}

fn network(identity: &Identity, admits: Admits) -> TlsNetwork {
    let certificates = Certificates::new(identity).expect("it was just made");
    TlsNetwork::new(Arc::new(certificates), admits, Vec::new())
}

/// What comes back from a server that admits so and repeats what it hears.
async fn echoed(server: TlsNetwork, client: &dyn Network) -> io::Result<String> {
    let listener = server.bind("127.0.0.1:0").await?;
    let at = listener.local_addr()?.to_string();
    let serving = async move {
        let (mut stream, _) = listener.accept().await?;
        let mut heard = [0; 5];
        stream.read_exact(&mut heard).await?;
        stream.write_all(&heard).await?;
        stream.flush().await?;
        // As long as the other side is there.
        let _ = stream.read(&mut heard).await;
        Ok::<_, io::Error>(())
    };
    let asking = async {
        let mut stream = client.connect(&at).await?;
        stream.write_all(b"hello").await?;
        stream.flush().await?;
        let mut heard = [0; 5];
        stream.read_exact(&mut heard).await?;
        Ok::<_, io::Error>(String::from_utf8_lossy(&heard).into_owned())
    };
    // A server whose client is refused fails, too.
    let serving = async {
        let _ = serving.await;
    };
    let (heard, ()) = timeout(PATIENCE, async {
        let mut serving = std::pin::pin!(serving);
        let mut asking = std::pin::pin!(asking);
        tokio::select! {
            heard = &mut asking => (heard, ()),
            () = &mut serving => (asking.await, ()),
        }
    })
    .await
    .expect("nobody hangs");
    heard
}

#[tokio::test]
async fn nodes_of_one_authority_hear_each_other() {
    let identity = identity("127.0.0.1");
    let client = network(&identity, Admits::Nodes);
    let heard = echoed(network(&identity, Admits::Nodes), &client).await;
    assert_eq!(heard.expect("let in"), "hello");
}

#[tokio::test]
async fn a_stranger_is_not_let_in_among_nodes() {
    let (ours, theirs) = (identity("127.0.0.1"), identity("127.0.0.1"));
    // It trusts our authority, and has a certificate of its own.
    let stranger = Identity { authority: ours.authority.clone(), ..theirs };
    let client = network(&stranger, Admits::Nodes);
    assert!(echoed(network(&ours, Admits::Nodes), &client).await.is_err());
    // A gateway asks nobody for a certificate.
    let heard = echoed(network(&ours, Admits::Anybody), &client).await;
    assert_eq!(heard.expect("let in"), "hello");
}

#[tokio::test]
async fn a_server_of_another_authority_or_another_name_is_not_believed() {
    let (ours, theirs) = (identity("127.0.0.1"), identity("127.0.0.1"));
    let client = network(&ours, Admits::Nodes);
    assert!(echoed(network(&theirs, Admits::Anybody), &client).await.is_err());
    let elsewhere = identity("elsewhere.example");
    let client = network(&elsewhere, Admits::Nodes);
    assert!(echoed(network(&elsewhere, Admits::Nodes), &client).await.is_err());
}

#[tokio::test]
async fn a_client_without_a_certificate_believes_its_authority_alone() {
    let (ours, theirs) = (identity("127.0.0.1"), identity("127.0.0.1"));
    let client = Trust::new(&ours.authority).expect("an authority").network();
    let heard = echoed(network(&ours, Admits::Anybody), &client).await;
    assert_eq!(heard.expect("let in"), "hello");
    assert!(echoed(network(&theirs, Admits::Anybody), &client).await.is_err());
    assert!(echoed(network(&ours, Admits::Nodes), &client).await.is_err());
    assert!(client.bind("127.0.0.1:0").await.is_err());
    // The system has not signed it either, if it has signed anything.
    if let Ok(system) = Trust::of_system() {
        assert!(echoed(network(&ours, Admits::Anybody), &system.network()).await.is_err());
    }
}

#[tokio::test]
async fn plaintext_is_not_answered() {
    let identity = identity("127.0.0.1");
    let heard = echoed(network(&identity, Admits::Anybody), &TcpNetwork).await;
    assert_ne!(heard.ok().as_deref(), Some("hello"), "an alert may come back");
}

#[test]
fn a_certificate_that_others_would_refuse_is_found_at_the_start() {
    let why = |identity: &Identity, host: &str| {
        let refused = identity.check([host].into_iter()).expect_err("refused");
        ports::with_causes(&refused)
    };
    let good = identity("127.0.0.1");
    good.check(["127.0.0.1"].into_iter()).expect("it is good");
    let elsewhere = why(&good, "store.example");
    assert!(elsewhere.starts_with("the certificate would be refused as that of store.example: "));
    let foreign = Identity { authority: identity("127.0.0.1").authority, ..good };
    let foreign = why(&foreign, "127.0.0.1");
    assert!(foreign.contains("by nodes to which this one connects: "), "{foreign}");
}

#[test]
fn what_is_no_certificate_or_no_key_is_named() {
    let good = identity("127.0.0.1");
    let why = |identity: &Identity| Certificates::new(identity).expect_err("refused").to_string();
    let none = || "no PEM".to_owned();
    assert!(why(&Identity { authority: none(), ..good.clone() }).starts_with("the authority"));
    assert!(why(&Identity { certificate: none(), ..good.clone() }).contains("no certificate"));
    assert!(why(&Identity { key: none(), ..good.clone() }).contains("no private key"));
    let other = identity("127.0.0.1");
    assert!(why(&Identity { key: other.key, ..good }).starts_with("TLS cannot be set up"));
}

#[tokio::test]
async fn certificates_are_replaced_while_nodes_run() {
    let (old, new) = (identity("127.0.0.1"), identity("127.0.0.1"));
    let certificates = Arc::new(Certificates::new(&old).expect("it was just made"));
    let server = || TlsNetwork::new(certificates.clone(), Admits::Nodes, Vec::new());
    let (with_old, with_new) = (network(&old, Admits::Nodes), network(&new, Admits::Nodes));
    assert_eq!(echoed(server(), &with_old).await.expect("let in"), "hello");
    assert!(echoed(server(), &with_new).await.is_err());

    let broken = Identity { key: "no PEM".to_owned(), ..new.clone() };
    certificates.replace(&broken).expect_err("there is no key");
    assert_eq!(echoed(server(), &with_old).await.expect("let in"), "hello");

    certificates.replace(&new).expect("it was just made");
    assert_eq!(echoed(server(), &with_new).await.expect("let in"), "hello");
    assert!(echoed(server(), &with_old).await.is_err());
    // The side that connects shows and believes the new ones, too.
    let client = server();
    assert_eq!(echoed(network(&new, Admits::Nodes), &client).await.expect("let in"), "hello");
    assert!(echoed(network(&old, Admits::Nodes), &client).await.is_err());
}

#[tokio::test]
async fn an_authority_is_replaced_by_way_of_both() {
    let (old, new) = (identity("127.0.0.1"), identity("127.0.0.1"));
    let authority = format!("{}{}", old.authority, new.authority);
    let (old_of_both, new_of_both) = (
        network(&Identity { authority: authority.clone(), ..old }, Admits::Nodes),
        network(&Identity { authority, ..new }, Admits::Nodes),
    );
    assert_eq!(echoed(old_of_both, &new_of_both).await.expect("let in"), "hello");
}

#[test]
fn the_end_of_a_certificate_is_known() {
    let key = KeyPair::generate().expect("randomness");
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    params.not_after = rcgen::date_time_ymd(2031, 2, 3);
    let certificate = params.self_signed(&key).expect("its own key").pem();
    let one = Identity { authority: certificate.clone(), certificate, key: key.serialize_pem() };
    assert_eq!(one.expires(), Some(1_927_843_200));
    // What lies between it and the authority has ends of its own.
    let chain = format!("{}{}", one.certificate, identity("x").certificate);
    assert_eq!(Identity { certificate: chain, ..one.clone() }.expires(), Some(1_927_843_200));
    assert_eq!(Identity { certificate: "no PEM".to_owned(), ..one }.expires(), None);
}
