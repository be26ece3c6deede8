//! What refusing a description costs: no more than reading one that is as full as the limits allow.

use allocation_counter::{AllocationInfo, measure};
use sdp::{Limits, SdpErrorKind, SessionDescription};

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";

/// What it costs to be refused for this reason, whatever the size.
fn refused(text: String, limits: &Limits, expected: &SdpErrorKind) -> AllocationInfo {
    let wire = bytes::Bytes::from(text);
    let mut kind = None;
    let cost = measure(|| {
        kind = SessionDescription::parse_with(wire, limits)
            .err()
            .map(|error| error.kind);
    });
    assert_eq!(kind.as_ref(), Some(expected));
    cost
}

#[test]
fn ten_thousand_lines_of_media_are_refused_cheaply() {
    let media = |count: usize| format!("{HEAD}{}", "m=audio 9 RTP/AVP 0\r\n".repeat(count));
    let cost = refused(
        media(10_000),
        &Limits::default(),
        &SdpErrorKind::TooLong(65_536),
    );
    assert_eq!(cost.count_total, 0, "{cost:?}");

    // Where a datagram would not end them, their number does: nothing is read behind the limit.
    let wide = Limits::default().size(1_000_000).lines(100_000);
    let full = bytes::Bytes::from(media(64));
    let accepted = measure(|| {
        SessionDescription::parse_with(full, &wide).ok();
    });
    for count in [65, 10_000] {
        let cost = refused(media(count), &wide, &SdpErrorKind::TooManyMedia(64));
        assert!(
            cost.bytes_total <= accepted.bytes_total
                && cost.count_total <= accepted.count_total
                && cost.bytes_current <= 0,
            "{count}: {cost:?}, but 64: {accepted:?}"
        );
    }
}

#[test]
fn as_many_lines_of_anything_are_refused_cheaply() {
    let wide = Limits::default().size(1_000_000);
    let costs = [5_000, 50_000].map(|count| {
        let text = format!("{HEAD}{}", "a=x\r\n".repeat(count));
        refused(text, &wide, &SdpErrorKind::TooManyLines(4_096)).bytes_total
    });
    assert_eq!(costs[0], costs[1]);
}
