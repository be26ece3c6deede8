//! Behaviours that span crates; the tests are beside `src`.

/// The program in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
