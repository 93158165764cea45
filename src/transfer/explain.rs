//! The last words of a call that failed for good. In: its last error and what was tried. Out: the
//! error that the user reads. Never: a decision; that was made before.

use crate::error::{Delivery, Error, Kind, Operation};
use crate::policy::Repeat;
use crate::wire;

/// What was tried before a call was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempted {
    /// Whether repeating could do harm.
    pub repeat: Repeat,
    /// The answer to one of the attempts was lost.
    pub lost_one: bool,
    /// Attempts, the last one included.
    pub count: u32,
}

/// Said where a name is taken after an answer was lost.
pub const MAY_BE_OURS: &str =
    "the answer to an earlier attempt was lost or unclear, so it may be this file that is there";

/// Adds to the last error what the user has to know of the attempts before it.
#[must_use]
pub fn explain(error: Error, attempted: Attempted) -> Error {
    // The reader of this error has to know that one of the attempts may have been carried out.
    let error = if attempted.lost_one {
        error.with_delivery(Delivery::Unknown)
    } else {
        error
    };
    if attempted.repeat == Repeat::Ambiguous && error.delivery() == Delivery::Unknown {
        let unsure = if wire::is_queued(&error) {
            "the service took the file into its queue: it may have arrived, and sending it again would keep both"
        } else {
            "the answer was lost: the file may have arrived, and sending it again would keep both"
        };
        return error
            .context(unsure)
            .advice("check whether the file exists before retrying");
    }
    if attempted.lost_one && error.kind() == Kind::Rejected {
        return error.advice(MAY_BE_OURS);
    }
    let error = if wire::is_queued(&error) {
        error.advice("the service took the file into its queue, so it may yet appear by itself")
    } else {
        error
    };
    let error = if attempted.count > 1 {
        error.context(format_args!("after {} attempts", attempted.count))
    } else {
        error
    };
    corrupted_in_transit(error)
}

/// Adds what is to be done where a refresh token got nothing. An answer may have been `lost` in an
/// earlier run as well.
#[must_use]
pub fn explain_refresh(error: Error, lost: bool) -> Error {
    let lost = lost || error.delivery() == Delivery::Unknown;
    let anew =
        "authorise the application again, and give the new refresh token in `Credential::OAuth`";
    match (error.kind(), lost) {
        (Kind::Auth, true) => error.context("the refresh token was refused").advice(format!(
            "an answer to an earlier refresh was lost, and what was in it with it: {anew}"
        )),
        (Kind::Auth, false) => error.context("the refresh token was refused").advice(format!(
            "it works once and for 90 days, and only with its own client id and secret. If another machine or state \
             folder used it, its successor is kept there; otherwise {anew}"
        )),
        (_, true) => error.advice(format!(
            "the answer was lost, so the refresh token may be used up; run this again to see, and if it is refused \
             {anew}"
        )),
        (_, false) => error.advice("the refresh token was not used up"),
    }
}

/// A slice whose MD5 was refused twice, with the same bytes hashed anew in between: they are corrupted
/// in transit, and the file cannot be trusted to arrive.
fn corrupted_in_transit(error: Error) -> Error {
    if error.kind() == Kind::Integrity && error.operation() == Operation::Slice {
        return error
            .with_kind(Kind::Source)
            .context("the slice's MD5 was refused twice");
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(kind: Kind, repeat: Repeat, lost_one: bool, count: u32) -> Error {
        let attempted = Attempted {
            repeat,
            lost_one,
            count,
        };
        explain(Error::new(kind, Operation::Create, "x"), attempted)
    }

    #[test]
    fn the_number_of_attempts_is_told_from_two_on() {
        let message = |count| {
            explained(Kind::Transport, Repeat::Safe, false, count)
                .message()
                .to_owned()
        };
        assert_eq!(message(1), "x");
        assert_eq!(message(8), "after 8 attempts: x");
    }

    #[test]
    fn a_lost_answer_is_told_where_a_repeat_would_double() {
        let error = explained(Kind::Transport, Repeat::Ambiguous, true, 2);
        assert!(error.message().contains("would keep both"), "{error}");
        let error = explained(Kind::Rejected, Repeat::Safe, true, 2);
        assert!(error.message().contains(MAY_BE_OURS), "{error}");
        assert_eq!(error.delivery(), Delivery::Unknown);
    }

    #[test]
    fn a_slice_refused_twice_is_the_sources_fault_and_a_file_is_not() {
        let refused = |operation| Error::new(Kind::Integrity, operation, "x");
        let attempted = Attempted {
            repeat: Repeat::Safe,
            lost_one: false,
            count: 2,
        };
        let kind = |operation| explain(refused(operation), attempted).kind();
        assert_eq!(kind(Operation::Slice), Kind::Source);
        assert_eq!(kind(Operation::Complete), Kind::Integrity);
    }
}
