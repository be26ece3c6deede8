//! How Max-Breadth is divided (RFC 5393 §5).

/// How `breadth` is divided among `branches` that run together: all of it, as evenly as it goes.
pub(crate) fn shares(breadth: u32, branches: usize) -> impl Iterator<Item = u32> {
    let branches = u32::try_from(branches).unwrap_or(u32::MAX).max(1);
    (0..branches).map(move |at| breadth / branches + u32::from(at < breadth % branches))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_the_whole() {
        for (breadth, branches) in [(60, 1), (60, 7), (3, 3), (5, 2)] {
            let shares: Vec<u32> = shares(breadth, branches).collect();
            assert_eq!(shares.iter().sum::<u32>(), breadth);
            assert!(shares.iter().all(|&share| share > 0));
        }
    }
}
