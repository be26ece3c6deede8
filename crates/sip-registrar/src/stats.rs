//! What a registrar has counted.

use std::ops::AddAssign;

/// What a registrar has counted since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistrarStats {
    /// REGISTER requests that came
    pub requests: u64,
    /// Of those, answered with 200
    pub accepted: u64,
    /// Of those, answered with 401
    pub challenged: u64,
    /// Of those, answered with anything else
    pub refused: u64,
    /// Requests that wait for a secret or a store elsewhere
    pub pending: usize,
}

/// The counts of several shards together.
impl AddAssign for RegistrarStats {
    fn add_assign(&mut self, other: Self) {
        // Taken apart, so that no number is forgotten.
        let Self {
            requests,
            accepted,
            challenged,
            refused,
            pending,
        } = other;
        self.requests += requests;
        self.accepted += accepted;
        self.challenged += challenged;
        self.refused += refused;
        self.pending += pending;
    }
}
