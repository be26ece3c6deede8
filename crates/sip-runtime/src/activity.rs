//! What a driver is busy with.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// What a driver is busy with, as of its last turn.
///
/// A driver hands one to its runtime when it starts ([`Runtime::watch`](crate::Runtime::watch)) and keeps it up to
/// date, so that a simulator or a health check can see whether something is still owed.
#[derive(Debug, Default)]
pub struct Activity {
    timer: AtomicBool,
    streams: AtomicUsize,
    commands: AtomicUsize,
    ended: AtomicBool,
}

impl Activity {
    /// Whether the machine waits for a time.
    pub fn has_timer(&self) -> bool {
        self.timer.load(Relaxed)
    }

    /// How many streams are open, being opened or being closed.
    pub fn streams(&self) -> usize {
        self.streams.load(Relaxed)
    }

    /// How many commands wait for the driver.
    pub fn commands(&self) -> usize {
        self.commands.load(Relaxed)
    }

    /// Whether the driver has ended.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Relaxed)
    }

    /// Whether the driver has ended or waits for nothing but the network: no timer, no stream, no command.
    pub fn is_quiet(&self) -> bool {
        self.has_ended() || (!self.has_timer() && self.streams() == 0 && self.commands() == 0)
    }

    pub(crate) fn turned(&self, timer: bool, streams: usize) {
        self.timer.store(timer, Relaxed);
        self.streams.store(streams, Relaxed);
    }

    pub(crate) fn queued(&self, commands: usize) {
        self.commands.store(commands, Relaxed);
    }

    pub(crate) fn end(&self) {
        self.ended.store(true, Relaxed);
    }
}
