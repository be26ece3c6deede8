//! Listeners: what may be given for one, and opening them.

use crate::{app::App, error::BindError, machine::Machine, shared::Starting};
use futures_channel::oneshot;
use sip_endpoint::{Listener, View};
use sip_io::Protocol;
use sip_runtime::DriverHandle;
use std::{io, net::SocketAddr};

/// A text or a [`Listener`]; what other types there could be is nobody's business.
pub trait IntoListener: sealed::Sealed {
    /// The listener, or why the text is none.
    #[doc(hidden)]
    fn into_listener(self) -> Result<Listener, BindError>;
}

impl IntoListener for &str {
    fn into_listener(self) -> Result<Listener, BindError> {
        self.parse().map_err(|error: sip_transport::ListenerError| {
            BindError::Listener(self.to_owned(), error.to_string())
        })
    }
}

impl IntoListener for String {
    fn into_listener(self) -> Result<Listener, BindError> {
        self.as_str().into_listener()
    }
}

impl IntoListener for Listener {
    fn into_listener(self) -> Result<Listener, BindError> {
        Ok(self)
    }
}

/// Opens the listeners of every worker; their addresses, which all have in common.
pub(crate) async fn open_everywhere(
    drivers: &Starting,
    listeners: &[(Listener, Option<View>)],
) -> Result<Vec<SocketAddr>, BindError> {
    let mut bound = Vec::new();
    for (place, driver) in drivers.0.iter().enumerate() {
        // The others bind what the system chose for the first.
        let listeners = listeners
            .iter()
            .enumerate()
            .map(|(number, (listener, view))| {
                let chosen = bound.get(number).copied();
                let local = chosen.unwrap_or_else(|| listener.local());
                (listener.clone().at(local), view.clone())
            });
        let addresses = open(driver, listeners.collect()).await?;
        if place == 0 {
            bound = addresses;
        }
    }
    Ok(bound)
}

/// Opens the listeners of one worker; their addresses.
async fn open(
    driver: &DriverHandle<Machine, App>,
    listeners: Vec<(Listener, Option<View>)>,
) -> Result<Vec<SocketAddr>, BindError> {
    let mut awaited = Vec::new();
    for (listener, view) in listeners {
        let (text, protocol) = (listener.to_string(), listener.protocol());
        let (sender, receiver) = oneshot::channel();
        let opening = driver.command(move |machine, app, now| {
            let id = machine.stack.command(now, |_, cx| match view {
                Some(view) => cx.listen_within(listener, view),
                None => cx.listen(listener),
            });
            app.listeners_awaited.push((id, sender));
        });
        opening.await.map_err(|_| BindError::Gone)?;
        awaited.push((text, protocol, receiver));
    }
    let mut bound = Vec::new();
    for (listener, protocol, receiver) in awaited {
        match receiver.await {
            Ok(Ok(local)) => bound.push(local),
            Ok(Err(reason)) => {
                return Err(match missing(protocol) {
                    Some(missing) if reason == io::ErrorKind::Unsupported => {
                        BindError::NotSpoken { listener, missing }
                    }
                    _ => BindError::Refused { listener, reason },
                });
            }
            Err(_) => return Err(BindError::Gone),
        }
    }
    Ok(bound)
}

/// What is not here when nobody speaks `protocol` at a listener.
const fn missing(protocol: Protocol) -> Option<&'static str> {
    let web = matches!(protocol, Protocol::Ws | Protocol::Wss);
    if web && !cfg!(feature = "ws") {
        Some("it needs the feature `ws`")
    } else if protocol.is_secure() && !cfg!(feature = "tls") {
        Some("it needs the feature `tls`")
    } else if protocol.is_secure() {
        Some("it needs a certificate, given with `tls` or to the listener")
    } else {
        None
    }
}

mod sealed {
    #[expect(unnameable_types, reason = "nobody outside implements it")]
    pub trait Sealed {}
    impl Sealed for &str {}
    impl Sealed for String {}
    impl Sealed for sip_endpoint::Listener {}
}
