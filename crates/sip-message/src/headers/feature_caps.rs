//! `Feature-Caps: *;+g.3gpp.atcf="<tel:+1>"`

valued_field! {
    /// Capabilities of entities on the path (RFC 6809 §6.3).
    ///
    /// ```text
    /// Feature-Caps  =  "Feature-Caps" HCOLON fc-value *(COMMA fc-value)
    /// fc-value      =  "*" *(SEMI feature-cap)
    /// ```
    FeatureCaps, FEATURE_CAPS, List, star,
    /// Always `*`.
    target
}
