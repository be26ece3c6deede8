//! One transport for several m= lines (RFC 9143).

use crate::{Group, Media, Mid, SessionDescription};

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
