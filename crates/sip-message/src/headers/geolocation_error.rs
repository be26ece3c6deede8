//! `Geolocation-Error: 201;code="Permission To Use Location Information"`

numbered_field! {
    /// Why a location was of no use (RFC 6442 §4.3).
    ///
    /// ```text
    /// Geolocation-Error  =  "Geolocation-Error" HCOLON locationErrorCode *(SEMI locationErrorCode-param)
    /// locationErrorCode  =  1*3DIGIT
    /// ```
    GeolocationError, GEOLOCATION_ERROR,
    /// The code.
    code
}
