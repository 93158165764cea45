//! `panup doctor`: what stands between this machine and an upload. In: the settings in force. Out: a line for
//! each thing that was looked at, with what to do about it. Never: a secret, or a change.

use std::path::Path;
use std::time::{Duration, SystemTime};

use clap::CommandFactory;
use panup::{Answer, Client, Credential, Error, Kind, Options, Reach, State, network_file_system};

use super::account::account_options;
use super::args::{Args, Doctor};
use super::objects::{Check, Diagnosis, Line};
use super::size::counted;
use super::{
    REFUSED, SOME_FAILED, complain, credentials, local, say, say_object, settings, state_dir,
};

/// Looks at everything, and says how it is.
///
/// # Errors
/// Wrong usage or configuration.
pub fn run(doctor: &Doctor) -> Result<u8, Error> {
    let mut report = Report::new(doctor.json);
    configuration(&mut report);
    let folder = state_dir(doctor.account.state_dir.as_deref());
    state_folder(&mut report, folder.as_deref());
    open_files(&mut report);
    let local = local::Service::start(doctor.emulator())?;
    let options = options(doctor, local.as_ref(), folder.as_deref(), &mut report)?;
    let runtime = panup::runtime()?;
    runtime.block_on(service(options, &mut report))?;
    runtime.shutdown_background();
    Ok(report.end())
}

/// The settings are sound: otherwise there would be no doctor.
fn configuration(report: &mut Report) {
    let words: Vec<_> = std::env::args_os().collect();
    let Ok(found) = settings::in_force(&Args::command(), &words) else {
        return;
    };
    let profile = found.profile.map(|name| format!(", profile {name}"));
    let told = match (&found.file, found.has_file) {
        (Some(path), true) => format!("{}{}", path.display(), profile.unwrap_or_default()),
        (Some(path), false) => format!("none ({} is not there)", path.display()),
        (None, _) => "none: there is no home folder".to_owned(),
    };
    report.ok("configuration", told);
}

fn state_folder(report: &mut Report, folder: Option<&Path>) {
    let name = "state folder";
    let Some(folder) = folder else {
        let remedy = "name one with --state-dir: without it nothing can be resumed";
        return report.warn(name, "none: there is no home folder".to_owned(), remedy);
    };
    let place = folder.display();
    if let Some(system) = network_file_system(folder) {
        let remedy = "name a folder on a local disk with --state-dir, or use --checkpoint FILE, which may lie there";
        return report.fail(
            name,
            format!("{place} is on a network file system ({system})"),
            remedy,
        );
    }
    if !folder.exists() {
        return report.ok(name, format!("{place} (made by the first upload)"));
    }
    match State::open(folder).and_then(|state| state.counts()) {
        Ok(counts) => report.ok(
            name,
            format!(
                "{place}: {} finished, {} unfinished",
                counts.finished, counts.unfinished
            ),
        ),
        Err(error) => {
            let remedy = "see that it is yours and has room, or name another with --state-dir";
            report.fail(name, error.to_string(), remedy);
        }
    }
}

fn open_files(report: &mut Report) {
    let limit = super::system::open_files_limit();
    let told = limit.map_or("no limit".to_owned(), |limit| format!("{limit} at once"));
    match limit {
        Some(limit) if limit < FEW => {
            let remedy = "raise it with ulimit -n 4096: few connections and files fit in";
            report.warn("open files", told, remedy);
        }
        _ => report.ok("open files", told),
    }
}

/// Fewer descriptors than connections and files of a fast link take.
const FEW: u64 = 256;

fn options(
    doctor: &Doctor,
    local: Option<&local::Service>,
    folder: Option<&Path>,
    report: &mut Report,
) -> Result<Option<Options>, Error> {
    if let Some(local) = local {
        report.ok("credentials", "those of the emulator".to_owned());
        return Ok(Some(local.options()));
    }
    let remedy = "set PANUP_TOKEN, or PANUP_CLIENT_ID and PANUP_CLIENT_SECRET, or run `panup login`, which says where keys come from";
    let credential = match credentials::known(&doctor.account) {
        Ok(Some(credential)) => {
            let from = credentials::origin(&doctor.account).unwrap_or_default();
            report.ok("credentials", from);
            credential
        }
        Ok(None) => {
            report.fail("credentials", "none".to_owned(), remedy);
            Credential::Token(panup::Secret::new(NOBODY))
        }
        Err(error) => {
            report.fail("credentials", error.to_string(), remedy);
            Credential::Token(panup::Secret::new(NOBODY))
        }
    };
    let fetched = !matches!(credential, Credential::Token(_));
    let mut options = Options::new(credential);
    account_options(&mut options, &doctor.account)?;
    // A token that was fetched is kept there: the account may have few of them.
    options.state_dir = folder.filter(|_| fetched).map(Path::to_owned);
    options.resume = panup::Resume::Nothing;
    options.retry.attempts = 2;
    Ok(Some(options))
}

/// No token is sent where there is none.
const NOBODY: &str = "none";

async fn service(options: Option<Options>, report: &mut Report) -> Result<(), Error> {
    let Some(options) = options else {
        return Ok(());
    };
    let client = tokio::task::spawn_blocking(|| Client::new(options)).await;
    let client = client.map_err(|error| super::usage(error.to_string()))??;
    let api = client.probe().await;
    let proxy = api.proxy.clone().unwrap_or_else(|| "none".to_owned());
    report.ok("proxy", proxy);
    let is_reached = server(report, API, &api);
    if let Ok(answer) = &api.answer {
        clock(report, answer);
    }
    if !is_reached || report.lacks_credentials() {
        return Ok(());
    }
    match client.token_end().await {
        Ok(end) => upload_servers(report, &client, end).await,
        Err(error) => refused(report, &error),
    }
    while let Some(warning) = client.next_warning() {
        complain(&format!("warning   {warning}"));
    }
    Ok(())
}

/// Whether a server is reached.
fn server(report: &mut Report, name: &'static str, reach: &Reach) -> bool {
    let server = &reach.server;
    match &reach.answer {
        // A gateway's page: the service itself says in JSON that there was no token.
        Ok(answer) if name == API && [403, 451].contains(&answer.status) => {
            let told = format!("{server} refuses this address (HTTP {})", answer.status);
            let remedy = "its gateway lets in neither every country nor every network: try another network, or a proxy \
                          there (https_proxy)";
            report.fail(name, told, remedy);
            false
        }
        Ok(answer) => {
            let trip = answer
                .round_trip
                .map(|trip| format!(", round trip {} ms", trip.as_millis()));
            let version = match answer.version {
                panup::HttpVersion::H1 => "HTTP/1.1",
                panup::HttpVersion::H2 => "HTTP/2",
            };
            report.ok(
                name,
                format!("{server} over {version}{}", trip.unwrap_or_default()),
            );
            true
        }
        Err(error) => {
            let remedy = "see whether anything else reaches it from here; behind a proxy set https_proxy, a private \
                          authority goes to --ca-cert, another service to --api";
            report.fail(name, error.to_string(), remedy);
            false
        }
    }
}

fn clock(report: &mut Report, answer: &Answer) {
    let Some(date) = answer.date else {
        return report.ok("clock", "the service does not tell its time".to_owned());
    };
    let now = SystemTime::now();
    let (apart, way) = match now.duration_since(date) {
        Ok(ahead) => (ahead, "ahead"),
        Err(error) => (error.duration(), "behind"),
    };
    let told = format!("{} {way} of the service's", span(apart));
    let remedy =
        "set this machine's clock (timedatectl set-ntp true): certificates and tokens go by it";
    match apart {
        apart if apart > FAR => report.fail("clock", told, remedy),
        apart if apart > NEAR => report.warn("clock", told, remedy),
        _ => report.ok("clock", "as the service's".to_owned()),
    }
}

/// The service tells whole seconds, and the way takes some.
const NEAR: Duration = Duration::from_secs(30);
const FAR: Duration = Duration::from_secs(300);

const API: &str = "API";

async fn upload_servers(report: &mut Report, client: &Client, end: Option<SystemTime>) {
    let servers = match client.probe_upload_servers().await {
        Ok(servers) => servers,
        Err(error) if error.kind() == Kind::Auth => return refused(report, &error),
        Err(error) => {
            let remedy = "the token is good or was not looked at; try again, and see the API above";
            return report.fail("upload servers", error.to_string(), remedy);
        }
    };
    let account = match client.account().await {
        Ok(account) => format!("taken, account {}", account.name),
        Err(_) => "taken".to_owned(),
    };
    token(report, &account, end);
    for reach in &servers {
        server(report, "upload server", reach);
    }
}

fn token(report: &mut Report, account: &str, end: Option<SystemTime>) {
    let left = end.map(|end| end.duration_since(SystemTime::now()).unwrap_or_default());
    match left {
        Some(left) if left < SOON => {
            let remedy = "get a new one before long runs; with client credentials or --token-command panup does it itself";
            report.warn(
                "token",
                format!("{account}, ends in {}", span(left)),
                remedy,
            );
        }
        Some(left) => report.ok("token", format!("{account}, ends in {}", span(left))),
        None => report.ok("token", account.to_owned()),
    }
}

/// A long run may take so long.
const SOON: Duration = Duration::from_secs(24 * 3600);

fn refused(report: &mut Report, error: &Error) {
    let remedy = match error.kind() {
        Kind::Auth => {
            "get a new token, or see that the client id and secret are right and their plan has not ended"
        }
        _ => "see the API above",
    };
    report.is_refused |= error.kind() == Kind::Auth;
    report.fail("token", error.to_string(), remedy);
}

/// `3 days`, `5 s`
fn span(time: Duration) -> String {
    match time.as_secs() {
        s if s < 120 => format!("{s} s"),
        s if s < 2 * 3600 => format!("{} min", s / 60),
        s if s < 2 * 86_400 => format!("{} h", s / 3600),
        s => format!("{} days", s / 86_400),
    }
}

/// The lines so far; each is printed as it comes.
struct Report {
    json: bool,
    counts: Diagnosis,
    is_refused: bool,
    lacks_credentials: bool,
}

impl Report {
    fn new(json: bool) -> Report {
        Report {
            json,
            counts: Diagnosis::default(),
            is_refused: false,
            lacks_credentials: false,
        }
    }

    fn ok(&mut self, name: &'static str, found: String) {
        self.counts.ok += 1;
        self.print(name, "ok", found, None);
    }

    fn warn(&mut self, name: &'static str, found: String, remedy: &str) {
        self.counts.warn += 1;
        self.print(name, "warn", found, Some(remedy));
    }

    fn fail(&mut self, name: &'static str, found: String, remedy: &str) {
        self.counts.fail += 1;
        self.lacks_credentials |= name == "credentials";
        self.print(name, "fail", found, Some(remedy));
    }

    fn lacks_credentials(&self) -> bool {
        self.lacks_credentials
    }

    fn print(&self, name: &'static str, status: &'static str, found: String, remedy: Option<&str>) {
        let found = super::words::in_words_of_the_command(&found).into_owned();
        if self.json {
            let remedy = remedy.map(str::to_owned);
            return say_object(&Line::Check(Check {
                name,
                status,
                found,
                remedy,
            }));
        }
        say(&format!("{status:<5} {name:<14} {found}"));
        if let Some(remedy) = remedy {
            say(&format!("{:<5} {:<14} {remedy}", "", "do:"));
        }
    }

    /// The last line; the exit code.
    fn end(&self) -> u8 {
        let Diagnosis { ok, warn, fail } = self.counts;
        match self.json {
            true => say_object(&Line::Diagnosis(self.counts.clone())),
            false => say(&match (warn, fail) {
                (0, 0) => "all is well".to_owned(),
                (_, 0) => format!(
                    "{} to look at; uploads should work",
                    counted(warn, "thing", "things")
                ),
                _ => format!(
                    "{} to mend, {warn} to look at, {ok} well",
                    counted(fail, "thing", "things")
                ),
            }),
        }
        match () {
            () if self.is_refused => REFUSED,
            () if fail > 0 => SOME_FAILED,
            () => 0,
        }
    }
}
