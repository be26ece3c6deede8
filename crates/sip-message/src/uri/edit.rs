//! URIs from other URIs.

use super::{Scheme, Uri, escape_user, same_name};
use crate::{Host, scan};

impl Uri {
    /// The URI with a parameter set, in its place if it is there already; characters that may not stand in it are escaped.
    ///
    /// `value` is a `&str` or `None`.
    #[must_use]
    pub fn with_param<'a>(&self, name: &str, value: impl Into<Option<&'a str>>) -> Self {
        let mut uri = self.clone();
        uri.set_param(name, value);
        uri
    }

    /// Sets a parameter, in its place if it is there already.
    pub fn set_param<'a>(&mut self, name: &str, value: impl Into<Option<&'a str>>) {
        let value = value.into();
        let mut new = vec![b';'];
        scan::escape(name.as_bytes(), scan::URI_PARAM, &mut new);
        if let Some(value) = value {
            new.push(b'=');
            scan::escape(value.as_bytes(), scan::URI_PARAM, &mut new);
        }
        self.replace_param(name, Some(&new));
    }

    /// Removes a parameter.
    pub fn remove_param(&mut self, name: &str) {
        if self.has_param(name) {
            self.replace_param(name, None);
        }
    }

    fn replace_param(&mut self, name: &str, new: Option<&[u8]>) {
        if name.is_empty() || self.parts.scheme == Scheme::Other {
            return;
        }
        let mut text = self.span(self.parts.start, self.parts.params).to_vec();
        let mut pending = new;
        for (key, value) in self.params() {
            if same_name(key, name) {
                text.extend_from_slice(pending.take().unwrap_or_default());
                continue;
            }
            text.push(b';');
            text.extend_from_slice(key.as_bytes());
            if let Some(value) = value {
                text.push(b'=');
                text.extend_from_slice(value.as_bytes());
            }
        }
        text.extend_from_slice(pending.unwrap_or_default());
        text.extend_from_slice(self.span(self.parts.headers, self.parts.end));
        *self = Self::composed(text);
    }

    /// The URI without its parameters and headers.
    #[must_use]
    pub fn without_params(&self) -> Self {
        Self::composed(self.span(self.parts.start, self.parts.params).to_vec())
    }

    /// The URI without its headers, which a Request-URI or Contact must not carry into a request (RFC 3261 §19.1.1).
    #[must_use]
    pub fn without_headers(&self) -> Self {
        Self::composed(self.span(self.parts.start, self.parts.headers).to_vec())
    }

    /// The `sip` or `sips` URI with one of these two schemes, and all else as it is (RFC 5630 §5).
    #[must_use]
    pub fn with_scheme(&self, scheme: Scheme) -> Self {
        let name = match scheme {
            Scheme::Sip => "sip",
            Scheme::Sips => "sips",
            _ => return self.clone(),
        };
        if !self.is_sip() {
            return self.clone();
        }
        let mut text = name.as_bytes().to_vec();
        text.extend_from_slice(self.span(self.parts.colon, self.parts.end));
        Self::composed(text)
    }

    /// The `sip` or `sips` URI with another port.
    #[must_use]
    pub fn with_port(&self, port: Option<u16>) -> Self {
        if !self.is_sip() {
            return self.clone();
        }
        let mut text = self.span(self.parts.start, self.parts.host_end).to_vec();
        if let Some(port) = port {
            text.extend_from_slice(format!(":{port}").as_bytes());
        }
        text.extend_from_slice(self.span(self.parts.params, self.parts.end));
        Self::composed(text)
    }

    /// The `sip` or `sips` URI with another host and port.
    #[must_use]
    pub fn with_host(&self, host: &Host, port: Option<u16>) -> Self {
        if !self.is_sip() {
            return self.clone();
        }
        let mut text = self.span(self.parts.start, self.parts.host).to_vec();
        text.extend_from_slice(host.to_string().as_bytes());
        if let Some(port) = port {
            text.extend_from_slice(format!(":{port}").as_bytes());
        }
        text.extend_from_slice(self.span(self.parts.params, self.parts.end));
        Self::composed(text)
    }

    /// The `sip` or `sips` URI with another user part, which is escaped; `None` or an empty one removes it, and the password.
    #[must_use]
    pub fn with_user(&self, user: Option<&str>) -> Self {
        if !self.is_sip() {
            return self.clone();
        }
        let mut text = self.span(self.parts.start, self.parts.colon + 1).to_vec();
        if let Some(user) = user.filter(|user| !user.is_empty()) {
            escape_user(user, &mut text);
            text.push(b'@');
        }
        text.extend_from_slice(self.span(self.parts.host, self.parts.end));
        Self::composed(text)
    }

    /// The `sip` URI of a `tel` URI at a gateway (RFC 3261 §19.1.6): the number and its parameters as user part, and
    /// `user=phone`. `None` for other schemes.
    pub fn to_sip(&self, gateway: &Host) -> Option<Self> {
        if self.parts.scheme != Scheme::Tel {
            return None;
        }
        let mut text = b"sip:".to_vec();
        for &b in self.span(self.parts.colon + 1, self.parts.end) {
            // `#` and brackets of parameters are no user characters of the grammar.
            if b == b'%' {
                text.push(b)
            } else {
                scan::escape(&[b], scan::USER, &mut text)
            }
        }
        text.extend_from_slice(format!("@{gateway};user=phone").as_bytes());
        Some(Self::composed(text))
    }

    /// The `tel` URI of a `sip` URI with `user=phone` (RFC 3261 §19.1.6), if its user part is a number.
    pub fn to_tel(&self) -> Option<Self> {
        let is_phone = self
            .param("user")
            .flatten()
            .is_some_and(|user| user.eq_ignore_ascii_case("phone"));
        if !self.is_sip() || !is_phone {
            return None;
        }
        let user = self.user_raw()?;
        // What a parameter of `tel` needs escaped stays escaped; `#` and the separators do not need it.
        let user = user
            .replace("%23", "#")
            .replace("%3B", ";")
            .replace("%3b", ";");
        Self::parse(format!("tel:{user}")).ok()
    }
}
