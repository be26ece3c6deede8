//! What the bytes of a connection go through, by its protocol.

use super::Transport;
use crate::{
    event::{FlowError, Target},
    stream::{Stream, Top},
};
use sip_io::{Flow, Protocol};
use sip_message::Limits;

impl Transport {
    /// Whether a listener for `protocol` could do anything with what comes.
    pub(super) const fn accepts(&self, protocol: Protocol) -> bool {
        matches!(protocol, Protocol::Udp | Protocol::Tcp)
    }

    /// The layers of a connection that a peer has opened.
    pub(super) fn accepted_stream(&self, flow: &Flow) -> Option<Stream> {
        let top = self.top(flow.protocol())?;
        Some(Stream::new(top))
    }

    /// The layers of a connection that we open.
    pub(super) fn opened_stream(&self, target: &Target) -> Result<Stream, FlowError> {
        let top = self.top(target.protocol);
        let top = top.ok_or(FlowError::Unsupported(target.protocol))?;
        Ok(Stream::new(top))
    }

    fn top(&self, protocol: Protocol) -> Option<Top> {
        let limits = Limits::default()
            .message_size(self.config.message_size)
            .head_size(self.config.message_size);
        match protocol {
            Protocol::Tcp => Some(Top::framer(limits)),
            _ => None,
        }
    }
}
