//! `Info-Package: conference`

valued_field! {
    /// What an INFO carries (RFC 6086 §9).
    ///
    /// ```text
    /// Info-Package  =  "Info-Package" HCOLON Info-package-type
    /// Info-package-type  =  Info-package-name *( SEMI Info-package-param )
    /// ```
    InfoPackage, INFO_PACKAGE, Single, token,
    /// The name of the package.
    name
}
