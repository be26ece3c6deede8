//! `Error-Info: <sip:not-in-service-recording@atlanta.com>`

address_field! {
    /// More about an error (RFC 3261 §20.18).
    ///
    /// ```text
    /// Error-Info  =  "Error-Info" HCOLON error-uri *(COMMA error-uri)
    /// error-uri   =  LAQUOT absoluteURI RAQUOT *( SEMI generic-param )
    /// ```
    ErrorInfo, ERROR_INFO, List
}
