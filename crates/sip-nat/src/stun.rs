//! Binding requests and their answers.

use bytes::Bytes;
use std::{net::SocketAddr, time::Duration};
use stun_types::{
    attribute::{Attribute, ErrorCode, XorMappedAddress},
    message::{
        BINDING, Message, MessageClass, MessageType, MessageWrite, MessageWriteExt,
        MessageWriteVec, TransactionId,
    },
};

use sip_io::Rng;

/// Whether a datagram is STUN and not SIP: its first two bits are zero, and the magic cookie is in its place
/// (RFC 8489 §6).
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| first >> 6 == 0)
        && datagram.get(4..8) == Some(&MAGIC_COOKIE.to_be_bytes()[..])
        && datagram.len() >= HEADER
}

/// The answer to a binding request that came from `source`: the address itself (RFC 8489 §6.3.1.1), or 420 to
/// attributes that would have to be understood. Nothing else is answered.
///
/// No credentials are asked for: RFC 5626 §8 has none on the SIP port. The answer is hardly longer than the question,
/// so nobody gains by having it sent to a third party.
pub fn answer(source: SocketAddr, datagram: &[u8]) -> Option<Bytes> {
    let request = read(datagram)?;
    if !(request.has_class(MessageClass::Request) && request.has_method(BINDING)) {
        return None;
    }
    let unknown: Vec<_> = request
        .iter_attributes()
        .map(|(_, attribute)| attribute.get_type())
        .filter(|kind| kind.comprehension_required())
        .collect();
    let answer = if unknown.is_empty() {
        let mut answer = Message::builder_success(&request, MessageWriteVec::new());
        let mapped = XorMappedAddress::new(source, request.transaction_id());
        answer.add_attribute(&mapped).ok()?;
        answer
    } else {
        Message::unknown_attributes(&request, &unknown, MessageWriteVec::new())
    };
    Some(answer.finish().into())
}

/// One binding request, and when it is asked again (RFC 8489 §6.2.1).
///
/// ```text
///   asked --500 ms--> again --1 s--> again ... seven times in all --8 s--> nobody is there (39.5 s)
/// ```
#[derive(Clone, Debug)]
pub struct Question {
    id: TransactionId,
    asked: u32,
}

impl Question {
    /// A question with a number that nobody can guess.
    pub fn new(rng: &mut Rng) -> Self {
        let id = u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64());
        Self {
            id: id.into(),
            asked: 1,
        }
    }

    /// The same question with a number that ends with this octet, so that the answer says for whom it is.
    #[must_use]
    pub fn marked(mut self, mark: u8) -> Self {
        let id = u128::from(self.id) & !0xff | u128::from(mark);
        self.id = id.into();
        self
    }

    /// The datagram, the same at each repetition.
    pub fn to_bytes(&self) -> Bytes {
        let kind = MessageType::from_class_method(MessageClass::Request, BINDING);
        Message::builder(kind, self.id, MessageWriteVec::new())
            .finish()
            .into()
    }

    /// How long to wait for an answer before the next step.
    pub fn wait(&self) -> Duration {
        if self.asked < TIMES {
            FIRST_WAIT * 2_u32.saturating_pow(self.asked - 1)
        } else {
            LAST_WAIT
        }
    }

    /// Whether to ask once more when [`wait`](Self::wait) is over; if not, nobody is there.
    pub fn again(&mut self) -> bool {
        let may = self.asked < TIMES;
        self.asked += u32::from(may);
        may
    }

    /// What a datagram answers to this question: the address that the peer sees us at, or that it does not tell.
    /// `None` if it answers something else.
    pub fn read(&self, datagram: &[u8]) -> Option<Result<SocketAddr, Refused>> {
        let response = read(datagram)?;
        if response.transaction_id() != self.id || !response.has_method(BINDING) {
            return None;
        }
        match response.class() {
            MessageClass::Success => {
                let mapped = response.attribute::<XorMappedAddress>();
                Some(mapped.map_or(Err(Refused { status: None }), |mapped| {
                    Ok(mapped.addr(self.id))
                }))
            }
            MessageClass::Error => {
                let status = response.attribute::<ErrorCode>().ok();
                let status = status.map(|status| status.code());
                Some(Err(Refused { status }))
            }
            _ => None,
        }
    }
}

/// The peer is there, and does not tell our address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The status that it gave, if it gave one
    pub status: Option<u16>,
}

/// A message as a whole, nothing behind it.
fn read(datagram: &[u8]) -> Option<Message<'_>> {
    // Looked at first, because the parser logs what it does not like.
    if !is_stun(datagram) || datagram.len() > LONGEST {
        return None;
    }
    let length = datagram.get(2..4)?;
    let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
    if length + HEADER != datagram.len() {
        return None;
    }
    Message::from_bytes(datagram).ok()
}

const MAGIC_COOKIE: u32 = 0x2112_a442;
const HEADER: usize = 20;

/// The longest that is looked at: binding requests are tens of bytes.
const LONGEST: usize = 1_280;

/// RFC 8489 §6.2.1: RTO, Rc, and Rm times RTO.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const TIMES: u32 = 7;
const LAST_WAIT: Duration = Duration::from_secs(8);

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        Question::new(&mut Rng::new([7; 32]))
    }

    fn v4() -> SocketAddr {
        "198.51.100.7:40000".parse().unwrap()
    }

    #[test]
    fn a_question_is_answered_with_the_address_that_it_came_from() {
        for source in [v4(), "[2001:db8::7]:5060".parse().unwrap()] {
            let question = question();
            let answer = answer(source, &question.to_bytes()).unwrap();
            assert!(is_stun(&answer));
            assert_eq!(question.read(&answer), Some(Ok(source)));
        }
    }

    #[test]
    fn the_mark_of_a_question_comes_back_in_its_answer() {
        let question = question().marked(0x2a);
        let answer = answer(v4(), &question.to_bytes()).unwrap();
        assert_eq!((answer[19], question.to_bytes()[19]), (0x2a, 0x2a));
        assert_eq!(question.read(&answer), Some(Ok(v4())));
    }

    /// RFC 5769 §2.2: the sample response, whose last attributes we need not understand.
    #[test]
    fn the_sample_of_rfc_5769_tells_its_address() {
        let sample: [u8; 80] = [
            0x01, 0x01, 0x00, 0x3c, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
            0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74,
            0x20, 0x76, 0x65, 0x63, 0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x08, 0x00, 0x01,
            0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43, 0x00, 0x08, 0x00, 0x14, 0x2b, 0x91, 0xf5, 0x99,
            0xfd, 0x9e, 0x90, 0xc3, 0x8c, 0x74, 0x89, 0xf9, 0x2a, 0xf9, 0xba, 0x53, 0xf0, 0x6b,
            0xe7, 0xd7, 0x80, 0x28, 0x00, 0x04, 0xc0, 0x7d, 0x4c, 0x96,
        ];
        let question = Question {
            id: 0xb7e7_a701_bc34_d686_fa87_dfae_u128.into(),
            asked: 1,
        };
        let address = "192.0.2.1:32853".parse().unwrap();
        assert_eq!(question.read(&sample), Some(Ok(address)));
    }

    /// RFC 8489 §6.3.1: what must be understood and is not gets 420.
    #[test]
    fn an_unknown_attribute_that_must_be_understood_is_refused() {
        let mut asked = question().to_bytes().to_vec();
        asked.extend_from_slice(&[0x7f, 0x00, 0x00, 0x04, 1, 2, 3, 4]);
        asked[3] = 8;
        let answer = answer(v4(), &asked).unwrap();
        let refused = Refused { status: Some(420) };
        assert_eq!(question().read(&answer), Some(Err(refused)));
        // One that may be ignored is.
        asked[20] = 0xff;
        let answer = super::answer(v4(), &asked).unwrap();
        assert_eq!(question().read(&answer), Some(Ok(v4())));
    }

    #[test]
    fn only_whole_questions_are_answered() {
        let asked = question().to_bytes();
        for length in 0..asked.len() {
            assert_eq!(answer(v4(), &asked[..length]), None);
        }
        let mut longer = asked.to_vec();
        longer.push(0);
        assert_eq!(answer(v4(), &longer), None);
        // An answer answers nothing, nor does an indication.
        let answered = answer(v4(), &asked).unwrap();
        assert_eq!(answer(v4(), &answered), None);
        let mut indication = asked.to_vec();
        indication[1] = 0x11;
        assert_eq!(answer(v4(), &indication), None);
        assert_eq!(answer(v4(), b"OPTIONS sip:a@b SIP/2.0\r\n\r\n"), None);
    }

    #[test]
    fn an_answer_to_another_question_is_none() {
        let other = Question::new(&mut Rng::new([8; 32]));
        let answer = answer(v4(), &other.to_bytes()).unwrap();
        assert_eq!(question().read(&answer), None);
    }

    #[test]
    fn bytes_from_anyone_do_no_harm() {
        let mut rng = Rng::new([9; 32]);
        let whole = answer(v4(), &question().to_bytes()).unwrap();
        for _ in 0..20_000 {
            let mut bytes = whole.to_vec();
            for _ in 0..=rng.below(6) {
                let at = rng.below(bytes.len() as u64) as usize;
                bytes[at] = rng.next_u32() as u8;
            }
            bytes.truncate(rng.below(bytes.len() as u64 + 1) as usize);
            let _ = (answer(v4(), &bytes), question().read(&bytes));
        }
    }

    /// RFC 8489 §6.2.1: sent at 0, .5, 1.5, 3.5, 7.5, 15.5 and 31.5 s, given up at 39.5 s.
    #[test]
    fn a_question_is_asked_seven_times() {
        let mut question = question();
        let mut at = vec![0];
        loop {
            at.push(at[at.len() - 1] + question.wait().as_millis());
            if !question.again() {
                break;
            }
        }
        assert_eq!(at, [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500, 39_500]);
    }
}
