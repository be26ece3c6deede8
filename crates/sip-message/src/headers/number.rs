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
