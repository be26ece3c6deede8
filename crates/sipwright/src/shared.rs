//! What all handles of one user agent or server hold.

use crate::{app::App, machine::Machine, messages::Delivered, user_agent::Settings};
use crate::{incoming::Ringing, queue::Queue};
use futures_util::future::{join_all, try_join_all};
use sip_io::Shard;
use sip_runtime::{DriverHandle, Gone, Runtime};
use std::{
    fmt,
    ops::{AddAssign, Deref},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// The doors to the drivers, shared by the handles. When the last one is dropped, the drivers end what is held and then
/// themselves.
///
/// Each handle talks to the driver of the shard that has what it stands for.
#[derive(Clone)]
pub(crate) struct Shared {
    inner: Arc<Inner>,
    shard: Shard,
}

pub(crate) struct Inner {
    drivers: Box<[DriverHandle<Machine, App>]>,
    /// Whose turn it is to begin something
    turn: AtomicUsize,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) settings: Settings,
    /// Calls for the application
    pub(crate) incoming: Queue<Box<Ringing>>,
    /// Whether it has asked for them
    pub(crate) takes_calls: OnceLock<()>,
    /// Messages for the application
    pub(crate) messages: Queue<Delivered>,
}

impl Shared {
    pub(crate) fn new(
        runtime: Arc<dyn Runtime>,
        settings: Settings,
        mut drivers: Starting,
    ) -> Self {
        let drivers = std::mem::take(&mut drivers.0);
        let inner = Inner {
            incoming: Queue::new(settings.waiting_calls),
            takes_calls: OnceLock::new(),
            messages: Queue::new(settings.waiting_messages),
            drivers: drivers.into(),
            turn: AtomicUsize::new(0),
            runtime,
            settings,
        };
        Self {
            inner: Arc::new(inner),
            shard: Shard::default(),
        }
    }

    /// The door to one shard.
    pub(crate) fn on(&self, shard: Shard) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            shard,
        }
    }

    /// The door to the shard whose turn it is to begin something.
    pub(crate) fn spread(&self) -> Self {
        let shards = self.drivers.len();
        if shards == 1 {
            return self.clone();
        }
        let turn = self.turn.fetch_add(1, Relaxed) % shards;
        self.on(Shard::new(turn).unwrap_or_default())
    }

    /// Runs `command` in place when the driver rests, otherwise in its next turn; see [`DriverHandle::try_command`] and
    /// [`DriverHandle::command`].
    pub(crate) async fn command<R, F>(&self, command: F) -> Result<R, Gone>
    where
        R: Send + 'static,
        F: FnOnce(&mut Machine, &mut App, Instant) -> R + Send + 'static,
    {
        let driver = self.driver()?;
        match driver.try_command(command) {
            Ok(result) => Ok(result),
            Err(command) => driver.command(command).await,
        }
    }

    /// As [`command`](Self::command) for who waits for a peer's answer anyway; see
    /// [`DriverHandle::try_command_unhurried`].
    pub(crate) async fn command_unhurried<R, F>(&self, command: F) -> Result<R, Gone>
    where
        R: Send + 'static,
        F: FnOnce(&mut Machine, &mut App, Instant) -> R + Send + 'static,
    {
        let driver = self.driver()?;
        match driver.try_command_unhurried(command) {
            Ok(result) => Ok(result),
            Err(command) => driver.command(command).await,
        }
    }

    /// Runs `command` on the task of each driver.
    pub(crate) async fn everywhere<R, F>(&self, command: F) -> Result<Vec<R>, Gone>
    where
        R: Send + 'static,
        F: FnOnce(&mut Machine, &mut App, Instant) -> R + Clone + Send + 'static,
    {
        let commands = self.drivers.iter();
        try_join_all(commands.map(|driver| driver.command(command.clone()))).await
    }

    /// What `count` tells of each driver, together.
    pub(crate) async fn sum<R, F>(&self, count: F) -> Option<R>
    where
        R: AddAssign + Send + 'static,
        F: FnOnce(&mut Machine, &mut App, Instant) -> R + Clone + Send + 'static,
    {
        let counts = self.everywhere(count).await.ok()?.into_iter();
        counts.reduce(|mut sum, more| {
            sum += more;
            sum
        })
    }

    pub(crate) async fn set_overload(&self, percent: u8) {
        let told = self.everywhere(move |machine, _, now| {
            machine.stack.command(now, |_, cx| cx.set_overload(percent));
        });
        // Nobody is told by who is closed.
        told.await.ok();
    }

    /// Runs `job` some time soon: what the end of an owned handle brings about.
    pub(crate) fn post(&self, job: impl FnOnce(&mut Machine, &mut App, Instant) + Send + 'static) {
        if let Ok(driver) = self.driver() {
            driver.post(job);
        }
    }

    /// Refuses new work, ends what is held, and resolves when that is done or `within` has passed.
    pub(crate) async fn close(&self, within: Duration) {
        let closings = self.drivers.iter().map(|driver| async move {
            if driver.command(shut_down).await.is_ok() {
                driver.finish(within).await;
            }
        });
        join_all(closings).await;
    }

    fn driver(&self) -> Result<&DriverHandle<Machine, App>, Gone> {
        self.inner.drivers.get(self.shard.index()).ok_or(Gone)
    }
}

impl Deref for Shared {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for driver in &self.drivers {
            driver.post(shut_down);
            // It ends by itself; nobody is left to wait.
            drop(driver.finish(self.settings.close_within));
        }
    }
}

fn shut_down(machine: &mut Machine, app: &mut App, now: Instant) {
    app.close();
    machine.stack.shutdown(now);
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

/// The drivers of a stack that is not started yet: dropped, they end.
#[derive(Default)]
pub(crate) struct Starting(pub(crate) Vec<DriverHandle<Machine, App>>);

impl Drop for Starting {
    fn drop(&mut self) {
        for driver in &self.0 {
            drop(driver.stop());
        }
    }
}
