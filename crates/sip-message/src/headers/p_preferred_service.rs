//! `P-Preferred-Service: urn:urn-7:3gpp-service.ims.icsi.mmtel`

text_field! {
    /// The service that the user agent wants asserted (RFC 6050 §4.2).
    ///
    /// ```text
    /// PPreferredService  =  "P-Preferred-Service" HCOLON PPreferredService-value
    /// ```
    PPreferredService, P_PREFERRED_SERVICE
}
