//! One transport for several m= lines (RFC 9143).

use crate::{BundleOnly, Group, Media, Mid, SessionDescription};
use std::borrow::Cow;

/// The m= lines that share a transport, the one first whose address counts; empty if there is no bundle.
pub(crate) fn agreed(offer: &SessionDescription, answer: &SessionDescription) -> Vec<usize> {
    let offered = lines(offer);
    lines(answer)
        .into_iter()
        .filter(|index| {
            let accepted = |description: &SessionDescription| {
                let media = description.media().get(*index);
                media.is_some_and(|media| !media.is_rejected())
            };
            offered.contains(index) && accepted(offer) && accepted(answer)
        })
        .collect()
}

/// The lines of the first BUNDLE group, in its order.
pub(crate) fn lines(description: &SessionDescription) -> Vec<usize> {
    let group = description
        .all::<Group>()
        .flatten()
        .find(|group| group.semantics == Group::BUNDLE);
    let mids: Vec<Option<String>> = description.media().iter().map(mid).collect();
    let mut lines: Vec<usize> = Vec::new();
    for name in group.into_iter().flat_map(|group| group.mids) {
        let line = mids.iter().position(|mid| mid.as_ref() == Some(&name));
        // A group has few members, as many as there are m= lines.
        lines.extend(line.filter(|line| !lines.contains(line)));
    }
    lines
}

/// Whether a line is there within a bundle or not at all (RFC 9143 §6); its port is 0 then.
pub(crate) fn is_bundle_only(media: &Media) -> bool {
    media.is_rejected() && matches!(media.get::<BundleOnly>(), Some(Ok(_)))
}

/// An offer in which lines that are there only within its bundle have the transport that they share (RFC 9143 §7.3.2), and
/// the line whose transport that is.
pub(crate) fn shared(offer: &SessionDescription) -> (Cow<'_, SessionDescription>, Option<usize>) {
    let lines = lines(offer);
    let Some((&first, others)) = lines.split_first() else {
        return (Cow::Borrowed(offer), None);
    };
    let mut shared = Cow::Borrowed(offer);
    let Some(tagged) = offer
        .media()
        .get(first)
        .filter(|media| !media.is_rejected())
    else {
        return (shared, Some(first));
    };
    for &index in others {
        if !offer.media().get(index).is_some_and(is_bundle_only) {
            continue;
        }
        let Some(media) = shared.to_mut().media_mut(index) else {
            continue;
        };
        media.set_port(tagged.port());
        if let Some(connection) = tagged.connection() {
            media.set_connection(&connection);
        }
        let lacks = TRANSPORT.map(|name| media.attribute(name).is_none().then_some(name));
        for attribute in tagged.attributes() {
            // Octets that are no text are nothing of a transport.
            if lacks.contains(&Some(attribute.name())) {
                media
                    .push_raw_attribute(attribute.name(), attribute.value())
                    .ok();
            }
        }
    }
    (shared, Some(first))
}

/// What belongs to the transport, and stands at the first line alone (RFC 8859 §5).
const TRANSPORT: [&str; 9] = [
    "fingerprint",
    "setup",
    "tls-id",
    "ice-ufrag",
    "ice-pwd",
    "ice-options",
    "candidate",
    "rtcp",
    "rtcp-mux",
];

pub(crate) fn mid(media: &Media) -> Option<String> {
    match media.get::<Mid>() {
        Some(Ok(Mid(name))) => Some(name),
        _ => None,
    }
}

/// Lines `bundled` become one group, at the address of the first.
pub(crate) fn join(description: &mut SessionDescription, bundled: &[usize], share: bool) {
    let mids: Vec<String> = bundled
        .iter()
        .filter_map(|index| mid(description.media().get(*index)?))
        .collect();
    let Some((first, others)) = bundled.split_first().filter(|_| !mids.is_empty()) else {
        return;
    };
    let group = Group {
        semantics: Group::BUNDLE.to_owned(),
        mids,
    };
    description
        .push_attribute(&group)
        .expect("mids are words, as they were read or made");
    let tagged = description
        .media()
        .get(*first)
        .map(|media| (media.port(), media.connection()));
    let Some((port, connection)) = tagged.filter(|_| share) else {
        return;
    };
    for index in others {
        if let Some(media) = description.media_mut(*index) {
            media.set_port(port);
            media.retain_lines(|line| line.letter() != Some('c'));
            if let Some(connection) = &connection {
                media.set_connection(connection);
            }
        }
    }
}
