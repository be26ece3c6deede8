//! A binding that we hold.

use crate::{
    error::{RegisterError, RequestError},
    queue::Queue,
    shared::Shared,
};
use futures_channel::oneshot;
use futures_util::Stream;
use sip_message::{
    Response, Uri,
    headers::{ProxyAuthenticate, WwwAuthenticate},
};
use sip_ua::{Event, Identity, RegistrationId, RegistrationOptions};
use std::{
    collections::BTreeMap,
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// A binding that is kept alive.
///
/// When it is dropped the stack unregisters in the background; [`unregister`](Self::unregister) waits for the 200;
/// [`leave`](Self::leave) forgets it without a message, for a restart.
#[must_use = "a registration that is dropped is withdrawn"]
pub struct Registration {
    shared: Shared,
    id: RegistrationId,
    held: bool,
}

/// What becomes of a registration.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RegistrationState {
    /// The binding is there, made or refreshed
    Registered {
        /// How long it lasts
        expires: Duration,
        /// The address that is bound, as the registrar lists it
        contact: Uri,
    },
    /// A REGISTER failed in a way that time may mend, or the flow that it was made on was lost as soon as it was there
    Retrying {
        /// When it is tried again
        after: Duration,
        /// What went wrong
        cause: RegisterError,
    },
    /// It is over, and not by us
    Failed(RegisterError),
    /// It is over because we unregistered
    Unregistered,
}

impl Registration {
    pub(crate) async fn start(
        shared: Shared,
        identity: &Identity,
        options: RegistrationOptions,
    ) -> Result<Self, RegisterError> {
        let (sender, receiver) = oneshot::channel();
        let identity = identity.clone();
        let started = shared
            .command(move |machine, app, now| {
                let id = machine.ua(now, |ua, cx| ua.register(cx, &identity, options))?;
                app.registrations.slots.insert(
                    id,
                    Slot {
                        first: Some(sender),
                        ..Slot::default()
                    },
                );
                Ok::<_, sip_ua::StartError>(id)
            })
            .await;
        let id = match started {
            Ok(Ok(id)) => id,
            Ok(Err(error)) => return Err(RequestError::from(error).into()),
            Err(_) => return Err(RequestError::Gone.into()),
        };
        // From here on, dropping this future drops the registration.
        let mut registration = Self {
            shared,
            id,
            held: true,
        };
        match receiver.await {
            Ok(Ok(())) => Ok(registration),
            Ok(Err(error)) => {
                registration.held = false;
                Err(error)
            }
            Err(_) => Err(RequestError::Gone.into()),
        }
    }

    /// What becomes of it, from its present state on. A stream that is not read loses the oldest of 16 states.
    pub fn states(&self) -> RegistrationStates {
        let queue = Queue::new(16);
        let (id, given) = (self.id, queue.clone());
        self.shared.post(
            move |_, app, _| match app.registrations.slots.get_mut(&id) {
                Some(slot) => {
                    if let Some(state) = &slot.state {
                        given.push_newest(state.clone());
                    }
                    slot.listeners.retain(|listener| !listener.is_abandoned());
                    slot.listeners.push(given);
                }
                None => given.close(),
            },
        );
        RegistrationStates(queue)
    }

    /// Withdraws the binding and waits for the registrar's answer.
    ///
    /// # Errors
    ///
    /// When the registrar refused or did not answer; the binding then ends by itself when its time is over.
    pub async fn unregister(mut self) -> Result<(), RegisterError> {
        self.held = false;
        let (sender, receiver) = oneshot::channel();
        let id = self.id;
        let asked = self.shared.command(move |machine, app, now| {
            if let Some(slot) = app.registrations.slots.get_mut(&id) {
                slot.ended = Some(sender);
            }
            machine.ua(now, |ua, cx| ua.unregister(cx, id)).is_ok()
        });
        match asked.await {
            Ok(true) => receiver.await.unwrap_or(Err(RequestError::Gone.into())),
            // It had ended by itself.
            Ok(false) => Ok(()),
            Err(_) => Err(RequestError::Gone.into()),
        }
    }

    /// Forgets the binding without a message: it stays with the registrar until its time is over.
    pub fn leave(mut self) {
        self.held = false;
        let id = self.id;
        self.shared.post(move |machine, app, now| {
            app.registrations.slots.remove(&id);
            // It may have ended by itself.
            machine.ua(now, |ua, _| ua.leave(id)).ok();
        });
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if self.held {
            let id = self.id;
            self.shared.post(move |machine, _, now| {
                // It may have ended by itself.
                machine.ua(now, |ua, cx| ua.unregister(cx, id)).ok();
            });
        }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The states of a registration; see [`Registration::states`].
#[derive(Debug)]
pub struct RegistrationStates(Queue<RegistrationState>);

impl Stream for RegistrationStates {
    type Item = RegistrationState;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<RegistrationState>> {
        self.0.poll_next(cx)
    }
}

/// The registrations of one user agent, seen from their handles.
#[derive(Default)]
pub(crate) struct Registrations {
    slots: BTreeMap<RegistrationId, Slot>,
}

#[derive(Default)]
struct Slot {
    first: Option<oneshot::Sender<Result<(), RegisterError>>>,
    ended: Option<oneshot::Sender<Result<(), RegisterError>>>,
    state: Option<RegistrationState>,
    listeners: Vec<Queue<RegistrationState>>,
}

impl Registrations {
    pub(crate) fn handle_event(&mut self, event: Event) {
        match event {
            Event::Registered {
                registration,
                expires,
                contact,
                ..
            } => {
                let Some(slot) = self.slots.get_mut(&registration) else {
                    return;
                };
                if let Some(first) = slot.first.take() {
                    first.send(Ok(())).ok();
                }
                slot.tell(RegistrationState::Registered { expires, contact });
            }
            Event::RegistrationRetrying {
                registration,
                after,
                cause,
            } => {
                if let Some(slot) = self.slots.get_mut(&registration) {
                    let cause = RegisterError::from(cause);
                    tracing::warn!(%cause, ?after, "a registration is tried again");
                    slot.tell(RegistrationState::Retrying { after, cause });
                }
            }
            Event::RegistrationEnded {
                registration,
                result,
            } => {
                let Some(mut slot) = self.slots.remove(&registration) else {
                    return;
                };
                let result = result.map_err(RegisterError::from);
                slot.tell(match &result {
                    Ok(()) => RegistrationState::Unregistered,
                    Err(error) => RegistrationState::Failed(error.clone()),
                });
                for waiting in slot.first.into_iter().chain(slot.ended) {
                    waiting.send(result.clone()).ok();
                }
                slot.listeners.iter().for_each(Queue::close);
            }
            _ => {}
        }
    }
}

impl Drop for Registrations {
    /// The driver has ended: who reads states must not wait for more.
    fn drop(&mut self) {
        for slot in self.slots.values() {
            slot.listeners.iter().for_each(Queue::close);
        }
    }
}

impl Slot {
    fn tell(&mut self, state: RegistrationState) {
        self.listeners.retain(|listener| !listener.is_abandoned());
        for listener in &self.listeners {
            listener.push_newest(state.clone());
        }
        self.state = Some(state);
    }
}

impl From<sip_ua::RequestError> for RegisterError {
    fn from(error: sip_ua::RequestError) -> Self {
        match error {
            sip_ua::RequestError::Rejected(response) => Self::Rejected(response),
            sip_ua::RequestError::Unauthorized(response) => Self::Unauthorized {
                realm: realm(&response),
            },
            sip_ua::RequestError::Failed(failure) => Self::Request(failure.into()),
            _ => Self::Request(RequestError::Gone),
        }
    }
}

impl From<sip_ua::StartError> for RequestError {
    fn from(error: sip_ua::StartError) -> Self {
        match error {
            sip_ua::StartError::Full(_) => Self::Full,
            sip_ua::StartError::UnsupportedScheme => Self::UnsupportedScheme,
            _ => Self::Gone,
        }
    }
}

/// The realm of the first challenge.
fn realm(response: &Response) -> String {
    let headers = response.headers();
    let registrar = headers.get::<WwwAuthenticate>().and_then(Result::ok);
    let proxy = headers.get::<ProxyAuthenticate>().and_then(Result::ok);
    let realm = registrar
        .as_ref()
        .and_then(|challenge| challenge.param("realm"));
    let realm = realm.or_else(|| {
        proxy
            .as_ref()
            .and_then(|challenge| challenge.param("realm"))
    });
    realm.unwrap_or_default().into_owned()
}
