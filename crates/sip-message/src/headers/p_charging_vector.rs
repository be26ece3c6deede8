//! `P-Charging-Vector: icid-value=1234bc9876e;icid-generated-at=192.0.6.8;orig-ioi=home1.net`

params_field! {
    /// What ties charging records together (RFC 7315 §4.6).
    ///
    /// ```text
    /// P-Charging-Vector  =  "P-Charging-Vector" HCOLON icid-value *(SEMI charge-params)
    /// icid-value         =  "icid-value" EQUAL gen-value
    /// ```
    PChargingVector, P_CHARGING_VECTOR, Single
}

impl PChargingVector {
    /// The charging identifier.
    pub fn icid(&self) -> Option<std::borrow::Cow<'_, str>> {
        self.param("icid-value").flatten()
    }
}
