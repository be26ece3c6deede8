//! The proxies between two ends of a dialog.

use sip_message::{
    ParseError, Request, Response, Uri,
    headers::{RecordRoute, Route},
};

/// The servers that requests of a dialog must pass, in order (RFC 3261 §12).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteSet(Vec<Uri>);

impl RouteSet {
    /// The Record-Route of a request, in order: the route set of a UAS (RFC 3261 §12.1.1).
    ///
    /// # Errors
    ///
    /// When a Record-Route cannot be read.
    pub fn of_request(request: &Request) -> Result<Self, ParseError> {
        let routes = request.headers().all::<RecordRoute>();
        routes
            .map(|route| route.map(|route| route.uri().clone()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The Record-Route of a response in reverse order: the route set of a UAC (RFC 3261 §12.1.2).
    ///
    /// # Errors
    ///
    /// When a Record-Route cannot be read.
    pub fn of_response(response: &Response) -> Result<Self, ParseError> {
        let routes = response.headers().all::<RecordRoute>();
        let mut uris = routes
            .map(|route| route.map(|route| route.uri().clone()))
            .collect::<Result<Vec<_>, _>>()?;
        uris.reverse();
        Ok(Self(uris))
    }

    /// A route set that is known from elsewhere: a saved dialog, or the outbound proxies of an account
    /// (RFC 3261 §8.1.1.1).
    pub fn new(uris: impl IntoIterator<Item = Uri>) -> Self {
        Self(uris.into_iter().collect())
    }

    /// The Request-URI and the Route values of a request to `target` (RFC 3261 §12.2.1.1).
    ///
    /// When the first server is a strict router (no `lr`), its URI becomes the Request-URI and the target goes to the
    /// end of the Route.
    ///
    /// ```
    /// # use sip_dialog::RouteSet;
    /// # use sip_message::Uri;
    /// let strict = RouteSet::new([Uri::parse("sip:proxy1")?, Uri::parse("sip:proxy2;lr")?]);
    /// let (uri, route) = strict.apply(&Uri::parse("sip:user@remoteua")?);
    /// assert_eq!(uri.as_str(), "sip:proxy1");
    /// assert_eq!(route.iter().map(Uri::as_str).collect::<Vec<_>>(), ["sip:proxy2;lr", "sip:user@remoteua"]);
    /// # Ok::<(), sip_message::ParseError>(())
    /// ```
    pub fn apply(&self, target: &Uri) -> (Uri, Vec<Uri>) {
        match self.0.split_first() {
            None => (target.clone(), Vec::new()),
            Some((first, _)) if first.lr() => (target.clone(), self.0.clone()),
            Some((first, rest)) => {
                let mut request_uri = first.without_headers();
                // RFC 3261 §19.1.1, table 1: `method` has no place in a Request-URI.
                request_uri.remove_param("method");
                let mut route = rest.to_vec();
                route.push(target.clone());
                (request_uri, route)
            }
        }
    }

    /// Writes Request-URI and Route of a request to `target`, replacing what Route it had.
    pub fn write(&self, request: &mut Request, target: &Uri) {
        let (uri, route) = self.apply(target);
        request.set_uri(uri);
        request.headers_mut().remove::<Route>();
        for uri in route.into_iter().rev() {
            request.headers_mut().push_front(Route::new(uri));
        }
    }

    /// The servers, nearest first.
    pub fn uris(&self) -> &[Uri] {
        &self.0
    }

    /// Whether requests go straight to the remote target.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
