//! The one door into a driver.

use crate::{
    activity::Activity,
    in_place::{Rest, Sending},
};
use futures_channel::oneshot;
use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
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
    /// The driver itself, once it runs as a task
    resting: OnceLock<Weak<dyn Rest<M, A>>>,
}

struct Inner<M, A> {
    jobs: VecDeque<(Lane, Job<M, A>)>,
    /// How many of the jobs are commands
    commands: usize,
    limit: usize,
    /// Commands that wait for room
    waiting: Vec<(Place, Waker)>,
    places: Place,
    ending: Option<Ending>,
    network: bool,
    driver: Option<Waker>,
    ended: bool,
    /// Futures that wait for the end
    mourners: Vec<(Place, Waker)>,
}

/// Names a future in a list of those that wait.
type Place = u64;

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

    /// The driver runs as a task from now on, and may be commanded in place.
    pub(crate) fn set_resting(&self, driver: &Arc<dyn Rest<M, A>>) {
        // A driver is spawned once.
        self.inbox.resting.set(Arc::downgrade(driver)).ok();
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

    /// Runs `command` here and now and returns what it returns, when the driver rests and nothing waits for it; otherwise
    /// gives it back, to be sent as a [`command`](Self::command).
    ///
    /// It saves a way through the driver's queue and back, with a wake-up at each end. Datagrams that the machine then
    /// wants to send have left when this returns; streams are written to in the driver's next turn. Commands in place
    /// keep the driver from its sockets no longer than those in the queue: after some hundred of them it has its turn.
    ///
    /// Only an application that [allows it](crate::Application::runs_in_place) has commands run in place, and only in a
    /// driver that was [spawned](crate::Driver::spawn). A command that panics here ends the driver, as it does there.
    ///
    /// # Errors
    ///
    /// The command, when this is not the moment.
    pub fn try_command<R, F>(&self, command: F) -> Result<R, F>
    where
        F: FnOnce(&mut M, &mut A, Instant) -> R,
    {
        self.run_in_place(Sending::AtOnce, command)
    }

    /// As [`try_command`](Self::try_command) for who waits for a peer's answer anyway: datagrams leave in the driver's
    /// next turn, together with those of other commands.
    ///
    /// # Errors
    ///
    /// The command, when this is not the moment.
    pub fn try_command_unhurried<R, F>(&self, command: F) -> Result<R, F>
    where
        F: FnOnce(&mut M, &mut A, Instant) -> R,
    {
        self.run_in_place(Sending::Together, command)
    }

    fn run_in_place<R, F>(&self, sending: Sending, command: F) -> Result<R, F>
    where
        F: FnOnce(&mut M, &mut A, Instant) -> R,
    {
        let Some(driver) = self.inbox.resting.get().and_then(Weak::upgrade) else {
            return Err(command);
        };
        let (mut command, mut result) = (Some(command), None);
        driver.run(sending, &mut |machine, app, now| {
            result = command.take().map(|command| command(machine, app, now));
        });
        match (result, command) {
            (_, Some(command)) => Err(command),
            (result, None) => Ok(result.expect("a command that was taken has run")),
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
    /// Where it waits for room
    place: Option<Place>,
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
            if inner.commands >= inner.limit {
                let place = inner.place(&mut this.place);
                wait(&mut inner.waiting, place, cx.waker());
                this.job = Some(job);
                return Poll::Pending;
            }
            inner.commands += 1;
            inner.jobs.push_back((Lane::Command, job));
            this.inbox.changed(inner);
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
    place: Option<Place>,
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
        wait(&mut inner.mourners, place, cx.waker());
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
    fn place(&mut self, place: &mut Option<Place>) -> Place {
        *place.get_or_insert_with(|| {
            self.places += 1;
            self.places
        })
    }

    /// The commands that wait, if there is room. All of them: one that is woken may never be polled again.
    fn with_room(&mut self) -> Vec<(Place, Waker)> {
        if self.commands < self.limit {
            std::mem::take(&mut self.waiting)
        } else {
            Vec::new()
        }
    }
}

fn wait(list: &mut Vec<(Place, Waker)>, place: Place, waker: &Waker) {
    match list.iter_mut().find(|(known, _)| *known == place) {
        Some((_, known)) => known.clone_from(waker),
        None => list.push((place, waker.clone())),
    }
}

fn wake(list: impl IntoIterator<Item = (Place, Waker)>) {
    for (_, waker) in list {
        waker.wake();
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
                waiting: Vec::new(),
                places: 0,
                ending: None,
                network: false,
                driver: Some(driver),
                ended: false,
                mourners: Vec::new(),
            }),
            activity: Arc::default(),
            resting: OnceLock::new(),
        }
    }

    pub(crate) fn set_limit(&self, limit: usize) {
        self.lock().limit = limit.max(1);
    }

    pub(crate) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// Whether nothing waits for the driver's turn.
    pub(crate) fn is_empty(&self) -> bool {
        let inner = self.lock();
        inner.jobs.is_empty()
            && inner.waiting.is_empty()
            && inner.ending.is_none()
            && !inner.network
            && !inner.ended
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
        let waiting = inner.with_room();
        drop(inner);
        wake(waiting);
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
        wake(waiting.into_iter().chain(mourners));
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::Cell, rc::Rc};

    /// Handles go wherever their holders go, whatever the machine is made of.
    #[test]
    fn handles_and_their_futures_move_between_threads() {
        fn is_shared<T: Send + Sync + Clone>() {}
        fn moves<T: Send + Unpin>() {}
        is_shared::<DriverHandle<Rc<()>, Cell<()>>>();
        moves::<Command<Rc<()>, Cell<()>, Cell<()>>>();
        moves::<Ended<Rc<()>, Cell<()>>>();
    }
}
