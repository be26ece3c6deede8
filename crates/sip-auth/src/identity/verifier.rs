//! The side that checks (RFC 8224 §6.2).

use super::{
    CertificateError, MediaKey, Party, Passport, certificate, decode, encode,
    seen::{Call, Mark, Seen},
    signer::media_keys,
};
use p256::ecdsa::{Signature, VerifyingKey, signature::Verifier as _};
use sip_message::{
    HeaderName, HeaderValue, ParseError, Request, StatusCode,
    headers::{Date, Identity},
};
use std::{collections::VecDeque, fmt};
use thiserror::Error;
use x509_cert::Certificate;

/// Checks who calls whom.
///
/// It trusts nobody until [`Self::trust`] names someone. Certificates that were found good are kept, 256 of them, until
/// they end or others push them out.
///
/// A passport is believed for one call, which is one Call-ID: a copy of it in another call is a replay (RFC 8224 §12.1).
/// So the request that is repeated, forked or challenged keeps its identity.
///
/// Which numbers a certificate may speak for (TNAuthList, RFC 8226 §9) is left to its owner, who fetches it: name only
/// such authorities in [`Self::trust`] as see to it, or answer [`CertificateQuestion`] with `None`.
///
/// ```
/// use sip_auth::identity::{IdentityCheck, Verifier};
/// # use sip_message::Request;
///
/// # fn check(request: &Request, seconds: u64, fetch: impl Fn(&str) -> Option<Vec<u8>>) {
/// let mut verifier = Verifier::new();
/// let result = match verifier.verify(seconds, request) {
///     IdentityCheck::Question(question) => {
///         let certificate = fetch(question.url());
///         verifier.decide(question, certificate.as_deref())
///     }
///     IdentityCheck::Settled(result) => result,
/// };
/// match result {
///     Ok(passport) => println!("{:?} calls", passport.origin),
///     Err(error) => println!("{}: {error}", error.status()),
/// }
/// # }
/// ```
pub struct Verifier {
    freshness: u64,
    anchors: Vec<Certificate>,
    trusts_fetched: bool,
    /// The newest behind
    known: VecDeque<(String, Certificate, VerifyingKey)>,
    seen: Seen,
}

/// What checking a request leads to.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // it lives for a moment
pub enum IdentityCheck {
    /// Someone has to fetch a certificate, for [`Verifier::decide`].
    Question(CertificateQuestion),
    /// All is known.
    Settled(Result<Passport, IdentityError>),
}

/// A passport that waits for the certificate behind it.
pub struct CertificateQuestion {
    passport: Passport,
    input: String,
    signature: Signature,
    call: Call,
    seconds: u64,
}

impl CertificateQuestion {
    /// Where the certificate is. Anybody can write this URL: whoever fetches decides which hosts to ask, and how long.
    pub fn url(&self) -> &str {
        &self.passport.certificate
    }
}

impl fmt::Debug for CertificateQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateQuestion")
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}

/// Why an identity is not believed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The request has no Identity
    #[error("there is no Identity")]
    Missing,
    /// From, To or Date cannot be read
    #[error(transparent)]
    Request(#[from] ParseError),
    /// Date or passport are too old, or of the future
    #[error("Date or passport are not of now")]
    Stale,
    /// No passport that we understand is in it
    #[error("the passport cannot be read")]
    Malformed,
    /// The passport is about another call
    #[error("the passport is of another call: {0}")]
    Mismatch(&'static str),
    /// The certificate could not be fetched, or `info` and `x5u` differ
    #[error("the certificate is not to be had")]
    Unavailable,
    /// The certificate is not believed
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The signature is wrong
    #[error("the signature is wrong")]
    Signature,
    /// The passport was in another call before
    #[error("the passport was in another call before")]
    Replayed,
}

impl IdentityError {
    /// The answer that RFC 8224 §6.2.2 has for it.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Missing => StatusCode::USE_IDENTITY_HEADER,
            Self::Request(_) => StatusCode::BAD_REQUEST,
            Self::Stale => StatusCode::FORBIDDEN,
            Self::Unavailable => StatusCode::BAD_IDENTITY_INFO,
            Self::Certificate(_) => StatusCode::UNSUPPORTED_CREDENTIAL,
            Self::Malformed | Self::Mismatch(_) | Self::Signature | Self::Replayed => {
                StatusCode::INVALID_IDENTITY_HEADER
            }
        }
    }
}

impl Default for Verifier {
    fn default() -> Self {
        Self::new()
    }
}

impl Verifier {
    /// A verifier that trusts nobody.
    pub const fn new() -> Self {
        Self {
            freshness: 60,
            anchors: Vec::new(),
            trusts_fetched: false,
            known: VecDeque::new(),
            seen: Seen::new(65_536),
        }
    }

    /// Trusts certificates in PEM or DER, and those that they have signed.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub fn trust(&mut self, certificates: &[u8]) -> Result<(), CertificateError> {
        self.anchors.extend(certificate::read(certificates)?);
        Ok(())
    }

    /// Whether every certificate is trusted that was fetched. Defaults to no; it is for those whose fetching checks the
    /// chain already.
    #[must_use]
    pub const fn trusts_fetched(mut self, trusts_fetched: bool) -> Self {
        self.trusts_fetched = trusts_fetched;
        self
    }

    /// How many seconds a passport may be old, or of the future. Defaults to 60, as RFC 8224 §4.1 recommends.
    #[must_use]
    pub const fn freshness(mut self, freshness: u64) -> Self {
        self.freshness = freshness;
        self
    }

    /// How many passports are remembered with their calls while they are fresh, at some 100 bytes each.
    ///
    /// Defaults to 65,536, a thousand calls a second. When there are more, the oldest is forgotten, and a copy of it is
    /// believed until it is stale. With 0 every copy is: for those who see one call under several Call-IDs, because
    /// elements before them have changed it.
    #[must_use]
    pub const fn remembered_passports(mut self, passports: usize) -> Self {
        self.seen.set_limit(passports);
        self
    }

    /// Checks a request at a time in seconds since 1970.
    ///
    /// Of several passports the first that we understand counts.
    pub fn verify(&mut self, seconds: u64, request: &Request) -> IdentityCheck {
        let question = match self.read(seconds, request) {
            Ok(question) => question,
            Err(error) => return IdentityCheck::Settled(Err(error)),
        };
        let known = self.known.iter().find(|(url, ..)| url == question.url());
        match known {
            Some((_, known, key)) if certificate::check_time(known, seconds).is_ok() => {
                let key = *key;
                IdentityCheck::Settled(self.settle(question, &key))
            }
            _ => IdentityCheck::Question(question),
        }
    }

    /// Goes on with what [`CertificateQuestion::url`] holds, in PEM or DER; `None` if it could not be fetched.
    ///
    /// # Errors
    ///
    /// If the identity is not to be believed.
    pub fn decide(
        &mut self,
        question: CertificateQuestion,
        fetched: Option<&[u8]>,
    ) -> Result<Passport, IdentityError> {
        let chain = certificate::read(fetched.ok_or(IdentityError::Unavailable)?)?;
        let key = if self.trusts_fetched {
            certificate::check_time(&chain[0], question.seconds)?;
            certificate::key(&chain[0])?
        } else {
            certificate::verify(&chain, &self.anchors, question.seconds)?
        };
        let url = question.url().to_owned();
        let passport = self.settle(question, &key)?;
        self.known.retain(|(known, ..)| *known != url);
        if self.known.len() >= MOST_KNOWN {
            self.known.pop_front();
        }
        if let Some(leaf) = chain.into_iter().next() {
            self.known.push_back((url, leaf, key));
        }
        Ok(passport)
    }

    /// The passport, if the key has signed it and no other call has had it.
    fn settle(
        &mut self,
        question: CertificateQuestion,
        key: &VerifyingKey,
    ) -> Result<Passport, IdentityError> {
        key.verify(question.input.as_bytes(), &question.signature)
            .map_err(|_| IdentityError::Signature)?;
        let mark = Mark::of(&question.passport, &question.signature);
        let oldest = question.seconds.saturating_sub(self.freshness);
        if self.seen.take(mark, question.call, oldest) {
            Ok(question.passport)
        } else {
            Err(IdentityError::Replayed)
        }
    }

    fn read(&self, seconds: u64, request: &Request) -> Result<CertificateQuestion, IdentityError> {
        let headers = request.headers();
        let call_id = headers.raw(&HeaderName::CALL_ID);
        let call = Call::of(call_id.as_ref().map_or(b"", HeaderValue::as_bytes));
        let date = headers.get::<Date>().transpose()?.map(Date::unix_seconds);
        let mut failure = IdentityError::Missing;
        for field in headers.all::<Identity>().take(MOST_IDENTITIES) {
            let Some((passport, input, signature)) =
                field.ok().and_then(|field| read(&field, request, date))
            else {
                failure = IdentityError::Malformed;
                continue;
            };
            let is_now = |time: u64| time.abs_diff(seconds) <= self.freshness;
            if !is_now(passport.issued_at) || date.is_some_and(|date| !is_now(date)) {
                return Err(IdentityError::Stale);
            }
            check_call(&passport, request)?;
            return Ok(CertificateQuestion {
                passport,
                input,
                signature,
                call,
                seconds,
            });
        }
        Err(failure)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("anchors", &self.anchors.len())
            .field("known", &self.known.len())
            .field("seen", &self.seen.len())
            .finish_non_exhaustive()
    }
}

/// The passport, what was signed and the signature.
fn read(
    field: &Identity,
    request: &Request,
    date: Option<u64>,
) -> Option<(Passport, String, Signature)> {
    let (input, signature) = field.digest().rsplit_once('.')?;
    let signature = Signature::from_slice(&decode(signature)?).ok()?;
    let info = field.info()?;
    let algorithm = field.param("alg").flatten();
    let extension = field.param("ppt").flatten();
    if algorithm.is_some_and(|algorithm| algorithm != "ES256") {
        return None;
    }
    if input != "." {
        let passport = Passport::read(input)?;
        // RFC 8224 §4: info and x5u, ppt and ppt are the same thing said twice.
        let agrees = passport.certificate == info && passport.extension() == extension.as_deref();
        return agrees.then(|| (passport, input.to_owned(), signature));
    }
    // RFC 8224 §7: the compact form, whose claims are those of the request.
    if extension.is_some() {
        return None;
    }
    let origin = Party::of(request.from().ok()?.address().uri());
    let destination = Party::of(request.to().ok()?.address().uri());
    let mut passport = Passport::new(info, date?, origin, [destination]);
    passport.media_keys = media_keys(request.body());
    let input = format!(
        "{}.{}",
        encode(passport.header().as_bytes()),
        encode(passport.payload().as_bytes())
    );
    Some((passport, input, signature))
}

/// Whether the passport is about this call (RFC 8224 §6.2 steps 2 and 5).
fn check_call(passport: &Passport, request: &Request) -> Result<(), IdentityError> {
    let from = Party::of(request.from()?.address().uri());
    let asserted = || {
        crate::asserted(request.headers())
            .iter()
            .any(|address| Party::of(address.uri()) == passport.origin)
    };
    // Providers sign whom they assert (ATIS-1000074), which need not be what the phone wrote.
    let is_origin = passport.origin == from || (passport.shaken.is_some() && asserted());
    if !is_origin {
        return Err(IdentityError::Mismatch("orig"));
    }
    let to = Party::of(request.to()?.address().uri());
    if !passport.destinations.contains(&to) {
        return Err(IdentityError::Mismatch("dest"));
    }
    if !passport.media_keys.is_empty() {
        let mut claimed: Vec<MediaKey> = passport
            .media_keys
            .iter()
            .map(|key| MediaKey {
                algorithm: key.algorithm.to_ascii_lowercase(),
                digest: key.digest.replace(':', "").to_ascii_uppercase(),
            })
            .collect();
        claimed.sort();
        claimed.dedup();
        if claimed != media_keys(request.body()) {
            return Err(IdentityError::Mismatch("mky"));
        }
    }
    Ok(())
}

const MOST_IDENTITIES: usize = 8;
const MOST_KNOWN: usize = 256;
