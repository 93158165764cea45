//! Bodies. In: nothing. Out: the name that the type of a handle needs. Never: a byte.

/// A body on its way.
#[derive(Debug)]
pub(super) struct BodyStream;
