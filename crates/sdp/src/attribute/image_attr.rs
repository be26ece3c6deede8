//! imageattr (RFC 6236 §3.1.1).
//!
//! ```text
//! image-attr = "imageattr:" PT 1*2( 1*WSP ( "send" / "recv" ) 1*WSP attr-list )
//! PT         = 1*DIGIT / "*"
//! attr-list  = ( set *(1*WSP set) ) / "*"
//! set        = "[" "x=" xyrange "," "y=" xyrange *( "," key-value ) "]"
//! ```

use super::TypedAttribute;
use crate::ValueError;

/// Which sizes of pictures the writer sends and receives (RFC 6236).
///
/// ```
/// # use sdp::{ImageAttr, TypedAttribute};
/// let sizes = ImageAttr::parse("97 send [x=800,y=640,sar=1.1,q=0.6] [x=[480:16:800],y=320] recv *")?;
/// assert_eq!(sizes.send.as_ref().expect("given")[1].value("x"), Some("[480:16:800]"));
/// assert_eq!(sizes.receive, Some(vec![]));
/// # Ok::<(), sdp::ValueError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageAttr {
    /// The format; `None` stands for all of them (`*`)
    pub payload_type: Option<u8>,
    /// What is sent; an empty list means whatever is asked for (`*`)
    pub send: Option<Vec<ImageSet>>,
    /// What is received; an empty list means anything (`*`)
    pub receive: Option<Vec<ImageSet>>,
}

/// One set of sizes: `x`, `y`, `sar`, `par`, `q`, … with their values, ranges in brackets included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSet(pub Vec<(String, String)>);

impl ImageSet {
    /// The value of `key`.
    pub fn value(&self, key: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(name, _)| name == key)?;
        Some(value)
    }
}

impl TypedAttribute for ImageAttr {
    const NAME: &'static str = "imageattr";

    fn parse(value: &str) -> Result<Self, ValueError> {
        parse(value).ok_or(ValueError(Self::NAME))
    }

    fn value(&self) -> String {
        let mut text = self
            .payload_type
            .map_or_else(|| "*".to_owned(), |number| number.to_string());
        for (direction, sets) in [("send", &self.send), ("recv", &self.receive)] {
            let Some(sets) = sets else { continue };
            text.push_str(&format!(" {direction}"));
            if sets.is_empty() {
                text.push_str(" *");
            }
            for ImageSet(pairs) in sets {
                let pairs: Vec<String> = pairs
                    .iter()
                    .map(|(key, value)| format!("{key}={value}"))
                    .collect();
                text.push_str(&format!(" [{}]", pairs.join(",")));
            }
        }
        text
    }
}

fn parse(value: &str) -> Option<ImageAttr> {
    let mut words = value.split_ascii_whitespace().peekable();
    let mut image = ImageAttr {
        payload_type: match words.next()? {
            "*" => None,
            number => Some(number.parse().ok().filter(|number| *number < 128)?),
        },
        send: None,
        receive: None,
    };
    while let Some(direction) = words.next() {
        let place = match direction {
            "send" => &mut image.send,
            "recv" => &mut image.receive,
            _ => return None,
        };
        let mut sets = Vec::new();
        if words.next_if(|word| *word == "*").is_none() {
            while let Some(word) = words.next_if(|word| word.starts_with('[')) {
                sets.push(set(word)?);
            }
            if sets.is_empty() {
                return None;
            }
        }
        if place.replace(sets).is_some() {
            return None;
        }
    }
    (image.send.is_some() || image.receive.is_some()).then_some(image)
}

/// Commas within brackets or braces belong to a value.
fn set(word: &str) -> Option<ImageSet> {
    let inner = word.strip_prefix('[')?.strip_suffix(']')?;
    let mut pairs = Vec::new();
    let mut depth = 0_usize;
    let split = |byte: char| {
        match byte {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        byte == ',' && depth == 0
    };
    for pair in inner.split(split) {
        let (key, value) = pair.split_once('=')?;
        if key.is_empty() || value.is_empty() {
            return None;
        }
        pairs.push((key.to_owned(), value.to_owned()));
    }
    Some(ImageSet(pairs))
}
