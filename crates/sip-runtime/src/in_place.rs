//! Commands that run where they are given, between the driver's turns.

use crate::driver::{Application, Driver};
use sip_io::StateMachine;
use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Instant,
};

/// A driver that rests between its turns, for whoever has a command.
///
/// A command that finds it at rest needs no place in a queue, no wake-up, no turn and no answer sent back: on one thread
/// that is most of what a command costs. It stands behind a trait object, so that handles move between threads whatever
/// the machine is made of.
pub(crate) trait Rest<M, A>: Send + Sync {
    /// Runs `job`, unless the driver runs or has something before it; says whether it did.
    fn run(&self, sending: Sending, job: &mut dyn FnMut(&mut M, &mut A, Instant)) -> bool;
}

/// When the datagrams leave that a command in place brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    AtOnce,
    /// In the driver's next turn, with others
    Together,
}

impl<M, A> Rest<M, A> for Mutex<Driver<M, A>>
where
    M: StateMachine + Send,
    A: Application<M>,
{
    fn run(&self, sending: Sending, job: &mut dyn FnMut(&mut M, &mut A, Instant)) -> bool {
        // Never waited for: it may be held by the very task that asks.
        let Ok(mut driver) = self.try_lock() else {
            return false;
        };
        let run = AssertUnwindSafe(|| driver.run_in_place(sending, job));
        match catch_unwind(run) {
            Ok(done) => done,
            Err(panic) => {
                // The driver finds the lock poisoned and ends, as if the command had panicked on its task.
                driver.wake();
                resume_unwind(panic)
            }
        }
    }
}

/// The driver's own task.
pub(crate) struct Turns<M: StateMachine, A: Application<M>>(pub(crate) Arc<Mutex<Driver<M, A>>>);

impl<M: StateMachine, A: Application<M>> Future for Turns<M, A> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.0.lock() {
            Ok(mut driver) => Pin::new(&mut *driver).poll(cx),
            // A command panicked in place: the machine may be half changed.
            Err(_poisoned) => Poll::Ready(()),
        }
    }
}
