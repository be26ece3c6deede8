//! `Recv-Info: P, R`

valued_field! {
    /// A package that may be received in INFO (RFC 6086 §9); an empty field says none.
    ///
    /// ```text
    /// Recv-Info          =  "Recv-Info" HCOLON [Info-package-list]
    /// Info-package-list  =  Info-package-type *( COMMA Info-package-type )
    /// ```
    RecvInfo, RECV_INFO, List, token,
    /// The name of the package.
    name
}
