//! Authorities that certify whatever a test asks for.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    SanType, date_time_ymd,
};

use crate::{Tls, TlsError};

/// Someone who signs certificates.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key, in PEM.
pub(super) struct Certified {
    pub(super) chain: String,
    pub(super) key: String,
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let mut params = params(&[]);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).unwrap(),
        }
    }

    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate with these subject alternative names: `sip:example.com`, `example.com`, `192.0.2.1`.
    pub(super) fn certify(&self, names: &[&str]) -> Certified {
        self.sign(params(names))
    }

    /// A certificate that has a name only as its common name.
    pub(super) fn certify_common_name(&self, name: &str) -> Certified {
        let mut params = params(&[]);
        params.distinguished_name.push(DnType::CommonName, name);
        self.sign(params)
    }

    /// A certificate that holds from one year to the start of another.
    pub(super) fn certify_for(&self, name: &str, from: i32, to: i32) -> Certified {
        let mut params = params(&[name]);
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Certified {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Certified {
            chain: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Certified {
    pub(super) fn shown(&self, tls: Tls) -> Tls {
        self.try_shown(tls).unwrap()
    }

    fn try_shown(&self, tls: Tls) -> Result<Tls, TlsError> {
        tls.identity_pem(self.chain.as_bytes(), self.key.as_bytes())
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params.subject_alt_names = names.iter().map(|name| san(name)).collect();
    params
}

fn san(name: &str) -> SanType {
    match name.parse() {
        Ok(address) => SanType::IpAddress(address),
        _ if name.contains(':') => SanType::URI(name.try_into().unwrap()),
        _ => SanType::DnsName(name.try_into().unwrap()),
    }
}
