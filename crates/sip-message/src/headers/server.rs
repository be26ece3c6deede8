//! `Server: sipwright/1.0`

text_field! {
    /// The software that sends the response (RFC 3261 §20.35).
    ///
    /// ```text
    /// Server  =  "Server" HCOLON server-val *(LWS server-val)
    /// ```
    Server, SERVER
}
