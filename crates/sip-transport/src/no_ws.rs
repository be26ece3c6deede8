//! What stands for WebSocket where it is not spoken: nothing that could ever exist.

#![allow(clippy::needless_pass_by_ref_mut)] // the signatures are those of what it stands for

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;

use crate::event::CloseReason;
use sip_message::Frame;

#[derive(Clone, Debug, Default)]
pub(crate) struct WebSocketConfig;

pub(crate) enum WebSocket {}

impl WebSocket {
    pub(crate) fn accepted(_: Arc<WebSocketConfig>, _: usize, _: SocketAddr) -> Option<Self> {
        None
    }

    pub(crate) fn opened(_: Arc<WebSocketConfig>, _: usize, _: String) -> Option<Self> {
        None
    }

    pub(crate) const fn introduced(&mut self, _: SocketAddr) {
        match *self {}
    }

    pub(crate) const fn is_to_be_introduced(&self) -> bool {
        match *self {}
    }

    pub(crate) fn open(&mut self) {
        match *self {}
    }

    pub(crate) fn push(&mut self, _: Instant, _: &[u8]) -> Result<(), CloseReason> {
        match *self {}
    }

    pub(crate) fn next(&mut self, _: Instant) -> Result<Option<Frame>, CloseReason> {
        match *self {}
    }

    pub(crate) fn write(&mut self, _: Bytes) -> Bytes {
        match *self {}
    }

    pub(crate) fn output(&mut self) -> Option<Bytes> {
        match *self {}
    }

    pub(crate) fn close(&mut self) {
        match *self {}
    }

    pub(crate) fn time_out(&mut self) {
        match *self {}
    }

    pub(crate) const fn is_established(&self) -> bool {
        match *self {}
    }

    pub(crate) const fn begun(&self) -> Option<Instant> {
        match *self {}
    }

    pub(crate) const fn address(&self) -> Option<IpAddr> {
        match *self {}
    }

    pub(crate) const fn wake(&self) -> Option<Instant> {
        match *self {}
    }

    pub(crate) fn keep_alive(&mut self, _: Instant) {
        match *self {}
    }

    pub(crate) const fn silent(&self) -> Option<Instant> {
        match *self {}
    }
}
