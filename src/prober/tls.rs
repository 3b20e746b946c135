//! TLS for probes: any certificate will do, as PowerDNS has it, unless the check says that it must be valid.
//!
//! PowerDNS never verifies the certificate of a target (`ifurlup`), and zones that rely on it must load and answer
//! unchanged: targets behind a private authority, or with a certificate for the public name only. So who the target
//! claims to be is not looked at. That it holds the key of the certificate that it shows still is: a server whose key
//! and certificate do not belong together serves no client. TLS 1.2 and 1.3; no resumption, since a handshake that
//! leans on an earlier one says less, and tickets of one target must not reach another of the same name.
//!
//! A check with `tlsVerify` is judged as a careful client would: the certificate must be valid for the URL's host by the
//! system's trust store, to which a private authority is added as for every other program (or with SSL_CERT_FILE and
//! SSL_CERT_DIR, as for OpenSSL). The store is [read again](Trust) while we run, so that it need not be told to us when
//! it changes. A zone cannot name a store of its own: zones come from elsewhere, and files of this host are not theirs.
//!
//! The provider is named explicitly (ring); the process default is neither set nor used.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

use super::certificate::not_after;
use super::errors::{Source, Unmet, classify, is_early_end};
use super::{pulse, tcp};
use crate::target::{Failure, Inconclusive, TlsCheck};

/// Seconds.
const DAY: i64 = 86_400;

/// How long the trust store is believed to be what it was.
pub(super) const TRUST_AGE: Duration = Duration::from_secs(60);

/// What is to be spoken over TLS, and is offered in the handshake (ALPN).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
    /// Nothing is offered: the handshake is all.
    None,
}

/// Makes the client side of handshakes, one for each [`Protocol`]. The cost of setting them up is paid once.
#[derive(Clone)]
pub(super) struct Connectors {
    http1: TlsConnector,
    http2: TlsConnector,
    none: TlsConnector,
}

impl Connectors {
    /// Those that take any certificate.
    pub(super) fn any() -> Self {
        let provider = Arc::new(ring::default_provider());
        let verifier = AnyCertificate(provider.signature_verification_algorithms);
        Self::new(versions(provider).dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
    }

    fn verified(roots: RootCertStore) -> Self {
        Self::new(versions(Arc::new(ring::default_provider())).with_root_certificates(roots).with_no_client_auth())
    }

    fn new(mut config: ClientConfig) -> Self {
        config.resumption = Resumption::disabled();
        let offering = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            TlsConnector::from(Arc::new(config))
        };
        Self { http1: offering(&[b"http/1.1"]), http2: offering(&[b"h2"]), none: offering(&[]) }
    }

    /// The one for `protocol`.
    pub(super) fn of(&self, protocol: Protocol) -> TlsConnector {
        match protocol {
            Protocol::Http1 => &self.http1,
            Protocol::Http2 => &self.http2,
            Protocol::None => &self.none,
        }
        .clone()
    }
}

/// The system's trust store, read when it is first asked for and again when it is older than [`TRUST_AGE`]. What was read
/// is kept where that cannot be done.
#[derive(Default)]
pub(super) struct Trust(Mutex<Option<Trusted>>);

struct Trusted {
    read_at: Duration,
    connectors: Connectors,
}

impl Trust {
    /// Makes the client side of handshakes with those whose certificates are valid.
    pub(super) async fn connectors(&self) -> Result<Connectors, Inconclusive> {
        let mut trusted = self.0.lock().await;
        let now = pulse::now();
        if let Some(fresh) = trusted.as_ref().filter(|trusted| now.saturating_sub(trusted.read_at) < TRUST_AGE) {
            return Ok(fresh.connectors.clone());
        }
        if let Ok(Some(connectors)) = tokio::task::spawn_blocking(read_store).await {
            *trusted = Some(Trusted { read_at: now, connectors });
        }
        trusted.as_ref().map(|trusted| trusted.connectors.clone()).ok_or(Inconclusive::NoTrust)
    }
}

fn read_store() -> Option<Connectors> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    (!roots.is_empty()).then(|| Connectors::verified(roots))
}

fn versions(provider: Arc<CryptoProvider>) -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("ring does TLS 1.2 and 1.3")
}

/// The TLS check: a handshake with `to`, and a certificate that is valid for long enough. `now` is in seconds since 1970.
pub(super) async fn probe(
    connector: &TlsConnector,
    from: Option<IpAddr>,
    to: SocketAddr,
    check: &TlsCheck,
    now: i64,
) -> Result<(), Unmet> {
    let stream = tcp::connect(from, to).await?;
    let stream = wrap(connector, &check.sni.as_deref().map_or_else(|| host_of(to.ip()), Host::Domain), stream).await?;
    let Some(wanted) = check.min_days_left else { return Ok(()) };
    let end = stream.certificate().and_then(not_after);
    let end = end.ok_or_else(|| Failure::Tls("the certificate's end cannot be read".into()))?;
    let left = (end - now).div_euclid(DAY);
    if left < i64::from(wanted) { Err(Failure::Expiring { left, wanted }.into()) } else { Ok(()) }
}

/// An address as the name that a handshake asks for.
pub(super) const fn host_of(address: IpAddr) -> Host<&'static str> {
    match address {
        IpAddr::V4(address) => Host::Ipv4(address),
        IpAddr::V6(address) => Host::Ipv6(address),
    }
}

/// Shakes hands over `stream`, asking for `host` (SNI; an address is not sent).
pub(super) async fn wrap(connector: &TlsConnector, host: &Host<&str>, stream: TcpStream) -> Result<Stream, Unmet> {
    let name = server_name(host)?;
    match connector.connect(name, stream).await {
        Ok(stream) => Ok(Stream(stream)),
        Err(error) => Err(classify(Source::Network, &error)),
    }
}

fn server_name(host: &Host<&str>) -> Result<ServerName<'static>, Failure> {
    match *host {
        Host::Domain(name) => {
            ServerName::try_from(name.to_owned()).map_err(|_| Failure::Tls("the host cannot be a server name".into()))
        }
        Host::Ipv4(address) => Ok(ServerName::from(IpAddr::from(address))),
        Host::Ipv6(address) => Ok(ServerName::from(IpAddr::from(address))),
    }
}

/// An encrypted connection on which the peer may hang up without `close_notify`, as many servers do and as libcurl
/// lets pass. HTTP tells by itself whether the answer was complete.
pub(super) struct Stream(TlsStream<TcpStream>);

impl Stream {
    /// Whether the peer speaks HTTP/2 from here on.
    pub(super) fn speaks_http2(&self) -> bool {
        self.0.get_ref().1.alpn_protocol() == Some(b"h2")
    }

    /// The peer's own certificate, in DER.
    pub(super) fn certificate(&self) -> Option<&[u8]> {
        self.0.get_ref().1.peer_certificates()?.first().map(|certificate| &**certificate)
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, buffer).map(|read| match read {
            Err(error) if is_early_end(&error) => Ok(()),
            other => other,
        })
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, buffer)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}

/// Accepts every certificate; the handshake must be signed with its key, as far as we can read it.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if_readable(verify_tls12_signature(message, certificate, signature, &self.0))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if_readable(verify_tls13_signature(message, certificate, signature, &self.0))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// Certificates that webpki does not read (X.509 version 1, sloppy DER) serve other clients well: not held against
/// the target.
fn if_readable(verified: Result<HandshakeSignatureValid, Error>) -> Result<HandshakeSignatureValid, Error> {
    match verified {
        Err(Error::InvalidCertificate(CertificateError::BadEncoding | CertificateError::Other(_))) => {
            Ok(HandshakeSignatureValid::assertion())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_old_store_is_read_again_and_kept_where_there_is_none() {
        let old = Trusted { read_at: Duration::ZERO, connectors: Connectors::verified(RootCertStore::empty()) };
        let trust = Trust(Mutex::new(Some(old)));
        assert!(trust.connectors().await.is_ok());
        // This host may have no store.
        let there_is_one = read_store().is_some();
        let read_at = |trusted: &Option<Trusted>| trusted.as_ref().map(|trusted| trusted.read_at);
        let first = read_at(&*trust.0.lock().await);
        assert_eq!(first > Some(Duration::ZERO), there_is_one);
        assert!(trust.connectors().await.is_ok());
        assert_eq!(read_at(&*trust.0.lock().await), first, "not read anew");
    }
}
