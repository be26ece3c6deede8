//! What holds for every input.

use std::fmt::Debug;

use bytes::Bytes;
use proptest::{collection::vec, prelude::*, sample::select};
use sip_message::{
    Frame, HeaderField, HeaderName, HeaderValue, Headers, Limits, Message, NameAddr, Request,
    StatusCode, StreamFramer, Tag, Uri, headers::*, multipart, peek, reject,
};

/// Runs a macro for every typed header field and some values of it.
macro_rules! every_field {
    ($run:ident) => {
        $run!(Accept, "application/sdp;level=1;q=0.5", "*/*");
        $run!(AcceptContact, "*;audio;require", "*;methods=\"INVITE,BYE\"");
        $run!(AcceptEncoding, "gzip;q=0.3", "*");
        $run!(AcceptLanguage, "en-gb;q=0.8");
        $run!(AcceptResourcePriority, "dsn.flash-override, wps.3", "");
        $run!(AlertInfo, "<http://www.example.com/sounds/moo.wav>;x");
        $run!(Allow, "INVITE, ACK , BYE", "");
        $run!(AllowEvents, "presence, message-summary");
        $run!(AnswerMode, "Auto;require");
        $run!(AuthenticationInfo, "nextnonce=\"47364c23432d\", qop=auth, rspauth=\"\\\"\"");
        $run!(Authorization, "Digest username=\"bob\",\r\n realm=\"a, b\", nc=00000001", "NoOne opaque==");
        $run!(CSeq, "0009\r\n  INVITE", "4294967295 x");
        $run!(CallId, "f81d4fae-7dec@biloxi.com", "a<b>\"c{}");
        $run!(CallInfo, "<http://example.com/photo.jpg>;purpose=icon");
        $run!(Contact, "*", "\"Mr, Watson\" <sip:w@h>;q=0.7;expires=3600", "sip:a@b;x=\"y;z\"", "tok en<sip:a>");
        $run!(ContentDisposition, "session;handling=optional");
        $run!(ContentEncoding, "gzip");
        $run!(ContentLanguage, "fr, de");
        $run!(ContentLength, "349", "0");
        $run!(ContentType, "application/sdp", "multipart/mixed ; boundary=\"a;b\"");
        $run!(Date, "Sat, 13 Nov 2010 23:29:00 GMT");
        $run!(Diversion, "<sip:bob@example.com>;reason=user-busy;counter=2");
        $run!(ErrorInfo, "<sip:recording@atlanta.com>");
        $run!(Event, "presence.winfo;id=7");
        $run!(Expires, "3600", "99999999999999999999");
        $run!(FeatureCaps, "*;+g.3gpp.srvcc;+g.x=\"<sip:a>\"");
        $run!(FlowTimer, "126");
        $run!(From, "\"A <B>;x=1\" <sip:al@example.com>;TAG=1", "sip:a@h;tag=1", "Ω <sip:a@h>");
        $run!(Geolocation, "<cid:target123@atlanta.example.com>");
        $run!(GeolocationError, "201;code=\"Permission\"");
        $run!(GeolocationRouting, "yes");
        $run!(HistoryInfo, "<sip:bob@h?Reason=SIP%3Bcause%3D302>;index=1.1;rc=1");
        $run!(Identity, "eyJ..s_-ig;info=<https://cert.example.org/p.cer>;alg=ES256;ppt=shaken");
        $run!(InReplyTo, "70710@saturn.bell-tel.com");
        $run!(InfoPackage, "conference;x=1");
        $run!(Join, "12adf2f34456gs5;to-tag=12345;from-tag=54321");
        $run!(MaxBreadth, "60");
        $run!(MaxForwards, "0068", "300");
        $run!(MimeVersion, "1.0");
        $run!(MinExpires, "60");
        $run!(MinSe, "90;x=y");
        $run!(Organization, "Boxes by \"Bob");
        $run!(PAccessNetworkInfo, "3GPP-UTRAN-TDD;utran-cell-id-3gpp=234151D0FCE11");
        $run!(PAssertedIdentity, "\"Cullen Jennings\" <sip:fluffy@cisco.com>", "tel:+14085264000");
        $run!(PAssertedService, "urn:urn-7:3gpp-service.ims.icsi.mmtel");
        $run!(PAssociatedUri, "<sip:bob@example.com>;x");
        $run!(PCalledPartyId, "<sip:user1-business@example.com>");
        $run!(PChargingFunctionAddresses, "ccf=192.1.1.1; ccf=192.1.1.2;ecf=\"[::1]\"");
        $run!(PChargingVector, "icid-value=\"AyretyU0dm\";icid-generated-at=192.0.6.8;orig-ioi=home1.net");
        $run!(PEarlyMedia, "sendrecv, gated");
        $run!(PPreferredIdentity, "<sip:fluffy@cisco.com>");
        $run!(PPreferredService, "urn:urn-7:3gpp-service");
        $run!(PServedUser, "<sip:user@example.com>;sescase=orig");
        $run!(PVisitedNetworkId, "\"Visited network number 1\"", "other.net;x");
        $run!(Path, "<sip:edge.example.com;lr;ob>");
        $run!(Priority, "emergency");
        $run!(Privacy, "id; critical");
        $run!(ProxyAuthenticate, "Digest realm=\"atlanta.com\", qop=\"auth,auth-int\", stale=FALSE");
        $run!(ProxyAuthenticationInfo, "nextnonce=\"x\"");
        $run!(ProxyAuthorization, "Digest username=\"Alice\", uri=\"sip:a@b\"");
        $run!(ProxyRequire, "foo");
        $run!(RAck, "776656 1 INVITE");
        $run!(RSeq, "988789");
        $run!(Reason, "Q.850;cause=16;text=\"Terminated, really\"");
        $run!(RecordRoute, "<sip:p1.example.com;lr>;x=y");
        $run!(RecvInfo, "conference;a=b");
        $run!(ReferSub, "false");
        $run!(ReferTo, "<sip:carol@h?Replaces=1%40h%3Bto-tag%3Da>");
        $run!(ReferredBy, "<sip:r@h>;cid=\"2@h\"");
        $run!(RejectContact, "*;actor=\"msg-taker\"");
        $run!(Replaces, "425928@bobster.example.org;to-tag=7743;from-tag=6472;early-only");
        $run!(ReplyTo, "Bob <sip:bob@biloxi.com>");
        $run!(RequestDisposition, "proxy, recurse, parallel");
        $run!(Require, "100rel");
        $run!(ResourcePriority, "wps.3, dsn.flash");
        $run!(RetryAfter, "18000;duration=3600", "120 (I'm (in) a meeting)");
        $run!(Route, "<sip:p1.example.com;lr>");
        $run!(SecurityClient, "ipsec-ike;q=0.1");
        $run!(SecurityServer, "tls;q=0.2");
        $run!(SecurityVerify, "digest;d-alg=md5;d-qop=auth");
        $run!(Server, "HomeServer v2 (x)");
        $run!(ServiceRoute, "<sip:orig@h;lr>");
        $run!(SessionExpires, "1800;refresher=uac");
        $run!(SipETag, "dx200xyz");
        $run!(SipIfMatch, "dx200xyz");
        $run!(Subject, "lunch", "", "Tech\r\n Support");
        $run!(SubscriptionState, "terminated;reason=timeout;retry-after=5");
        $run!(Supported, "100rel,, timer", "");
        $run!(SuppressIfMatch, "*");
        $run!(TargetDialog, "fa77as7dad8@h;local-tag=kkaz-;remote-tag=6544");
        $run!(Timestamp, "54.21 0.5", "54", "1. .5");
        $run!(To, "The Operator <sip:operator@cs.columbia.edu>;tag=287447");
        $run!(Unsupported, "foo");
        $run!(UserAgent, "Softphone Beta1.5");
        $run!(UserToUser, "56a390f3d2b7310023a;encoding=hex", "\"a b\"");
        $run!(Via, "SIP / 2.0 / UDP first.example.com : 4000 ;ttl=16;maddr=224.2.0.1 ;branch=z9hG4bKa7c6a8dlze.1");
        $run!(Warning, "307 isi.edu \"Session parameter 'foo', not understood\"", "399 [::1]:5060 \"x\"");
        $run!(WwwAuthenticate, "Digest realm=\"biloxi.com\", nonce=\"dcd98b71\", algorithm=MD5");
    };
}

fn value(text: &str) -> HeaderValue {
    // Folds reach a typed value only out of a message.
    let wire = format!("OPTIONS sip:a@b SIP/2.0\r\nX: {text}\r\n\r\n");
    let request = Request::parse(Bytes::from(wire)).expect("is a request");
    request
        .headers()
        .raw(&HeaderName::from_static("X"))
        .expect("is there")
}

/// parse ∘ write is the identity, and reading rewrites nothing where the text says more than the value.
fn round_trip<H: HeaderField + PartialEq + Debug>(text: &str) {
    let read =
        H::parse(&value(text)).unwrap_or_else(|error| panic!("{}: {text}: {error}", H::NAME));
    let again = H::parse(&read.value()).unwrap_or_else(|error| panic!("{}: {error}", H::NAME));
    assert_eq!(read, again, "{}", H::NAME);
    assert_eq!(read.value(), again.value(), "{}", H::NAME);
    let mut headers = Headers::new();
    headers.set(again);
    assert_eq!(headers.count::<H>(), 1, "{}", H::NAME);
    assert_eq!(headers.get::<H>(), Some(Ok(read)), "{}", H::NAME);
}

/// MSG-057.
#[test]
fn every_typed_field_survives_writing_and_reading() {
    macro_rules! run {
        ($type:ident, $($text:literal),+) => { $(round_trip::<$type>($text);)+ };
    }
    every_field!(run);
}

#[test]
fn every_name_has_a_type_or_is_known_to_have_none() {
    let mut names = Vec::new();
    macro_rules! run {
        ($type:ident, $($text:literal),+) => {
            names.push($type::NAME)
        };
    }
    every_field!(run);
    for name in HeaderName::known() {
        // RFC 8224 §6 made an end of Identity-Info.
        assert!(
            names.contains(&name) || name == HeaderName::from_static("Identity-Info"),
            "{name}"
        );
    }
}

/// Values that came in a message, folds and quoted control characters and all, can be edited.
fn edit_everything(message: &Message) {
    let tag = Tag::new("x").expect("is a tag");
    let uri = Uri::parse("sip:new@h").expect("is a URI");
    let headers = message.headers();
    for to in headers.all::<To>().flatten() {
        assert_eq!(to.clone().with_tag(&tag).tag(), Some(tag.clone()));
        assert_eq!(to.with_uri(&uri).display_name(), to.display_name());
    }
    for contact in headers.all::<Contact>().flatten() {
        assert_eq!(contact.with_uri(&uri).uri(), &uri);
        let edited = contact.with_param("x", "y z").with_q(500);
        assert!(edited.is_star() || edited.q() == Some(500));
    }
    for via in headers.all::<Via>().flatten() {
        let mut edited = via.with_branch("z9hG4bKx").with_param("y", None);
        edited.set_rport(5060);
        edited.remove_param("y");
        assert_eq!(
            (edited.branch(), edited.rport()),
            (Some("z9hG4bKx"), Some(Some(5060)))
        );
    }
    if let Some(Ok(content_type)) = headers.get::<ContentType>() {
        assert_eq!(
            content_type
                .with_param("boundary", "a b")
                .param("boundary")
                .flatten()
                .as_deref(),
            Some("a b")
        );
    }
    if let (Message::Request(request), Ok(())) = (message, message.check()) {
        let response = request.response(StatusCode::OK).to_tag(tag).build();
        let again = Message::parse(response.to_bytes()).expect("a response can be read");
        again.check().expect("a response has all that it must have");
    }
}

fn read_everything(message: &Message) {
    edit_everything(message);

    macro_rules! run {
        ($type:ident, $($text:literal),+) => {
            let name = $type::NAME;
            for field in message.headers().all::<$type>().flatten() {
                let value = field.value();
                assert_eq!($type::parse(&value).as_ref(), Ok(&field), "{name}: {value}");
            }
            let _ = message.headers().get::<$type>();
        };
    }
    every_field!(run);
    if let Some(Ok(content_type)) = message.headers().get::<ContentType>() {
        let limits = Limits::default();
        for part in multipart::parse(&content_type, message.body(), &limits)
            .into_iter()
            .flatten()
        {
            let _ = part.parts(&limits);
        }
    }
}

/// Bytes that look like SIP now and then.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&'static [u8]> = vec![
        b"INVITE sip:a@b SIP/2.0\r\n",
        b"SIP/2.0 200 OK\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b": ",
        b";",
        b",",
        b"\"",
        b"<",
        b">",
        b"=",
        b"@",
        b"%41",
        b"%",
        b"\\",
        b"\r\n ",
        b"\t",
        b"sip:",
        b"tel:+1",
        b"[::1]",
        b":5060",
        b"Via: SIP/2.0/UDP h;branch=1\r\n",
        b"v: SIP/2.0/TCP ",
        b"f: ",
        b"To: <sip:a@b>;tag=1\r\n",
        b"Call-ID: 1\r\n",
        b"i: ",
        b"CSeq: 1 INVITE\r\n",
        b"CSeq: ",
        b"Content-Length: 3\r\n",
        b"l: ",
        b"m: ",
        b"Contact: *",
        b"Digest realm=\"x\"",
        b"1",
        b"0",
        b"a",
        b"*",
        b"(",
        b")",
        b"\0",
        b"\xff",
        b"multipart/mixed;boundary=b",
        b"--b",
        b"c: ",
    ];
    prop_oneof![
        8 => select(words).prop_map(<[u8]>::to_vec),
        2 => vec(any::<u8>(), 0..8),
    ]
}

fn soup() -> impl Strategy<Value = Vec<u8>> {
    vec(piece(), 0..40).prop_map(|pieces| pieces.concat())
}

const TEMPLATE: &[u8] = include_bytes!("torture/rfc4475/wsinv.dat");

/// A message of the torture set with a few bytes changed.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let files: Vec<&'static [u8]> = vec![
        TEMPLATE,
        include_bytes!("torture/rfc4475/intmeth.dat"),
        include_bytes!("torture/rfc4475/mpart01.dat"),
        include_bytes!("torture/rfc4475/esc01.dat"),
        include_bytes!("torture/rfc4475/longreq.dat"),
        include_bytes!("torture/rfc4475/dblreq.dat"),
        include_bytes!("torture/rfc5118/ipv4-mapped-ipv6.sip"),
    ];
    (
        select(files),
        vec((any::<prop::sample::Index>(), piece()), 0..4),
    )
        .prop_map(|(file, changes)| {
            let mut bytes = file.to_vec();
            for (at, piece) in changes {
                let at = at.index(bytes.len());
                let end = (at + piece.len()).min(bytes.len());
                bytes.splice(at..end, piece);
            }
            bytes
        })
}

fn frame_all(bytes: &[u8], step: usize) -> (Vec<Frame>, bool) {
    let mut framer = StreamFramer::new(Limits::default());
    let mut frames = Vec::new();
    for chunk in bytes.chunks(step) {
        framer.push(chunk);
        loop {
            match framer.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return (frames, true),
            }
        }
    }
    (frames, false)
}

fn holds_for(bytes: Vec<u8>) {
    let wire = Bytes::from(bytes);
    let peeked = peek(&wire);
    match Message::parse(wire.clone()) {
        Ok(message) => {
            let written = message.to_bytes();
            let start = wire.iter().position(|b| !b"\r\n".contains(b)).unwrap_or(0);
            assert!(wire[start..].starts_with(&written), "written as it came");
            let again = Message::parse(written.clone()).expect("what was written can be read");
            assert_eq!(again.to_bytes(), written);
            read_everything(&message);
            if message.check().is_ok() {
                let peeked = peeked.as_ref().expect("peek finds what the parser finds");
                let call_id = message.headers().require::<CallId>().expect("was checked");
                assert_eq!(call_id.as_str(), peeked.call_id);
                let cseq = message.headers().require::<CSeq>().expect("was checked");
                assert_eq!((cseq.number, &cseq.method), (peeked.cseq, &peeked.method));
                let via = message.headers().require::<Via>().expect("was checked");
                assert_eq!(via.branch(), peeked.branch);
                assert_eq!(message.is_request(), peeked.is_request);
            }
            if message.headers().contains::<ContentLength>() {
                let (frames, _) = frame_all(&written, written.len().max(1));
                assert_eq!(
                    frames.first(),
                    Some(&Frame::Message(written)),
                    "the framer ends it where the parser does"
                );
            }
        }
        Err(error) => {
            let _ = error.to_string();
            if let Some(response) = reject(&wire, &error) {
                let bytes = response.to_bytes();
                Message::parse(bytes).expect("a rejection can be read");
            }
        }
    }
    let whole = frame_all(&wire, wire.len().max(1));
    assert_eq!(frame_all(&wire, 1), whole, "however it comes");
    for frame in whole.0 {
        if let Frame::Message(message) = frame
            && let Ok(parsed) = Message::parse(message.clone())
        {
            assert_eq!(
                parsed.to_bytes(),
                message,
                "the parser ends it where the framer does"
            );
        }
    }
}

/// One edit, on the real section and on a list of names and values.
#[derive(Clone, Debug)]
enum Edit {
    Set(usize, String),
    Push(usize, String),
    PushFront(usize, String),
    Remove(usize),
    PopVia,
    ReplaceVia,
}

const NAMES: [&str; 5] = ["Via", "Contact", "X-Own", "Subject", "Content-Length"];

fn edit() -> impl Strategy<Value = Edit> {
    let value = "[a-z]{1,12}";
    prop_oneof![
        (0..5_usize, value).prop_map(|(name, value)| Edit::Set(name, value)),
        (0..5_usize, value).prop_map(|(name, value)| Edit::Push(name, value)),
        (0..5_usize, value).prop_map(|(name, value)| Edit::PushFront(name, value)),
        (0..5_usize).prop_map(Edit::Remove),
        Just(Edit::PopVia),
        Just(Edit::ReplaceVia),
    ]
}

/// The order of generated messages, written down a second time.
fn place(list: &[(String, String)], name: &str) -> usize {
    let rank = |name: &str| match name {
        "Via" => 0,
        "Contact" => 8,
        "Content-Length" => 251,
        _ => 100,
    };
    list.iter()
        .position(|(other, _)| rank(other) > rank(name))
        .unwrap_or(list.len())
}

fn naive(list: &mut Vec<(String, String)>, edit: &Edit) {
    let first =
        |list: &[(String, String)], name: &str| list.iter().position(|(other, _)| other == name);
    match edit {
        Edit::Set(name, value) => {
            let name = NAMES[*name];
            match first(list, name) {
                Some(at) => {
                    list[at].1.clone_from(value);
                    let mut index = 0;
                    list.retain(|(other, _)| {
                        index += 1;
                        index - 1 == at || other != name
                    });
                }
                None => list.insert(place(list, name), (name.into(), value.clone())),
            }
        }
        Edit::Push(name, value) => {
            let name = NAMES[*name];
            let last = list.iter().rposition(|(other, _)| other == name);
            let at = last.map_or_else(|| place(list, name), |at| at + 1);
            list.insert(at, (name.into(), value.clone()));
        }
        Edit::PushFront(name, value) => {
            let name = NAMES[*name];
            let at = first(list, name).unwrap_or_else(|| place(list, name));
            list.insert(at, (name.into(), value.clone()));
        }
        Edit::Remove(name) => list.retain(|(other, _)| other != NAMES[*name]),
        Edit::PopVia => {
            if let Some(at) = first(list, "Via") {
                match list[at].1.split_once(',') {
                    Some((_, rest)) => list[at].1 = rest.trim().to_owned(),
                    None => {
                        list.remove(at);
                    }
                }
            }
        }
        Edit::ReplaceVia => {
            let new = "SIP/2.0/UDP new";
            match first(list, "Via") {
                Some(at) => {
                    let rest = list[at]
                        .1
                        .find(',')
                        .map_or("", |comma| &list[at].1[comma..])
                        .to_owned();
                    list[at].1 = format!("{new}{rest}");
                }
                None => list.insert(place(list, "Via"), ("Via".into(), new.into())),
            }
        }
    }
}

fn apply(headers: &mut Headers, edit: &Edit) {
    let name = |index: &usize| HeaderName::new(NAMES[*index]).expect("is a name");
    let value = |text: &str| HeaderValue::new(text).expect("is a value");
    match edit {
        Edit::Set(index, text) => headers.set_raw(name(index), value(text)),
        Edit::Push(index, text) => headers.push_raw(name(index), value(text)),
        Edit::PushFront(index, text) => headers.push_front_raw(name(index), value(text)),
        Edit::Remove(index) => {
            headers.remove_name(&name(index));
        }
        Edit::PopVia => {
            headers.pop_front::<Via>();
        }
        Edit::ReplaceVia => {
            headers.replace_front::<Via>("SIP/2.0/UDP new".parse().expect("is a Via"))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, rng_seed: proptest::test_runner::RngSeed::Fixed(3261), failure_persistence: None, ..ProptestConfig::default() })]

    /// MSG-056.
    #[test]
    fn no_input_is_too_odd(bytes in soup()) {
        holds_for(bytes);
    }

    /// MSG-056.
    #[test]
    fn no_damage_is_too_odd(bytes in damaged()) {
        holds_for(bytes);
    }

    #[test]
    fn no_value_is_too_odd(bytes in soup()) {
        if let Ok(value) = HeaderValue::new(&bytes) {
            macro_rules! run {
                ($type:ident, $($text:literal),+) => {
                    if let Ok(field) = $type::parse(&value) {
                        prop_assert_eq!($type::parse(&field.value()), Ok(field));
                    }
                };
            }
            every_field!(run);
        }
        if let Ok(uri) = Uri::parse(&bytes) {
            prop_assert_eq!(uri.as_bytes(), &bytes);
            prop_assert!(uri.equivalent(&uri));
            let _ = (uri.aor(), uri.host(), uri.user(), uri.to_tel());
            let edited = uri.with_param("x", "y");
            prop_assert!(edited.scheme() == sip_message::Scheme::Other || edited.has_param("x"));
        }
        let _ = NameAddr::parse(&bytes);
    }

    #[test]
    fn any_user_makes_a_uri_and_comes_back(user in "\\PC{1,20}", host in "[a-z]{1,8}") {
        let uri = Uri::sip(&user, &host).expect("is escaped");
        assert_eq!(uri.user().as_deref(), Some(user.as_str()));
        assert_eq!(uri.host_str(), host.as_str());
    }

    #[test]
    fn any_text_makes_a_display_name_and_comes_back(name in "\\PC{1,20}", param in "\\PC{0,20}") {
        let uri = Uri::parse("sip:a@b").expect("is a URI");
        let contact = Contact::new(uri).with_display_name(&name).with_param("x", param.as_str());
        let again: Contact = contact.to_string().parse().expect("can be read");
        assert_eq!(again.display_name().as_deref(), Some(name.as_str()));
        assert_eq!(again.param("x").flatten().as_deref(), Some(param.as_str()));
    }

    /// MSG-057.
    #[test]
    fn edits_equal_the_naive_rebuild(edits in vec(edit(), 0..24)) {
        let lines = ["Via: SIP/2.0/UDP a, SIP/2.0/UDP b", "Subject: one", "Via: SIP/2.0/UDP c", "X-Own: 1", "Contact: <sip:a>", "X-Own: 2"];
        let wire = format!("OPTIONS sip:a@b SIP/2.0\r\n{}\r\n\r\n", lines.join("\r\n"));
        let mut list: Vec<(String, String)> = lines
            .iter()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut request = Request::parse(Bytes::from(wire)).expect("is a request");
        for edit in &edits {
            apply(request.headers_mut(), edit);
            naive(&mut list, edit);
            let rebuilt: String = list.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let expected = format!("OPTIONS sip:a@b SIP/2.0\r\n{rebuilt}\r\n");
            let written = request.to_bytes();
            prop_assert_eq!(String::from_utf8_lossy(&written), expected);
        }
    }
}
