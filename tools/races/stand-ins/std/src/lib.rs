//! The standard library, but for its locks. In: whatever a file of the library imports. Out: the
//! same, and a `Mutex` before which the scheduler may turn to another task. Never: another change.

pub use ::std::*;

/// `std::sync` with locks that the scheduler sees.
pub mod sync {
    pub use ::std::sync::*;
    // These names win over those of the glob.
    pub use shuttle::sync::{Mutex, MutexGuard};

    /// The true lock, for a test's own notes: taking it is no moment at which others run.
    pub use ::std::sync::{Mutex as Notes, MutexGuard as NotesGuard};
}
