//! The parameters of the Via by which neighbours speak about overload (RFC 7339 §4).

use super::{LONGEST_VALIDITY, TICKS};
use sip_message::{
    Headers, Request, Response,
    headers::{Via, ViaView},
};
use std::time::Duration;

/// What a response says about the load of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) percent: u8,
    pub(super) validity: Duration,
    pub(super) sequence: Option<u64>,
}

impl Word {
    pub(super) fn read(via: &ViaView<'_>) -> Option<Self> {
        let validity = match via.param("oc-validity") {
            Some(Some(text)) => Some(Duration::from_millis(digits(&text, 18)?)),
            _ => None,
        };
        let sequence = match via.param("oc-seq") {
            Some(text) => Some(read_sequence(&text?)?),
            None => None,
        };
        if validity == Some(Duration::ZERO) {
            // RFC 7339 §5.7: that ends it, whatever `oc` says.
            return Some(Self {
                percent: 0,
                validity: Duration::ZERO,
                sequence,
            });
        }
        // Without a value it is our own announcement, which the server did not understand (§6).
        let percent = digits(&via.param("oc")??, 3).filter(|percent| *percent <= 100)?;
        let algorithm = via.param("oc-algo")??;
        if !algorithm.trim().eq_ignore_ascii_case("loss") {
            return None;
        }
        let validity = validity.unwrap_or(Duration::from_millis(500));
        Some(Self {
            percent: percent as u8,
            validity: validity.min(LONGEST_VALIDITY),
            sequence,
        })
    }
}

/// A Via that says that we support overload control (RFC 7339 §4.1, §4.2).
pub(crate) fn announced(via: Via) -> Via {
    format!("{via};oc;oc-algo=\"loss\"").parse().unwrap_or(via)
}

/// RFC 7339 §4.2: what is not said is `loss`, which everybody supports.
fn offers_loss(via: &ViaView<'_>) -> bool {
    match via.param("oc-algo") {
        Some(Some(algorithms)) => algorithms
            .split(',')
            .any(|algorithm| algorithm.trim().eq_ignore_ascii_case("loss")),
        _ => true,
    }
}

/// RFC 7339 §5.6: what a client wrote for us is not for who comes after us.
pub(crate) fn strip_client(request: &mut Request) {
    let announced = match request.headers().view::<Via>() {
        Some(Ok(via)) => PARAMETERS.iter().any(|name| via.has_param(name)),
        _ => false,
    };
    if let Some(mut via) = announced.then(|| request.via().ok()).flatten() {
        for name in PARAMETERS {
            via.remove_param(name);
        }
        request.headers_mut().replace_front(via);
    }
}

/// Whether a message's top Via announces a client that can be told.
pub(super) fn announces(headers: &Headers) -> bool {
    match headers.view::<Via>() {
        Some(Ok(via)) => via.has_param("oc") && offers_loss(&via),
        _ => false,
    }
}

/// RFC 7339 §5.4: what a server wrote into the Vias of others is not for them. That they support it stays, because we
/// answer them.
pub(super) fn clean_lower_vias(response: &mut Response) {
    let said = response
        .headers()
        .views::<Via>()
        .skip(1)
        .any(|via| via.as_ref().is_ok_and(says_anything));
    if !said {
        return;
    }
    let Ok(vias) = response
        .headers()
        .all::<Via>()
        .collect::<Result<Vec<_>, _>>()
    else {
        return;
    };
    let headers = response.headers_mut();
    headers.remove::<Via>();
    for (place, mut via) in vias.into_iter().enumerate().rev() {
        if place > 0 {
            if via.has_param("oc") {
                via.set_param("oc", None);
            }
            via.remove_param("oc-validity");
            via.remove_param("oc-seq");
        }
        headers.push_front(via);
    }
}

fn says_anything(via: &ViaView<'_>) -> bool {
    via.param("oc").is_some_and(|value| value.is_some())
        || via.has_param("oc-validity")
        || via.has_param("oc-seq")
}

/// A number of so many digits at most.
fn digits(text: &str, most: usize) -> Option<u64> {
    let is_number = (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// `1*12DIGIT "." 1*5DIGIT` as a number of ticks; the fraction may be absent, because RFC 7339 §4.4 speaks of an integer.
fn read_sequence(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let missing = 5_u32.checked_sub(u32::try_from(fraction.len()).ok()?)?;
    Some(digits(whole, 12)? * TICKS + digits(fraction, 5)? * 10_u64.pow(missing))
}

pub(super) const PARAMETERS: [&str; 4] = ["oc", "oc-algo", "oc-validity", "oc-seq"];
