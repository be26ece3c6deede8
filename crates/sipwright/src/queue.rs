//! A bounded queue from the driver's task to whoever takes from it.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// Many may push and many may take; each value reaches one of them.
#[derive(Debug)]
pub(crate) struct Queue<T>(Arc<Mutex<State<T>>>);

#[derive(Debug)]
struct State<T> {
    values: VecDeque<T>,
    limit: usize,
    closed: bool,
    waiting: Vec<Waker>,
}

impl<T> Queue<T> {
    pub(crate) fn new(limit: usize) -> Self {
        let state = State {
            values: VecDeque::new(),
            limit,
            closed: false,
            waiting: Vec::new(),
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Appends a value, or gives it back when the queue is full or closed.
    pub(crate) fn push(&self, value: T) -> Result<(), T> {
        let mut state = self.lock();
        if state.closed || state.values.len() >= state.limit {
            return Err(value);
        }
        state.values.push_back(value);
        state.wake();
        Ok(())
    }

    /// Appends a value and, when the queue is full, loses the oldest.
    pub(crate) fn push_newest(&self, value: T) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        let lost = if state.values.len() >= state.limit {
            state.values.pop_front()
        } else {
            None
        };
        state.values.push_back(value);
        state.wake();
        drop(state);
        // Outside the lock: what a value owns may push when it is dropped.
        drop(lost);
    }

    /// No more values: who waits gets what is left, then `None`.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.wake();
    }

    pub(crate) fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<T>> {
        let mut state = self.lock();
        if let Some(value) = state.values.pop_front() {
            return Poll::Ready(Some(value));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        if !state
            .waiting
            .iter()
            .any(|waker| waker.will_wake(cx.waker()))
        {
            state.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// The next value; `None` when the queue was closed. Dropping the future loses nothing.
    pub(crate) async fn next(&self) -> Option<T> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Whether nobody but this one holds the queue.
    pub(crate) fn is_abandoned(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing that can panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn wake(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn a_full_queue_gives_back_and_a_lossy_one_loses_the_oldest() {
        let queue = Queue::new(2);
        assert_eq!(
            (queue.push(1), queue.push(2), queue.push(3)),
            (Ok(()), Ok(()), Err(3))
        );
        queue.push_newest(4);
        assert_eq!(queue.next().now_or_never(), Some(Some(2)));
        assert_eq!(queue.next().now_or_never(), Some(Some(4)));
        assert_eq!(queue.next().now_or_never(), None);
        queue.close();
        assert_eq!(queue.next().now_or_never(), Some(None));
    }
}
