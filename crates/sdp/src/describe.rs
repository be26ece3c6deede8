//! Writing our m= lines.

use crate::{
    Capabilities, Codec, Connection, Fmtp, IllegalText, MaxPacketTime, Media, MediaCapabilities,
    Mid, PacketTime, Rtcp, RtcpMux, srtp::Protection,
};

/// What is written about one of our media, besides what it can do.
pub(crate) struct Line<'a> {
    pub(crate) protocol: &'a str,
    pub(crate) formats: &'a [(u8, Codec)],
    pub(crate) protection: &'a [Protection],
    pub(crate) mid: Option<&'a str>,
    pub(crate) rtcp_mux: bool,
    pub(crate) ice: bool,
    pub(crate) ice_mismatch: bool,
}

/// `None` if a key, a candidate or another value of the capability cannot be written.
pub(crate) fn describe(
    session: &Capabilities,
    capability: &MediaCapabilities,
    line: &Line<'_>,
) -> Option<Media> {
    write(session, capability, line).ok()
}

fn write(
    session: &Capabilities,
    capability: &MediaCapabilities,
    line: &Line<'_>,
) -> Result<Media, IllegalText> {
    let numbers: Vec<String> = line
        .formats
        .iter()
        .map(|(number, _)| number.to_string())
        .collect();
    let mut media = Media::new(
        &capability.kind,
        capability.port,
        line.protocol,
        numbers.iter().map(String::as_str),
    )?;
    if let Some(address) = capability.address.filter(|own| *own != session.address) {
        media.set_connection(&Connection::new(address));
    }
    for (number, codec) in line.formats {
        if let Some(map) = codec.rtp_map(*number) {
            media.push_attribute(&map)?;
        }
        if let Some(parameters) = codec.fmtp() {
            media.push_attribute(&Fmtp::new(&number.to_string(), parameters)?)?;
        }
    }
    if let Some(milliseconds) = capability.packet_time {
        media.push_attribute(&PacketTime(milliseconds))?;
    }
    if let Some(milliseconds) = capability.max_packet_time {
        media.push_attribute(&MaxPacketTime(milliseconds))?;
    }
    let usual = capability.port.checked_add(1);
    if let Some(port) = capability.rtcp_port.filter(|port| Some(*port) != usual) {
        media.push_attribute(&Rtcp::new(port))?;
    }
    if line.rtcp_mux {
        media.push_attribute(&RtcpMux)?;
    }
    if let Some(mid) = line.mid {
        media.push_attribute(&Mid(mid.to_owned()))?;
    }
    for protection in line.protection {
        protection.write(&mut media)?;
    }
    if let Some(ice) = capability.ice.as_ref().filter(|_| line.ice) {
        ice.write(&mut media)?;
    }
    if line.ice_mismatch {
        media.push_attribute(&crate::IceMismatch)?;
    }
    for (name, value) in &capability.raw_attributes {
        media.push_raw_attribute(name, value.as_deref())?;
    }
    media.set_direction(capability.direction);
    Ok(media)
}

/// RFC 3264 §6: a line that is turned down keeps its kind, protocol and formats, which no one reads.
pub(crate) fn turned_down(media: &Media) -> Media {
    let mut line = Media::new(media.kind(), 0, media.protocol(), media.formats())
        .expect("the words were read from a line");
    if let Some(mid) = crate::bundle::mid(media) {
        line.push_attribute(&Mid(mid)).expect("it was read so");
    }
    line
}
