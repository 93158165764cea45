//! Which files go up.

use std::path::PathBuf;

use clap::ValueEnum;

use super::super::moment::Moment;
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

    /// Also exclude the globs in FILE, one a line; lines that begin with # are comments (may be repeated).
    #[arg(long, value_name = "FILE")]
    pub exclude_from: Vec<PathBuf>,

    /// Globs match upper and lower case alike.
    #[arg(long)]
    pub ignore_case: bool,

    /// Leave out what .gitignore, .ignore and .panupignore say: those in each PATH and below it, and
    /// those above it up to a folder with a .git.
    #[arg(long)]
    pub ignore_files: bool,

    /// Whether names that begin with a dot go up.
    #[arg(long, value_name = "yes|no", value_parser = yes_or_no, default_value = "yes", action = clap::ArgAction::Set, hide_possible_values = true)]
    pub hidden: bool,

    /// Also the paths listed in FILE, one a line, or JSON objects {"path":…,"remote":…,"md5":…,"size":…,
    /// "tag":…}, read as they come; - is standard input. Of a --report or --json output, what is not
    /// done. In UTF-8 or, with a byte order mark, UTF-16.
    #[arg(long, value_name = "FILE")]
    pub files_from: Option<PathBuf>,

    /// Listed paths end in NUL bytes instead of line ends, and none is JSON.
    #[arg(short = '0', long, requires = "files_from")]
    pub null: bool,

    /// Listed paths keep the folders that they have below DIR. Without it they keep all that they are
    /// written with.
    #[arg(long, value_name = "DIR", requires = "files_from")]
    pub base: Option<PathBuf>,

    /// Only files of at least this size.
    #[arg(long, value_name = "SIZE")]
    pub min_size: Option<Size>,

    /// Only files of at most this size.
    #[arg(long, value_name = "SIZE")]
    pub max_size: Option<Size>,

    /// Only files that were modified at or after WHEN: an age such as 12h, 7d or 2w, or a date such as
    /// 2026-11-26, "2026-11-26 08:30" (local time) or 2026-11-26T08:30:00+08:00.
    #[arg(long, value_name = "WHEN")]
    pub newer_than: Option<Moment>,

    /// Only files that were modified before WHEN.
    #[arg(long, value_name = "WHEN")]
    pub older_than: Option<Moment>,

    /// Empty files, which the service refuses.
    #[arg(long, value_enum, default_value_t = Empty::Fail)]
    pub empty: Empty,

    /// Make folders with nothing in them there too, when the files are there. They are left out, and
    /// counted, otherwise.
    #[arg(long)]
    pub empty_dirs: bool,

    /// Names that the service refuses: with \ : * ? " < > or |, of blanks only, or too long.
    #[arg(long, value_enum, default_value_t = BadNames::Fail)]
    pub bad_names: BadNames,

    /// A larger file goes up as NAME.001, NAME.002, … of SIZE, with NAME.md5 naming them and the whole,
    /// for md5sum -c. Needed above 10 GiB, the largest file that the service takes.
    #[arg(long, value_name = "SIZE", value_parser = part_size)]
    pub split: Option<u64>,

    /// Which files are begun first. But for mixed, all are found before the first one is begun.
    #[arg(long, value_enum, default_value_t = Order::Mixed)]
    pub order: Order,

    /// Follow symbolic links. They are left out, and counted, otherwise.
    #[arg(long)]
    pub follow: bool,
}

/// `--empty`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Empty {
    /// They fail.
    Fail,
    /// They are left out, and counted.
    Skip,
}

/// `--bad-names`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BadNames {
    /// The files fail.
    Fail,
    /// The files are left out, and counted.
    Skip,
    /// The signs become their full-width forms, as rclone has it: a:b goes up as a：b.
    Fullwidth,
}

/// `--order`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Order {
    /// As they are found, big and small ones side by side.
    Mixed,
    /// The smallest first.
    Size,
    /// By their remote paths.
    Name,
    /// The oldest first.
    Mtime,
}

/// Bytes of a part: what the service takes as a file.
fn part_size(text: &str) -> Result<u64, String> {
    let Size(size) = text.parse()?;
    match size {
        ..SMALLEST_PART => Err("a part has at least 1 MiB".to_owned()),
        SMALLEST_PART..=LARGEST_FILE => Ok(size),
        _ => Err("the service takes at most 10 GiB in a file".to_owned()),
    }
}

/// Bytes; smaller ones are more calls than content.
const SMALLEST_PART: u64 = 1 << 20;

/// Bytes of the largest file that the service takes.
const LARGEST_FILE: u64 = 10 << 30;

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("yes or no".to_owned()),
    }
}
