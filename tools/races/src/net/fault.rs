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

    /// Nobody dials any more.
    pub(super) fn given_up(_origin: &Origin) -> Self {
        Failure
    }

    /// Never met: there is a socket for everybody.
    pub(super) fn no_socket(_origin: &Origin, _most: usize) -> Self {
        Failure
    }

    /// Not here.
    pub(super) fn is_scarcity(&self) -> bool {
        false
    }

    /// The same.
    pub(super) fn of_a_machine_without_sockets(self) -> Self {
        self
    }

    /// A connection broke before it was one.
    pub(super) fn exchange(_origin: &Origin, _error: hyper::Error) -> Self {
        Failure
    }
}
