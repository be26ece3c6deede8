//! Edits for those in the middle: other addresses, fewer codecs, fewer media, and every other line as it came.

use crate::{
    Candidate, Codec, CodecPattern, Connection, Group, Line, Media, Mid, Origin, RemoteCandidates,
    Rtcp, RtcpMux, SessionDescription, TypedAttribute, bundle, line::Edit, negotiated::encodings,
};
use std::net::{IpAddr, SocketAddr};

/// # Edits for the middle
///
/// Lines that an edit does not name stay byte for byte as they came.
impl SessionDescription {
    /// Sends media `index` to another place: c= (its own, made if it had none), the port of m=, a=rtcp, candidates.
    ///
    /// `rtcp` is where RTCP goes if that is not the port after RTP's. Of candidates, one `host` candidate for each
    /// component that had any is left. Returns whether there is such a medium that is not turned down.
    ///
    /// ```
    /// # use sdp::SessionDescription;
    /// let mut offer = SessionDescription::parse("v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\n")?;
    /// offer.anchor(0, "203.0.113.7:30000".parse().expect("an address"), None);
    /// assert!(offer.to_string().ends_with("m=audio 30000 RTP/AVP 0\r\nc=IN IP4 203.0.113.7\r\n"));
    /// # Ok::<(), sdp::SdpError>(())
    /// ```
    pub fn anchor(&mut self, index: usize, rtp: SocketAddr, rtcp: Option<SocketAddr>) -> bool {
        let found = self.media_mut(index).filter(|media| !media.is_rejected());
        let Some(media) = found else {
            return false;
        };
        let muxed = media.get::<RtcpMux>().is_some();
        let rtcp = rtcp.or_else(|| {
            let port = if muxed {
                Some(rtp.port())
            } else {
                rtp.port().checked_add(1)
            };
            port.map(|port| SocketAddr::new(rtp.ip(), port))
        });
        media.set_port(rtp.port());
        media.set_connection(&Connection::new(rtp.ip()));
        let usual = rtcp.is_none_or(|rtcp| {
            rtcp.ip() == rtp.ip() && (muxed || Some(rtcp.port()) == rtp.port().checked_add(1))
        });
        let said = rtcp.map(|rtcp| Rtcp::new(rtcp.port()).at(Connection::new(rtcp.ip())));
        let mut connections = 0;
        let mut has_rtcp = false;
        let mut components = Vec::new();
        let edited = media.lines_mut().rewrite(|line| {
            if line.letter() == Some('c') {
                connections += 1;
                return if connections > 1 {
                    Edit::Remove
                } else {
                    Edit::Keep
                };
            }
            match name(line) {
                Rtcp::NAME => {
                    has_rtcp = true;
                    said.as_ref().map_or(Edit::Remove, attribute)
                }
                RemoteCandidates::NAME => Edit::Remove,
                Candidate::NAME => match typed::<Candidate>(line) {
                    Some(candidate) if !components.contains(&candidate.component) => {
                        components.push(candidate.component);
                        let to = if candidate.component == 2 {
                            rtcp
                        } else {
                            Some(rtp)
                        };
                        to.map_or(Edit::Remove, |to| {
                            attribute(&host_candidate(&candidate, to))
                        })
                    }
                    _ => Edit::Remove,
                },
                _ => Edit::Keep,
            }
        });
        edited.expect("addresses and what was read can be written");
        if let Some(said) = said.filter(|_| !usual && !has_rtcp) {
            media
                .push_attribute(&said)
                .expect("an address has no control characters");
        }
        true
    }

    /// Replaces addresses wherever `replacement` knows another: c=, a=rtcp, candidates with what they are related to,
    /// and o= if `origin` says so. Names and ports stay.
    pub fn replace_addresses(
        &mut self,
        origin: bool,
        replacement: impl Fn(IpAddr) -> Option<IpAddr>,
    ) {
        let host = |host: &str| {
            let other = host.parse().ok().and_then(&replacement)?;
            Some(other.to_string())
        };
        let edit = |line: Line<'_>| match (line.letter(), name(line)) {
            (Some('c'), _) => line
                .as_str()
                .and_then(|text| text.parse::<Connection>().ok()?.ip())
                .and_then(&replacement)
                .map_or(Edit::Keep, |ip| {
                    Edit::Replace(Connection::new(ip).to_string())
                }),
            (Some('o'), _) if origin => line
                .as_str()
                .and_then(|text| text.parse::<Origin>().ok())
                .and_then(|origin| {
                    let ip = origin.address().parse().ok().and_then(&replacement)?;
                    Some(Edit::Replace(origin.at(ip).to_string()))
                })
                .unwrap_or(Edit::Keep),
            (_, Rtcp::NAME) => typed::<Rtcp>(line)
                .and_then(|rtcp| {
                    let ip = replacement(rtcp.connection()?.ip()?)?;
                    Some(attribute(&rtcp.at(Connection::new(ip))))
                })
                .unwrap_or(Edit::Keep),
            (_, Candidate::NAME) => typed::<Candidate>(line)
                .and_then(|mut candidate| {
                    let own = host(&candidate.host);
                    let related = candidate.related.as_mut();
                    let far = related.and_then(|(address, _)| {
                        *address = host(address)?;
                        Some(())
                    });
                    if own.is_none() && far.is_none() {
                        return None;
                    }
                    candidate.host = own.unwrap_or(candidate.host);
                    Some(attribute(&candidate))
                })
                .unwrap_or(Edit::Keep),
            (_, RemoteCandidates::NAME) => typed::<RemoteCandidates>(line)
                .and_then(|RemoteCandidates(mut all)| {
                    let mut changed = false;
                    for (_, address, _) in &mut all {
                        if let Some(other) = host(address) {
                            *address = other;
                            changed = true;
                        }
                    }
                    changed.then(|| attribute(&RemoteCandidates(all)))
                })
                .unwrap_or(Edit::Keep),
            _ => Edit::Keep,
        };
        let (head, media) = self.head_and_media();
        let all = media.iter_mut().map(Media::lines_mut);
        for lines in std::iter::once(head).chain(all) {
            lines
                .rewrite(edit)
                .expect("addresses and what was read can be written");
        }
    }

    /// Turns media `index` down (RFC 3264 §6): port 0, in its place, without what followed but its a=mid, and out of
    /// every group (RFC 9143 §7.5.3). This is how media are removed from an offer or an answer.
    pub fn turn_down(&mut self, index: usize) {
        let Some(media) = self.media_mut(index) else {
            return;
        };
        media.set_port(0);
        media.retain_lines(|line| name(line) == Mid::NAME);
        let mid = bundle::mid(media);
        self.leave_groups(mid);
    }

    /// Takes out media `index` altogether. Within a session only what never was offered before may go like this
    /// (RFC 3264 §8.2).
    pub fn remove_media(&mut self, index: usize) -> Option<Media> {
        let (_, media) = self.head_and_media();
        if index >= media.len() {
            return None;
        }
        let removed = media.remove(index);
        self.leave_groups(bundle::mid(&removed));
        Some(removed)
    }

    fn leave_groups(&mut self, mid: Option<String>) {
        let Some(mid) = mid else {
            return;
        };
        let (head, _) = self.head_and_media();
        let edited = head.rewrite(|line| match typed::<Group>(line) {
            Some(mut group) if name(line) == Group::NAME && group.mids.contains(&mid) => {
                group.mids.retain(|other| *other != mid);
                if group.mids.is_empty() {
                    Edit::Remove
                } else {
                    attribute(&group)
                }
            }
            _ => Edit::Keep,
        });
        edited.expect("what was read can be written");
    }
}

/// # Edits for the middle
impl Media {
    /// Takes out the codecs for which `keep` says no, with their rtpmap, fmtp and rtcp-fb lines and the formats that
    /// repair them (`apt=`). Formats without a known meaning stay.
    ///
    /// Returns whether that was done: it is not if nothing but telephone events and comfort noise would be left.
    pub fn retain_codecs(&mut self, keep: impl Fn(&Codec) -> bool) -> bool {
        let known = encodings(self);
        let mut gone: Vec<u8> = Vec::new();
        for (number, codec) in &known {
            if !keep(codec) {
                gone.push(*number);
            }
        }
        if gone.is_empty() {
            return true;
        }
        let repairs = |codec: &Codec| {
            let fmtp = codec.fmtp().unwrap_or_default();
            let repaired = crate::attribute::parameter(fmtp, "apt")?.parse().ok()?;
            gone.contains(&repaired).then_some(())
        };
        let orphans: Vec<u8> = known
            .iter()
            .filter(|(_, codec)| repairs(codec).is_some())
            .map(|(number, _)| *number)
            .collect();
        gone.extend(orphans);
        let is_gone = |format: &str| format.parse().is_ok_and(|number| gone.contains(&number));
        let left: Vec<String> = self
            .formats()
            .filter(|format| !is_gone(format))
            .map(str::to_owned)
            .collect();
        let carries_media = |format: &String| {
            let codec = known
                .iter()
                .find(|(number, _)| format.parse() == Ok(*number));
            codec.is_none_or(|(_, codec)| {
                !codec.is_telephone_event() && !codec.name().eq_ignore_ascii_case("CN")
            })
        };
        if !left.iter().any(carries_media) {
            return false;
        }
        self.set_formats(left.iter().map(String::as_str))
            .expect("they were read from a line");
        self.retain_lines(|line| {
            let of_format = matches!(name(line), "rtpmap" | "fmtp" | "rtcp-fb");
            let attribute = line.attribute();
            let value = attribute.as_ref().and_then(|attribute| attribute.value());
            let format = value.and_then(|value| value.split_ascii_whitespace().next());
            !of_format || !format.is_some_and(is_gone)
        });
        true
    }

    /// Puts the codecs that the patterns mean in front, in the order of the patterns; only the m= line changes.
    pub fn prefer_codecs<'p>(&mut self, patterns: impl IntoIterator<Item = &'p str>) {
        let patterns = CodecPattern::all(patterns);
        let known = encodings(self);
        let mut formats: Vec<String> = self.formats().map(str::to_owned).collect();
        let before = formats.clone();
        formats.sort_by_key(|format| {
            let codec = known
                .iter()
                .find(|(number, _)| format.parse() == Ok(*number));
            codec.map_or(patterns.len(), |(_, codec)| {
                CodecPattern::rank(&patterns, codec)
            })
        });
        if formats != before {
            self.set_formats(formats.iter().map(String::as_str))
                .expect("they were read from a line");
        }
    }
}

fn host_candidate(candidate: &Candidate, to: SocketAddr) -> Candidate {
    Candidate {
        host: to.ip().to_string(),
        port: to.port(),
        kind: "host".to_owned(),
        related: None,
        ..candidate.clone()
    }
}

fn name<'a>(line: Line<'a>) -> &'a str {
    line.attribute().map_or("", |attribute| attribute.name())
}

fn typed<A: TypedAttribute>(line: Line<'_>) -> Option<A> {
    let attribute = line.attribute()?;
    A::parse(attribute.value()?.trim()).ok()
}

fn attribute<A: TypedAttribute>(attribute: &A) -> Edit {
    Edit::Replace(format!("{}:{}", A::NAME, attribute.value()))
}
