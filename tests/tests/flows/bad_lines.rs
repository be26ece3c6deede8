//! The same flows where one link loses every fifth datagram and others overtake each other.

use crate::network::{Net, SETTLED, Way};
use futures_util::FutureExt;
use sipwright::{Call, message::Method};

/// What the two user agents of a flow hold when it is over.
#[derive(Default)]
pub(crate) struct Ends {
    pub(crate) caller: Option<Call>,
    pub(crate) callee: Option<Call>,
}

impl Ends {
    /// Both hold the call, or neither does (RFC 3261 §13 with lost messages).
    fn assert_agreement(&self) {
        let held = |call: &Option<Call>| {
            call.as_ref()
                .is_some_and(|call| call.ended().now_or_never().is_none())
        };
        let (caller, callee) = (held(&self.caller), held(&self.callee));
        assert_eq!(
            caller, callee,
            "the caller holds the call: {caller}; the callee does: {callee}"
        );
    }

    async fn hang_up(self) {
        for call in [self.caller, self.callee].into_iter().flatten() {
            call.hang_up().await;
        }
    }
}

/// Runs a flow with 200 seeds, each with one of `links` bad, and checks what holds for every flow: within 64×T1 + T4 +
/// Timer C of its last action both user agents have ended the call or both hold it, a callee that never saw an ACK has
/// sent BYE, every server transaction had a final response, and nothing and no timer is left. Returns how many calls
/// the callee saw established.
#[track_caller]
pub(crate) fn on_bad_lines(links: &[(&str, &str)], flow: impl AsyncFn(&Net, u64) -> Ends) -> usize {
    let (mut lost, mut established) = (0, 0);
    for seed in 0..SEEDS {
        let net = Net::new(seed);
        let (one, other) = links[seed as usize % links.len()];
        net.sim.link(one, other).loss(0.2);
        net.sim.everywhere().reorder(0.2);
        let _witness = net.witness(seed);
        net.sim.run(async {
            let ends = flow(&net, seed).await;
            net.sim.sleep(SETTLED).await;
            established += usize::from(ends.callee.is_some());
            ends.assert_agreement();
            assert_acknowledged_or_ended(&net);
            ends.hang_up().await;
            net.sim.sleep(SETTLED).await;
            net.assert_nothing_is_left().await;
        });
        lost += net
            .sim
            .ladder()
            .rungs()
            .iter()
            .filter(|rung| rung.lost)
            .count();
    }
    assert!(
        lost > SEEDS as usize / 2,
        "the line was too good: {lost} lost"
    );
    established
}

/// RFC 3261 §13.3.1.4: who answered with 2xx and saw no ACK ends the call, unless the peer did.
fn assert_acknowledged_or_ended(net: &Net) {
    for phone in net.phones() {
        let answered = net.seen(phone, Way::Sent, "200", &Method::INVITE) > 0;
        let acknowledged = net.seen(phone, Way::Received, "ACK", &Method::ACK) > 0;
        let ended =
            [Way::Sent, Way::Received].map(|way| net.seen(phone, way, "BYE", &Method::BYE) > 0);
        assert!(
            !answered || acknowledged || ended.contains(&true),
            "{phone} never saw an ACK and did not hang up"
        );
    }
}

const SEEDS: u64 = 200;
