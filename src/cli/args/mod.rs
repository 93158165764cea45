//! What was typed. Each option is said once, here; what it means is decided where it is used.

mod hash;
mod parts;
mod select;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Parser, Subcommand, ValueEnum};

use super::duration::duration;
use super::metrics::Address;
use super::number::{folder_id, positive, whole};
use super::size::{Rates, Size};
use super::timetable::LimitRate;

pub use hash::{Checking, Hash, Lines};
pub use parts::{Merge, Parts};
pub use select::{BadNames, Empty, Order, Select};

/// Uploads files and folders to the 123pan open platform, as fast as disk, processor and link allow.
#[derive(Debug, Parser)]
#[command(name = "panup", version, max_term_width = 100, after_help = SETTINGS)]
pub struct Args {
    /// Log decisions; -vv also logs attempts.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Append decisions and attempts to FILE, whatever is shown.
    #[arg(long, global = true, value_name = "FILE")]
    pub log_file: Option<PathBuf>,

    /// Read settings from FILE instead of the usual place, which `panup config` shows.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The settings of [profile.NAME] in that file win over its others.
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The end of `panup --help` and of `panup upload --help`.
const SETTINGS: &str = "\
Every option is also PANUP_<NAME> in the environment (PANUP_API, PANUP_STATE_DIR, PANUP_LIMIT_RATE=10M, PANUP_QUIET=1) and a \
key in config.toml (limit-rate = \"10M\", quiet = true): typed > environment > profile > file > default; lists \
add up. `panup config` shows what is in force and why. Secrets: PANUP_TOKEN, or PANUP_CLIENT_ID and \
PANUP_CLIENT_SECRET.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Upload files and directories.
    Upload(Box<Upload>),
    /// See whether files are there and are what is here; sends nothing.
    Verify(Box<Verify>),
    /// Say what an upload would do, as a file that uploads on one or many machines can be given.
    Plan(Box<Plan>),
    /// Make one report of those of several runs or machines, and see whether all that was planned is done.
    Merge(Merge),
    /// Print whole-file MD5s in md5sum's format, or check them.
    Hash(Hash),
    /// Run the local emulator of the service until interrupted.
    #[cfg(feature = "emulator")]
    Emulate(Box<panup_emulator::cli::Args>),
    /// Find out how many bodies in flight this link wants, by uploading generated files.
    Tune(Box<Tune>),
    /// Show what the journal holds: unfinished and finished uploads.
    Status(Status),
    /// Drop what the journal holds.
    Forget(Forget),
    /// Keep client credentials, and fetch a token.
    Login(Login),
    /// Drop the kept credentials and tokens, those of --token-command and of OAuth in the environment
    /// too: its refresh token was used, and the application must be authorised again.
    Logout(Logout),
    /// Show every setting in force, and where it comes from.
    Config(Config),
    /// Find out what stands between this machine and an upload.
    Doctor(Doctor),
    /// Print the version, and what this build and this processor can do.
    Version,
    /// Print the manual's pages.
    Man {
        /// Write a page for each command into DIR instead.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Print a completion script.
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
}

/// `panup upload`
#[derive(Debug, clap::Args)]
#[command(after_help = SETTINGS)]
pub struct Upload {
    /// Files and directories. A directory goes up as itself with all below it; DIR/ and DIR/. go up as
    /// their contents. - is standard input, whose name is --as NAME.
    #[arg(required_unless_present_any = ["files_from", "plan"], value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// The service and the account.
    #[command(flatten)]
    pub account: Account,

    /// No account needed: run the emulator in this process on real sockets, upload there, and keep
    /// the files in DIR (a temporary folder by default).
    #[cfg(feature = "emulator")]
    #[arg(
        long,
        value_name = "DIR",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        value_parser = OsStringValueParser::new().map(Choice::from),
        value_hint = clap::ValueHint::DirPath,
        conflicts_with_all = ["token_file", "token_command"]
    )]
    pub emulator: Option<Choice>,

    /// What happens when the remote name is taken. The same content there already is skipped in any case.
    #[arg(long, value_enum, default_value_t = OnConflict::Fail, help_heading = "Where to")]
    pub on_conflict: OnConflict,

    /// List remote folders first, to see what is there.
    #[arg(long, value_enum, default_value_t = LookFirst::Auto, help_heading = "Where to")]
    pub look: LookFirst,

    /// Which files, and where they go.
    #[command(flatten)]
    pub what: What,

    /// Make the run's own checks, say what would become of each file and what that costs, and upload
    /// nothing. Asks what is there, unless --look never; files are read only to be compared with it.
    #[arg(long, help_heading = "Which")]
    pub dry_run: bool,

    /// Files up to this size go in one call by single/create, larger ones in slices; 0 = always slices.
    #[arg(long, value_name = "SIZE", default_value = "4M", help_heading = "How")]
    pub single_max: Size,

    /// Bodies in flight.
    #[arg(
        long,
        value_name = "auto|N",
        default_value = "auto",
        help_heading = "How"
    )]
    pub concurrency: Count,

    /// Connections per server.
    #[arg(
        long,
        value_name = "auto|N",
        default_value = "auto",
        help_heading = "How"
    )]
    pub connections: Count,

    /// The HTTP version; auto measures both where a server offers both.
    #[arg(long, value_enum, default_value_t = HttpVersion::Auto, help_heading = "How")]
    pub http: HttpVersion,

    /// TCP's congestion control (Linux); auto is the system's, and BBR once the link is seen to lose
    /// packets although it is not full, for a connection that a run's end leaves behind, and with --yield.
    #[arg(long, value_enum, default_value_t = Pacing::Auto, help_heading = "How")]
    pub congestion: Pacing,

    /// Take the MD5s in FILE, md5sum's output, instead of hashing, but for files that were modified since
    /// it was written. One in 64, drawn at random, is hashed before anything is sent; one that is
    /// another refuses the whole list.
    #[arg(long, value_name = "FILE", help_heading = "How")]
    pub md5_from: Option<PathBuf>,

    /// Hashing threads; one per processor by default.
    #[arg(long, value_name = "N", value_parser = whole::<usize>, help_heading = "How")]
    pub hash_threads: Option<usize>,

    /// Content per second at most, in bytes, e.g. 10M, or in bits, e.g. 80Mbit; or a timetable of each
    /// day, e.g. "08:00,512K 19:00,10M 23:00,off": from that local time on.
    #[arg(long, value_name = "RATE", help_heading = "How")]
    pub limit_rate: Option<LimitRate>,

    /// Leave room for others on this link (Linux): go more slowly where something waits in its queue.
    #[arg(long = "yield", help_heading = "How")]
    pub yields: bool,

    /// Calls per second, e.g. create=5,complete=20,single=5. Without it they adapt.
    #[arg(long, value_name = "NAME=N,…", help_heading = "How")]
    pub call_rate: Option<Rates>,

    /// How often a failed call is repeated at most; 7 by default.
    #[arg(long, value_name = "N", value_parser = whole::<u32>, help_heading = "How")]
    pub retries: Option<u32>,

    /// The silence after which a call is given up, to be repeated, e.g. 30s: while it connects,
    /// while a body is sent, until the answer. By default 10 s, 20 s and 60 s.
    #[arg(long, value_name = "D", value_parser = duration, help_heading = "How")]
    pub timeout: Option<Duration>,

    /// Read files instead of mapping them.
    #[arg(long, help_heading = "How")]
    pub no_mmap: bool,

    /// Where standard input (-) is kept until it is uploaded: a folder with room for all of it, or for
    /// one part of --split. By default the system's temporary folder (TMPDIR).
    #[arg(long, value_name = "DIR", help_heading = "How")]
    pub spool_dir: Option<PathBuf>,

    /// Start nothing new after this long, e.g. 8h: what is in flight lands, and the exit code is 130.
    #[arg(long, value_name = "D", value_parser = duration, help_heading = "Until when")]
    pub max_duration: Option<Duration>,

    /// Start nothing new when so much content was sent, e.g. 500G.
    #[arg(long, value_name = "SIZE", help_heading = "Until when")]
    pub max_transfer: Option<Size>,

    /// Serve the run's counters for Prometheus at http://ADDR/metrics: a port of loopback, or an
    /// address in full, which others may reach too. Port 0 takes a free one; standard error says which.
    #[arg(long, value_name = "ADDR", help_heading = "Output")]
    pub metrics: Option<Address>,

    /// Keep what a killed run needs to go on in FILE, which may lie on a network file system: on
    /// whatever machine, the same command goes on with it and the same contents. The journal of the
    /// state folder is left alone. One run at a time has FILE: a newer one ends an older one.
    #[arg(long, value_name = "FILE", help_heading = "State")]
    pub checkpoint: Option<PathBuf>,

    /// Parts of a whole.
    #[command(flatten)]
    pub parts: Parts,

    /// Start every upload from its beginning.
    #[arg(long, help_heading = "State")]
    pub no_resume: bool,

    /// Send again what the journal knows as finished.
    #[arg(long, help_heading = "State")]
    pub force: bool,

    /// Append the object of each file, as --json has it, to FILE as soon as the file has ended.
    /// --files-from takes from it what is not done.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub report: Option<PathBuf>,

    /// Write the run as a picture, one page of HTML, to FILE at its end, also after Ctrl-C; by default to
    /// panup-timings-TIME.html in the working folder.
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        value_parser = OsStringValueParser::new().map(Choice::from),
        value_hint = clap::ValueHint::FilePath,
        help_heading = "Output"
    )]
    pub timings: Option<Choice>,

    /// What to print.
    #[command(flatten)]
    pub output: Output,
}

/// Which files, and where they are at the service.
#[derive(Debug, clap::Args)]
pub struct What {
    /// The remote folder's id; 0 is the root.
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true, value_parser = folder_id, help_heading = "Where to")]
    pub parent_id: i64,

    /// A remote folder below that; missing folders are made.
    #[arg(long, value_name = "PATH", help_heading = "Where to")]
    pub dest: Option<String>,

    /// The remote name of the one file that is given; of standard input (-), also FOLDER/NAME.
    #[arg(
        long = "as",
        value_name = "NAME",
        conflicts_with = "files_from",
        help_heading = "Where to"
    )]
    pub rename: Option<String>,

    /// Which files.
    #[command(flatten)]
    pub select: Select,
}

/// `panup verify`
#[derive(Debug, clap::Args)]
#[command(after_help = VERIFY_END)]
pub struct Verify {
    /// Files and directories, as they were given to `panup upload`.
    #[arg(required_unless_present_any = ["files_from", "report"], value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Check what FILE says was uploaded, a report or the --json output of an upload: by the service's ids,
    /// without a local file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["paths", "files_from", "rehash"])]
    pub report: Option<PathBuf>,

    /// The service and the account.
    #[command(flatten)]
    pub account: Account,

    /// Which files, and where they are.
    #[command(flatten)]
    pub what: What,

    /// Hash every file anew, whatever the journal remembers.
    #[arg(long, help_heading = "How")]
    pub rehash: bool,

    /// Read files instead of mapping them.
    #[arg(long, help_heading = "How")]
    pub no_mmap: bool,

    /// Hashing threads; one per processor by default.
    #[arg(long, value_name = "N", help_heading = "How")]
    pub hash_threads: Option<usize>,

    /// Calls per second, e.g. list=15. Without it they adapt.
    #[arg(long, value_name = "NAME=N,…", help_heading = "How")]
    pub call_rate: Option<Rates>,

    /// What to print.
    #[command(flatten)]
    pub output: Output,
}

/// The end of `panup verify --help`.
const VERIFY_END: &str = "\
Nothing is sent and nothing is changed. A file is there where the service lists its name with its size and \
MD5, outside the trash, and not refused by review. Exit code 0: all are there; 1: some are missing, \
different, or could not be checked.";

/// `panup plan`
#[derive(Debug, clap::Args)]
#[command(after_help = PLAN_END)]
pub struct Plan {
    /// Write the plan to FILE, which is replaced as a whole.
    #[arg(short, long, value_name = "FILE", required_unless_present = "analyze")]
    pub out: Option<PathBuf>,

    /// Deal the files out to N shards that take about as long.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = positive::<u32>)]
    pub shards: u32,

    /// Say how large the files are, what they take, and which shards and --single-max would suit them.
    #[arg(long)]
    pub analyze: bool,

    /// The options of the upload that is planned.
    #[command(flatten)]
    pub upload: Upload,
}

/// The end of `panup plan --help`.
const PLAN_END: &str = "\
The options are those of the upload that is planned; `panup upload --plan FILE` is to have the same \
--api, --parent-id, --on-conflict, --single-max and --split. Nothing is sent and nothing is changed. Exit codes are an upload's.";

/// `panup tune`
#[derive(Debug, clap::Args)]
pub struct Tune {
    /// The service and the account.
    #[command(flatten)]
    pub account: Account,

    /// No account needed: measure against an emulator in this process, which keeps nothing.
    #[cfg(feature = "emulator")]
    #[arg(long, conflicts_with_all = ["token_file", "token_command"])]
    pub emulator: bool,

    /// Do not ask before generated files go to the account.
    #[arg(short, long)]
    pub yes: bool,

    /// Bytes to send at most, resends included. 1G is enough for up to 16 slices of 16 MiB at
    /// once, each doubling of that number takes a doubled budget.
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "1G",
        help_heading = "How far"
    )]
    pub budget: Size,

    /// Bodies in flight to try besides auto; as many doublings from 1 as the budget allows by default.
    #[arg(long = "try", value_name = "N,…", value_delimiter = ',', value_parser = positive::<u16>, help_heading = "How far")]
    pub settings: Vec<u16>,

    /// Seconds for each setting at most.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = positive::<u64>, help_heading = "How far")]
    pub seconds: u64,

    /// The remote folder's id; 0 is the root.
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true, value_parser = folder_id, help_heading = "Where to")]
    pub parent_id: i64,

    /// A remote folder below that for the generated files. They are moved to the trash in the end, the
    /// folder stays.
    #[arg(
        long,
        value_name = "PATH",
        default_value = "panup-tune",
        help_heading = "Where to"
    )]
    pub dest: String,

    /// Write the table as a picture, one page of HTML, to FILE; by default to panup-timings-TIME.html in the
    /// working folder.
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        value_parser = OsStringValueParser::new().map(Choice::from),
        value_hint = clap::ValueHint::FilePath,
        help_heading = "Output"
    )]
    pub timings: Option<Choice>,

    /// What to print.
    #[command(flatten)]
    pub output: Output,
}

/// The service and the account.
#[derive(Debug, clap::Args)]
pub struct Account {
    /// The service's API base.
    #[arg(long, value_name = "URL", default_value = panup::DEFAULT_API, help_heading = "Service")]
    pub api: String,

    /// One more certificate to trust.
    #[arg(long, value_name = "PEM", help_heading = "Service")]
    pub ca_cert: Vec<PathBuf>,

    /// A file that holds an access token, one word. Otherwise PANUP_TOKEN, PANUP_TOKEN_FILE,
    /// PANUP_TOKEN_COMMAND, PANUP_CLIENT_ID and PANUP_CLIENT_SECRET, PANUP_OAUTH_CLIENT_ID,
    /// PANUP_OAUTH_CLIENT_SECRET and PANUP_OAUTH_REFRESH_TOKEN, or what `panup login` keeps.
    #[arg(long, value_name = "FILE", help_heading = "Service")]
    pub token_file: Option<PathBuf>,

    /// A command for the shell that prints an access token, or {"accessToken":"…","expiredAt":"…"}. It
    /// may take a minute, and is run again when the token is about to end or refused (then with
    /// PANUP_TOKEN_REFUSED=1), once for all processes with this command, API and --account: the token
    /// is kept in the state folder. `panup logout` drops it.
    #[arg(
        long,
        value_name = "CMD",
        conflicts_with = "token_file",
        help_heading = "Service"
    )]
    pub token_command: Option<String>,

    /// The account's name in the journal. Otherwise the id inside the token, or the client id.
    #[arg(long, value_name = "NAME", help_heading = "Service")]
    pub account: Option<String>,

    /// Let the access token go over http:// to other machines, where https:// fails.
    #[arg(long, help_heading = "Service")]
    pub allow_http: bool,

    /// Let the access token go to upload servers below SUFFIX too (may be repeated). Otherwise to those
    /// below 123pan.com and 123242.com, or with another --api to those of its own domain.
    #[arg(long, value_name = "SUFFIX", help_heading = "Service")]
    pub trust_host: Vec<String>,

    /// The folder for journal, token cache and credentials.
    #[arg(long, value_name = "DIR", help_heading = "State")]
    pub state_dir: Option<PathBuf>,
}

/// `panup doctor`
#[derive(Debug, clap::Args)]
#[command(after_help = DOCTOR_END)]
pub struct Doctor {
    /// The service and the account.
    #[command(flatten)]
    pub account: Account,

    /// Look at an emulator in this process instead.
    #[cfg(feature = "emulator")]
    #[arg(long)]
    pub emulator: bool,

    /// Print one JSON object a line.
    #[arg(long)]
    pub json: bool,
}

impl Doctor {
    /// Whether an emulator is looked at.
    pub fn emulator(&self) -> bool {
        #[cfg(feature = "emulator")]
        return self.emulator;
        #[cfg(not(feature = "emulator"))]
        false
    }
}

/// The end of `panup doctor --help`.
const DOCTOR_END: &str = "\
Looks at the configuration, the state folder, open files, credentials, the proxy, the API, the clock, the token and \
the upload servers. Nothing is changed and no secret is shown; a token may be fetched. Exit code 0: uploads \
should work; 1: something must be done; 3: the credentials were refused.";

/// `panup config`
#[derive(Debug, clap::Args)]
#[command(after_help = CONFIG_END)]
pub struct Config {
    /// Print one JSON object a line.
    #[arg(long)]
    pub json: bool,

    /// Print the JSON schema of what --json and --report write.
    #[arg(long)]
    pub json_schema: bool,

    /// The command whose settings are shown, upload by default, and arguments as they would be typed.
    #[arg(
        value_name = "COMMAND",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub command: Vec<OsString>,
}

/// The end of `panup config --help`.
const CONFIG_END: &str = "\
config.toml has keys named as the options: limit-rate = \"10M\", quiet = true, exclude = [\"*.tmp\"]. Those at \
its top hold for every command that has such an option, those below [profile.NAME] where that profile is \
asked for, those below [hash], [tune] and so on for that command alone. Relative paths are meant from the file's \
folder. Lists add up; of the rest the strongest wins: typed, PANUP_<COMMAND>_<NAME>, PANUP_<NAME>, profile, file.";

/// What to print.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(next_help_heading = "Output")]
pub struct Output {
    /// Print one JSON object a line on standard output, and nothing else there: one for each file, those
    /// included that were never tried, and a summary, which counts those (unstarted) and links and
    /// special files left out.
    #[arg(long)]
    pub json: bool,

    /// Print errors only.
    #[arg(short, long)]
    pub quiet: bool,

    /// No progress: neither on a terminal, nor a line every ten seconds elsewhere, nor objects with --json.
    #[arg(long)]
    pub no_progress: bool,

    /// Colours; auto is on a terminal where NO_COLOR is not set.
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
}

/// `--color`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Output {
    /// Of a command that has nothing but lines.
    pub fn of_lines(json: bool) -> Output {
        Output {
            json,
            quiet: false,
            no_progress: false,
            color: Color::Auto,
        }
    }
}

/// `panup status`
#[derive(Debug, clap::Args)]
#[command(after_help = STATUS_FORMAT)]
pub struct Status {
    /// Show the newest N finished files.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole::<u32>)]
    pub finished: u32,

    /// Ask the service whether the account's finished files are still there.
    #[arg(long)]
    pub check: bool,

    /// The service and the account, for --check.
    #[command(flatten)]
    pub account: Account,

    /// Print one JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// The end of `panup status --help`.
const STATUS_FORMAT: &str = "\
With --json: an object with \"event\":\"unfinished\" for each upload that was begun and not finished, \
oldest first, one with \"finished\" for each of the newest finished files, newest first, and one with \
\"summary\", the counts. Times are seconds since 1970.";

/// `panup forget`
#[derive(Debug, clap::Args)]
pub struct Forget {
    /// All that is known of these files, and of everything below these directories.
    #[arg(value_name = "PATH", required_unless_present_any = ["all", "unfinished"])]
    pub paths: Vec<PathBuf>,

    /// Everything: unfinished and finished uploads, hashes, and what was found of links.
    #[arg(long, conflicts_with = "paths")]
    pub all: bool,

    /// All unfinished uploads.
    #[arg(long, conflicts_with_all = ["paths", "all"])]
    pub unfinished: bool,

    /// The folder for journal, token cache and credentials.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// `panup login`
#[derive(Debug, clap::Args)]
#[command(after_help = KEYS)]
pub struct Login {
    /// Keep an application of OAuth and its refresh token instead; taken from PANUP_OAUTH_CLIENT_ID,
    /// PANUP_OAUTH_CLIENT_SECRET and PANUP_OAUTH_REFRESH_TOKEN where they are set. The refresh token
    /// works once: panup keeps the one that comes in its place.
    #[arg(long)]
    pub oauth: bool,

    /// The service and the account.
    #[command(flatten)]
    pub account: Account,
}

/// Where keys come from: at the end of `panup login --help`, and before anything is asked.
pub const KEYS: &str = "\
A client id and secret come from https://www.123pan.com/developer and, since January 2026, only with a paid \
plan for developers; the price is said there. At most three tokens of one client id live at once, so panup \
fetches one and shares it among all its runs.
Without such a plan: an application of OAuth (--oauth asks for its refresh token, which works once and for \
90 days), or, where an application hands out tokens at an address of its own, `panup upload --token-command CMD`.
Without an account: `panup upload --emulator`.";

/// `panup logout`
#[derive(Debug, clap::Args)]
pub struct Logout {
    /// The folder for journal, token cache and credentials.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// A path, or none where the command is to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice(pub Option<PathBuf>);

impl From<OsString> for Choice {
    fn from(path: OsString) -> Choice {
        Choice(
            Some(path)
                .filter(|path| !path.is_empty())
                .map(PathBuf::from),
        )
    }
}

/// `--on-conflict`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnConflict {
    /// Other content there fails the file.
    Fail,
    /// Other content there is left as it is.
    Skip,
    /// Both are kept; the service adds a suffix to the new one's name.
    KeepBoth,
    /// The new file takes the old one's place.
    Overwrite,
}

/// `--look`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LookFirst {
    /// Where it takes fewer calls than asking for each file.
    Auto,
    /// Always; files that the journal knows are looked for as well.
    Always,
    /// Never, for accounts that may not list: a taken name then fails.
    Never,
}

/// `--http`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HttpVersion {
    /// Measured.
    Auto,
    /// HTTP/1.1.
    #[value(name = "1")]
    One,
    /// HTTP/2.
    #[value(name = "2")]
    Two,
}

/// `--congestion`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Pacing {
    /// By what the link shows.
    Auto,
    /// As the system has it.
    System,
    /// BBR.
    Bbr,
    /// CUBIC.
    Cubic,
}

/// A number from 1, or `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub Option<usize>);

impl std::str::FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Count, String> {
        match text.parse() {
            _ if text == "auto" => Ok(Count(None)),
            Ok(count) if count > 0 => Ok(Count(Some(count))),
            _ => Err("a number from 1, or auto".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn counts() {
        assert_eq!("auto".parse(), Ok(Count(None)));
        assert_eq!("3".parse(), Ok(Count(Some(3))));
        assert!("0".parse::<Count>().is_err());
    }
}
