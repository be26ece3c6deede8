//! The runtime of those who name none.

use crate::error::BindError;
use sip_runtime::Runtime;
use std::sync::Arc;

/// The tokio runtime that the caller runs on.
#[cfg(feature = "tokio")]
pub(crate) fn default_runtime() -> Result<Arc<dyn Runtime>, BindError> {
    match sip_runtime::Tokio::current() {
        Ok(tokio) => Ok(Arc::new(tokio)),
        Err(_) => Err(BindError::NoRuntime),
    }
}

/// None: without the feature `tokio` a runtime has to be given.
#[cfg(not(feature = "tokio"))]
pub(crate) fn default_runtime() -> Result<Arc<dyn Runtime>, BindError> {
    Err(BindError::NoRuntime)
}
