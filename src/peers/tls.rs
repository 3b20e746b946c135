//! Mutual TLS between nodes: both sides show a certificate that the fleet's own authorities have issued.
//!
//! A node is known by the name in its certificate (a DNS name in its `subjectAltName`, RFC 5280 4.2.1.6, matched as RFC 9525 says)
//! and not by where it is: a URL may hold an address, which changes. Where there are secrets besides, the host of the URL will
//! do as well.
//!
//! TLS 1.2 and 1.3. Sessions are not resumed: each connection shows certificates, those of now. The provider is ring.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, InconsistentKeys, RootCertStore, ServerConfig, SignatureScheme,
};
use sha2::{Digest, Sha256};

/// What this node shows, and whom it believes.
#[derive(Clone)]
pub struct Tls {
    shown: Arc<SingleCertAndKey>,
    clients: Arc<dyn ClientCertVerifier>,
    servers: Arc<WebPkiServerVerifier>,
    digest: [u8; 32],
}

/// Why three texts are no use.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificates are not PEM, or not certificates.
    #[error("it holds no certificate that can be read: {0}")]
    Certificate(String),
    /// The key is not PEM, or of a kind that is not supported.
    #[error("it holds no private key that can be used: {0}")]
    Key(String),
    /// The key is another one's.
    #[error("it is not the key of the certificate")]
    Mismatch,
    /// The authorities are not PEM, or not certificates.
    #[error("it holds no authority that can be used: {0}")]
    Authority(String),
}

impl Tls {
    /// From PEM text: this node's certificate with those of its issuers behind it, its key (PKCS #8, PKCS #1 or SEC 1), and the
    /// certificates of the authorities that issue those of nodes.
    ///
    /// # Errors
    /// [`TlsError`] says which of the three is wrong.
    pub fn from_pem(certificates: &[u8], key: &[u8], authorities: &[u8]) -> Result<Self, TlsError> {
        let chain = read(certificates).map_err(TlsError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::Key(error.to_string()))?;
        let trusted = read(authorities).map_err(TlsError::Authority)?;
        let mut digest = Sha256::new();
        for part in [&chain, &trusted] {
            digest.update((part.len() as u64).to_be_bytes());
            part.iter().for_each(|der| digest.update(Sha256::digest(der)));
        }
        digest.update(Sha256::digest(key.secret_der()));
        let authority = |error: &dyn fmt::Display| TlsError::Authority(error.to_string());
        let mut roots = RootCertStore::empty();
        for der in trusted {
            roots.add(der).map_err(|error| authority(&error))?;
        }
        let (roots, provider) = (Arc::new(roots), provider());
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
        let servers = WebPkiServerVerifier::builder_with_provider(roots, provider);
        Ok(Self {
            shown: Arc::new(certified(chain, key)?.into()),
            clients: clients.build().map_err(|error| authority(&error))?,
            servers: servers.build().map_err(|error| authority(&error))?,
            digest: digest.finalize().into(),
        })
    }

    /// The hearer's side of handshakes.
    pub(super) fn server(&self) -> Result<Arc<ServerConfig>, Error> {
        let config = ServerConfig::builder_with_provider(provider()).with_protocol_versions(rustls::ALL_VERSIONS)?;
        let config = config.with_client_cert_verifier(Arc::clone(&self.clients));
        let mut config = config.with_cert_resolver(Arc::<SingleCertAndKey>::clone(&self.shown));
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }

    /// The teller's side of handshakes with the node of this name; `or_host`: the certificate may as well be that of the host in
    /// its URL.
    pub(super) fn client(&self, name: &str, or_host: bool) -> Result<ClientConfig, Error> {
        let config = ClientConfig::builder_with_provider(provider()).with_protocol_versions(rustls::ALL_VERSIONS)?;
        let name = ServerName::try_from(name.to_owned()).ok();
        let verifier = Named { servers: Arc::clone(&self.servers), name, or_host };
        let config = config.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = config.with_client_cert_resolver(Arc::<SingleCertAndKey>::clone(&self.shown));
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn read(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Vec<_> =
        CertificateDer::pem_slice_iter(text).collect::<Result<_, _>>().map_err(|error: pem::Error| error.to_string())?;
    if found.is_empty() { Err(pem::Error::NoItemsFound.to_string()) } else { Ok(found) }
}

fn certified(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<CertifiedKey, TlsError> {
    let signing = provider().key_provider.load_private_key(key);
    let certified = CertifiedKey::new(chain, signing.map_err(|error| TlsError::Key(error.to_string()))?);
    match certified.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(Error::InconsistentKeys(_)) => Err(TlsError::Mismatch),
        Err(error) => Err(TlsError::Certificate(error.to_string())),
    }
}

/// Whether a certificate, whose issuer was judged in the handshake, is the node's of this name.
pub(super) fn is_of(certificate: &CertificateDer<'_>, name: &str) -> bool {
    let (parsed, name) = (ParsedCertificate::try_from(certificate), ServerName::try_from(name));
    parsed.is_ok_and(|parsed| name.is_ok_and(|name| verify_server_name(&parsed, &name).is_ok()))
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Tls {}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// Takes a server for the node of a name.
#[derive(Debug)]
struct Named {
    servers: Arc<WebPkiServerVerifier>,
    /// `None`: no certificate can have such a name.
    name: Option<ServerName<'static>>,
    or_host: bool,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judge = |name: &ServerName<'_>| self.servers.verify_server_cert(end_entity, intermediates, name, ocsp, now);
        match self.name.as_ref().map(judge) {
            Some(Ok(verified)) => Ok(verified),
            Some(Err(_)) | None if self.or_host => judge(host),
            Some(refused) => refused,
            None => Err(Error::General("the peer's name can stand in no certificate".to_owned())),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.servers.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.servers.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.servers.supported_verify_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.servers.root_hint_subjects()
    }
}
