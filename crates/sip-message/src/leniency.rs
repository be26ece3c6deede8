//! What was tolerated in a message.

use crate::{
    HeaderField, Message, ParseError, ParseErrorKind,
    headers::{Contact, ContentLength, Expires, From, MaxForwards, To, Via},
    scan,
};

/// Something that a grammar does not allow, or no longer, and that is read all the same, because it is seen and does no harm.
///
/// [`Message::leniencies`] names what a message needed, to be counted; with [`Limits::strict`](crate::Limits::strict) each is
/// an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Leniency {
    /// A line that ends in LF alone.
    BareLineFeed,
    /// A status line without the space before its empty reason phrase.
    NoReasonSpace,
    /// A request without Max-Forwards (RFC 2543).
    NoMaxForwards,
    /// A Max-Forwards above 255, or an Expires or a Contact's `expires` that does not fit 32 bits.
    LargeNumber,
    /// A body without Content-Length, which a datagram or a WebSocket frame may end.
    NoContentLength,
    /// A From without a tag (RFC 2543).
    NoFromTag,
    /// A topmost Via without a branch, or without the magic cookie in it (RFC 2543).
    NoBranch,
    /// A display name of From, To or Contact with characters that must be quoted.
    UnquotedName,
    /// IPv6 brackets around the address in `received` (RFC 5118 §4.5).
    BracketedReceived,
}

impl Leniency {
    /// A name for counters: `bare-line-feed`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BareLineFeed => "bare-line-feed",
            Self::NoReasonSpace => "no-reason-space",
            Self::NoMaxForwards => "no-max-forwards",
            Self::LargeNumber => "large-number",
            Self::NoContentLength => "no-content-length",
            Self::NoFromTag => "no-from-tag",
            Self::NoBranch => "no-branch",
            Self::UnquotedName => "unquoted-name",
            Self::BracketedReceived => "bracketed-received",
        }
    }

    /// The part of the message that it is about.
    const fn part(self) -> &'static str {
        match self {
            Self::BareLineFeed => "line end",
            Self::NoReasonSpace => "start line",
            Self::NoMaxForwards => "Max-Forwards",
            Self::LargeNumber => "number",
            Self::NoContentLength => "Content-Length",
            Self::NoFromTag => "From",
            Self::NoBranch | Self::BracketedReceived => "Via",
            Self::UnquotedName => "display name",
        }
    }
}

/// Everything that was tolerated, each once.
pub(crate) fn of(message: &Message) -> impl Iterator<Item = Leniency> {
    let all = [
        Leniency::BareLineFeed,
        Leniency::NoReasonSpace,
        Leniency::NoMaxForwards,
        Leniency::LargeNumber,
        Leniency::NoContentLength,
        Leniency::NoFromTag,
        Leniency::NoBranch,
        Leniency::UnquotedName,
        Leniency::BracketedReceived,
    ];
    all.into_iter()
        .filter(|leniency| is_needed(message, *leniency))
}

/// The first thing that was tolerated, as an error.
pub(crate) fn refuse(message: &Message) -> Result<(), ParseError> {
    match of(message).next() {
        Some(leniency) => Err(ParseError::part(
            ParseErrorKind::NotStrict,
            leniency.part(),
            0,
        )),
        None => Ok(()),
    }
}

fn is_needed(message: &Message, leniency: Leniency) -> bool {
    let headers = message.headers();
    let wire = headers.wire();
    let head = &wire[..wire.len().saturating_sub(message.body().len())];
    match leniency {
        Leniency::BareLineFeed => {
            memchr::memchr_iter(b'\n', head).any(|at| at == 0 || head[at - 1] != b'\r')
        }
        Leniency::NoReasonSpace => {
            head.get(..4)
                .is_some_and(|sip| sip.eq_ignore_ascii_case(b"SIP/"))
                && !matches!(scan::byte(head, 11), b' ')
        }
        Leniency::NoMaxForwards => message.is_request() && !headers.contains::<MaxForwards>(),
        Leniency::LargeNumber => {
            let large = |raw: Option<crate::HeaderValue>, limit: u64| {
                raw.and_then(|raw| scan::decimal(raw.as_bytes()))
                    .is_some_and(|number| number.map_or(true, |n| n > limit))
            };
            large(headers.raw(&MaxForwards::NAME), 255)
                || large(headers.raw(&Expires::NAME), u64::from(u32::MAX))
                || headers.all::<Contact>().flatten().any(|contact| {
                    let expires = contact.param("expires").flatten();
                    let number = expires
                        .as_deref()
                        .and_then(|expires| scan::decimal(expires.as_bytes()));
                    number.is_some_and(|number| number.map_or(true, |n| n > u64::from(u32::MAX)))
                })
        }
        Leniency::NoContentLength => {
            !message.body().is_empty() && !headers.contains::<ContentLength>()
        }
        Leniency::NoFromTag => {
            matches!(headers.view::<From>(), Some(Ok(from)) if from.tag().is_none())
        }
        Leniency::NoBranch => {
            let rfc3261 = |via: &crate::headers::ViaView<'_>| {
                via.branch().is_some_and(|branch| {
                    branch
                        .get(..7)
                        .is_some_and(|c| c.eq_ignore_ascii_case("z9hG4bK"))
                })
            };
            matches!(headers.view::<Via>(), Some(Ok(via)) if !rfc3261(&via))
        }
        Leniency::UnquotedName => {
            headers
                .views::<From>()
                .flatten()
                .any(|address| address.has_odd_name())
                || headers
                    .views::<To>()
                    .flatten()
                    .any(|address| address.has_odd_name())
                || headers
                    .views::<Contact>()
                    .flatten()
                    .flatten()
                    .any(|address| address.has_odd_name())
        }
        Leniency::BracketedReceived => headers.views::<Via>().flatten().any(|via| {
            via.param("received")
                .flatten()
                .is_some_and(|received| received.starts_with('['))
        }),
    }
}
