//! `User-Agent: sipwright/1.0`

text_field! {
    /// The software that sends the request (RFC 3261 §20.41).
    ///
    /// ```text
    /// User-Agent  =  "User-Agent" HCOLON server-val *(LWS server-val)
    /// ```
    UserAgent, USER_AGENT
}
