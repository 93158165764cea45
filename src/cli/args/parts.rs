//! Parts of a whole: what one process of many does.

use std::path::PathBuf;

use super::super::number::positive;
use super::super::rebase::Rebase;
use super::super::shard::Asked;

/// Which part of the whole is this process's.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Parts of a whole")]
pub struct Parts {
    /// The files of FILE, which `panup plan` wrote, instead of PATHs. Those that changed since fail.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["paths", "files_from", "rename"])]
    pub plan: Option<PathBuf>,

    /// What the plan has below FROM is below TO here (may be repeated; the first that fits counts).
    #[arg(long, value_name = "FROM=TO", requires = "plan")]
    pub rebase: Vec<Rebase>,

    /// Only the files of shard K of N, counted from 1: those of the plan, or by a hash of the remote
    /// path. auto takes both from PANUP_SHARD and PANUP_SHARDS, or from a Kubernetes indexed job (with
    /// PANUP_SHARDS), a Slurm array or an AWS Batch array.
    #[arg(long, value_name = "K/N|auto")]
    pub shard: Option<Asked>,

    /// So many processes run at once: --limit-rate and --call-rate are for all of them, and divided by
    /// P. By default as many as there are shards.
    #[arg(long, value_name = "P", value_parser = positive::<u32>)]
    pub workers: Option<u32>,
}

/// `panup merge`
#[derive(Debug, clap::Args)]
#[command(after_help = MERGE_END)]
pub struct Merge {
    /// Reports or --json outputs.
    #[arg(required = true, value_name = "REPORT")]
    pub reports: Vec<PathBuf>,

    /// Write the merged report to FILE, which is replaced as a whole, instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// The plan that the reports are of: what none of them tells of is missing.
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
}

/// The end of `panup merge --help`.
const MERGE_END: &str = "\
The last word on each file counts, by time. --files-from takes from the merged report what is not done. \
Exit code 0: all files are done, with --plan all that were planned; 1: some are not; 4: some are not, each \
of them for good.";
