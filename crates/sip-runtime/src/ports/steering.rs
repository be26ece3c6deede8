//! Parcels from and to the other shards.

use super::Ports;
use crate::{
    ready::Source,
    shards::{Member, Sent},
};
use sip_io::{Parcel, Receive, Shard};

impl Ports {
    /// Takes a place among those that share the work.
    pub(crate) fn join(&mut self, member: Member) {
        member.set_waker(&self.ready.source(Source::Mesh));
        self.member = Some(member);
    }

    /// Which shard this is.
    pub(super) fn shard(&self) -> Shard {
        self.member
            .as_ref()
            .map_or_else(Shard::default, Member::shard)
    }

    pub(super) fn steer(&mut self, to: Shard, parcel: Box<Parcel>) {
        let sent = match &mut self.member {
            Some(member) => member.send(to, parcel),
            None => Sent::Refused(parcel),
        };
        match sent {
            Sent::Under => {}
            Sent::Holds(id) => self.hold(id),
            Sent::Refused(parcel) => self.received.push_back(Receive::Unsteered { to, parcel }),
        }
    }

    /// Sends what waited for room, and takes what has come.
    pub(super) fn poll_mesh(&mut self) {
        let Some(member) = &mut self.member else {
            return;
        };
        let (released, refused) = member.retry();
        let refused = refused
            .into_iter()
            .map(|(to, parcel)| Receive::Unsteered { to, parcel });
        self.received.extend(refused);
        for _ in 0..PARCELS {
            let Some((from, parcel)) = member.take() else {
                break;
            };
            self.received.push_back(Receive::Steered { from, parcel });
        }
        if self.received.len() >= PARCELS {
            // Others shall have their turn.
            member.wake();
        }
        for id in released {
            self.release_stream(id);
        }
    }

    /// Says whether this shard owes anything; tells whether none of them does.
    pub(crate) fn set_idle(&self, idle: bool) -> bool {
        match &self.member {
            Some(member) => member.set_idle(idle),
            None => idle,
        }
    }
}

/// How many parcels are taken before others have their turn.
const PARCELS: usize = 128;
