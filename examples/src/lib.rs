//! The targets of this package live beside `Cargo.toml`.
