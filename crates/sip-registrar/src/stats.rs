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

impl RegistrarStats {
    /// Every number under a name that stays the same, for monitoring: `registrar_…`.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("registrar_requests", self.requests),
            ("registrar_accepted", self.accepted),
            ("registrar_challenged", self.challenged),
            ("registrar_refused", self.refused),
            ("registrar_pending", self.pending as u64),
        ]
        .into_iter()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_one_name() {
        let stats = RegistrarStats::default();
        let mut names: Vec<_> = stats.entries().map(|(name, _)| name).collect();
        let numbers = format!("{stats:?}").matches(": 0").count();
        assert_eq!(names.len(), numbers, "{stats:?}");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), numbers);
    }
}
