//! The layer as its user sees it.
