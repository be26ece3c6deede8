//! Which tasks can run.

use super::world::Shared;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// Something to be polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// The future given to `Sim::run`
    Main(u64),
    /// A task of a host
    Task(u64),
}

/// What was woken, in the order of waking.
#[derive(Default)]
pub(super) struct RunQueue {
    ready: Mutex<VecDeque<Arc<TaskWaker>>>,
    mains: AtomicU64,
}

struct TaskWaker {
    key: Key,
    queued: AtomicBool,
    queue: Arc<RunQueue>,
}

impl RunQueue {
    /// The waker of a task, woken once.
    pub(super) fn waker(self: &Arc<Self>, key: Key) -> Waker {
        let waker = Waker::from(Arc::new(TaskWaker {
            key,
            queued: AtomicBool::new(false),
            queue: Arc::clone(self),
        }));
        waker.wake_by_ref();
        waker
    }

    /// The waker of a new main future; those of former ones wake nobody.
    pub(super) fn main(self: &Arc<Self>) -> (u64, Waker) {
        let id = self.mains.fetch_add(1, Ordering::Relaxed);
        (id, self.waker(Key::Main(id)))
    }

    pub(super) fn pop(&self) -> Option<Key> {
        let woken = self.lock().pop_front()?;
        woken.queued.store(false, Ordering::Release);
        Some(woken.key)
    }

    pub(super) fn clear(&self) {
        let ready = std::mem::take(&mut *self.lock());
        drop(ready);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<TaskWaker>>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.queue.lock().push_back(Arc::clone(self));
        }
    }
}

impl Shared {
    /// Polls a task, if it is still there.
    pub(super) fn poll_task(&self, id: u64) {
        // Out of the network while it runs: it will ask the network for things.
        let Some((mut future, waker)) = self.with(|world| {
            let task = world.tasks.get_mut(&id)?;
            Some((task.future.take()?, task.waker.clone()))
        }) else {
            return;
        };
        let poll = future.as_mut().poll(&mut Context::from_waker(&waker));
        let over = self.with(|world| match (poll, world.tasks.get_mut(&id)) {
            (Poll::Pending, Some(task)) => {
                task.future = Some(future);
                None
            }
            // Done, or its host crashed meanwhile.
            _ => {
                let task = world.tasks.remove(&id);
                Some((future, task))
            }
        });
        drop(over);
    }
}
