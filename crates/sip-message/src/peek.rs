//! Looking at a message without parsing it.

use crate::{HeaderName, Method, name, params, parse::leading_line_ends, scan};

/// What steers a message: enough to find its transaction, its dialog and its shard.
///
/// It borrows from the buffer that was peeked at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peek<'a> {
    /// Call-ID as written.
    pub call_id: &'a str,
    /// The branch of the topmost Via, if it has one.
    pub branch: Option<&'a str>,
    /// The number of CSeq.
    pub cseq: u32,
    /// The method of CSeq, which is the method of the request.
    pub method: Method,
    /// Whether it is a request.
    pub is_request: bool,
}

/// Reads Call-ID, the top Via's branch and CSeq in one pass.
///
/// `None` if one of Call-ID, CSeq and Via is missing, malformed, or (Call-ID and CSeq) there twice, or if a line is none.
///
/// ```
/// let peek = sip_message::peek(
///     b"SIP/2.0 200 OK\r\nv: SIP/2.0/UDP h;branch=z9hG4bK1\r\ni: 7@h\r\nCSeq: 1 INVITE\r\n\r\n",
/// ).unwrap();
/// assert_eq!(peek.call_id, "7@h");
/// assert_eq!(peek.branch, Some("z9hG4bK1"));
/// ```
pub fn peek(wire: &[u8]) -> Option<Peek<'_>> {
    let wire = &wire[leading_line_ends(wire)..];
    let mut at = memchr::memchr(b'\n', wire)? + 1;
    let is_request = !wire.get(..4)?.eq_ignore_ascii_case(b"SIP/");
    let mut call_id = None;
    let mut cseq = None;
    let mut via = None;
    loop {
        if matches!(scan::byte(wire, at), b'\r' | b'\n') {
            break;
        }
        let name_end = scan::run(wire, at, scan::TOKEN);
        let mut colon = name_end;
        while matches!(scan::byte(wire, colon), b' ' | b'\t') {
            colon += 1;
        }
        if name_end == at || scan::byte(wire, colon) != b':' {
            return None;
        }
        let mut next = colon;
        let end = loop {
            let end = next + memchr::memchr(b'\n', &wire[next..])?;
            next = end + 1;
            if !matches!(scan::byte(wire, next), b' ' | b'\t') {
                break end;
            }
        };
        let id = name::id_of(&wire[at..name_end]);
        at = next;
        let slot = match id {
            id if id == HeaderName::CALL_ID.id() => &mut call_id,
            id if id == HeaderName::CSEQ.id() => &mut cseq,
            id if id == HeaderName::VIA.id() => {
                via.get_or_insert_with(|| scan::trim(&wire[colon + 1..end]));
                continue;
            }
            _ => continue,
        };
        if slot.replace(scan::trim(&wire[colon + 1..end])).is_some() {
            return None;
        }
    }
    let cseq = cseq?;
    let digits = cseq.iter().take_while(|b| b.is_ascii_digit()).count();
    let number = u32::try_from(scan::decimal(&cseq[..digits])?.ok()?).ok()?;
    let method_at = scan::skip_lws(cseq, digits);
    if method_at == digits {
        return None;
    }
    let method = Method::from_bytes(&cseq[method_at..])?;
    let via = via?;
    let via = &via[..scan::list_item_end(via, 0)];
    let branch = match memchr::memchr(b';', via) {
        None => None,
        Some(start) => params::raw(via, (start, via.len()), "branch")
            .and_then(|branch| str::from_utf8(branch).ok()),
    };
    let call_id = str::from_utf8(call_id?)
        .ok()
        .filter(|call_id| !call_id.is_empty())?;
    Some(Peek {
        call_id,
        branch,
        cseq: number,
        method,
        is_request,
    })
}
