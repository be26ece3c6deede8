//! Drives sans-IO machines on tokio, smol or a simulated network.
