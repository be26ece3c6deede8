//! Which sources of input have something to say.

use sip_io::StreamId;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Wake, Waker},
};

/// A source of input of one driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Udp(usize),
    Listener(usize),
    Stream(StreamId),
    /// The other shards
    Mesh,
    Timer,
    Inbox,
    Application,
}

/// The sources that were woken since the driver's last turn, in the order of waking.
///
/// One task drives thousands of sockets; asking each of them at every turn would cost more than the work itself.
#[derive(Default)]
pub(crate) struct ReadyList {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    driver: Option<Waker>,
    ready: VecDeque<Arc<SourceWaker>>,
}

/// Puts its source on the list when woken, once.
pub(crate) struct SourceWaker {
    source: Source,
    listed: AtomicBool,
    list: Arc<ReadyList>,
}

impl ReadyList {
    /// A waker for `source`, which is on the list from the start.
    pub(crate) fn source(self: &Arc<Self>, source: Source) -> Waker {
        let waker = Waker::from(Arc::new(SourceWaker {
            source,
            listed: AtomicBool::new(false),
            list: Arc::clone(self),
        }));
        waker.wake_by_ref();
        waker
    }

    /// Remembers whom to wake.
    pub(crate) fn set_driver(&self, waker: &Waker) {
        let mut inner = self.lock();
        match &mut inner.driver {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// How many sources are on the list.
    pub(crate) fn len(&self) -> usize {
        self.lock().ready.len()
    }

    /// The source that waited longest; it comes back when it is woken again.
    pub(crate) fn pop(&self) -> Option<Source> {
        let waker = self.lock().ready.pop_front()?;
        waker.listed.store(false, Ordering::Release);
        Some(waker.source)
    }

    /// Lets go of every source; they hold the list in turn.
    pub(crate) fn clear(&self) {
        let mut inner = self.lock();
        inner.driver = None;
        let ready = std::mem::take(&mut inner.ready);
        drop(inner);
        drop(ready);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // The list is valid whatever happened while it was locked.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for SourceWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.listed.swap(true, Ordering::AcqRel) {
            return;
        }
        let driver = {
            let mut inner = self.list.lock();
            inner.ready.push_back(Arc::clone(self));
            inner.driver.clone()
        };
        if let Some(driver) = driver {
            driver.wake();
        }
    }
}
