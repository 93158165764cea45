//! One failed request, shared by all who waited for its answer: they fail with it instead of asking
//! again one after the other, each with all its attempts. In: failures, and since when a caller
//! waits. Out: the failure that it shares, if there is one. Never: a lock or a wait.

use crate::error::{Error, Kind, Result};

/// How often a request failed, and how the last time.
#[derive(Debug, Default)]
pub struct SharedFailure {
    count: u64,
    last: Option<Error>,
}

impl SharedFailure {
    /// To be remembered before waiting, for [`SharedFailure::since`].
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether it failed since it had failed `count` times. Refused credentials stay refused: asking
    /// again would be a storm.
    ///
    /// # Errors
    /// The last failure.
    pub fn since(&self, count: u64) -> Result<()> {
        match &self.last {
            Some(error) if self.count > count || error.kind() == Kind::Auth => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// It failed. That one run was interrupted is no news to another one.
    pub fn note(&mut self, error: &Error) {
        if error.kind() != Kind::Cancelled {
            self.count += 1;
            self.last = Some(error.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Operation;

    fn error(kind: Kind) -> Error {
        Error::new(kind, Operation::Domain, "x")
    }

    #[test]
    fn who_waited_shares_the_failure_and_who_comes_later_asks_anew() {
        let mut failure = SharedFailure::default();
        let waited = failure.count();
        assert!(failure.since(waited).is_ok());
        failure.note(&error(Kind::Cancelled));
        assert!(failure.since(waited).is_ok(), "another run's interrupt");
        failure.note(&error(Kind::Transport));
        assert_eq!(failure.since(waited), Err(error(Kind::Transport)));
        assert!(failure.since(failure.count()).is_ok(), "came later");
    }

    #[test]
    fn refused_credentials_are_refused_for_ever() {
        let mut failure = SharedFailure::default();
        failure.note(&error(Kind::Auth));
        assert_eq!(failure.since(failure.count()), Err(error(Kind::Auth)));
    }
}
