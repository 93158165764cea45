//! What operating systems have otherwise, where the command meets it.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::{
    acts_on_escapes, end_group, fresh_folder, open_files_limit, shell, typed_ahead, writable_by_all,
};
#[cfg(windows)]
pub use windows::{
    acts_on_escapes, end_group, fresh_folder, open_files_limit, shell, typed_ahead, writable_by_all,
};

/// The variable that names the home folder.
pub const HOME: &str = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
