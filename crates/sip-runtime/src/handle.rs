//! The one door into a driver.

use crate::activity::Activity;
use futures_channel::oneshot;
use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};
use thiserror::Error;

/// The driver has ended, and its machine with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Error)]
#[error("the driver has ended")]
pub struct Gone;

/// Reaches a driver, its machine and its application from any task or thread.
///
/// Clones reach the same driver. Dropping the last one does not end the driver; [`finish`](Self::finish) and
/// [`stop`](Self::stop) do.
pub struct DriverHandle<M, A> {
    inbox: Arc<Inbox<M, A>>,
}

/// Something to be done on the driver's task.
pub(crate) type Job<M, A> = Box<dyn FnOnce(&mut M, &mut A, Instant) + Send>;

/// How the driver was told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// As soon as nothing is owed, or when this time has passed
    WhenIdle(Duration),
    AtOnce,
}

/// What waits for a driver.
pub(crate) struct Inbox<M, A> {
    inner: Mutex<Inner<M, A>>,
    activity: Arc<Activity>,
}

struct Inner<M, A> {
    jobs: VecDeque<(Lane, Job<M, A>)>,
    /// How many of the jobs are commands
    commands: usize,
    limit: usize,
    /// Commands that wait for room, by number
    waiting: VecDeque<(u64, Waker)>,
    waiting_next: u64,
    ending: Option<Ending>,
    network: bool,
    driver: Option<Waker>,
    ended: bool,
    /// Futures that wait for the end, by number
    mourners: Vec<(u64, Waker)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lane {
    /// Bounded
    Command,
    /// The reserved places
    Post,
}

impl<M, A> DriverHandle<M, A> {
    pub(crate) fn new(inbox: Arc<Inbox<M, A>>) -> Self {
        Self { inbox }
    }

    /// Runs `command` on the driver's task and resolves with what it returns.
    ///
    /// What the machine then wants to send leaves in the same turn of the driver. The queue of commands is bounded
    /// (1,024 unless [`Driver::command_queue`](crate::Driver::command_queue) says otherwise); while it is full, the
    /// future waits for room. Dropping the future before it was polled, or while it waits for room, takes the command
    /// back; later the command runs and its result is dropped.
    pub fn command<R, F>(&self, command: F) -> Command<M, A, R>
    where
        R: Send + 'static,
        F: FnOnce(&mut M, &mut A, Instant) -> R + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        Command {
            inbox: Arc::clone(&self.inbox),
            job: Some(Box::new(move |machine, app, now| {
                // The one who asked may have gone.
                sender.send(command(machine, app, now)).ok();
            })),
            place: None,
            receiver,
        }
    }

    /// Runs `job` on the driver's task some time soon; nothing happens when the driver has ended.
    ///
    /// Never refused, and therefore meant for the end of owned handles alone: each of them posts at most once, so what
    /// waits here is bounded by the number of handles, as if each had a place reserved.
    pub fn post(&self, job: impl FnOnce(&mut M, &mut A, Instant) + Send + 'static) {
        let mut inner = self.inbox.lock();
        if inner.ended {
            return;
        }
        inner.jobs.push_back((Lane::Post, Box::new(job)));
        self.inbox.changed(inner);
    }

    /// Ends the driver as soon as its application is idle ([`Application::is_idle`](crate::Application::is_idle)) and
    /// everything is written, or when `within` has passed: 64×T1 (32 s) is what RFC 3261 asks of a transaction.
    ///
    /// This alone tells the machine nothing: send it its own command to shut down first.
    pub fn finish(&self, within: Duration) -> Ended<M, A> {
        self.end(Ending::WhenIdle(within))
    }

    /// Ends the driver in its next turn, with whatever it still owes.
    pub fn stop(&self) -> Ended<M, A> {
        self.end(Ending::AtOnce)
    }

    /// Resolves when the driver has ended. Dropping the future changes nothing.
    pub fn ended(&self) -> Ended<M, A> {
        Ended {
            inbox: Arc::clone(&self.inbox),
            place: None,
        }
    }

    /// Whether the driver has ended.
    pub fn has_ended(&self) -> bool {
        self.inbox.lock().ended
    }

    /// Has the driver look at the host's interfaces and tell the machine of them again: for applications that learn
    /// from their platform that the network changed.
    pub fn refresh_network(&self) {
        let mut inner = self.inbox.lock();
        inner.network = true;
        self.inbox.changed(inner);
    }

    /// What the driver is busy with.
    pub fn activity(&self) -> Arc<Activity> {
        Arc::clone(&self.inbox.activity)
    }

    fn end(&self, ending: Ending) -> Ended<M, A> {
        let mut inner = self.inbox.lock();
        if inner.ending != Some(Ending::AtOnce) {
            inner.ending = Some(ending);
        }
        self.inbox.changed(inner);
        self.ended()
    }
}

impl<M, A> Clone for DriverHandle<M, A> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.inbox))
    }
}

impl<M, A> fmt::Debug for DriverHandle<M, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DriverHandle")
            .field("ended", &self.has_ended())
            .finish_non_exhaustive()
    }
}

/// A command on its way; see [`DriverHandle::command`].
#[must_use = "a command runs only when awaited"]
pub struct Command<M, A, R> {
    inbox: Arc<Inbox<M, A>>,
    /// The command, until it is queued
    job: Option<Job<M, A>>,
    /// The number under which it waits for room
    place: Option<u64>,
    receiver: oneshot::Receiver<R>,
}

impl<M, A, R> Future for Command<M, A, R> {
    type Output = Result<R, Gone>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(job) = this.job.take() {
            let mut inner = this.inbox.lock();
            if inner.ended {
                return Poll::Ready(Err(Gone));
            }
            // Whoever came first goes first.
            let first = inner
                .waiting
                .front()
                .is_none_or(|(place, _)| Some(*place) == this.place);
            if inner.commands >= inner.limit || !first {
                inner.wait_for_room(&mut this.place, cx.waker());
                this.job = Some(job);
                return Poll::Pending;
            }
            if this.place.take().is_some() {
                inner.waiting.pop_front();
            }
            inner.commands += 1;
            inner.jobs.push_back((Lane::Command, job));
            let next = inner.next_with_room();
            this.inbox.changed(inner);
            if let Some(next) = next {
                next.wake();
            }
        }
        Pin::new(&mut this.receiver)
            .poll(cx)
            .map(|result| result.map_err(|_ended| Gone))
    }
}

impl<M, A, R> Drop for Command<M, A, R> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            let mut inner = self.inbox.lock();
            inner.waiting.retain(|(waiting, _)| *waiting != place);
            let next = inner.next_with_room();
            drop(inner);
            if let Some(next) = next {
                next.wake();
            }
        }
    }
}

impl<M, A, R> fmt::Debug for Command<M, A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("queued", &self.job.is_none())
            .finish_non_exhaustive()
    }
}

/// Resolves when a driver has ended; see [`DriverHandle::ended`].
#[must_use = "a future does nothing until it is awaited; the driver ends without it"]
pub struct Ended<M, A> {
    inbox: Arc<Inbox<M, A>>,
    place: Option<u64>,
}

impl<M, A> Future for Ended<M, A> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut inner = this.inbox.lock();
        if inner.ended {
            return Poll::Ready(());
        }
        let place = inner.place(&mut this.place);
        match inner.mourners.iter_mut().find(|(known, _)| *known == place) {
            Some((_, waker)) => waker.clone_from(cx.waker()),
            None => inner.mourners.push((place, cx.waker().clone())),
        }
        Poll::Pending
    }
}

impl<M, A> Drop for Ended<M, A> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            let mut inner = self.inbox.lock();
            inner.mourners.retain(|(known, _)| *known != place);
        }
    }
}

impl<M, A> fmt::Debug for Ended<M, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ended")
    }
}

impl<M, A> Inner<M, A> {
    fn place(&mut self, place: &mut Option<u64>) -> u64 {
        *place.get_or_insert_with(|| {
            self.waiting_next += 1;
            self.waiting_next
        })
    }

    fn wait_for_room(&mut self, place: &mut Option<u64>, waker: &Waker) {
        let place = self.place(place);
        match self.waiting.iter_mut().find(|(known, _)| *known == place) {
            Some((_, known)) => known.clone_from(waker),
            None => self.waiting.push_back((place, waker.clone())),
        }
    }

    /// The command that may now have room.
    fn next_with_room(&self) -> Option<Waker> {
        let room = self.commands < self.limit;
        let (_, waker) = self.waiting.front().filter(|_| room)?;
        Some(waker.clone())
    }
}

/// What the driver finds in its inbox.
pub(crate) struct News<M, A> {
    pub(crate) job: Option<Job<M, A>>,
    pub(crate) ending: Option<Ending>,
    pub(crate) network: bool,
}

impl<M, A> Inbox<M, A> {
    pub(crate) fn new(limit: usize, driver: Waker) -> Self {
        Self {
            inner: Mutex::new(Inner {
                jobs: VecDeque::new(),
                commands: 0,
                limit,
                waiting: VecDeque::new(),
                waiting_next: 0,
                ending: None,
                network: false,
                driver: Some(driver),
                ended: false,
                mourners: Vec::new(),
            }),
            activity: Arc::default(),
        }
    }

    pub(crate) fn set_limit(&self, limit: usize) {
        self.lock().limit = limit.max(1);
    }

    pub(crate) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// The next job, and what else there is.
    pub(crate) fn take(&self) -> News<M, A> {
        let mut inner = self.lock();
        let job = inner.jobs.pop_front().map(|(lane, job)| {
            if lane == Lane::Command {
                inner.commands -= 1;
            }
            job
        });
        let news = News {
            job,
            ending: inner.ending.take(),
            network: std::mem::take(&mut inner.network),
        };
        self.activity.queued(inner.jobs.len());
        let next = inner.next_with_room();
        drop(inner);
        if let Some(next) = next {
            next.wake();
        }
        news
    }

    /// The driver has ended: what waits is gone, what comes is refused.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.ended = true;
        inner.driver = None;
        inner.commands = 0;
        let jobs = std::mem::take(&mut inner.jobs);
        let waiting = std::mem::take(&mut inner.waiting);
        let mourners = std::mem::take(&mut inner.mourners);
        drop(inner);
        self.activity.queued(0);
        self.activity.end();
        // Outside the lock: what a job owns may post when it is dropped.
        drop(jobs);
        for (_, waker) in waiting.into_iter().chain(mourners) {
            waker.wake();
        }
    }

    /// More is to be done than one turn allows.
    pub(crate) fn wake_driver(&self) {
        self.changed(self.lock());
    }

    fn changed(&self, inner: MutexGuard<'_, Inner<M, A>>) {
        self.activity.queued(inner.jobs.len());
        let driver = inner.driver.clone();
        drop(inner);
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<M, A>> {
        // No code of others runs under the lock, so what it guards is whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
