//! SIP dialogs: route sets, targets, the INVITE usage.
