//! What families of header fields have in common.

/// A field whose value is an address: From, To, Route and their like.
macro_rules! address_field {
    ($(#[$doc:meta])* $type:ident, $name:ident, $shape:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $type($crate::NameAddr);

        impl $type {
            /// Around an address, or a bare URI, which gets angle brackets.
            pub fn new(address: impl Into<$crate::NameAddr>) -> Self {
                Self(address.into())
            }

            /// The address.
            pub const fn address(&self) -> &$crate::NameAddr {
                &self.0
            }

            /// The URI.
            pub const fn uri(&self) -> &$crate::Uri {
                self.0.uri()
            }

            /// The display name without quotes and escapes, if there is one.
            pub fn display_name(&self) -> Option<std::borrow::Cow<'_, str>> {
                self.0.display_name()
            }

            /// A parameter of the field, unquoted: `None` if it is absent, `Some(None)` if it has no value.
            pub fn param(&self, name: &str) -> Option<Option<std::borrow::Cow<'_, str>>> {
                self.0.param(name)
            }

            /// All parameters of the field in order, unquoted.
            pub fn params(&self) -> impl Iterator<Item = (&str, Option<std::borrow::Cow<'_, str>>)> {
                self.0.params()
            }

            /// The field with a parameter set; a value that is no token is quoted.
            #[must_use]
            pub fn with_param<'a>(self, name: &str, value: impl Into<Option<&'a str>>) -> Self {
                Self(self.0.with_param(name, value))
            }

            /// Sets a parameter.
            pub fn set_param<'a>(&mut self, name: &str, value: impl Into<Option<&'a str>>) {
                self.0.set_param(name, value);
            }

            /// Removes a parameter.
            pub fn remove_param(&mut self, name: &str) {
                self.0.remove_param(name);
            }

            /// The field with another URI.
            #[must_use]
            pub fn with_uri(&self, uri: &$crate::Uri) -> Self {
                Self(self.0.with_uri(uri))
            }

            /// The field with a display name.
            #[must_use]
            pub fn with_display_name(&self, name: &str) -> Self {
                Self(self.0.with_display_name(name))
            }
        }

        impl $crate::HeaderField for $type {
            const NAME: $crate::HeaderName = $crate::HeaderName::$name;
            const SHAPE: $crate::Shape = $crate::Shape::$shape;

            fn parse(value: &$crate::HeaderValue) -> Result<Self, $crate::ParseError> {
                $crate::NameAddr::from_value(value.clone()).map(Self)
            }

            fn take(value: $crate::HeaderValue) -> Result<Self, $crate::ParseError> {
                $crate::NameAddr::from_value(value).map(Self)
            }

            fn first_of(value: $crate::HeaderValue) -> Result<Self, $crate::ParseError> {
                match Self::SHAPE {
                    $crate::Shape::List => $crate::NameAddr::first_of(value).map(Self),
                    _ => Self::take(value),
                }
            }

            fn value(&self) -> $crate::HeaderValue {
                self.0.value()
            }

            fn into_value(self) -> $crate::HeaderValue {
                self.0.into_value()
            }
        }

        impl $crate::ViewField for $type {
            type View<'a> = $crate::NameAddrView<'a>;

            #[inline]
            fn view(text: &[u8]) -> Result<($crate::NameAddrView<'_>, usize), $crate::ParseError> {
                $crate::NameAddrView::read(text)
            }
        }

        impl std::convert::From<$crate::NameAddr> for $type {
            fn from(address: $crate::NameAddr) -> Self {
                Self(address)
            }
        }

        impl std::convert::From<$type> for $crate::NameAddr {
            fn from(field: $type) -> Self {
                field.0
            }
        }

        display_as_value!($type);
    };
}

/// `Display`, `Debug` and `FromStr` through the value.
macro_rules! display_as_value {
    ($type:ident) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&$crate::HeaderField::value(self), f)
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({})", stringify!($type), self)
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::ParseError;

            fn from_str(text: &str) -> Result<Self, $crate::ParseError> {
                let value = $crate::HeaderValue::new(text)?;
                <Self as $crate::HeaderField>::parse(&value)
                    .map_err(|error| error.within(&<Self as $crate::HeaderField>::NAME, 0))
            }
        }
    };
}

/// Tag access of From and To.
macro_rules! tagged {
    ($type:ident) => {
        impl $type {
            /// The tag (RFC 3261 §19.3), if there is one that is a token.
            pub fn tag(&self) -> Option<$crate::Tag> {
                self.0.tag_bytes().and_then($crate::Tag::from_bytes)
            }

            /// The field with a tag.
            #[must_use]
            pub fn with_tag(mut self, tag: &$crate::Tag) -> Self {
                self.set_tag(tag);
                self
            }

            /// Sets the tag.
            pub fn set_tag(&mut self, tag: &$crate::Tag) {
                self.0.set_param("tag", tag.as_str());
            }

            /// The field without a tag.
            #[must_use]
            pub fn without_tag(mut self) -> Self {
                self.0.remove_param("tag");
                self
            }
        }
    };
}

/// A field that is text for people.
macro_rules! text_field {
    ($(#[$doc:meta])* $type:ident, $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $type($crate::HeaderValue);

        impl $type {
            /// Text on one line.
            ///
            /// # Errors
            /// If it has a control character.
            pub fn new(text: impl AsRef<str>) -> Result<Self, $crate::ParseError> {
                $crate::HeaderValue::new(text.as_ref())
                    .map(Self)
                    .map_err(|error| error.within(&$crate::HeaderName::$name, 0))
            }

            /// The text; octets that are not UTF-8 are replaced, folds become spaces.
            pub fn text(&self) -> std::borrow::Cow<'_, str> {
                self.0.text()
            }

            /// The bytes as they stand in the message.
            pub fn as_bytes(&self) -> &[u8] {
                self.0.as_bytes()
            }
        }

        impl $crate::HeaderField for $type {
            const NAME: $crate::HeaderName = $crate::HeaderName::$name;

            fn parse(value: &$crate::HeaderValue) -> Result<Self, $crate::ParseError> {
                Ok(Self(value.clone()))
            }

            fn value(&self) -> $crate::HeaderValue {
                self.0.clone()
            }
        }

        display_as_value!($type);
    };
}

/// A field that is one token.
macro_rules! token_field {
    ($(#[$doc:meta])* $type:ident, $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub struct $type($crate::Token);

        impl $type {
            /// Checks the characters.
            ///
            /// # Errors
            /// If it is not a token.
            pub fn new(text: &str) -> Result<Self, $crate::ParseError> {
                $crate::Token::new(text).map(Self).map_err(|error| error.within(&$crate::HeaderName::$name, 0))
            }

            /// The text as written.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// The token, which compares without regard to case.
            pub const fn token(&self) -> &$crate::Token {
                &self.0
            }
        }

        impl $crate::HeaderField for $type {
            const NAME: $crate::HeaderName = $crate::HeaderName::$name;

            fn parse(value: &$crate::HeaderValue) -> Result<Self, $crate::ParseError> {
                $crate::Token::parse(value).map(Self)
            }

            fn value(&self) -> $crate::HeaderValue {
                $crate::HeaderValue::from(&self.0)
            }
        }

        impl std::convert::From<$crate::Token> for $type {
            fn from(token: $crate::Token) -> Self {
                Self(token)
            }
        }

        display_as_value!($type);
    };
}
