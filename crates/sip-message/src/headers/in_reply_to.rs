//! `In-Reply-To: 70710@saturn.bell-tel.com, 17320@saturn.bell-tel.com`

use crate::{HeaderField, HeaderName, HeaderValue, ParseError, Shape, headers::CallId};

/// A call that this one answers (RFC 3261 §20.21).
///
/// ```text
/// In-Reply-To  =  "In-Reply-To" HCOLON callid *(COMMA callid)
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct InReplyTo(pub CallId);

impl HeaderField for InReplyTo {
    const NAME: HeaderName = HeaderName::IN_REPLY_TO;
    const SHAPE: Shape = Shape::List;

    fn parse(value: &HeaderValue) -> Result<Self, ParseError> {
        CallId::parse(value).map(Self)
    }

    fn value(&self) -> HeaderValue {
        self.0.value()
    }
}

display_as_value!(InReplyTo);
