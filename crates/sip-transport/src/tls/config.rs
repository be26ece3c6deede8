//! What we prove about ourselves over TLS, and whom we believe.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    KeyLog, RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::CertifiedKey,
};
use thiserror::Error;

use crate::identity;

/// Certificates of ours, those that we believe, and how closely we look.
///
/// A peer's certificate is always verified, unless the [`dangerous`](Self::dangerous) way round is taken: its chain
/// leads to one of the roots, and it names the domain that a request is for (RFC 5922): in a `sip:` URI, else in a DNS
/// name, as a whole; an address in an address. A common name proves nothing.
///
/// ```
/// # use sip_transport::{Tls, TlsError};
/// # fn configure(certificate: &[u8], key: &[u8], roots: &[u8]) -> Result<Tls, TlsError> {
/// Tls::new().identity_pem(certificate, key)?.roots_pem(roots)
/// # }
/// # assert!(configure(b"", b"", b"").is_err());
/// ```
#[derive(Clone)]
pub struct Tls {
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) identities: Vec<Identity>,
    pub(super) roots: RootCertStore,
    pub(super) clients: Option<Arc<dyn ClientCertVerifier>>,
    pub(super) wildcards: bool,
    pub(super) believes_anyone: bool,
    pub(super) key_log: Option<Arc<dyn KeyLog>>,
    pub(super) warn_before: Duration,
}

/// One certificate of ours with its key.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) key: Arc<CertifiedKey>,
    /// What it proves
    pub(super) domains: Vec<String>,
    pub(super) not_after: Option<SystemTime>,
}

impl Tls {
    /// No certificates, no roots, cryptography by ring.
    pub fn new() -> Self {
        Self::of(Arc::new(rustls::crypto::ring::default_provider()))
    }

    /// The same with another provider of cryptography.
    ///
    /// # Errors
    /// If the provider has no cipher suite for TLS 1.2 or 1.3.
    pub fn with_provider(provider: Arc<CryptoProvider>) -> Result<Self, TlsError> {
        ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Provider(error.to_string()))?;
        Ok(Self::of(provider))
    }

    fn of(provider: Arc<CryptoProvider>) -> Self {
        Self {
            provider,
            identities: Vec::new(),
            roots: RootCertStore::empty(),
            clients: None,
            wildcards: false,
            believes_anyone: false,
            key_log: None,
            warn_before: WARN_BEFORE,
        }
    }

    /// Adds a certificate of ours: a PEM file's contents, our own certificate first and those that vouch for it behind,
    /// and its key.
    ///
    /// A server shows the first one that has the name that a client asks for (SNI), else the first of all; as a client
    /// we show the first of all when asked.
    ///
    /// # Errors
    /// If either is not there or cannot be read, or if they do not belong together.
    pub fn identity_pem(mut self, certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain = certificates_in(certificates)?;
        let key =
            PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::Key(error.to_string()))?;
        let own = chain.first().ok_or(TlsError::NoCertificate)?;
        let domains = identity::domains(own);
        let not_after = not_after(own, &self.provider);
        let key = CertifiedKey::from_der(chain, key, &self.provider)
            .map_err(|error| TlsError::Key(error.to_string()))?;
        self.identities.push(Identity {
            key: Arc::new(key),
            domains,
            not_after,
        });
        Ok(self)
    }

    /// Believes servers whose chain leads to one of the certificates in a PEM file.
    ///
    /// # Errors
    /// If there is none, or one cannot be read.
    pub fn roots_pem(mut self, pem: &[u8]) -> Result<Self, TlsError> {
        add(&mut self.roots, pem)?;
        Ok(self)
    }

    /// Believes servers whose chain leads to one of these certificates in DER, as platforms keep them. What cannot be
    /// read is left out.
    pub fn roots_der(mut self, certificates: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let certificates = certificates.into_iter().map(CertificateDer::from);
        self.roots.add_parsable_certificates(certificates);
        self
    }

    /// Whether any root is believed.
    pub fn has_roots(&self) -> bool {
        !self.roots.is_empty()
    }

    /// Whether every server is believed; see [`dangerous`](Self::dangerous).
    pub const fn believes_anyone(&self) -> bool {
        self.believes_anyone
    }

    /// Whether there is a certificate of ours, without which there is no server.
    pub const fn has_identity(&self) -> bool {
        !self.identities.is_empty()
    }

    /// Asks clients for a certificate that leads to one of those in a PEM file, and ends the handshake of those that
    /// have none.
    ///
    /// Defaults to not asking. Only a client that was asked and has proved who it is gets requests back over its own
    /// connection (RFC 5923).
    ///
    /// # Errors
    /// If there is none, or one cannot be read.
    pub fn require_client_certificates(mut self, pem: &[u8]) -> Result<Self, TlsError> {
        self.clients = Some(self.client_verifier(pem, true)?);
        Ok(self)
    }

    /// The same, but a client without a certificate is served as well.
    ///
    /// # Errors
    /// If there is none, or one cannot be read.
    pub fn request_client_certificates(mut self, pem: &[u8]) -> Result<Self, TlsError> {
        self.clients = Some(self.client_verifier(pem, false)?);
        Ok(self)
    }

    fn client_verifier(
        &self,
        pem: &[u8],
        required: bool,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let mut roots = RootCertStore::empty();
        add(&mut roots, pem)?;
        let provider = Arc::clone(&self.provider);
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = if required {
            builder
        } else {
            builder.allow_unauthenticated()
        };
        builder
            .build()
            .map_err(|error| TlsError::Certificate(error.to_string()))
    }

    /// Lets `*.example.com` in a certificate prove `sip.example.com`.
    ///
    /// Defaults to not: RFC 5922 §7.2 forbids it, because a SIP domain is more than a host. Public authorities issue
    /// such certificates, and some carriers use them.
    pub const fn allow_wildcards(mut self) -> Self {
        self.wildcards = true;
        self
    }

    /// Sets how long before the end of a certificate of ours to begin to warn of it, once a day.
    ///
    /// Defaults to 14 days. It is noticed when a listener is bound, and when something else happens.
    pub const fn warn_before_end(mut self, time: Duration) -> Self {
        self.warn_before = time;
        self
    }

    /// With what `other` says where this says nothing.
    pub(crate) fn or(&self, other: &Self) -> Self {
        let mut whole = self.clone();
        if !whole.has_identity() {
            whole.identities.clone_from(&other.identities);
        }
        if !whole.has_roots() && !whole.believes_anyone {
            whole.roots.roots.clone_from(&other.roots.roots);
            whole.believes_anyone = other.believes_anyone;
        }
        whole.clients = whole.clients.or_else(|| other.clients.clone());
        whole.key_log = whole.key_log.or_else(|| other.key_log.clone());
        whole.wildcards |= other.wildcards;
        whole
    }

    /// What takes the security away.
    pub const fn dangerous(self) -> DangerousTls {
        DangerousTls(self)
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let domains = self.identities.iter().map(|identity| &identity.domains);
        f.debug_struct("Tls")
            .field("identities", &domains.collect::<Vec<_>>())
            .field("roots", &self.roots.len())
            .field("asks_clients", &self.clients.is_some())
            .field("wildcards", &self.wildcards)
            .field("believes_anyone", &self.believes_anyone)
            .finish_non_exhaustive()
    }
}

/// Settings of [`Tls`] that take its security away, for tests and for looking into connections.
#[derive(Clone, Debug)]
pub struct DangerousTls(Tls);

impl DangerousTls {
    /// Believes every server, whatever certificate it has.
    ///
    /// Whoever sits between then reads and writes everything.
    pub fn accept_any_certificate(mut self) -> Tls {
        tracing::warn!("certificates of servers are not verified");
        self.0.believes_anyone = true;
        self.0
    }

    /// Gives the secrets of every connection to `log`, with which a recording of it can be read.
    pub fn log_keys(mut self, log: Arc<dyn KeyLog>) -> Tls {
        self.0.key_log = Some(log);
        self.0
    }
}

/// Why a certificate, a key or a provider is of no use.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// There is no certificate in what was given
    #[error("no certificate found")]
    NoCertificate,
    /// A certificate cannot be read
    #[error("certificate: {0}")]
    Certificate(String),
    /// The key cannot be read, or is not that of the certificate
    #[error("private key: {0}")]
    Key(String),
    /// The provider cannot do what TLS asks for
    #[error("provider of cryptography: {0}")]
    Provider(String),
}

fn certificates_in(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(found) if found.is_empty() => Err(TlsError::NoCertificate),
        Ok(found) => Ok(found),
        Err(error) => Err(TlsError::Certificate(error.to_string())),
    }
}

fn add(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), TlsError> {
    for certificate in certificates_in(pem)? {
        roots
            .add(certificate)
            .map_err(|error| TlsError::Certificate(error.to_string()))?;
    }
    Ok(())
}

/// When a certificate ends: asked whether it holds when all have ended, webpki says since when it does not.
fn not_after(certificate: &CertificateDer<'_>, provider: &CryptoProvider) -> Option<SystemTime> {
    let parsed = webpki::EndEntityCert::try_from(certificate).ok()?;
    let verified = parsed.verify_for_usage(
        provider.signature_verification_algorithms.all,
        &[],
        &[],
        UnixTime::since_unix_epoch(END_OF_TIME),
        webpki::KeyUsage::server_auth(),
        None,
        None,
    );
    match verified {
        Err(webpki::Error::CertExpired { not_after, .. }) => {
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(not_after.as_secs()))
        }
        _ => None,
    }
}

/// RFC 5280 §4.1.2.5: no certificate ends later than the year 9999.
const END_OF_TIME: Duration = Duration::from_secs(253_402_300_800);
const WARN_BEFORE: Duration = Duration::from_secs(14 * 86_400);
