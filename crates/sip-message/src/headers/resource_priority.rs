//! `Resource-Priority: wps.3, dsn.flash`

token_list_field! {
    /// The precedence that the request claims (RFC 4412 §3.1).
    ///
    /// ```text
    /// Resource-Priority  =  "Resource-Priority" HCOLON r-value *(COMMA r-value)
    /// r-value            =  namespace "." r-priority
    /// ```
    ResourcePriority, RESOURCE_PRIORITY
}

impl ResourcePriority {
    /// Namespace and priority of each value: `("wps", "3")`.
    pub fn values(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter_map(|value| value.split_once('.'))
    }
}
