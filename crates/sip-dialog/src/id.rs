//! What a dialog is found by.

use std::fmt;

use sip_message::{ParseError, Request, Response, Tag, headers::CallId};

/// Call-ID, local tag and remote tag (RFC 3261 §12).
///
/// The Call-ID is compared byte for byte, tags as tokens. A tag of the peer may be missing when it speaks RFC 2543
/// (§12.1.1, §12.1.2).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DialogId {
    call_id: CallId,
    local_tag: Tag,
    remote_tag: Option<Tag>,
}

impl DialogId {
    /// An id from its parts.
    pub const fn new(call_id: CallId, local_tag: Tag, remote_tag: Option<Tag>) -> Self {
        Self {
            call_id,
            local_tag,
            remote_tag,
        }
    }

    /// The id that a request from the peer names: the To tag is ours (RFC 3261 §12.2.2).
    ///
    /// # Errors
    ///
    /// When From, To or Call-ID cannot be read, or To has no tag.
    pub fn of_received_request(request: &Request) -> Result<Self, ParseError> {
        let local_tag = request.to()?.tag();
        Ok(Self {
            call_id: request.call_id()?,
            local_tag: local_tag.ok_or_else(|| ParseError::malformed(0))?,
            remote_tag: request.from()?.tag(),
        })
    }

    /// The id that a response to a request of ours names: the From tag is ours.
    ///
    /// # Errors
    ///
    /// When From, To or Call-ID cannot be read, or From has no tag.
    pub fn of_received_response(response: &Response) -> Result<Self, ParseError> {
        let local_tag = response.from()?.tag();
        Ok(Self {
            call_id: response.call_id()?,
            local_tag: local_tag.ok_or_else(|| ParseError::malformed(0))?,
            remote_tag: response.to()?.tag(),
        })
    }

    /// The Call-ID.
    pub const fn call_id(&self) -> &CallId {
        &self.call_id
    }

    /// Our tag.
    pub const fn local_tag(&self) -> &Tag {
        &self.local_tag
    }

    /// The peer's tag, if it has one.
    pub const fn remote_tag(&self) -> Option<&Tag> {
        self.remote_tag.as_ref()
    }
}

impl fmt::Debug for DialogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remote = self.remote_tag.as_ref().map_or("", Tag::as_str);
        write!(f, "{};{};{}", self.call_id, self.local_tag, remote)
    }
}
