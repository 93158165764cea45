//! What can be asked for. In come flags, out go links and settings; nothing is done here.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueEnum};

use crate::wire::{Link, MOST_CLIENTS, Weather};

/// Measures which share of a link `panup upload` reaches through real TCP
///
/// One row for each link and each setting: the mean share from second 20 on, and before. 100 % is
/// what TCP can carry at best: payload in packets of 1500 bytes that follow each other without a
/// gap. Retries are slices that the emulator did not get whole; full and lost are the packets that
/// the queue and chance dropped; wait is what packets spent in the queue in the mean, from second 20 on.
/// Where the link changes: how many seconds after that it was used to nine tenths again, at the worst, and
/// a picture of the share, second by second. A rival is one TCP connection that sends as fast as it can.
///
/// Exit codes: 0 all was measured; 1 a cell failed; 2 wrong usage; 77 this machine cannot do it
/// (namespaces, /dev/net/tun, root); 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "link", verbatim_doc_comment)]
pub struct Args {
    /// Bandwidths in Mbit/s
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [100, 1000])]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub mbit: Vec<u64>,
    /// Round trips in ms
    #[arg(long, value_name = "MS,…", value_delimiter = ',', default_values_t = [10, 80, 200])]
    pub rtt: Vec<u64>,
    /// The share of segments that is lost on the way to the server
    #[arg(long, value_name = "P,…", value_delimiter = ',', default_values_t = [0.0])]
    #[arg(value_parser = probability)]
    pub loss: Vec<f64>,
    /// What waits before the bottleneck at most; auto is a round trip's worth, 512 KiB at least; 10x is ten
    /// round trips' worth
    #[arg(long, value_name = "KiB|Nx|auto", default_value_t = Queue::Auto)]
    pub queue: Queue,
    /// How the link changes; a cell lasts long enough for it
    #[arg(long, value_enum, value_name = "NAME,…", value_delimiter = ',', default_values_t = [Weather::Steady])]
    pub weather: Vec<Weather>,
    /// Seconds within which a link that changed is to be used again: a cell that takes longer has failed
    #[arg(long, value_name = "N")]
    pub back_within: Option<u64>,
    /// TCP's congestion control on both sides; auto is cubic where this machine allows namespaces to choose it,
    /// and what it gives them otherwise
    #[arg(long, value_name = "NAME", default_value = AUTO)]
    pub congestion: String,
    /// How long each cell is measured
    #[arg(long, value_name = "N", default_value_t = 38)]
    #[arg(value_parser = clap::value_parser!(u64).range(SETTLED + 1..))]
    pub seconds: u64,
    /// What `panup upload` asks for its sockets: auto, system, bbr or cubic
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', default_values_t = [AUTO.to_owned()])]
    pub sockets: Vec<String>,
    /// Every fixed setting with system and bbr, and auto with auto, in the place of --concurrency and --sockets
    #[arg(long, conflicts_with_all = ["concurrency", "sockets"])]
    pub grid: bool,
    /// Files of so many slices instead, from the start of the program to its end: seconds, and what they would be at best
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1000))]
    #[arg(conflicts_with_all = ["seconds", "weather", "back_within", "rival", "known", "out", "picture", "file_gib", "clients", "late"])]
    pub slices: Vec<u64>,
    /// Another TCP connection shares the link, from second 0 on or between these; its share is told
    #[arg(long, value_name = "FROM-UNTIL", num_args = 0..=1, require_equals = true, default_missing_value = "0-")]
    pub rival: Option<Span>,
    /// The link is known: the same upload has run on it before, for so many seconds
    #[arg(long, value_name = "N")]
    pub known: Option<u64>,
    /// `panup upload --yield`
    #[arg(long = "yield")]
    pub yields: bool,
    /// Appends each row to FILE, tabs between its columns, and leaves out what stands there already
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Draws what went through and what waited, second by second, as SVG; it is written anew after each cell
    #[arg(long, value_name = "FILE")]
    pub picture: Option<PathBuf>,
    /// Appends what `panup upload -v` says to FILE
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Bodies in flight, as `panup upload` takes them; none uploads nothing, so that a rival is alone
    #[arg(long, value_name = "auto|none|N,…", value_delimiter = ',')]
    #[arg(default_values_t = [Setting::Auto, Setting::Fixed(4), Setting::Fixed(16), Setting::Fixed(64)])]
    pub concurrency: Vec<Setting>,
    /// Upload servers, all behind the same link
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=16))]
    pub servers: u64,
    /// Uploads at the same time that know nothing of each other, each to a service of its own, all behind the same link: what
    /// each has of it, and Jain's index of that
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=MOST_CLIENTS as i64))]
    pub clients: u16,
    /// Each of these begins so many seconds after the one before; their shares are those from 20 s after the last one's begin on
    #[arg(long, value_name = "N", default_value_t = 0, requires = "clients")]
    pub late: u64,
    /// The HTTP version: 1 is plain, the others go over TLS
    #[arg(long, value_enum, default_value_t = Http::One)]
    pub http: Http,
    /// The size of the file, a sparse one in TMPDIR; it must last as long as a cell
    #[arg(long, value_name = "N", default_value_t = 6)]
    pub file_gib: u64,
    /// The program that is measured [default: the one of the same build]
    #[arg(long, value_name = "FILE")]
    pub panup: Option<PathBuf>,
}

impl Args {
    /// Ends the program where the file would not last as long as a cell.
    pub fn check(&self) {
        let best = self.links().iter().map(Link::best).fold(0.0, f64::max);
        let longest = self.links().iter().map(|link| self.lasts(link)).max();
        let wanted = (best * longest.unwrap_or(0) as f64 / GIB).ceil();
        if self.file_gib as f64 <= wanted {
            let text = format!(
                "--file-gib {}: the fastest link wants more than {wanted}",
                self.file_gib
            );
            Args::command()
                .error(ErrorKind::ValueValidation, text)
                .exit();
        }
    }

    /// Every link that was asked for, the quickest last.
    pub fn links(&self) -> Vec<Link> {
        let mut links = Vec::new();
        for &mbit in &self.mbit {
            for &rtt in &self.rtt {
                for &loss in &self.loss {
                    let weathers = self.weather.iter();
                    links.extend(weathers.map(|&weather| self.link((mbit, rtt), loss, weather)));
                }
            }
        }
        links
    }

    /// How many seconds a cell of `link` has.
    pub fn lasts(&self, link: &Link) -> u64 {
        let all_are_there = u64::from(self.clients - 1) * self.late;
        let longest = link.weather.lasts().max(all_are_there + SETTLED + 1);
        self.seconds.max(longest)
    }

    /// Bodies in flight and what is asked for their sockets, for each cell of a link.
    pub fn settings(&self) -> Vec<(Setting, String)> {
        let (settings, sockets) = match self.grid {
            true => (&FIXED[..], GRID_SOCKETS.map(str::to_owned).to_vec()),
            false => (&self.concurrency[..], self.sockets.clone()),
        };
        let first = self.grid.then(|| (Setting::Auto, AUTO.to_owned()));
        let each = settings.iter().flat_map(|&setting| {
            let with = move |sockets: &String| (setting, sockets.clone());
            sockets.iter().map(with)
        });
        first.into_iter().chain(each).collect()
    }

    fn link(&self, (mbit, rtt): (u64, u64), loss: f64, weather: Weather) -> Link {
        let round_trip = mbit * 1_000_000 / 8 * rtt / 1000;
        let queue = match self.queue {
            Queue::Auto => round_trip.max(SMALLEST_QUEUE),
            Queue::KiB(size) => size << 10,
            Queue::RoundTrips(count) => (round_trip * count).max(SMALLEST_QUEUE),
        };
        Link {
            mbit,
            rtt: Duration::from_millis(rtt),
            loss,
            queue,
            weather,
        }
    }
}

/// The seconds in which a rival is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// From this one on.
    pub from: u64,
    /// Until this one, or the end.
    pub until: Option<u64>,
}

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Span, &'static str> {
        let span = || {
            let (from, until) = text.split_once('-')?;
            let until = match until {
                "" => None,
                until => Some(until.parse().ok()?),
            };
            let from = from.parse().ok()?;
            until
                .is_none_or(|until| until > from)
                .then_some(Span { from, until })
        };
        span().ok_or("two seconds, such as 15-30, or one and the end, such as 15-")
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = self.until.map(|until| until.to_string());
        write!(f, "{}-{}", self.from, until.unwrap_or_default())
    }
}

/// How many bodies the client has in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// As many as it finds good.
    Auto,
    /// So many.
    Fixed(u32),
    /// None: no client, and a rival has the link alone.
    None,
}

impl FromStr for Setting {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Setting, &'static str> {
        match (text, text.parse()) {
            ("auto", _) => Ok(Setting::Auto),
            ("none", _) => Ok(Setting::None),
            (_, Ok(count)) if count > 0 => Ok(Setting::Fixed(count)),
            _ => Err("auto, none or a number from 1 on"),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Setting::Auto => f.pad("auto"),
            Setting::Fixed(count) => f.pad(&count.to_string()),
            Setting::None => f.pad("none"),
        }
    }
}

/// How long the queue is.
#[derive(Clone, Copy, Debug)]
pub enum Queue {
    /// By the link.
    Auto,
    /// So much.
    KiB(u64),
    /// What the link carries in so many round trips.
    RoundTrips(u64),
}

impl FromStr for Queue {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Queue, &'static str> {
        let wrong = "auto, a number of KiB from 128 on, or 1x to 100x";
        if let Some(count) = text.strip_suffix('x') {
            let count = count.parse().ok().filter(|count| (1..=100).contains(count));
            return count.map(Queue::RoundTrips).ok_or(wrong);
        }
        match (text, text.parse()) {
            ("auto", _) => Ok(Queue::Auto),
            // Less than one super-packet would let nothing through.
            (_, Ok(size)) if (128..1 << 32).contains(&size) => Ok(Queue::KiB(size)),
            _ => Err(wrong),
        }
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Queue::Auto => f.pad("auto"),
            Queue::KiB(size) => f.pad(&size.to_string()),
            Queue::RoundTrips(count) => f.pad(&format!("{count}x")),
        }
    }
}

/// The HTTP version, as `panup upload` takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Http {
    /// HTTP/1.1, plain
    #[value(name = "1")]
    One,
    /// HTTP/2 over TLS
    #[value(name = "2")]
    Two,
    /// What the client finds best, over TLS
    Auto,
}

impl Http {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Http::One => "1",
            Http::Two => "2",
            Http::Auto => "auto",
        }
    }
}

fn probability(text: &str) -> Result<f64, &'static str> {
    let value = text.parse().ok();
    value
        .filter(|value| (0.0..1.0).contains(value))
        .ok_or("a share from 0 to less than 1, such as 0.0001")
}

/// What is found out.
pub const AUTO: &str = "auto";

/// What `auto` is measured against.
const FIXED: [Setting; 5] = [
    Setting::Fixed(8),
    Setting::Fixed(16),
    Setting::Fixed(32),
    Setting::Fixed(64),
    Setting::Fixed(128),
];
const GRID_SOCKETS: [&str; 2] = ["system", "bbr"];

/// Seconds after which a client should have found its pace.
pub const SETTLED: u64 = 20;

/// What `--file-gib` counts.
const GIB: f64 = (1 << 30) as f64;

/// Half a megabyte is what small routers have; TCP's bursts need it where the round trip is short.
const SMALLEST_QUEUE: u64 = 512 << 10;
