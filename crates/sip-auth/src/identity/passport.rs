//! What is signed.

use super::{Party, decode, encode};
use serde_json::{Map, Value};

/// How well a provider knows the caller (RFC 8588 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attestation {
    /// The provider knows the caller and the caller's right to the number
    Full,
    /// The provider knows the caller
    Partial,
    /// The provider knows where the call came in
    Gateway,
}

impl Attestation {
    const ALL: [Self; 3] = [Self::Full, Self::Partial, Self::Gateway];

    /// The value of the claim `attest`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "A",
            Self::Partial => "B",
            Self::Gateway => "C",
        }
    }
}

/// The fingerprint of a media key (claim `mky`, RFC 8225 §5.2.2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaKey {
    /// The hash: `sha-256`
    pub algorithm: String,
    /// The fingerprint in hexadecimal digits without colons
    pub digest: String,
}

/// Who calls whom, and when (RFC 8225).
///
/// ```
/// use sip_auth::identity::{Party, Passport};
///
/// let passport = Passport::new(
///     "https://cert.example.org/passport.cer",
///     1_471_375_418,
///     Party::Number("12155551212".into()),
///     [Party::Uri("sip:alice@example.com".into())],
/// );
/// assert_eq!(
///     passport.payload(),
///     r#"{"dest":{"uri":["sip:alice@example.com"]},"iat":1471375418,"orig":{"tn":"12155551212"}}"#,
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passport {
    /// Where the certificate is (`x5u`)
    pub certificate: String,
    /// When it was signed, in seconds since 1970 (`iat`)
    pub issued_at: u64,
    /// Who calls (`orig`)
    pub origin: Party,
    /// Who is called (`dest`)
    pub destinations: Vec<Party>,
    /// The keys that the media will have (`mky`)
    pub media_keys: Vec<MediaKey>,
    /// The attestation and the identifier of the call's origin of SHAKEN (`attest`, `origid`)
    pub shaken: Option<(Attestation, String)>,
}

impl Passport {
    /// A passport without extensions.
    pub fn new(
        certificate: impl Into<String>,
        issued_at: u64,
        origin: Party,
        destinations: impl IntoIterator<Item = Party>,
    ) -> Self {
        Self {
            certificate: certificate.into(),
            issued_at,
            origin,
            destinations: destinations.into_iter().collect(),
            media_keys: Vec::new(),
            shaken: None,
        }
    }

    /// The extension that it is of: `shaken`, or none.
    pub const fn extension(&self) -> Option<&'static str> {
        match self.shaken {
            Some(_) => Some("shaken"),
            None => None,
        }
    }

    /// The header in its one form: keys in order and no white space (RFC 8225 §9).
    pub fn header(&self) -> String {
        let extension = match self.extension() {
            Some(extension) => format!(r#""ppt":"{extension}","#),
            None => String::new(),
        };
        let certificate = json(&self.certificate);
        format!(r#"{{"alg":"ES256",{extension}"typ":"passport","x5u":{certificate}}}"#)
    }

    /// The claims in their one form.
    pub fn payload(&self) -> String {
        let mut claims = Vec::with_capacity(6);
        if let Some((attestation, _)) = &self.shaken {
            claims.push(format!(r#""attest":"{}""#, attestation.as_str()));
        }
        claims.push(format!(r#""dest":{}"#, self.destination_claim()));
        claims.push(format!(r#""iat":{}"#, self.issued_at));
        if !self.media_keys.is_empty() {
            let mut keys: Vec<_> = self.media_keys.iter().collect();
            keys.sort();
            let keys: Vec<_> = keys
                .iter()
                .map(|key| {
                    format!(
                        r#"{{"alg":{},"dig":{}}}"#,
                        json(&key.algorithm),
                        json(&key.digest)
                    )
                })
                .collect();
            claims.push(format!(r#""mky":[{}]"#, keys.join(",")));
        }
        claims.push(match &self.origin {
            Party::Number(number) => format!(r#""orig":{{"tn":{}}}"#, json(number)),
            Party::Uri(uri) => format!(r#""orig":{{"uri":{}}}"#, json(uri)),
        });
        if let Some((_, origin)) = &self.shaken {
            claims.push(format!(r#""origid":{}"#, json(origin)));
        }
        format!("{{{}}}", claims.join(","))
    }

    /// What is signed.
    pub fn signing_input(&self) -> String {
        let (header, payload) = (self.header(), self.payload());
        format!(
            "{}.{}",
            encode(header.as_bytes()),
            encode(payload.as_bytes())
        )
    }

    /// Reads header and claims of the full form, without a look at the signature.
    ///
    /// `None` if they are not of a passport, of an extension other than `shaken`, or signed otherwise than by ES256.
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let header = object(parts.next()?)?;
        let payload = object(parts.next()?)?;
        if header.get("alg")? != "ES256" || header.get("typ")? != "passport" {
            return None;
        }
        let destinations = payload.get("dest")?.as_object()?;
        let mut parties = Vec::new();
        for (key, make) in KINDS {
            for value in destinations.get(key).map_or(&[][..], values) {
                parties.push(make(value.as_str()?.to_owned()));
            }
        }
        let origin = payload.get("orig")?.as_object()?;
        let (key, make) = KINDS
            .into_iter()
            .find(|(key, _)| origin.contains_key(*key))?;
        // RFC 8225 §5.2.1: one, not an array; some write one.
        let [origin] = values(origin.get(key)?) else {
            return None;
        };
        let shaken = match header.get("ppt").map(Value::as_str) {
            None => None,
            Some(Some("shaken")) => {
                let attestation = payload.get("attest")?.as_str()?;
                let attestation = Attestation::ALL
                    .into_iter()
                    .find(|known| known.as_str() == attestation)?;
                Some((attestation, payload.get("origid")?.as_str()?.to_owned()))
            }
            Some(_) => return None,
        };
        let media_keys = payload.get("mky").map_or(&[][..], values);
        let media_keys: Option<Vec<_>> = media_keys
            .iter()
            .map(|key| {
                Some(MediaKey {
                    algorithm: key.get("alg")?.as_str()?.to_owned(),
                    digest: key.get("dig")?.as_str()?.to_owned(),
                })
            })
            .collect();
        Some(Self {
            certificate: header.get("x5u")?.as_str()?.to_owned(),
            issued_at: payload.get("iat")?.as_u64()?,
            origin: make(origin.as_str()?.to_owned()),
            destinations: parties,
            media_keys: media_keys?,
            shaken,
        })
    }
}

type Make = fn(String) -> Party;

const KINDS: [(&str, Make); 2] = [("tn", Party::Number), ("uri", Party::Uri)];

impl Passport {
    fn destination_claim(&self) -> String {
        let list = |kind: fn(&Party) -> Option<&str>| {
            let values: Vec<_> = self
                .destinations
                .iter()
                .filter_map(kind)
                .map(json)
                .collect();
            values.join(",")
        };
        let numbers = list(|party| match party {
            Party::Number(number) => Some(number),
            Party::Uri(_) => None,
        });
        let uris = list(|party| match party {
            Party::Uri(uri) => Some(uri),
            Party::Number(_) => None,
        });
        let mut kinds = Vec::with_capacity(2);
        if !numbers.is_empty() {
            kinds.push(format!(r#""tn":[{numbers}]"#));
        }
        if !uris.is_empty() {
            kinds.push(format!(r#""uri":[{uris}]"#));
        }
        format!("{{{}}}", kinds.join(","))
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    match serde_json::from_slice(&decode(part)?).ok()? {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

/// The values of an array, or the one that stands alone.
fn values(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) => values,
        value => std::slice::from_ref(value),
    }
}

fn json(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Passport {
        Passport::new(
            "https://cert.example.org/passport.cer",
            1_471_375_418,
            Party::Number("12155551212".into()),
            [Party::Uri("sip:alice@example.com".into())],
        )
    }

    /// RFC 8225 appendix A.
    #[test]
    fn the_example_of_the_rfc_is_written_as_there() {
        assert_eq!(
            example().signing_input(),
            "eyJhbGciOiJFUzI1NiIsInR5cCI6InBhc3Nwb3J0IiwieDV1IjoiaHR0cHM6Ly9jZXJ0LmV4YW1wbGUub3JnL3Bhc3Nwb3J0LmNlciJ9\
             .eyJkZXN0Ijp7InVyaSI6WyJzaXA6YWxpY2VAZXhhbXBsZS5jb20iXX0sImlhdCI6MTQ3MTM3NTQxOCwib3JpZyI6eyJ0biI6IjEyMTU1NTUxMjEyIn19"
        );
    }

    /// RFC 8588 §9 has claims in this order.
    #[test]
    fn whatever_is_written_is_read() {
        let mut passport = example();
        passport
            .destinations
            .insert(0, Party::Number("1213555*#".into()));
        passport.shaken = Some((
            Attestation::Partial,
            "123e4567-e89b-12d3-a456-426655440000".into(),
        ));
        passport.media_keys = vec![MediaKey {
            algorithm: "sha-256".into(),
            digest: "02\"1A".into(),
        }];
        assert_eq!(
            passport.payload(),
            r#"{"attest":"B","dest":{"tn":["1213555*#"],"uri":["sip:alice@example.com"]},"iat":1471375418,"mky":[{"alg":"sha-256","dig":"02\"1A"}],"orig":{"tn":"12155551212"},"origid":"123e4567-e89b-12d3-a456-426655440000"}"#
        );
        assert_eq!(Passport::read(&passport.signing_input()), Some(passport));
    }

    #[test]
    fn what_is_no_passport_is_not_read() {
        let text = |header: &str, payload: &str| {
            format!(
                "{}.{}",
                encode(header.as_bytes()),
                encode(payload.as_bytes())
            )
        };
        let (header, payload) = (example().header(), example().payload());
        assert!(Passport::read(&text(&header, &payload)).is_some());
        for (from, to) in [
            ("ES256", "none"),
            ("ES256", "HS256"),
            ("passport", "JWT"),
            ("\"alg\"", "\"ppt\":\"rph\",\"alg\""),
            ("\"alg\"", "\"ppt\":\"shaken\",\"alg\""),
            ("\"alg\"", "\"ppt\":1,\"alg\""),
            ("https://", "\\"),
        ] {
            assert_eq!(
                Passport::read(&text(&header.replace(from, to), &payload)),
                None,
                "{to}"
            );
        }
        for (from, to) in [
            ("1471375418", "-1"),
            ("1471375418", "\"1\""),
            ("\"tn\"", "\"x\""),
            ("\"12155551212\"", "[]"),
            ("dest", "tsed"),
            ("{", "["),
        ] {
            assert_eq!(
                Passport::read(&text(&header, &payload.replace(from, to))),
                None,
                "{to}"
            );
        }
        let deep = "[".repeat(100_000);
        for bad in ["", ".", "..", "a.b", "é.é", &text(&deep, &deep)] {
            assert_eq!(Passport::read(bad), None);
        }
    }
}
