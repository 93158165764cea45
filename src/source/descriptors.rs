//! How many files this process may open. In: what the system says of the process. Out: the limit, and how
//! many are open. Never: a change of either.

use super::system;

/// Descriptors (on Windows: handles) that this process may open and how many of them are in use: at a
/// moment, and it is the caller's business that others open some too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptors {
    /// The limit; of Unix the soft one.
    pub limit: u64,
    /// Open now.
    pub open: u64,
}

impl Descriptors {
    /// As it is now.
    #[must_use]
    pub fn now() -> Descriptors {
        let (limit, open) = system::descriptors();
        Descriptors { limit, open }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_counted() {
        let before = Descriptors::now();
        let open = || std::fs::File::open(std::env::current_exe().expect("known"));
        let held: Vec<std::fs::File> = (0..50).map(|_| open().expect("there")).collect();
        // Other tests open and close theirs meanwhile.
        let now = Descriptors::now();
        if cfg!(windows) && now.open == 0 {
            return; // Wine does not count them.
        }
        assert!(now.open + 25 > before.open + held.len() as u64, "{now:?}");
        assert!(now.limit > now.open);
    }
}
