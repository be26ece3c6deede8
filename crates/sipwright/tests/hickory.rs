//! hickory-resolver behind `Resolve`, against a name server of the test's own on loopback.
#![cfg(feature = "hickory-resolver")]

use sipwright::resolver::{Hickory, LookupError, Question, Record, RecordType, Resolve};
use std::net::{IpAddr, UdpSocket};

/// Knows the address and the SRV records of every name but those that begin with `no`.
fn answer(question: &[u8]) -> Vec<u8> {
    const NAME: usize = 12;
    let length = question[NAME..].iter().position(|byte| *byte == 0);
    let end = NAME + length.expect("a name ends") + 1;
    let is_known = !question[NAME + 1..].starts_with(b"no");
    let data: Vec<u8> = match (is_known, question[end + 1]) {
        (true, 1) => vec![192, 0, 2, 7],
        (true, 33) => b"\0\x01\0\x02\x13\xc4\x03pbx\x07example\0".to_vec(),
        _ => Vec::new(),
    };
    let code = if is_known { 0x80 } else { 0x83 };
    let count = u8::from(!data.is_empty());
    let mut answer = question[..2].to_vec();
    answer.extend([0x81, code, 0, 1, 0, count, 0, 0, 0, 0]);
    answer.extend(&question[NAME..end + 4]);
    if count == 1 {
        answer.extend([0xc0, NAME as u8, 0, question[end + 1], 0, 1, 0, 0, 0, 60, 0]);
        answer.push(data.len() as u8);
        answer.extend(data);
    }
    answer
}

fn question(name: &str, record_type: RecordType) -> Question {
    Question::new(name, record_type).expect("is a domain name")
}

#[tokio::test]
async fn answers_and_their_absence_come_as_our_own_client_would_give_them() {
    let server = UdpSocket::bind("127.0.0.1:0").expect("loopback is there");
    let at = server.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        let mut asked = [0; 1_500];
        while let Ok((length, from)) = server.recv_from(&mut asked) {
            server.send_to(&answer(&asked[..length]), from).ok();
        }
    });
    let hickory = Hickory::nameservers([at]).expect("it can be made");
    let found = hickory
        .lookup(&question("pbx.example", RecordType::A))
        .await
        .expect("the server knows");
    assert_eq!(
        found.records(),
        [Record::Address(IpAddr::from([192, 0, 2, 7]))]
    );
    assert!((1..=60).contains(&found.ttl().as_secs()), "{found:?}");
    let found = hickory
        .lookup(&question("_sip._udp.example", RecordType::Srv))
        .await
        .expect("the server knows");
    assert!(
        matches!(found.records(), [Record::Srv(srv)] if srv.target.trim_end_matches('.') == "pbx.example"
            && (srv.priority, srv.weight, srv.port) == (1, 2, 5060)),
        "{found:?}"
    );
    let nobody = hickory
        .lookup(&question("nobody.example", RecordType::A))
        .await;
    assert!(
        matches!(nobody, Err(LookupError::NoSuchName { .. })),
        "{nobody:?}"
    );
    let nothing = hickory
        .lookup(&question("pbx.example", RecordType::Naptr))
        .await;
    assert!(
        matches!(nothing, Err(LookupError::NoRecords { .. })),
        "{nothing:?}"
    );
}
