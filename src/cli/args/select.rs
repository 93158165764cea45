//! Which files go up.

use std::path::PathBuf;

use super::super::size::Size;

/// Which files.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Which")]
pub struct Select {
    /// Only files that match GLOB, or that are in a folder that does (may be repeated). Without / it
    /// matches a name at any depth; with / it is rooted at each PATH, or is the absolute path.
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<String>,

    /// No files or folders that match GLOB (may be repeated). Excludes win over includes; both hold
    /// for typed and listed paths too.
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,

    /// Also the paths listed in FILE, one a line, in UTF-8 or, with a byte order mark, UTF-16; - is
    /// standard input. Relative paths keep their folders.
    #[arg(long, value_name = "FILE")]
    pub files_from: Option<PathBuf>,

    /// Listed paths end in NUL bytes instead of line ends.
    #[arg(short = '0', long, requires = "files_from")]
    pub null: bool,

    /// Only files of at least this size.
    #[arg(long, value_name = "SIZE")]
    pub min_size: Option<Size>,

    /// Only files of at most this size.
    #[arg(long, value_name = "SIZE")]
    pub max_size: Option<Size>,

    /// Follow symbolic links. They are left out, and counted, otherwise.
    #[arg(long)]
    pub follow: bool,

    /// Say what would be uploaded, and upload nothing.
    #[arg(long)]
    pub dry_run: bool,
}
