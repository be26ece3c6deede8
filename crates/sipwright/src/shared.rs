//! What all handles of one user agent or server hold.

use crate::{app::App, machine::Machine, user_agent::Settings};
use crate::{incoming::Ringing, queue::Queue};
use sip_runtime::{DriverHandle, Gone, Runtime};
use std::{
    fmt,
    ops::Deref,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

/// The door to the driver, shared by the handles. When the last one is dropped, the driver ends what is held and then
/// itself.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Inner>);

pub(crate) struct Inner {
    driver: DriverHandle<Machine, App>,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) settings: Settings,
    /// Calls for the application, once it has asked for them
    pub(crate) incoming: OnceLock<Queue<Box<Ringing>>>,
}

impl Shared {
    pub(crate) fn new(
        runtime: Arc<dyn Runtime>,
        settings: Settings,
        driver: DriverHandle<Machine, App>,
    ) -> Self {
        Self(Arc::new(Inner {
            incoming: OnceLock::new(),
            driver,
            runtime,
            settings,
        }))
    }

    /// Runs `command` in place when the driver rests, otherwise in its next turn; see [`DriverHandle::try_command`] and
    /// [`DriverHandle::command`].
    pub(crate) async fn command<R, F>(&self, command: F) -> Result<R, Gone>
    where
        R: Send + 'static,
        F: FnOnce(&mut Machine, &mut App, Instant) -> R + Send + 'static,
    {
        let driver = &self.0.driver;
        match driver.try_command(command) {
            Ok(result) => Ok(result),
            Err(command) => driver.command(command).await,
        }
    }

    /// Runs `job` some time soon: what the end of an owned handle brings about.
    pub(crate) fn post(&self, job: impl FnOnce(&mut Machine, &mut App, Instant) + Send + 'static) {
        self.0.driver.post(job);
    }

    /// Refuses new work, ends what is held, and resolves when that is done or `within` has passed.
    pub(crate) async fn close(&self, within: Duration) {
        let driver = &self.0.driver;
        if driver.command(shut_down).await.is_ok() {
            driver.finish(within).await;
        }
    }
}

impl Deref for Shared {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.driver.post(shut_down);
        // It ends by itself; nobody is left to wait.
        drop(self.driver.finish(self.settings.close_within));
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
