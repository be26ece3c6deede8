//! Speed, measured: `cargo bench -p sipwright-benches`.
//!
//! - `parse`: reading, editing and writing messages of several kinds
//! - `transaction`: transactions from their request to their last timer, and an OPTIONS at a user agent
//! - `auth`: asking who it is, and checking the answer
//! - `call`: calls between two user agents in memory
//! - `sdp`: reading a session description of a browser, beside other crates that do so
//!
//! This library holds the messages that the benchmarks share.

/// An INVITE as a phone sends it, with an offer.
pub const INVITE: &str = concat!(
    "INVITE sip:bob@biloxi.example.com SIP/2.0\r\n",
    "Via: SIP/2.0/UDP client.atlanta.example.com:5060;branch=z9hG4bK74bf9;rport\r\n",
    "Max-Forwards: 70\r\n",
    "From: \"Alice\" <sip:alice@atlanta.example.com>;tag=9fxced76sl\r\n",
    "To: Bob <sip:bob@biloxi.example.com>\r\n",
    "Call-ID: 3848276298220188511@atlanta.example.com\r\n",
    "CSeq: 1 INVITE\r\n",
    "Contact: <sip:alice@client.atlanta.example.com;transport=udp>\r\n",
    "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, MESSAGE\r\n",
    "Supported: replaces, timer\r\n",
    "User-Agent: benchmark/1.0\r\n",
    "Content-Type: application/sdp\r\n",
    "Content-Length: 211\r\n",
    "\r\n",
    "v=0\r\n",
    "o=alice 2890844526 2890844526 IN IP4 192.0.2.101\r\n",
    "s=-\r\n",
    "c=IN IP4 192.0.2.101\r\n",
    "t=0 0\r\n",
    "m=audio 49172 RTP/AVP 0 8 101\r\n",
    "a=rtpmap:0 PCMU/8000\r\n",
    "a=rtpmap:8 PCMA/8000\r\n",
    "a=rtpmap:101 telephone-event/8000\r\n",
    "a=sendrecv\r\n",
);

/// The answer to [`INVITE`] after two proxies, both of them in the route set.
pub const OK: &str = concat!(
    "SIP/2.0 200 OK\r\n",
    "Via: SIP/2.0/UDP ss2.biloxi.example.com:5060;branch=z9hG4bK721e4.1;received=192.0.2.222\r\n",
    "Via: SIP/2.0/UDP ss1.atlanta.example.com:5060;branch=z9hG4bK2d4790.1;received=192.0.2.111\r\n",
    "Via: SIP/2.0/UDP client.atlanta.example.com:5060;branch=z9hG4bK74bf9;received=192.0.2.101;rport=5060\r\n",
    "Record-Route: <sip:ss2.biloxi.example.com;lr>,\r\n",
    " <sip:ss1.atlanta.example.com;lr>\r\n",
    "From: \"Alice\" <sip:alice@atlanta.example.com>;tag=9fxced76sl\r\n",
    "To: Bob <sip:bob@biloxi.example.com>;tag=314159\r\n",
    "Call-ID: 3848276298220188511@atlanta.example.com\r\n",
    "CSeq: 1 INVITE\r\n",
    "Contact: <sip:bob@client.biloxi.example.com;transport=udp>\r\n",
    "Content-Length: 0\r\n",
    "\r\n",
);

/// A REGISTER that answers a challenge.
pub const REGISTER: &str = concat!(
    "REGISTER sip:registrar.biloxi.example.com SIP/2.0\r\n",
    "Via: SIP/2.0/TCP client.biloxi.example.com:5060;branch=z9hG4bKnashd92;alias\r\n",
    "Max-Forwards: 70\r\n",
    "From: Bob <sip:bob@biloxi.example.com>;tag=ja743ks76zlflH\r\n",
    "To: Bob <sip:bob@biloxi.example.com>\r\n",
    "Call-ID: 1j9FpLxk3uxtm8tn@biloxi.example.com\r\n",
    "CSeq: 2 REGISTER\r\n",
    "Contact: <sip:bob@client.biloxi.example.com;transport=tcp>;expires=3600;q=0.8\r\n",
    "Authorization: Digest username=\"bob\", realm=\"atlanta.example.com\",\r\n",
    " nonce=\"ea9c8e88df84f1cec4341ae6cbe5a359\", opaque=\"\", uri=\"sip:registrar.biloxi.example.com\",\r\n",
    " response=\"dfe56131d1958046689d83306477ecc7\", algorithm=MD5, cnonce=\"0a4f113b\", qop=auth, nc=00000001\r\n",
    "Content-Length: 0\r\n",
    "\r\n",
);

/// An OPTIONS with compact header names, as small devices send it.
pub const OPTIONS: &str = concat!(
    "OPTIONS sip:bob@192.0.2.4 SIP/2.0\r\n",
    "v: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKhjhs8ass877\r\n",
    "Max-Forwards: 70\r\n",
    "f: <sip:alice@192.0.2.1>;tag=1928301774\r\n",
    "t: <sip:bob@192.0.2.4>\r\n",
    "i: a84b4c76e66710\r\n",
    "CSeq: 63104 OPTIONS\r\n",
    "l: 0\r\n",
    "\r\n",
);
