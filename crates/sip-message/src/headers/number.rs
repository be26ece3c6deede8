//! Numbers as header fields carry them.

use crate::{ParseError, ParseErrorKind, scan};

/// A number that must fit.
pub(crate) fn exact(text: &[u8]) -> Result<u32, ParseError> {
    match scan::decimal(text) {
        Some(Ok(number)) => {
            u32::try_from(number).map_err(|_| ParseError::new(ParseErrorKind::OutOfRange, 0))
        }
        Some(Err(())) => Err(ParseError::new(ParseErrorKind::OutOfRange, 0)),
        None if text.is_empty() => Err(ParseError::new(ParseErrorKind::Empty, 0)),
        None => Err(ParseError::new(ParseErrorKind::Malformed, 0)),
    }
}

/// A number of which too much is as much as fits.
pub(crate) fn saturating(text: &[u8]) -> Result<u32, ParseError> {
    match exact(text) {
        Err(error) if error.kind() == ParseErrorKind::OutOfRange => Ok(u32::MAX),
        other => other,
    }
}

/// `qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )`, in thousandths.
pub(crate) fn qvalue(text: &[u8]) -> Option<u16> {
    let (whole, fraction) = match text.iter().position(|&b| b == b'.') {
        Some(dot) => (&text[..dot], &text[dot + 1..]),
        None => (text, &text[text.len()..]),
    };
    if fraction.len() > 3 || whole.len() > 1 || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut thousandths = 0;
    for place in 0..3 {
        thousandths = thousandths * 10
            + fraction
                .get(place)
                .map_or(0, |digit| u16::from(digit - b'0'));
    }
    match whole {
        b"0" | b"" if !text.is_empty() => Some(thousandths),
        b"1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

/// A field that is a number of seconds.
macro_rules! seconds_field {
    ($(#[$doc:meta])* $type:ident, $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(pub u32);

        impl $type {
            /// Whole seconds; more than fit are as many as fit.
            pub fn new(duration: std::time::Duration) -> Self {
                Self(u32::try_from(duration.as_secs()).unwrap_or(u32::MAX))
            }

            /// As a duration.
            pub const fn duration(self) -> std::time::Duration {
                std::time::Duration::from_secs(self.0 as u64)
            }

            /// The number of seconds.
            pub const fn seconds(self) -> u32 {
                self.0
            }
        }

        impl $crate::HeaderField for $type {
            const NAME: $crate::HeaderName = $crate::HeaderName::$name;

            /// A number that does not fit is as large as fits (RFC 4475 §3.1.2.4).
            fn parse(value: &$crate::HeaderValue) -> Result<Self, $crate::ParseError> {
                $crate::headers::number::saturating(value.as_bytes()).map(Self)
            }

            fn value(&self) -> $crate::HeaderValue {
                $crate::HeaderValue::from(self.0)
            }
        }

        display_as_value!($type);
    };
}

/// A field that is a number which must fit 32 bits.
macro_rules! number_field {
    ($(#[$doc:meta])* $type:ident, $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(pub u32);

        impl $crate::HeaderField for $type {
            const NAME: $crate::HeaderName = $crate::HeaderName::$name;

            fn parse(value: &$crate::HeaderValue) -> Result<Self, $crate::ParseError> {
                $crate::headers::number::exact(value.as_bytes()).map(Self)
            }

            fn value(&self) -> $crate::HeaderValue {
                $crate::HeaderValue::from(self.0)
            }
        }

        display_as_value!($type);
    };
}
