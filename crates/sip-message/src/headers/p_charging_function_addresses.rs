//! `P-Charging-Function-Addresses: ccf=192.1.1.1;ccf=192.1.1.2;ecf=192.1.1.3`

params_field! {
    /// Where charging data goes (RFC 7315 §4.5).
    ///
    /// ```text
    /// P-Charging-Addr         =  "P-Charging-Function-Addresses" HCOLON charge-addr-params *(COMMA charge-addr-params)
    /// charge-addr-params      =  charge-addr-param *(SEMI charge-addr-param)
    /// ```
    PChargingFunctionAddresses, P_CHARGING_FUNCTION_ADDRESSES, List
}
