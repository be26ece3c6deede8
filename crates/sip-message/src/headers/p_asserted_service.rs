//! `P-Asserted-Service: urn:urn-7:3gpp-service.ims.icsi.mmtel`

text_field! {
    /// The service that a trusted network says is meant (RFC 6050 §4.1).
    ///
    /// ```text
    /// PAssertedService  =  "P-Asserted-Service" HCOLON PAssertedService-value
    /// ```
    PAssertedService, P_ASSERTED_SERVICE
}
