//! A value that comes once and is then there for everyone who waits.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// Set once, read by many.
#[derive(Debug)]
pub(crate) struct Latch<T>(Arc<Mutex<State<T>>>);

#[derive(Debug)]
struct State<T> {
    value: Option<T>,
    waiting: Vec<Waker>,
}

impl<T: Clone> Latch<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            value: None,
            waiting: Vec::new(),
        })))
    }

    /// Sets the value; the first one stays.
    pub(crate) fn set(&self, value: T) {
        let mut state = self.lock();
        state.value.get_or_insert(value);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn get(&self) -> Option<T> {
        self.lock().value.clone()
    }

    /// Resolves with the value. Dropping the future changes nothing.
    pub(crate) fn wait(&self) -> Wait<T> {
        Wait(Self(Arc::clone(&self.0)))
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing that can panic runs under the lock but `clone`, which leaves the value whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Latch<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// The future of [`Latch::wait`].
pub(crate) struct Wait<T>(Latch<T>);

impl<T: Clone> Future for Wait<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut state = self.0.lock();
        match &state.value {
            Some(value) => Poll::Ready(value.clone()),
            None => {
                if !state
                    .waiting
                    .iter()
                    .any(|waker| waker.will_wake(cx.waker()))
                {
                    state.waiting.push(cx.waker().clone());
                }
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn the_first_value_stays_and_reaches_everyone() {
        let latch = Latch::new();
        let (one, other) = (latch.wait(), latch.wait());
        assert_eq!(latch.wait().now_or_never(), None);
        latch.set(1);
        latch.set(2);
        assert_eq!(
            (one.now_or_never(), other.now_or_never(), latch.get()),
            (Some(1), Some(1), Some(1))
        );
    }
}
