//! Edits of a header section give what a naive rebuild gives.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sip_message::{HeaderName, HeaderValue, Request, headers::Route};

const NAMES: [&str; 4] = ["Via", "Route", "X-Own", "Content-Length"];

fn place(list: &[(String, String)], name: &str) -> usize {
    let rank = |name: &str| match name {
        "Via" => 0,
        "Route" => 1,
        "Content-Length" => 251,
        _ => 100,
    };
    list.iter().position(|(other, _)| rank(other) > rank(name)).unwrap_or(list.len())
}

fuzz_target!(|data: &[u8]| {
    let lines = ["Route: <sip:a>, <sip:b>", "X-Own: 1", "Route: <sip:c>", "X-Own: 2", "Content-Length: 0"];
    let wire = format!("OPTIONS sip:a@b SIP/2.0\r\n{}\r\n\r\n", lines.join("\r\n"));
    let split = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut list: Vec<(String, String)> = lines.iter().filter_map(|line| split(line)).collect();
    let mut request = Request::parse(Bytes::from(wire)).expect("is a request");
    for (number, edit) in data.iter().enumerate().take(200) {
        let text = NAMES[usize::from(edit >> 4) % NAMES.len()];
        let name = HeaderName::new(text).expect("is a name");
        let value = format!("<sip:{number}>");
        let raw = HeaderValue::new(&value).expect("is a value");
        let first = list.iter().position(|(other, _)| other == text);
        let last = list.iter().rposition(|(other, _)| other == text);
        let headers = request.headers_mut();
        match edit % 5 {
            0 => {
                headers.set_raw(name, raw);
                match first {
                    Some(first) => {
                        list[first].1 = value;
                        let mut index = 0;
                        list.retain(|(other, _)| {
                            index += 1;
                            index - 1 == first || other != text
                        });
                    }
                    None => list.insert(place(&list, text), (text.into(), value)),
                }
            }
            1 => {
                headers.push_raw(name, raw);
                let at = last.map_or_else(|| place(&list, text), |last| last + 1);
                list.insert(at, (text.into(), value));
            }
            2 => {
                headers.push_front_raw(name, raw);
                let at = first.unwrap_or_else(|| place(&list, text));
                list.insert(at, (text.into(), value));
            }
            3 => {
                assert_eq!(headers.remove_name(&name), first.is_some());
                list.retain(|(other, _)| other != text);
            }
            _ => {
                let popped = headers.pop_front::<Route>();
                let first = list.iter().position(|(other, _)| other == "Route");
                assert_eq!(popped.is_some(), first.is_some());
                if let Some(first) = first {
                    match list[first].1.split_once(", ") {
                        Some((_, rest)) => list[first].1 = rest.to_owned(),
                        None => {
                            list.remove(first);
                        }
                    }
                }
            }
        }
    }
    let rebuilt: String = list.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let expected = format!("OPTIONS sip:a@b SIP/2.0\r\n{rebuilt}\r\n");
    assert_eq!(request.to_bytes(), expected.as_bytes());
});
