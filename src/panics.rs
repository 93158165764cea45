//! What a panic becomes. A task of panup's own that fails so is a fault of panup; it costs one file,
//! and hangs nothing.

use crate::error::{Error, Kind, Operation};

/// The error of a file whose task ended without a word.
#[must_use]
pub fn broken(operation: Operation) -> Error {
    let message = "panup itself failed here (a panic, whose text is on standard error)";
    Error::new(Kind::Internal, operation, message)
        .advice("the same upload goes on where it was; please report it")
}

/// Panics and failures of reading that tests ask for, by the file's name.
pub mod trip {
    use std::path::Path;

    /// Where.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    #[cfg_attr(not(test), allow(dead_code))]
    pub enum Step {
        /// A hasher has read or mapped the file.
        Hash,
        /// The file's own task begins.
        File,
        /// A feeder takes slices of the file.
        Feed,
        /// A slice sets out.
        Slice,
    }

    /// Does what a test asks for.
    #[cfg(not(test))]
    #[inline]
    pub fn here(_: Step, _: &Path) -> crate::error::Result<()> {
        Ok(())
    }

    /// The same where only a panic is asked for.
    #[inline]
    pub fn sure(step: Step, path: &Path) {
        drop(here(step, path));
    }

    #[cfg(test)]
    pub use asked::{Asked, ask, here};

    #[cfg(test)]
    mod asked {
        use crate::sync::{Mutex, MutexGuard};
        use std::path::{Path, PathBuf};

        use super::Step;
        use crate::error::{Error, Result};

        /// What shall happen.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Asked {
            /// A panic.
            Panic,
            /// EIO.
            Fail,
        }

        static ASKED: Mutex<Vec<(Step, PathBuf, Asked)>> = Mutex::new(Vec::new());

        /// Asks for it, once.
        pub fn ask(step: Step, path: &Path, asked: Asked) {
            lock().push((step, path.to_owned(), asked));
        }

        pub fn here(step: Step, path: &Path) -> Result<()> {
            let mut all = lock();
            let this = all.iter().position(|(at, of, _)| *at == step && of == path);
            let asked = this.map(|index| all.swap_remove(index).2);
            drop(all);
            match asked {
                None => Ok(()),
                Some(Asked::Fail) => Err(Error::read(path, std::io::Error::from_raw_os_error(5))),
                Some(Asked::Panic) => panic!("asked for by a test: {step:?}"),
            }
        }

        fn lock() -> MutexGuard<'static, Vec<(Step, PathBuf, Asked)>> {
            ASKED.lock()
        }
    }
}
