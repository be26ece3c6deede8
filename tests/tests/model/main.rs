//! Two user agents, with a proxy between them or without, and whatever the network and their users do: the laws of the
//! machines hold, both ends agree on what became of every call, and nothing is left.
//!
//! `glare` explores every order of a few messages, `play` makes sequences of operations up.

mod glare;
mod play;
mod stage;
