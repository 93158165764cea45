//! Shares one failed request among all tasks that waited for it: those who waited for the answer share its failure
//! instead of asking again one after the other, each with all its attempts.

use crate::error::{Error, Kind, Result};
use crate::sync::{Mutex, MutexGuard};

/// How often it failed, and how the last time.
#[derive(Debug, Default)]
pub struct Failures(Mutex<(u64, Option<Error>)>);

impl Failures {
    /// To be remembered before waiting, for [`Failures::since`].
    #[must_use]
    pub fn count(&self) -> u64 {
        self.lock().0
    }

    /// Whether it failed since it had failed `count` times. A refusal of the credentials is one
    /// for ever: asking again would be a storm.
    ///
    /// # Errors
    /// The last failure.
    pub fn since(&self, count: u64) -> Result<()> {
        let last = self.lock();
        match &last.1 {
            Some(error) if last.0 > count || error.kind() == Kind::Auth => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// It failed. That one run was interrupted is no news to another one.
    pub fn note(&self, error: &Error) {
        if error.kind() == Kind::Cancelled {
            return;
        }
        let mut last = self.lock();
        *last = (last.0 + 1, Some(error.clone()));
    }

    fn lock(&self) -> MutexGuard<'_, (u64, Option<Error>)> {
        self.0.lock()
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
        let failures = Failures::default();
        let waited = failures.count();
        assert!(failures.since(waited).is_ok());
        failures.note(&error(Kind::Cancelled));
        assert!(failures.since(waited).is_ok(), "another run's interrupt");
        failures.note(&error(Kind::Transport));
        assert_eq!(failures.since(waited), Err(error(Kind::Transport)));
        assert!(failures.since(failures.count()).is_ok(), "came later");
    }

    #[test]
    fn refused_credentials_are_refused_for_ever() {
        let failures = Failures::default();
        failures.note(&error(Kind::Auth));
        assert_eq!(failures.since(failures.count()), Err(error(Kind::Auth)));
    }
}
