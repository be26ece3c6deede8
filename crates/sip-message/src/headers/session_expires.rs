//! `Session-Expires: 1800;refresher=uac`

numbered_field! {
    /// How long a session lasts without a refresh (RFC 4028 §4).
    ///
    /// ```text
    /// Session-Expires  =  ("Session-Expires" / "x") HCOLON delta-seconds *(SEMI se-params)
    /// se-params        =  refresher-param / generic-param
    /// ```
    SessionExpires, SESSION_EXPIRES,
    /// The interval in seconds.
    seconds
}

/// Who refreshes a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refresher {
    /// The user agent client of the request that this is about.
    Uac,
    /// The user agent server.
    Uas,
}

impl SessionExpires {
    /// The field with a refresher.
    #[must_use]
    pub fn with_refresher(self, refresher: Refresher) -> Self {
        self.with_param("refresher", match refresher {
            Refresher::Uac => "uac",
            Refresher::Uas => "uas",
        })
    }

    /// Who refreshes, if it says.
    pub fn refresher(&self) -> Option<Refresher> {
        let refresher = self.param("refresher")??;
        if refresher.eq_ignore_ascii_case("uac") {
            Some(Refresher::Uac)
        } else if refresher.eq_ignore_ascii_case("uas") {
            Some(Refresher::Uas)
        } else {
            None
        }
    }

    /// The interval.
    pub fn duration(&self) -> std::time::Duration {
        std::time::Duration::from_secs(u64::from(self.seconds()))
    }
}
