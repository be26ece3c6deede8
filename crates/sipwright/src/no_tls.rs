//! What stands for TLS where it was left out.

#![allow(clippy::needless_pass_by_ref_mut)] // the signature is that of what it stands for

use crate::stack_builder::StackBuilder;

impl StackBuilder {
    pub(crate) fn secure_listeners(&mut self) {
        debug_assert!(self.secured.is_none());
    }
}
