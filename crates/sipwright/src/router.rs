//! Where a request goes, as a function of the application's own.

use crate::inbound::{Inbound, Rejected, Relayed};
use std::{future::Future, pin::Pin};

/// Decides where requests go. Functions and closures `Fn(Inbound) -> impl Future` are routers; a struct implements it
/// to have state.
///
/// The future is polled on the driver's task: it may wait for anything, and must not block. It is dropped when the
/// caller cancels.
///
/// ```
/// use sipwright::proxy::{Inbound, Rejected, Relayed, Router};
///
/// struct Everywhere;
///
/// impl Router for Everywhere {
///     async fn route(&self, request: Inbound) -> Result<Relayed, Rejected> {
///         let contacts = request.contacts().await?;
///         request.relay(contacts.by_q()).await
///     }
/// }
/// ```
pub trait Router: Send + Sync + 'static {
    /// Decides about one request.
    fn route(&self, request: Inbound) -> impl Future<Output = Result<Relayed, Rejected>> + Send;
}

impl<F, R> Router for F
where
    F: Fn(Inbound) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Relayed, Rejected>> + Send,
{
    fn route(&self, request: Inbound) -> impl Future<Output = Result<Relayed, Rejected>> + Send {
        self(request)
    }
}

/// [`Router`] as an object.
pub(crate) trait ErasedRouter: Send + Sync {
    fn route(
        &self,
        request: Inbound,
    ) -> Pin<Box<dyn Future<Output = Result<Relayed, Rejected>> + Send>>;
}

/// A router behind a shared pointer, so that its futures own what they need.
pub(crate) struct Erased<R>(pub(crate) std::sync::Arc<R>);

impl<R: Router> ErasedRouter for Erased<R> {
    fn route(
        &self,
        request: Inbound,
    ) -> Pin<Box<dyn Future<Output = Result<Relayed, Rejected>> + Send>> {
        let router = std::sync::Arc::clone(&self.0);
        Box::pin(async move { router.route(request).await })
    }
}
