//! What a load balancer says before its client's first byte: the PROXY protocol, version 2.

use std::net::SocketAddr;

use bytes::Bytes;

use proxy_header::{ParseConfig, ProxyHeader};

/// Bytes of a connection up to the end of its preface.
#[derive(Debug, Default)]
pub(crate) struct Preface {
    read: Vec<u8>,
}

/// What came of some bytes more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Introduction {
    /// There is more of the preface to come
    Incomplete,
    /// It is none
    Wrong,
    /// Whom the connection is from, unless the load balancer speaks for itself, and what the client has said already
    Complete {
        source: Option<SocketAddr>,
        rest: Bytes,
    },
}

impl Preface {
    pub(crate) fn push(&mut self, contents: &[u8]) -> Introduction {
        self.read.extend_from_slice(contents);
        let config = ParseConfig {
            include_tlvs: false,
            allow_v1: false,
            allow_v2: true,
        };
        let beginning = &self.read[..self.read.len().min(SIGNATURE.len())];
        if !SIGNATURE.starts_with(beginning) {
            return Introduction::Wrong;
        }
        match ProxyHeader::parse(&self.read, config) {
            Ok((header, length)) => {
                let source = header.proxied_address().map(|address| address.source);
                let rest = Bytes::copy_from_slice(self.read.get(length..).unwrap_or_default());
                Introduction::Complete { source, rest }
            }
            Err(proxy_header::Error::BufferTooShort) if self.read.len() < LONGEST => {
                Introduction::Incomplete
            }
            Err(_) => Introduction::Wrong,
        }
    }
}

/// How version 2 begins.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Longer ones carry nothing that is used here.
const LONGEST: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    /// `PROXY` for TCP over IPv4, from 203.0.113.9:40000, with one TLV, and the client's first bytes.
    fn whole() -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0x21, 0x11, 0, 16, 203, 0, 113, 9, 192, 0, 2, 1]);
        bytes.extend([0x9c, 0x40, 0x13, 0xc4, 4, 0, 1, 42]);
        bytes.extend(b"OPTIONS");
        bytes
    }

    #[test]
    fn a_preface_is_read_however_it_comes() {
        let bytes = whole();
        let introduced = Introduction::Complete {
            source: Some("203.0.113.9:40000".parse().unwrap()),
            rest: Bytes::from_static(b"OPTIONS"),
        };
        assert_eq!(Preface::default().push(&bytes), introduced);
        let mut preface = Preface::default();
        let end = bytes.len() - 7;
        for byte in &bytes[..end - 1] {
            assert_eq!(preface.push(&[*byte]), Introduction::Incomplete);
        }
        assert_eq!(preface.push(&bytes[end - 1..]), introduced);
    }

    #[test]
    fn a_health_check_speaks_for_itself() {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0x20, 0, 0, 0]);
        let rest = Bytes::new();
        let source = None;
        assert_eq!(
            Preface::default().push(&bytes),
            Introduction::Complete { source, rest }
        );
    }

    #[test]
    fn what_is_none_is_wrong_at_once() {
        for bytes in [
            &b"OPTIONS sip:a@b SIP/2.0\r\n"[..],
            b"O",
            b"PROXY TCP4 203.0.113.9 192.0.2.1 40000 5060\r\n",
            b"\r\n\r\nOPTIONS",
        ] {
            assert_eq!(Preface::default().push(bytes), Introduction::Wrong);
        }
        let mut bytes = whole();
        bytes[12] = 0x31;
        assert_eq!(Preface::default().push(&bytes), Introduction::Wrong);
        // One that announces more than anybody needs is not waited for.
        bytes[12] = 0x21;
        bytes[14] = 0xff;
        bytes.resize(LONGEST, 0);
        assert_eq!(Preface::default().push(&bytes), Introduction::Wrong);
    }
}
