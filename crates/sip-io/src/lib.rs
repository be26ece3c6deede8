//! The vocabulary of sans-IO machines: flows, receive and transmit, timers, clock, seeded randomness.
