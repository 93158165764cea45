//! Hashing engine: files to MD5s on threads of its own, for uploads and for `hash_files`. In: jobs,
//! one file each. Out: each one's MD5s, told to the job. Never: the journal, the service, a wait for
//! room on a thread that hashes.

mod batch;
mod budget;
mod chain;
mod condvar;
mod engine;
mod files;
mod job;
mod order;
mod pools;
mod progress;
mod reader;
mod slices;
mod threads;
mod watch;

pub use batch::{Settings, Slices};
pub use budget::{BudgetGuard, Size};
pub use engine::{Intake, Running, start};
pub use files::{FileSum, FileSums, HashOptions, Input, hash_files};
pub use job::{Digested, Job, OpenedJob};
pub use pools::{LazyPools, Pools};
pub use progress::{HashProgress, HashSnapshot};
pub use reader::read_file;
pub use slices::{GROUP, group_size, slices};
pub use threads::{MOST_THREADS, at_hand, processors, refused, spawn};
pub use watch::Watch;
