//! What went wrong. In: a refusal. Out: that no connection came about. Never: a reason; nothing here
//! is decided by one.

use super::origin::Origin;

/// No connection came about.
#[derive(Debug, Clone)]
pub(super) struct Failure;

impl Failure {
    /// The same: no name is looked up here.
    pub(super) fn hopeless_if_unnamed(self, _hopeless: bool) -> Self {
        self
    }

    /// A connection broke before it was one.
    pub(super) fn exchange(_origin: &Origin, _error: hyper::Error) -> Self {
        Failure
    }
}
