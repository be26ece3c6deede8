//! A stream is cut at the same places however it comes, and where the parser ends its messages.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sip_message::{Frame, Limits, Message, StreamFramer};

fn frames(data: &[u8], step: usize) -> (Vec<Frame>, bool) {
    let limits = Limits::default().message_size(4096).head_size(1024);
    let mut framer = StreamFramer::new(limits);
    let mut frames = Vec::new();
    for chunk in data.chunks(step) {
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

fuzz_target!(|data: &[u8]| {
    let Some((step, data)) = data.split_first() else { return };
    let whole = frames(data, data.len().max(1));
    assert_eq!(frames(data, usize::from(*step).max(1)), whole);
    assert_eq!(frames(data, 1), whole);
    for frame in whole.0 {
        if let Frame::Message(bytes) = frame
            && let Ok(message) = Message::parse(bytes.clone())
        {
            assert_eq!(message.to_bytes(), bytes);
        }
    }
});
