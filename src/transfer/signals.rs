//! What an error tells of the service's state. In: an error. Out: whether it asks for fewer bodies at
//! once, for fewer calls a second, or for neither. Never: a look at anything but the error.

use crate::error::{Error, Kind, Operation};
use crate::policy::CongestionSignal;

/// What the concurrency limiter is told; `None` where the error does not ask for fewer bodies.
#[must_use]
pub fn congestion(error: &Error) -> Option<CongestionSignal> {
    if !matches!(error.operation(), Operation::Slice | Operation::Single) {
        return None;
    }
    match error.kind() {
        Kind::Transport if error.is_timeout() => Some(CongestionSignal::Stalled),
        _ if error.is_timeout() => Some(CongestionSignal::TimedOut),
        Kind::Throttled => Some(CongestionSignal::Throttled),
        // It would be so with one as well: a server without TLS, or a certificate that is not trusted.
        Kind::Transport if error.is_lasting() => None,
        Kind::Transport => Some(CongestionSignal::Failed),
        Kind::Protocol if error.is_foreign() => Some(CongestionSignal::Failed),
        _ => None,
    }
}

/// Whether a call rate was exceeded. A server in trouble, whether it says so by status or by code, is
/// no rate that was exceeded.
#[must_use]
pub fn is_too_fast(error: &Error) -> bool {
    let in_trouble = matches!(error.code(), Some(500..=599));
    error.status() == Some(429)
        || error.kind() == Kind::Throttled && error.status().is_none() && !in_trouble
}

/// Whether the service itself refused the call for what it asks.
#[must_use]
pub fn is_refusal_on_merit(error: &Error) -> bool {
    let on_merit = matches!(
        error.kind(),
        Kind::Rejected | Kind::Expired | Kind::Integrity
    );
    on_merit && error.code().is_some() && !error.is_foreign()
}

/// Whether an account may lack the right to it while its token is good for uploads.
#[must_use]
pub fn is_optional(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::List
            | Operation::Detail
            | Operation::Infos
            | Operation::Mkdir
            | Operation::Trash
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: Kind, operation: Operation) -> Error {
        Error::new(kind, operation, "x")
    }

    #[test]
    fn only_bodies_tell_of_congestion() {
        use CongestionSignal::{Failed, Stalled, Throttled, TimedOut};
        for (error, expected) in [
            (error(Kind::Transport, Operation::Slice), Some(Failed)),
            (error(Kind::Transport, Operation::Create), None),
            (error(Kind::Transport, Operation::Slice).lasting(), None),
            (
                error(Kind::Transport, Operation::Single).timed_out(),
                Some(Stalled),
            ),
            (
                error(Kind::Throttled, Operation::Slice).timed_out(),
                Some(TimedOut),
            ),
            (error(Kind::Throttled, Operation::Slice), Some(Throttled)),
            (error(Kind::Protocol, Operation::Slice), None),
            (
                error(Kind::Protocol, Operation::Slice).foreign(),
                Some(Failed),
            ),
            (error(Kind::Rejected, Operation::Slice), None),
        ] {
            assert_eq!(congestion(&error), expected, "{error}");
        }
    }

    #[test]
    fn a_server_in_trouble_is_no_rate_that_was_exceeded() {
        let throttled = || error(Kind::Throttled, Operation::Create);
        assert!(is_too_fast(&throttled().with_code(429)));
        assert!(is_too_fast(&throttled().with_status(429)));
        assert!(!is_too_fast(&throttled().with_status(503)));
        assert!(!is_too_fast(&throttled().with_code(500)));
        assert!(!is_too_fast(&error(Kind::Rejected, Operation::Create)));
    }

    #[test]
    fn a_refusal_counts_as_an_answer_where_the_service_gave_it() {
        let refused = || error(Kind::Rejected, Operation::Create);
        assert!(is_refusal_on_merit(&refused().with_code(1)));
        assert!(!is_refusal_on_merit(&refused()));
        assert!(!is_refusal_on_merit(&refused().with_code(1).foreign()));
        assert!(!is_refusal_on_merit(
            &error(Kind::Throttled, Operation::Create).with_code(429)
        ));
    }
}
