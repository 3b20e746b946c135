//! TLS for DNS: the certificate that is shown, and the server's side of handshakes.
//!
//! A handshake takes the [`Identity`] that is in [`Certificates`] at that moment: so a reload changes what new
//! connections see, and those that are open go on. Protocols are told apart by ALPN (`dot`, `h2` and `http/1.1`, `doq`):
//! a client that names others only is refused, so that no browser can be made to speak DoT.
//!
//! TLS 1.2 and 1.3, for QUIC 1.3 alone; no early data, which could be replayed. The provider is named (ring).
//!
//! Sessions are not resumed. A client that resumes is not shown a certificate, so one that goes on resuming would trust the
//! one of its first handshake for ever, also when that was replaced because its key is no longer safe. What is given up
//! is little: a signature for each connection, of clients that keep theirs open; and the cache that it would take holds some
//! hundred sessions of all clients together. Nor can anybody tell by a ticket that two connections are one client's.
//!
//! Never here: a file, a clock. Whether the certificate has expired is for the client to judge.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig, SupportedProtocolVersion};
use sha2::{Digest, Sha256};

/// A certificate chain and its key.
#[derive(Clone)]
pub struct Identity {
    certified: Arc<CertifiedKey>,
    digest: [u8; 32],
}

/// Why two texts are no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The certificates are not PEM, or not certificates.
    #[error("it holds no certificate that can be read: {0}")]
    Certificate(String),
    /// The key is not PEM, or of a kind that is not supported.
    #[error("it holds no private key that can be used: {0}")]
    Key(String),
    /// The key is another one's.
    #[error("it is not the key of the certificate")]
    Mismatch,
}

impl Identity {
    /// From PEM text: the server's certificate with those of its issuers behind it, and its key (PKCS #8, PKCS #1 or
    /// SEC 1).
    ///
    /// # Errors
    /// [`IdentityError`] says which of the two is wrong.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let chain: Vec<_> =
            CertificateDer::pem_slice_iter(certificates).collect::<Result<_, _>>().map_err(|error| bad_certificate(&error))?;
        if chain.is_empty() {
            return Err(bad_certificate(&pem::Error::NoItemsFound));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| IdentityError::Key(error.to_string()))?;
        let mut digest = Sha256::new();
        chain.iter().map(AsRef::as_ref).chain([key.secret_der()]).for_each(|der: &[u8]| digest.update(Sha256::digest(der)));
        let signing = ring::default_provider().key_provider.load_private_key(key);
        let certified = CertifiedKey::new(chain, signing.map_err(|error| IdentityError::Key(error.to_string()))?);
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(rustls::Error::InconsistentKeys(_)) => return Err(IdentityError::Mismatch),
            Err(error) => return Err(bad_certificate(&error)),
        }
        Ok(Self { certified: Arc::new(certified), digest: digest.finalize().into() })
    }
}

fn bad_certificate(error: &dyn fmt::Display) -> IdentityError {
    IdentityError::Certificate(error.to_string())
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Identity {}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// The identity that handshakes show, which can be replaced at any time.
#[derive(Clone)]
pub struct Certificates(Arc<ArcSwap<CertifiedKey>>);

impl Certificates {
    /// Shows `identity`.
    #[must_use]
    pub fn new(identity: &Identity) -> Self {
        Self(Arc::new(ArcSwap::new(Arc::clone(&identity.certified))))
    }

    /// Shows `identity` from the next handshake on.
    pub fn replace(&self, identity: &Identity) {
        self.0.store(Arc::clone(&identity.certified));
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// The server's side of handshakes over TCP, for these protocols, the preferred first.
pub(super) fn over_tcp(certificates: &Certificates, protocols: &[&[u8]]) -> Result<Arc<ServerConfig>, rustls::Error> {
    handshake(certificates, rustls::ALL_VERSIONS, protocols)
}

/// The same over QUIC.
pub(super) fn over_quic(certificates: &Certificates, protocols: &[&[u8]]) -> Result<Arc<ServerConfig>, rustls::Error> {
    handshake(certificates, &[&rustls::version::TLS13], protocols)
}

fn handshake(
    certificates: &Certificates,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&[u8]],
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions)?;
    let mut config = config.with_no_client_auth().with_cert_resolver(Arc::new(certificates.clone()));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(config))
}
