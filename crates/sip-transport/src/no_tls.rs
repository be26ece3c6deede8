//! What stands for TLS where it was left out: types that nothing can be of.

#![allow(clippy::needless_pass_by_ref_mut)] // the signatures are those of what it stands for

use std::{net::IpAddr, time::Instant};

use bytes::Bytes;

use crate::{Transport, stream::StreamError};
use sip_io::WallClock;

#[derive(Clone, Debug)]
pub(crate) enum Tls {}

impl Tls {
    pub(crate) fn or(&self, _other: &Self) -> Self {
        match *self {}
    }

    pub(crate) fn has_identity(&self) -> bool {
        match *self {}
    }
}

pub(crate) enum Engine {}

pub(crate) enum TlsLayer {}

impl Engine {
    pub(crate) fn new(tls: &Tls, _clock: WallClock, _now: Instant, _trust: u32) -> Self {
        match *tls {}
    }

    pub(crate) fn has_identity(&self) -> bool {
        match *self {}
    }

    pub(crate) fn trust(&self) -> u32 {
        match *self {}
    }

    pub(crate) fn accept(&self, _now: Instant) -> Option<TlsLayer> {
        match *self {}
    }

    pub(crate) fn connect(
        &self,
        _now: Instant,
        _name: Option<&str>,
        _address: IpAddr,
    ) -> Option<TlsLayer> {
        match *self {}
    }
}

impl TlsLayer {
    pub(crate) fn receive(
        &mut self,
        _now: Instant,
        _contents: &[u8],
        _up: impl FnMut(&[u8]) -> Result<(), StreamError>,
    ) -> Result<(), StreamError> {
        match *self {}
    }

    pub(crate) fn write(&mut self, _clear: &[u8]) {
        match *self {}
    }

    pub(crate) fn output(&mut self) -> Option<Bytes> {
        match *self {}
    }

    pub(crate) fn close(&mut self) {
        match *self {}
    }

    pub(crate) fn is_established(&self) -> bool {
        match *self {}
    }

    pub(crate) fn trust(&self) -> u32 {
        match *self {}
    }

    pub(crate) fn knows_peer(&self) -> bool {
        match *self {}
    }

    pub(crate) fn speaks_for(&self, _name: Option<&str>, _address: IpAddr) -> bool {
        match *self {}
    }

    pub(crate) fn is_over(&self) -> bool {
        match *self {}
    }
}

impl Transport {
    pub(crate) fn look_at_certificates(&mut self, _now: Instant) {
        debug_assert!(self.engines.all().next().is_none());
    }
}
