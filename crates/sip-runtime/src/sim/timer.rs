//! Waiting in virtual time.

use super::world::{Action, Shared};
use crate::runtime::Timer;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// Completes at an instant of virtual time; see [`Sim::sleep`](super::Sim::sleep). Dropping it takes it back.
#[must_use = "a future does nothing until it is awaited"]
pub struct Sleep {
    shared: Arc<Shared>,
    at: Instant,
    /// Its place in the agenda, once it waits
    waiting: Option<(Duration, u64)>,
}

impl Sleep {
    pub(super) fn new(shared: Arc<Shared>, at: Instant) -> Self {
        Self {
            shared,
            at,
            waiting: None,
        }
    }

    fn forget(&mut self) {
        if let Some(place) = self.waiting.take() {
            let action = self.shared.with(|world| world.agenda.remove(&place));
            drop(action);
        }
    }

    fn wait(&mut self, waker: Waker) {
        let at = self.shared.since_start(self.at);
        self.waiting = Some(
            self.shared
                .with(|world| world.schedule(at, Action::Wake(waker))),
        );
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.shared.now() >= self.at {
            self.forget();
            return Poll::Ready(());
        }
        let known = self.waiting.is_some_and(|place| {
            self.shared
                .with(|world| match world.agenda.get_mut(&place) {
                    Some(Action::Wake(waker)) => {
                        waker.clone_from(cx.waker());
                        true
                    }
                    _ => false,
                })
        });
        if !known {
            self.wait(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Timer for Sleep {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.forget();
        self.at = at;
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.forget();
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("at", &self.at).finish()
    }
}
