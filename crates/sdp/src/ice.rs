//! What connectivity checks need (RFC 8839).

use crate::{
    Candidate, EndOfCandidates, IceLite, IceMismatch, IceOptions, IcePwd, IceUfrag, IllegalText,
    Media, SessionDescription, srtp::all,
};

/// What one side says about connectivity checks for one m= line (RFC 8839).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ice {
    /// The fragment of a user name
    pub ufrag: IceUfrag,
    /// The password
    pub pwd: IcePwd,
    /// Where it may be reached
    pub candidates: Vec<Candidate>,
    /// Extensions that it knows
    pub options: Option<IceOptions>,
    /// Whether it only answers checks
    pub is_lite: bool,
    /// Whether no more candidates will come
    pub is_complete: bool,
}

impl Ice {
    /// A user name's fragment, a password, and no candidates yet.
    pub fn new(ufrag: &str, pwd: &str) -> Self {
        Self {
            ufrag: IceUfrag(ufrag.to_owned()),
            pwd: IcePwd(pwd.to_owned()),
            candidates: Vec::new(),
            options: None,
            is_lite: false,
            is_complete: false,
        }
    }

    /// What `description` says for `media`; `None` if it does not speak of connectivity checks.
    pub fn of(description: &SessionDescription, media: &Media) -> Option<Self> {
        let session = Some(description);
        if !all::<IceMismatch>(None, media).is_empty() {
            return None;
        }
        Some(Self {
            ufrag: all(session, media).into_iter().next()?,
            pwd: all(session, media).into_iter().next()?,
            candidates: all(None, media),
            options: all(session, media).into_iter().next(),
            is_lite: !all::<IceLite>(session, media).is_empty(),
            is_complete: !all::<EndOfCandidates>(session, media).is_empty(),
        })
    }

    /// Whether the default destination is one of the candidates, or one that trickles in (RFC 8839 §4.2.5).
    pub(crate) fn has_default(&self, description: &SessionDescription, media: &Media) -> bool {
        let Some(connection) = description.connection_of(media) else {
            return false;
        };
        let is_default = |candidate: &Candidate| {
            candidate.port == media.port() && candidate.ip() == connection.ip()
        };
        // RFC 8840 §4.1.1: port 9 at an address of zeros stands for no candidate yet; names are looked up later.
        self.candidates.is_empty()
            || connection.is_unspecified()
            || media.port() == 9
            || connection.ip().is_none()
            || self.candidates.iter().any(is_default)
    }

    /// All but a=ice-lite, which belongs to the session.
    pub(crate) fn write(&self, media: &mut Media) -> Result<(), IllegalText> {
        media.push_attribute(&self.ufrag)?;
        media.push_attribute(&self.pwd)?;
        if let Some(options) = &self.options {
            media.push_attribute(options)?;
        }
        for candidate in &self.candidates {
            media.push_attribute(candidate)?;
        }
        if self.is_complete {
            media.push_attribute(&EndOfCandidates)?;
        }
        Ok(())
    }
}
