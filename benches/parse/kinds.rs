//! Fourteen kinds of messages, from an ACK of 400 bytes to the INVITE of a carrier with 3.5 KB.

use bytes::Bytes;
use sipwright_benches::{INVITE, OK, OPTIONS, REGISTER};

/// Where [`all`] holds the INVITE of [`INVITE`].
pub const PHONE_INVITE: usize = 2;

/// Where [`all`] holds the INVITE of the carrier.
pub const CARRIER_INVITE: usize = 13;

/// Every kind, in an order that lets no two alike follow each other.
pub fn all() -> Vec<Bytes> {
    let text = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    vec![
        in_dialog("ACK", "", ""),
        text(OK),
        text(INVITE),
        text(OPTIONS),
        in_dialog("BYE", "Reason: Q.850;cause=16;text=\"Terminated\"\r\n", ""),
        text(REGISTER),
        response("180 Ringing", "Require: 100rel\r\nRSeq: 813520\r\n"),
        in_dialog("PRACK", "RAck: 813520 1 INVITE\r\n", ""),
        response(
            "401 Unauthorized",
            "WWW-Authenticate: Digest realm=\"atlanta.example.com\", qop=\"auth\",\r\n nonce=\"84a4cc6f3082121f32b42a2187831a9e\", algorithm=SHA-256\r\n",
        ),
        in_dialog(
            "NOTIFY",
            "Event: dialog\r\nSubscription-State: active;expires=3599\r\nContent-Type: application/dialog-info+xml\r\n",
            "<?xml version=\"1.0\"?>\r\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"1\" state=\"partial\" entity=\"sip:alice@atlanta.example.com\"/>\r\n",
        ),
        in_dialog("CANCEL", "", ""),
        in_dialog(
            "MESSAGE",
            "Content-Type: text/plain;charset=UTF-8\r\n",
            "Watson, come here.",
        ),
        response(
            "200 OK",
            "Record-Route: <sip:p2.example.com;lr>\r\nRecord-Route: <sip:p1.example.com;lr;transport=tcp>\r\n\
             Allow: INVITE, ACK, CANCEL, OPTIONS, BYE\r\nSupported: replaces, timer\r\nSession-Expires: 1800;refresher=uas\r\n",
        ),
        carrier_invite(),
    ]
}

fn in_dialog(method: &str, more: &str, body: &str) -> Bytes {
    Bytes::from(format!(
        "{method} sip:bob@client.biloxi.example.com:5060;transport=udp SIP/2.0\r\n\
         Via: SIP/2.0/UDP client.atlanta.example.com:5060;branch=z9hG4bK74b76{method};rport\r\n\
         Max-Forwards: 70\r\n\
         Route: <sip:ss1.atlanta.example.com;lr>, <sip:ss2.biloxi.example.com;lr>\r\n\
         From: \"Alice\" <sip:alice@atlanta.example.com>;tag=9fxced76sl\r\n\
         To: Bob <sip:bob@biloxi.example.com>;tag=314159\r\n\
         Call-ID: 3848276298220188511@atlanta.example.com\r\n\
         CSeq: 2 {method}\r\n\
         {more}Content-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

fn response(status: &str, more: &str) -> Bytes {
    Bytes::from(format!(
        "SIP/2.0 {status}\r\n\
         Via: SIP/2.0/UDP client.atlanta.example.com:5060;branch=z9hG4bK74bf9;received=192.0.2.101;rport=5060\r\n\
         From: \"Alice\" <sip:alice@atlanta.example.com>;tag=9fxced76sl\r\n\
         To: Bob <sip:bob@biloxi.example.com>;tag=8321234356\r\n\
         Call-ID: 3848276298220188511@atlanta.example.com\r\n\
         CSeq: 1 INVITE\r\n\
         Contact: <sip:bob@client.biloxi.example.com;transport=udp>\r\n\
         {more}Content-Length: 0\r\n\r\n"
    ))
}

fn carrier_invite() -> Bytes {
    let vias: String = (1..4)
        .map(|n| format!("Via: SIP/2.0/UDP 203.0.113.{n}:5060;branch=z9hG4bK-524287-1---{n}abcdef0123456789;rport=5060;received=203.0.113.{n}\r\n"))
        .collect();
    let routes: String = (1..4)
        .map(|n| {
            format!("Record-Route: <sip:203.0.113.{n};r2=on;lr;ftag=as6d1a2f;did=0a1.b2c>\r\n")
        })
        .collect();
    let codecs: String = (96..126)
        .map(|n| format!("a=rtpmap:{n} telephone-event/8000\r\n"))
        .collect();
    let body = format!(
        "v=0\r\no=carrier 2890844526 2890844526 IN IP4 203.0.113.9\r\ns=-\r\nc=IN IP4 203.0.113.9\r\nt=0 0\r\nm=audio 49172 RTP/AVP 0 8 96\r\n{codecs}a=ptime:20\r\na=sendrecv\r\n"
    );
    Bytes::from(format!(
        "INVITE sip:+12155550100;npdi=yes@sbc.carrier.example.net:5060;user=phone SIP/2.0\r\n\
         {vias}{routes}Max-Forwards: 66\r\n\
         From: \"Carrier A\" <sip:+12125550123@carrier.example.net;user=phone>;tag=gK0c5f3a\r\n\
         To: <sip:+12155550100@sbc.carrier.example.net;user=phone>\r\n\
         Call-ID: 1234567890_987654321@203.0.113.9\r\n\
         CSeq: 17895 INVITE\r\n\
         Contact: <sip:+12125550123@203.0.113.9:5060;transport=udp>;+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\"\r\n\
         Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, OPTIONS, INFO\r\n\
         Supported: timer,100rel,precondition,replaces\r\n\
         Session-Expires: 1800\r\nMin-SE: 90\r\n\
         P-Asserted-Identity: \"A\" <sip:+12125550123@carrier.example.net;user=phone>\r\n\
         P-Charging-Vector: icid-value=0a1b2c3d4e5f;icid-generated-at=203.0.113.9;orig-ioi=carrier.example.net\r\n\
         Privacy: none\r\n\
         Diversion: <sip:+12155550199@carrier.example.net>;reason=unconditional;counter=1\r\n\
         History-Info: <sip:+12155550199@carrier.example.net>;index=1, <sip:+12155550100@sbc.carrier.example.net>;index=1.1;rc=1\r\n\
         User-Agent: Carrier SBC 7.2.1\r\n\
         X-Carrier-Call: 0123456789abcdef0123456789abcdef\r\n\
         Identity: eyJhbGciOiJFUzI1NiIsInBwdCI6InNoYWtlbiIsInR5cCI6InBhc3Nwb3J0IiwieDV1IjoiaHR0cHM6Ly9jZXJ0LmV4YW1wbGUub3JnL3Bhc3Nwb3J0LmNlciJ9.eyJhdHRlc3QiOiJBIiwiZGVzdCI6eyJ0biI6WyIxMjE1NTU1MDEwMCJdfSwiaWF0IjoxNDQzMjA4MzQ1LCJvcmlnIjp7InRuIjoiMTIxMjU1NTAxMjMifX0.sig;info=<https://cert.example.org/passport.cer>;alg=ES256;ppt=shaken\r\n\
         Content-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}
