//! Sockets that take streams.

use super::{Bound, Due, Ports, RETRY, Sharing};
use crate::{
    ready::Source,
    runtime::{TcpListener, canonical},
};
use sip_io::{BindToken, Flow, Protocol, Receive, StreamId};
use std::{
    io,
    net::SocketAddr,
    task::{Context, Poll, Waker},
    time::Instant,
};

/// One listening socket.
pub(super) struct TcpPort {
    listener: Box<dyn TcpListener>,
    protocol: Protocol,
    local: SocketAddr,
    waker: Waker,
}

impl Ports {
    pub(super) fn listen(
        &mut self,
        token: BindToken,
        protocol: Protocol,
        local: SocketAddr,
        sharing: Sharing,
    ) -> io::Result<SocketAddr> {
        let listener = match sharing {
            Sharing::Alone => self.runtime.listen_tcp(local)?,
            Sharing::Shared => {
                if self.is_first_at(local) {
                    drop(self.runtime.listen_tcp(local)?);
                }
                self.runtime.listen_tcp_shared(local)?
            }
        };
        let local = canonical(listener.local_addr()?);
        let entry = self.listeners.vacant_entry();
        let key = entry.key();
        entry.insert(TcpPort {
            listener,
            protocol,
            local,
            waker: self.ready.source(Source::Listener(key)),
        });
        self.bound.insert(token, Bound::Listener(key));
        Ok(local)
    }

    pub(super) fn poll_listener(&mut self, now: Instant, key: usize) {
        let shard = self.shard();
        for _ in 0..ACCEPTS {
            let Some(port) = self.listeners.get_mut(key) else {
                return;
            };
            if self.accepted_open >= self.limits.accepted_streams {
                // The system's backlog holds them until a stream ends, and refuses when it is full.
                return;
            }
            let waker = port.waker.clone();
            match port.listener.poll_accept(&mut Context::from_waker(&waker)) {
                Poll::Pending => return,
                Poll::Ready(Ok((stream, remote))) => {
                    let local = stream.local_addr().unwrap_or(port.local);
                    self.accepted += 1;
                    let id = StreamId::accepted(self.accepted).of_shard(shard);
                    let flow = Flow::stream(port.protocol, id, canonical(local), canonical(remote));
                    self.insert_accepted(flow, stream);
                    self.received.push_back(Receive::Opened { flow });
                }
                // The peer went away before it was its turn.
                Poll::Ready(Err(error))
                    if matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionAborted
                            | io::ErrorKind::ConnectionReset
                            | io::ErrorKind::Interrupted
                    ) => {}
                Poll::Ready(Err(error)) => {
                    // Too many open files, or no memory: asking again at once would only burn time.
                    tracing::warn!(%error, local = %port.local, "cannot accept: paused");
                    self.timers
                        .insert(now + RETRY, Due::Ask(Source::Listener(key)));
                    return;
                }
            }
        }
        if let Some(port) = self.listeners.get(key) {
            port.waker.wake_by_ref();
        }
    }

    /// Listeners that stopped at the limit go on.
    pub(super) fn wake_listeners(&self) {
        for (_, port) in &self.listeners {
            port.waker.wake_by_ref();
        }
    }
}

/// How many streams are accepted before others have their turn.
const ACCEPTS: usize = 16;
