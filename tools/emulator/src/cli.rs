//! The command line: `panup emulate`, and the emulator's own program. In come flags, out go the
//! addresses on the first lines; everything that a flag can say, a test can say too.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::config::{
    Config, Deadline, Late, Limits, Pending, Quirks, Rate, Reuse, Store, Tls, naming,
};
use crate::emulator::Emulator;
use crate::fault::Fault;
use crate::flags;
use crate::network::{NetworkConditions, Place};
use crate::operation::Operation;
use crate::state::Script;
use crate::system::Ends;

/// Flags of `panup emulate`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where the API base listens; the upload servers take the ports after it, or any with port 0
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Upload servers, each on its own port
    #[arg(long, value_name = "N", default_value_t = 2)]
    servers: usize,
    /// Addresses to hand out instead of the real ones, one for each server (for a proxy in front)
    #[arg(long, value_name = "URL")]
    advertise: Vec<String>,
    /// A bearer token that is good (may be repeated)
    #[arg(long, value_name = "TOKEN", default_value = crate::config::TOKEN)]
    token: Vec<String>,
    /// The client id that may log in
    #[arg(long, value_name = "ID", default_value = crate::config::CLIENT_ID)]
    client_id: String,
    /// Its secret
    #[arg(long, value_name = "SECRET", default_value = crate::config::CLIENT_SECRET)]
    client_secret: String,
    /// Speak TLS with a certificate authority of its own
    #[arg(long)]
    tls: bool,
    /// With --tls, write the authority's certificate here
    #[arg(long, value_name = "FILE", requires = "tls")]
    ca_out: Option<PathBuf>,
    /// With --tls, offer HTTP/1.1 only
    #[arg(long, requires = "tls")]
    http1_only: bool,
    /// Streams that an h2 client may have open on one connection
    #[arg(long, value_name = "N", default_value_t = 100)]
    h2_streams: u32,
    /// Bytes that one of them may have on its way before it is granted more
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=0x7fff_ffff))]
    h2_window: u32,
    /// Keep files below DIR
    #[arg(long, value_name = "DIR", conflicts_with = "discard")]
    dir: Option<PathBuf>,
    /// Keep nothing (the default)
    #[arg(long)]
    discard: bool,
    /// Check no MD5s
    #[arg(long)]
    no_verify: bool,
    /// Bytes of a slice, such as 16M
    #[arg(long, value_name = "SIZE", default_value = "16M", value_parser = flags::size)]
    slice_size: u64,
    /// How often upload_complete answers that it is still verifying
    #[arg(long, value_name = "N", default_value_t = 1)]
    polls: u32,
    /// What such an answer looks like
    #[arg(long, value_name = "STYLE", default_value = "20103", value_parser = flags::pending)]
    pending: Pending,
    /// A remote folder that exists from the start (may be repeated)
    #[arg(long, value_name = "PATH")]
    folder: Vec<String>,
    /// The id of the first file or folder
    #[arg(long, value_name = "ID", default_value_t = 11_522_654)]
    first_id: i64,
    /// Differences in spelling, by comma: no-scheme, trailing-slash, file-id, numbers-as-strings,
    /// extra-fields, no-data, reuse-without-id, no-reuse, no-dir-id, http-401
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    quirk: Vec<flags::Quirk>,
    /// A fault as OPERATION[@SERVER][:ORDINAL]=ACTION, or as JSON (may be repeated); see --faults
    #[arg(long, value_name = "FAULT", value_parser = flags::fault)]
    fault: Vec<Fault>,
    /// Every create, complete and single is taken into the instant-upload queue and answered without
    /// an id; the file appears by itself after SECONDS, or never
    #[arg(long, value_name = "SECONDS|never", value_parser = flags::queued)]
    queue: Option<crate::action::Action>,
    /// A JSON script with "faults", "network" and "limits"
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Network conditions as [PLACE:]bandwidth=SIZE,latency=MS,jitter=MS,service=up|dead|black-hole;
    /// PLACE is api or a server's number, everywhere if it is left out (may be repeated)
    #[arg(long = "weather", value_name = "CONDITIONS", value_parser = flags::conditions)]
    network: Vec<flags::Conditions>,
    /// Call rates as OPERATION=CALLS_PER_SECOND[/http], by comma
    #[arg(long, value_name = "RATES", value_delimiter = ',', value_parser = flags::rate)]
    rate: Vec<(Operation, Rate)>,
    /// Answer bodies without a Content-Length with HTTP 411
    #[arg(long)]
    refuse_chunked: bool,
    /// Calls on one connection before it is closed (GOAWAY on h2)
    #[arg(long, value_name = "N")]
    calls_per_connection: Option<u64>,
    /// Seconds that the body of a slice or single may take
    #[arg(long, value_name = "SECONDS")]
    body_deadline: Option<f64>,
    /// Calls under one fetched token before it has run out
    #[arg(long, value_name = "N")]
    calls_per_token: Option<u64>,
    /// Lifetime of a fetched token
    #[arg(long, value_name = "SECONDS", default_value_t = 30 * 24 * 3600)]
    token_seconds: u64,
    /// Logins before the number of tokens is exceeded
    #[arg(long, value_name = "N")]
    logins: Option<u64>,
    /// Status of every file that is stored; above 100 review has refused it
    #[arg(long, value_name = "STATUS", default_value_t = 0)]
    review: i64,
    /// A refresh token that is good once (may be repeated)
    #[arg(long, value_name = "TOKEN", default_value = crate::config::REFRESH_TOKEN)]
    refresh_token: Vec<String>,
    /// Refuse calls that overlap over a missing folder
    #[arg(long)]
    refuse_folder_races: bool,
    /// On exit, write the statistics here as JSON
    #[arg(long, value_name = "FILE")]
    stats: Option<PathBuf>,
}

/// Runs an emulator until it is interrupted.
///
/// The first lines on standard output are `api URL` and one `server URL` per upload server, then
/// `token TOKEN`. It brings its own runtime, so it must not be called from inside another.
pub fn run(args: Args) -> ExitCode {
    match serve(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "emulate: {error}");
            ExitCode::from(USAGE)
        }
    }
}

fn serve(args: &Args) -> io::Result<()> {
    let script = args.script()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // Before the first line: its reader may interrupt.
    let inside = runtime.enter();
    let mut ends = Ends::new()?;
    drop(inside);
    // Not inside the runtime: one that cannot start, or ends, drops a runtime of its own.
    let emulator = Emulator::start(args.config())?;
    emulator.apply(script);
    if let (Some(file), Some(pem)) = (&args.ca_out, emulator.ca_pem()) {
        fs::write(file, pem).map_err(|error| naming(file.display(), &error))?;
    }
    announce(&emulator)?;
    runtime.block_on(ends.first());
    if let Some(file) = &args.stats {
        let stats = serde_json::to_vec_pretty(&emulator.stats())?;
        fs::write(file, stats).map_err(|error| naming(file.display(), &error))?;
    }
    emulator.stop();
    Ok(())
}

/// The exit code of flags that cannot be followed.
const USAGE: u8 = 2;

fn announce(emulator: &Emulator) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "api {}", emulator.api())?;
    for server in emulator.servers() {
        writeln!(out, "server {server}")?;
    }
    writeln!(out, "token {}", emulator.token())?;
    out.flush()
}

impl Args {
    /// What the flags mean.
    pub fn config(&self) -> Config {
        Config {
            listen: self.listen,
            servers: self.servers,
            advertise: self.advertise.clone(),
            tls: match (self.tls, self.http1_only) {
                (false, _) => Tls::Off,
                (true, false) => Tls::Both,
                (true, true) => Tls::Http1,
            },
            h2_streams: self.h2_streams,
            h2_window: self.h2_window,
            tokens: self.token.clone(),
            refresh_tokens: self.refresh_token.clone(),
            client_id: self.client_id.clone(),
            client_secret: self.client_secret.clone(),
            store: self.dir.clone().map_or(Store::Discard, Store::Dir),
            verify: !self.no_verify,
            slice_size: self.slice_size,
            polls: self.polls,
            pending: self.pending,
            first_id: self.first_id,
            folders: self.folder.clone(),
            quirks: self.quirks(),
            limits: self.limits(),
            faults: self.faults_from_flags(),
            network: self.network(),
            ..Config::default()
        }
    }

    fn faults_from_flags(&self) -> Vec<Fault> {
        let mut faults = self.fault.clone();
        let operations = [Operation::Create, Operation::Complete, Operation::Single];
        let queued = operations.map(|operation| {
            let queue = self.queue.clone();
            queue.map(|action| Fault::on(operation, action))
        });
        faults.extend(queued.into_iter().flatten());
        faults
    }

    fn quirks(&self) -> Quirks {
        let has = |quirk| self.quirk.contains(&quirk);
        Quirks {
            no_scheme: has(flags::Quirk::NoScheme),
            trailing_slash: has(flags::Quirk::TrailingSlash),
            file_id_spelling: has(flags::Quirk::FileId),
            numbers_as_strings: has(flags::Quirk::NumbersAsStrings),
            extra_fields: has(flags::Quirk::ExtraFields),
            no_data: has(flags::Quirk::NoData),
            reuse: match (
                has(flags::Quirk::NoReuse),
                has(flags::Quirk::ReuseWithoutId),
            ) {
                (true, _) => Reuse::Never,
                (false, true) => Reuse::WithoutId,
                (false, false) => Reuse::WithId,
            },
            no_dir_id: has(flags::Quirk::NoDirId),
            http_401: has(flags::Quirk::Http401),
        }
    }

    fn limits(&self) -> Limits {
        let deadline = |seconds: f64| Deadline {
            millis: (seconds.max(0.0) * 1000.0) as u64,
            answer: Late::IoTimeout,
        };
        Limits {
            refuse_chunked: self.refuse_chunked,
            calls_per_connection: self.calls_per_connection,
            body_deadline: self.body_deadline.map(deadline),
            rates: self.rate.iter().copied().collect(),
            calls_per_token: self.calls_per_token,
            token_seconds: self.token_seconds,
            logins: self.logins,
            refuse_folder_races: self.refuse_folder_races,
            review: self.review,
            ..Limits::default()
        }
    }

    fn network(&self) -> Vec<(Place, NetworkConditions)> {
        let everywhere = || std::iter::once(Place::Api).chain((0..self.servers).map(Place::Server));
        let mut all = Vec::new();
        for given in &self.network {
            match given.place {
                Some(place) => all.push((place, given.conditions)),
                None => all.extend(everywhere().map(|place| (place, given.conditions))),
            }
        }
        all
    }

    fn script(&self) -> io::Result<Script> {
        let Some(file) = &self.faults else {
            return Ok(Script::default());
        };
        let text = fs::read(file).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", file.display()))
        })?;
        serde_json::from_slice(&text)
            .map_err(|error| io::Error::other(format!("{}: {error}", file.display())))
    }
}
