//! Keys that are to be sent.

use crate::{DtmfError, config::SessionDefaults, pace::Pace};
use rtp::{Event, EventSender, Key};
use std::{collections::VecDeque, time::Duration};

/// Presses keys one after the other, with a pause behind each (RFC 4733 §2.5.1).
#[derive(Debug)]
pub(crate) struct Keys {
    waiting: VecDeque<Key>,
    press: Option<(EventSender, u32)>,
    /// Frames until the next press
    pause: u32,
    limit: usize,
    pressed: u16,
    released: Duration,
}

/// One packet of a press.
#[derive(Debug)]
pub(crate) struct Press {
    pub(crate) event: Event,
    pub(crate) is_first: bool,
    pub(crate) media_time: u32,
}

impl Keys {
    pub(crate) fn new(defaults: &SessionDefaults, rate: u32) -> Self {
        let ticks = defaults.key_time.as_millis() * u128::from(rate) / 1_000;
        Self {
            waiting: VecDeque::new(),
            press: None,
            pause: 0,
            limit: defaults.keys,
            pressed: u16::try_from(ticks).unwrap_or(u16::MAX),
            released: defaults.key_pause,
        }
    }

    /// All of them, or none.
    pub(crate) fn push(&mut self, keys: &str) -> Result<(), DtmfError> {
        let room = self.limit.saturating_sub(self.waiting.len());
        let mut parsed = Vec::new();
        for key in keys.chars() {
            if parsed.len() == room {
                return Err(DtmfError::Full(self.limit));
            }
            parsed.push(Key::from_char(key).ok_or(DtmfError::NotAKey(key))?);
        }
        self.waiting.extend(parsed);
        Ok(())
    }

    /// What is to be sent in place of sound in the frame that is due.
    pub(crate) fn next(&mut self, pace: &Pace) -> Option<Press> {
        if self.press.is_none() {
            if self.pause > 0 {
                self.pause -= 1;
                return None;
            }
            let key = self.waiting.pop_front()?;
            let step = u16::try_from(pace.samples()).unwrap_or(u16::MAX);
            self.press = Some((EventSender::new(key, self.pressed, step), pace.media_time()));
        }
        let (sender, media_time) = self.press.as_mut()?;
        let (is_first, media_time) = (sender.is_first(), *media_time);
        let event = sender.next()?;
        if sender.is_done() {
            self.press = None;
            let frames = self.released.as_nanos().div_ceil(pace.frame().as_nanos());
            self.pause = u32::try_from(frames).unwrap_or(u32::MAX);
        }
        Some(Press {
            event,
            is_first,
            media_time,
        })
    }

    /// Forgets what waits, and says whether anything did.
    pub(crate) fn clear(&mut self) -> bool {
        let waited = !self.is_done();
        self.waiting.clear();
        self.press = None;
        waited
    }

    /// Whether the last packet of the last key was sent.
    pub(crate) fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.press.is_none()
    }

    /// Whether the pause behind it is over as well.
    pub(crate) fn is_idle(&self) -> bool {
        self.is_done() && self.pause == 0
    }
}
