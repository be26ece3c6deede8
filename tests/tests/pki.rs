//! Certificates made for a test.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use sipwright::Tls;

/// Someone who signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, in PEM.
pub struct Certified {
    pub chain: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = params(&[]);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("the system has entropy");
        Self(CertifiedIssuer::self_signed(params, key).expect("the parameters are in order"))
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate with these subject alternative names: `sip:example.com`, `example.com`, `192.0.2.1`.
    pub fn certify(&self, names: &[&str]) -> Certified {
        let key = KeyPair::generate().expect("the system has entropy");
        let certificate = params(names).signed_by(&key, &self.0);
        Certified {
            chain: certificate.expect("the parameters are in order").pem(),
            key: key.serialize_pem(),
        }
    }
}

#[allow(dead_code)] // the tests with outside programs give files
impl Authority {
    /// Believes whom this authority certifies.
    pub fn believed(&self) -> Tls {
        let pem = self.pem();
        Tls::new().roots_pem(pem.as_bytes()).expect("it is PEM")
    }
}

#[allow(dead_code)] // the tests with outside programs give files
impl Certified {
    /// Shows this certificate.
    pub fn shown(&self, tls: Tls) -> Tls {
        let shown = tls.identity_pem(self.chain.as_bytes(), self.key.as_bytes());
        shown.expect("it is PEM")
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    // The clock of a simulated network may be anywhere.
    params.not_before = date_time_ymd(1970, 1, 1);
    params.not_after = date_time_ymd(2045, 1, 1);
    let san = |name: &&str| match name.parse() {
        Ok(address) => SanType::IpAddress(address),
        _ if name.contains(':') => SanType::URI((*name).try_into().expect("it is ASCII")),
        _ => SanType::DnsName((*name).try_into().expect("it is ASCII")),
    };
    params.subject_alt_names = names.iter().map(san).collect();
    params
}
