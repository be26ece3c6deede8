//! What may be set about WebSocket, and whom a server lets in.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use super::Upgrade;

/// Settings of WebSocket connections (RFC 7118), accepted and opened ones.
///
/// ```
/// # use sip_transport::{Refusal, TransportConfig, WebSocketConfig};
/// let config = TransportConfig::default().web_socket(
///     WebSocketConfig::default()
///         .paths(["/sip"])
///         .origins(["https://phone.example.com"])
///         .admit(|upgrade| match upgrade.header("cookie") {
///             Some(_) => Ok(()),
///             None => Err(Refusal::Forbidden),
///         }),
/// );
/// ```
#[derive(Clone)]
pub struct WebSocketConfig {
    pub(super) head_size: usize,
    pub(super) fragments: usize,
    pub(super) paths: Vec<String>,
    pub(super) hosts: Vec<String>,
    pub(super) origins: Vec<String>,
    pub(super) admit: Option<Arc<Admit>>,
    pub(super) trusted_proxies: Vec<IpAddr>,
    pub(super) request_path: String,
    pub(super) request_headers: Option<Arc<RequestHeaders>>,
    pub(super) ping_interval: Option<Duration>,
}

/// Who decides about one client.
type Admit = dyn Fn(&Upgrade) -> Result<(), Refusal> + Send + Sync;

/// What else a request of ours to a host says: names and values of header fields.
type RequestHeaders = dyn Fn(&str) -> Vec<(String, String)> + Send + Sync;

impl WebSocketConfig {
    /// Sets how long the HTTP request or response before the first frame may be, in bytes.
    ///
    /// Defaults to 8,192: browsers send a few hundred, with large cookies a few thousand. A longer request gets 400.
    pub const fn head_size(mut self, bytes: usize) -> Self {
        self.head_size = bytes;
        self
    }

    /// Sets into how many frames a message may be cut.
    ///
    /// Defaults to 64, because only the largest messages are cut at all. With more the connection is closed (1008). How
    /// long a message may be altogether is [`TransportConfig::message_size`](crate::TransportConfig::message_size); a
    /// longer one closes with 1009.
    pub const fn fragments(mut self, frames: usize) -> Self {
        self.fragments = frames;
        self
    }

    /// Sets the paths that clients may ask for, such as `/sip`, each without its query.
    ///
    /// Defaults to none, which means every path. Another one gets 404.
    pub fn paths<T: Into<String>>(mut self, paths: impl IntoIterator<Item = T>) -> Self {
        self.paths = paths.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the hosts that clients may ask for, each as they write it: with its port, if that is not 80 or 443.
    ///
    /// Defaults to none, which means every host. Another one gets 404.
    pub fn hosts<T: Into<String>>(mut self, hosts: impl IntoIterator<Item = T>) -> Self {
        self.hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the origins of the pages whose scripts may connect, such as `https://phone.example.com`.
    ///
    /// Defaults to none, which means every origin. Another one gets 403. A client that names no origin is no browser
    /// (RFC 6455 §10.2): whoever has to be kept out, too, is a matter for [`admit`](Self::admit).
    pub fn origins<T: Into<String>>(mut self, origins: impl IntoIterator<Item = T>) -> Self {
        self.origins = origins.into_iter().map(Into::into).collect();
        self
    }

    /// Sets who decides about a client whose path, host and origin are in order, by whatever its request says.
    ///
    /// Defaults to nobody: every such client is let in. It is asked while bytes are handled, so it must not wait.
    pub fn admit(
        mut self,
        admit: impl Fn(&Upgrade) -> Result<(), Refusal> + Send + Sync + 'static,
    ) -> Self {
        self.admit = Some(Arc::new(admit));
        self
    }

    /// Sets the addresses of HTTP proxies whose `X-Forwarded-For` is believed.
    ///
    /// Defaults to none, because anybody can write that field. From such a proxy the client's address is the last one in
    /// the field that is not a trusted proxy's itself, and stands in the flow instead of the proxy's.
    pub fn trusted_proxies(mut self, proxies: impl IntoIterator<Item = IpAddr>) -> Self {
        self.trusted_proxies = proxies.into_iter().collect();
        self
    }

    /// Sets how long a peer may be silent before it is sent a ping (RFC 7118 §6); one that does not answer within 10 s
    /// is gone ([`CloseReason::Silent`](crate::CloseReason::Silent)).
    ///
    /// Defaults to 45 s, because scripts in browsers cannot send pings, and HTTP proxies close what is silent for a
    /// minute. `None` sends none; pings of peers are answered either way.
    pub const fn ping_interval(mut self, interval: Option<Duration>) -> Self {
        self.ping_interval = interval;
        self
    }

    /// Sets the path that we ask for where we are the client.
    ///
    /// Defaults to `/`. Characters that cannot stand in a request line are left out.
    pub fn request_path(mut self, path: &str) -> Self {
        let path: String = path.chars().filter(char::is_ascii_graphic).collect();
        self.request_path = if path.starts_with('/') {
            path
        } else {
            format!("/{path}")
        };
        self
    }

    /// Sets what else is written into the HTTP request where we are the client: names and values of header fields such as
    /// `Authorization`, `Cookie` and `Origin` (RFC 7118 §7), by the host that is asked, with its port if that is not 80
    /// or 443.
    ///
    /// Defaults to nothing. It is asked for each connection, so what it gives may change, and must not wait. Fields that
    /// cannot be written, and those that the handshake itself is made of, are left out. A server that wants other
    /// credentials refuses with 401 ([`HandshakeFailure::Upgrade`](crate::HandshakeFailure::Upgrade)).
    ///
    /// ```
    /// # use sip_transport::WebSocketConfig;
    /// let token = "Bearer mF_9.B5f-4.1JqM";
    /// let config = WebSocketConfig::default().request_headers(move |host| match host {
    ///     "sip.example.com" => vec![("Authorization".to_owned(), token.to_owned())],
    ///     _ => Vec::new(),
    /// });
    /// ```
    pub fn request_headers(
        mut self,
        headers: impl Fn(&str) -> Vec<(String, String)> + Send + Sync + 'static,
    ) -> Self {
        self.request_headers = Some(Arc::new(headers));
        self
    }
}

impl Default for WebSocketConfig {
    fn default() -> Self {
        Self {
            head_size: 8_192,
            fragments: 64,
            paths: Vec::new(),
            hosts: Vec::new(),
            origins: Vec::new(),
            admit: None,
            trusted_proxies: Vec::new(),
            request_path: "/".to_owned(),
            request_headers: None,
            ping_interval: Some(Duration::from_secs(45)),
        }
    }
}

impl fmt::Debug for WebSocketConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketConfig")
            .field("head_size", &self.head_size)
            .field("fragments", &self.fragments)
            .field("paths", &self.paths)
            .field("hosts", &self.hosts)
            .field("origins", &self.origins)
            .field("admit", &self.admit.is_some())
            .field("trusted_proxies", &self.trusted_proxies)
            .field("request_path", &self.request_path)
            .field("request_headers", &self.request_headers.is_some())
            .field("ping_interval", &self.ping_interval)
            .finish()
    }
}

impl crate::TransportConfig {
    /// Sets what holds for WebSocket connections (RFC 7118).
    ///
    /// Defaults to [`WebSocketConfig::default`]: whoever asks for SIP is let in.
    pub fn web_socket(mut self, config: WebSocketConfig) -> Self {
        self.web_socket = Arc::new(config);
        self
    }
}

/// How a client is turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// 400: the request makes no sense
    BadRequest,
    /// 401, with this challenge in WWW-Authenticate (RFC 7118 §7), such as `Basic realm="sip"`
    Unauthorized(String),
    /// 403: not from there
    Forbidden,
    /// 404: not here
    NotFound,
}
