//! `panup hash`: md5sum's options, and a few of its own.

use std::path::PathBuf;

use super::super::size::Size;

/// `panup hash`
#[derive(Debug, clap::Args)]
#[command(after_help = HASH_FORMAT)]
pub struct Hash {
    /// Files and directories; - or none is standard input.
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Also print the MD5 of every slice of SIZE.
    #[arg(long, value_name = "SIZE", num_args = 0..=1, require_equals = true, default_missing_value = "16M")]
    pub slices: Option<Size>,

    /// Read MD5s from FILE and check them; - or none is standard input.
    #[arg(short, long, value_name = "FILE", num_args = 0.., default_missing_value = "-", conflicts_with_all = ["paths", "slices"])]
    pub check: Option<Vec<PathBuf>>,

    /// What to print while checking.
    #[command(flatten)]
    pub checking: Checking,

    /// Threads; one per processor by default.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,

    /// Read files instead of mapping them.
    #[arg(long)]
    pub no_mmap: bool,
}

/// What `panup hash --check` prints, and what it minds.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(next_help_heading = "With --check")]
pub struct Checking {
    /// Print nothing for files that are right.
    #[arg(short, long, requires = "check", conflicts_with_all = ["paths", "slices"])]
    pub quiet: bool,

    /// Print nothing; the exit code says it.
    #[arg(long, requires = "check", conflicts_with_all = ["paths", "slices"])]
    pub status: bool,

    /// Lines that cannot be read make it fail.
    #[arg(long, requires = "check", conflicts_with_all = ["paths", "slices"])]
    pub strict: bool,

    /// Say which lines cannot be read.
    #[arg(short, long, requires = "check", conflicts_with_all = ["paths", "slices"])]
    pub warn: bool,

    /// Missing files do not count.
    #[arg(long, requires = "check", conflicts_with_all = ["paths", "slices"])]
    pub ignore_missing: bool,
}

/// The end of `panup hash --help`.
const HASH_FORMAT: &str = "\
A line is an MD5, two blanks and the path, as md5sum has it; where the path contains a backslash, \
a line end or a carriage return, these are escaped by a backslash and the line begins with one. \
A directory stands for all files below it, sorted by name, symbolic links not followed.

With --slices, each file's line is followed by one line for each of its slices: #, the slice's \
number from 1, a blank, and its MD5 and path in the same format. md5sum and --check take such lines \
for comments.

Exit codes: 0 all is well; 1 a file could not be read or did not match; 2 wrong usage.";
