//! Messages of user agents, as text and as values.

use super::World;
use sip_auth::{Client, Credentials};
use sip_message::{
    Request, Response, StatusCode, Tag, Uri,
    headers::{Contact, RecordRoute, To},
};
use std::time::Duration;

/// A request that is being written.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) via: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) call_id: String,
    pub(crate) cseq: u32,
    pub(crate) max_forwards: String,
    pub(crate) lines: Vec<String>,
}

impl Draft {
    pub(crate) fn to(mut self, uri: &str) -> Self {
        self.to = format!("<{uri}>");
        self
    }

    pub(crate) fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    pub(crate) fn max_forwards(mut self, hops: &str) -> Self {
        self.max_forwards = hops.to_owned();
        self
    }

    /// Over a stream.
    pub(crate) fn over_tcp(mut self) -> Self {
        self.via = self.via.replace("/UDP", "/TCP");
        self
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "{} {} SIP/2.0\r\nVia: {}\r\n",
            self.method, self.uri, self.via
        );
        let (first, last): (Vec<&String>, Vec<&String>) = self
            .lines
            .iter()
            .partition(|line| line.starts_with("Via") || line.starts_with("Route"));
        for line in first {
            text.push_str(&format!("{line}\r\n"));
        }
        text.push_str(&format!(
            "Max-Forwards: {}\r\nFrom: {}\r\nTo: {}\r\n",
            self.max_forwards, self.from, self.to
        ));
        text.push_str(&format!(
            "Call-ID: {}\r\nCSeq: {} {}\r\n",
            self.call_id, self.cseq, self.method
        ));
        for line in last {
            text.push_str(&format!("{line}\r\n"));
        }
        text.push_str("Content-Length: 0\r\n\r\n");
        text
    }
}

/// A response of `name` to a request that it got.
pub(crate) fn response(request: &Request, code: u16, name: &str) -> Response {
    let status = StatusCode::try_from(code).unwrap();
    let mut builder = request.response(status);
    if code > 100 && request.to().unwrap().tag().is_none() {
        builder = builder.to_tag(Tag::new(name).unwrap());
    }
    builder.build()
}

/// As [`response`], with a Contact.
pub(crate) fn response_from(request: &Request, code: u16, name: &str, contact: &str) -> Response {
    let mut response = response(request, code, name);
    response
        .headers_mut()
        .push::<Contact>(format!("<{contact}>").parse().unwrap());
    response
}

/// The request that an INVITE's 2xx lets its sender make: route set reversed, to the remote target.
pub(crate) fn inside(draft: &Draft, method: &str, answer: &Response, cseq: u32) -> Draft {
    let target = answer
        .headers()
        .require::<Contact>()
        .unwrap()
        .uri()
        .to_string();
    let mut routes: Vec<String> = answer
        .headers()
        .all::<RecordRoute>()
        .map(|route| format!("Route: {}", route.unwrap()))
        .collect();
    routes.reverse();
    Draft {
        method: method.to_owned(),
        uri: target,
        via: format!("{}{method}{cseq}", draft.via),
        to: answer.headers().require::<To>().unwrap().to_string(),
        cseq,
        lines: routes,
        ..draft.clone()
    }
}

/// The request that the callee makes inside the dialog: route set as it came, to the caller's Contact.
pub(crate) fn from_callee(world: &mut World, name: &str, method: &str, invite: &Request) -> Draft {
    let mut draft = world.message(
        name,
        method,
        invite
            .headers()
            .require::<Contact>()
            .unwrap()
            .uri()
            .as_str(),
    );
    draft.from = format!("{};tag={name}", invite.to().unwrap());
    draft.to = invite.from().unwrap().to_string();
    draft.call_id = invite.call_id().unwrap().as_str().to_owned();
    for route in invite.headers().all::<RecordRoute>() {
        draft.lines.push(format!("Route: {}", route.unwrap()));
    }
    draft
}

/// Credentials whose password is the name.
pub(crate) fn client(name: &str) -> Client {
    let mut client = Client::new([6; 32]);
    client.add(Credentials::password(name, name));
    client
}

/// Answers a challenge.
pub(crate) fn with_credentials(
    client: &mut Client,
    draft: &Draft,
    challenge: &Response,
) -> bytes::Bytes {
    let mut next = draft.clone();
    next.cseq += 1;
    next.via.push_str("auth");
    let mut request = Request::parse(next.text().into()).unwrap();
    client.respond(&mut request, challenge).unwrap();
    request.to_bytes()
}

pub(crate) fn uri(text: &str) -> Uri {
    Uri::parse(text).unwrap()
}

pub(crate) fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

pub(crate) fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}
