//! `panup hash`: md5sum's options, and a few of its own.

use std::path::PathBuf;

use super::super::number::whole;
use super::super::size::Size;

/// `panup hash`
#[derive(Debug, clap::Args)]
#[command(after_help = HASH_FORMAT)]
pub struct Hash {
    /// Files and directories, or with --check lists of MD5s; - or none is standard input.
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Read MD5s from the PATHs and check them.
    #[arg(short, long)]
    pub check: bool,

    /// How lines are written.
    #[command(flatten)]
    pub lines: Lines,

    /// Also print the MD5 of every slice of SIZE.
    #[arg(long, value_name = "SIZE", num_args = 0..=1, require_equals = true, default_missing_value = "16M", conflicts_with_all = ["check", "tag"])]
    pub slices: Option<Size>,

    /// What to print while checking.
    #[command(flatten)]
    pub checking: Checking,

    /// Threads; one per processor by default.
    #[arg(long, value_name = "N", value_parser = whole::<usize>)]
    pub threads: Option<usize>,

    /// Read files instead of mapping them.
    #[arg(long)]
    pub no_mmap: bool,
}

/// How `panup hash` writes its lines.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct Lines {
    /// Write lines as BSD has them: MD5 (path) = md5.
    #[arg(long)]
    pub tag: bool,

    /// Lines end in NUL bytes, and paths are not escaped.
    #[arg(short, long)]
    pub zero: bool,

    /// Mark paths with * instead of a blank; the bytes are the same.
    #[arg(short, long, overrides_with = "text")]
    pub binary: bool,

    /// Mark paths with a blank, as without it.
    #[arg(short, long, overrides_with = "binary")]
    pub text: bool,
}

/// What `panup hash --check` prints, and what it minds.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(next_help_heading = "With --check")]
pub struct Checking {
    /// Print nothing for files that are right.
    #[arg(short, long)]
    pub quiet: bool,

    /// Print nothing; the exit code says it.
    #[arg(long)]
    pub status: bool,

    /// Lines that cannot be read make it fail.
    #[arg(long)]
    pub strict: bool,

    /// Say which lines cannot be read.
    #[arg(short, long)]
    pub warn: bool,

    /// Missing files do not count.
    #[arg(long)]
    pub ignore_missing: bool,
}

impl Hash {
    /// What md5sum says where options do not go together.
    pub fn misuse(&self) -> Option<String> {
        if let (Some(_), Some(first)) = (&self.slices, self.paths.first())
            && !first.exists()
            && let Some(size) = first.to_str().filter(|text| text.parse::<Size>().is_ok())
        {
            return Some(format!(
                "there is no file {size:?}; a size is written --slices={size}"
            ));
        }
        let (lines, asked) = (&self.lines, &self.checking);
        let both = lines.binary || lines.text;
        if self.check {
            let rows = [
                (lines.tag, "the --tag option is meaningless"),
                (lines.zero, "the --zero option is not supported"),
                (both, "the --binary and --text options are meaningless"),
            ];
            let wrong = rows.into_iter().find(|(is_given, _)| *is_given);
            return wrong.map(|(_, what)| format!("{what} when verifying checksums"));
        }
        if lines.tag && lines.text {
            return Some("--tag does not support --text mode".to_owned());
        }
        let rows = [
            (asked.ignore_missing, "ignore-missing"),
            (asked.status, "status"),
            (asked.warn, "warn"),
            (asked.quiet, "quiet"),
            (asked.strict, "strict"),
        ];
        let wrong = rows.into_iter().find(|(is_given, _)| *is_given);
        wrong.map(|(_, name)| {
            format!("the --{name} option is meaningful only when verifying checksums")
        })
    }
}

/// The end of `panup hash --help`.
const HASH_FORMAT: &str = "\
Options, lines and verdicts are md5sum's. A line is an MD5, two blanks and the path; where the path contains a backslash, \
a line end or a carriage return, these are escaped by a backslash and the line begins with one. \
A directory stands for all files below it, sorted by name, symbolic links not followed.

With --slices, each file's line is followed by one line for each of its slices: #, the slice's \
number from 1, a blank, and its MD5 and path in the same format. md5sum and --check take such lines \
for comments.

Exit codes: 0 all is well; 1 a file could not be read or did not match; 2 wrong usage.";
