//! A value that comes once and is then there for everyone who waits.

use smallvec::SmallVec;
use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// Set once, read by many.
#[derive(Debug)]
pub(crate) struct Latch<T>(Arc<Mutex<State<T>>>);

#[derive(Debug)]
struct State<T> {
    /// On its own, because most of the time it is not there
    value: Option<Box<T>>,
    /// Whether it has come so far that the value will take its time
    halfway: bool,
    /// Hardly ever does more than one wait
    waiting: SmallVec<[(u32, Waker); 1]>,
    places: u32,
}

impl<T: Clone> Latch<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            value: None,
            halfway: false,
            waiting: SmallVec::new(),
            places: 0,
        })))
    }

    /// Sets the value; the first one stays.
    pub(crate) fn set(&self, value: T) {
        let mut state = self.lock();
        state.value.get_or_insert_with(|| Box::new(value));
        wake(state);
    }

    /// Passes the mark on the way to the value.
    pub(crate) fn pass_halfway(&self) {
        let mut state = self.lock();
        state.halfway = true;
        wake(state);
    }

    pub(crate) fn get(&self) -> Option<T> {
        self.lock().value.as_deref().cloned()
    }

    /// Resolves with the value. Dropping the future changes nothing.
    pub(crate) fn wait(&self) -> Wait<T> {
        Wait {
            latch: Self(Arc::clone(&self.0)),
            place: None,
        }
    }

    /// Resolves when the mark on the way was passed: whether it was, before the value came. Dropping the future changes
    /// nothing.
    pub(crate) async fn halfway(&self) -> bool {
        let mut wait = self.wait();
        poll_fn(move |cx| wait.poll_halfway(cx)).await
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
pub(crate) struct Wait<T: Clone> {
    latch: Latch<T>,
    /// Where it waits
    place: Option<u32>,
}

impl<T: Clone> Future for Wait<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        let mut state = this.latch.lock();
        if let Some(value) = &state.value {
            return Poll::Ready(T::clone(value));
        }
        state.wait(&mut this.place, cx.waker());
        Poll::Pending
    }
}

impl<T: Clone> Wait<T> {
    fn poll_halfway(&mut self, cx: &Context<'_>) -> Poll<bool> {
        let mut state = self.latch.lock();
        if state.halfway || state.value.is_some() {
            return Poll::Ready(state.halfway);
        }
        state.wait(&mut self.place, cx.waker());
        Poll::Pending
    }
}

impl<T> State<T> {
    fn wait(&mut self, place: &mut Option<u32>, waker: &Waker) {
        let place = *place.get_or_insert_with(|| {
            self.places = self.places.wrapping_add(1);
            self.places
        });
        match self.waiting.iter_mut().find(|(known, _)| *known == place) {
            Some((_, known)) => known.clone_from(waker),
            None => self.waiting.push((place, waker.clone())),
        }
    }
}

/// Wakes who waits, outside the lock.
fn wake<T>(mut state: MutexGuard<'_, State<T>>) {
    let waiting = std::mem::take(&mut state.waiting);
    drop(state);
    waiting.into_iter().for_each(|(_, waker)| waker.wake());
}

impl<T: Clone> Drop for Wait<T> {
    /// A waker that stays would hold its whole task in memory.
    fn drop(&mut self) {
        let Some(place) = self.place else {
            return;
        };
        let mut state = self.latch.lock();
        let found = state.waiting.iter().position(|(known, _)| *known == place);
        let waker = found.map(|found| state.waiting.swap_remove(found));
        if state.waiting.is_empty() {
            state.waiting = SmallVec::new();
        }
        drop(state);
        // Outside the lock: it may be the last that holds its task.
        drop(waker);
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

    #[test]
    fn the_mark_on_the_way_is_passed_or_the_value_comes_first() {
        let (passed, over) = (Latch::new(), Latch::<u32>::new());
        let mut waiting = Box::pin(passed.halfway());
        assert_eq!(waiting.as_mut().now_or_never(), None);
        passed.pass_halfway();
        passed.set(1);
        over.set(1);
        assert_eq!(waiting.now_or_never(), Some(true));
        assert_eq!(over.halfway().now_or_never(), Some(false));
    }

    #[test]
    fn who_stops_waiting_leaves_nothing_behind() {
        let latch = Latch::<u32>::new();
        let mut waiting = Box::pin(latch.wait());
        assert_eq!(waiting.as_mut().now_or_never(), None);
        assert_eq!(latch.lock().waiting.len(), 1);
        drop(waiting);
        assert!(latch.lock().waiting.is_empty());
    }
}
