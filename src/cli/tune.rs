//! `panup tune`: how many bodies in flight a link wants. In: a budget in bytes. Out: a table, and
//! the flag to use. Never: more bytes than the budget, or the same content twice, which the service
//! would not ask for again.

mod meter;
mod plan;
mod verdict;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use panup::{
    Client, Credential, Error, Event, Item, Kind, Operation, Options, Progress, Resume, Run,
    Secret, Status,
};

use super::account::account_options;
use super::args::Tune;
use super::signals::Signals;
use super::size::human;
use super::{INTERRUPTED, SOME_FAILED, complain, credentials, dest, say, say_object, state_dir};
use meter::Meter;
use plan::{Trial, plan};
use verdict::{Row, Table};

/// Measures, and says what was best.
///
/// # Errors
/// Wrong usage or configuration, or refused credentials.
pub fn run(tune: &Tune) -> Result<u8, Error> {
    let trials = plan(tune.budget.0, &tune.settings).ok_or_else(|| {
        let message = format!("a budget of {} is too small", human(tune.budget.0));
        Error::new(Kind::Invalid, Operation::Configure, message).advice("give --budget more")
    })?;
    dest(&tune.dest)?;
    let target = Target::new(tune)?;
    let folder = Folder::new()?;
    let runtime = panup::runtime()?;
    let code = runtime.block_on(measure_all(tune, &trials, &target, &folder));
    runtime.shutdown_background();
    code
}

async fn measure_all(
    tune: &Tune,
    trials: &[Trial],
    target: &Target,
    folder: &Folder,
) -> Result<u8, Error> {
    let signals = Signals::new();
    let mut table = Table::new(tune.output, tune.budget.0);
    for trial in trials {
        // Resends of earlier settings may have used up what was meant for this one.
        if table.sent() + trial.bytes > tune.budget.0 {
            complain(&format!("the budget is spent: {trial} was not tried"));
            continue;
        }
        let path = folder.generate(trial)?;
        let left = tune.budget.0 - table.sent();
        let measured = tokio::select! {
            row = measure(tune, target, *trial, &path, left) => row,
            () = signals.first() => return Ok(INTERRUPTED),
        };
        folder.remove(&path);
        table.add(measured?);
    }
    table.finish();
    target.farewell(tune);
    Ok(if table.failed() { SOME_FAILED } else { 0 })
}

/// One setting, one file, a client of its own so that nothing is known from the setting before.
async fn measure(
    tune: &Tune,
    target: &Target,
    trial: Trial,
    path: &Path,
    left: u64,
) -> Result<Row, Error> {
    let mut options = target.options.clone();
    options.concurrency = trial.concurrency;
    let client = Client::new(options)?;
    let mut run = client.start([item(tune, path)])?;
    let limit = Limit {
        bytes: left,
        time: Duration::from_secs(tune.seconds),
    };
    let mut meter = Meter::new();
    let status = watch(&mut run, &mut meter, limit).await;
    if let Some(Status::Failed(error)) = status.as_ref()
        && error.kind() == Kind::Auth
    {
        return Err(error.clone());
    }
    Ok(row(trial, &meter, run.progress(), status))
}

/// When to end a setting that does not end by itself.
#[derive(Clone, Copy)]
struct Limit {
    bytes: u64,
    time: Duration,
}

/// Follows a run to its end, or to the limit; `None` where the limit came first.
async fn watch(run: &mut Run, meter: &mut Meter, limit: Limit) -> Option<Status> {
    let mut beat = tokio::time::interval(BEAT);
    let mut status = None;
    loop {
        tokio::select! {
            event = run.next() => match event {
                Some(Event::File(outcome)) => {
                    see(meter, run.progress());
                    status = Some(outcome.status);
                }
                Some(Event::Warning(error)) => complain(&format!("warning   {error}")),
                Some(_) => {}
                None => return status,
            },
            _ = beat.tick() => {
                see(meter, run.progress());
                let over = meter.sending() > limit.time || meter.waited() > limit.time + PATIENCE;
                if status.is_none() && (over || meter.sent() >= limit.bytes) {
                    return None;
                }
            }
        }
    }
}

fn see(meter: &mut Meter, progress: &Progress) {
    let now = progress.snapshot();
    meter.see(now.sent, now.acked);
}

fn row(trial: Trial, meter: &Meter, progress: &Progress, status: Option<Status>) -> Row {
    let (error, rate, time) = match status {
        Some(Status::Failed(error) | Status::Interrupted(error)) => {
            (Some(error), 0.0, meter.sending())
        }
        Some(_) => (None, meter.whole(), meter.until_acked()),
        None => (None, meter.later_part(), meter.sending()),
    };
    let now = progress.snapshot();
    Row {
        concurrency: trial.concurrency,
        permits: now.permits,
        sent: meter.sent(),
        seconds: time.as_secs_f64(),
        rate,
        retries: now.retries,
        error,
    }
}

fn item(tune: &Tune, path: &Path) -> Item {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let dest = tune.dest.trim_matches('/');
    let remote = if dest.is_empty() {
        name
    } else {
        format!("{dest}/{name}")
    };
    let mut item = Item::new(path);
    item.parent_id = tune.parent_id;
    item.remote = remote;
    item
}

/// Where the files go, and who sends them.
struct Target {
    options: Options,
    #[cfg(feature = "emulator")]
    _emulator: Option<panup_emulator::Emulator>,
}

impl Target {
    #[cfg(feature = "emulator")]
    fn new(tune: &Tune) -> Result<Target, Error> {
        use panup_emulator::{Config, Emulator};
        if !tune.emulator {
            let options = account(tune)?;
            return Ok(Target {
                options,
                _emulator: None,
            });
        }
        // Its hashing would take processors from the client that is measured.
        let config = Config {
            verify: false,
            ..Config::default()
        };
        let emulator =
            Emulator::start(config).map_err(|error| failed("the emulator cannot start", &error))?;
        let mut options = Options::new(Credential::Token(Secret::new(emulator.token())));
        options.api = emulator.api();
        Ok(Target {
            options: settle(options),
            _emulator: Some(emulator),
        })
    }

    #[cfg(not(feature = "emulator"))]
    fn new(tune: &Tune) -> Result<Target, Error> {
        let options = account(tune)?;
        Ok(Target { options })
    }

    /// What is left behind on the other side.
    fn farewell(&self, tune: &Tune) {
        #[cfg(feature = "emulator")]
        if tune.emulator {
            return;
        }
        complain(&format!(
            "the files stay in {:?}: panup has no call to delete them, please do",
            tune.dest
        ));
    }
}

fn account(tune: &Tune) -> Result<Options, Error> {
    let credential = credentials::find(&tune.account)?;
    // A token that was fetched is kept there: the account may have few of them.
    let fetched = !matches!(credential, Credential::Token(_));
    let mut options = Options::new(credential);
    account_options(&mut options, &tune.account)?;
    options.state_dir = state_dir(tune.account.state_dir.as_deref()).filter(|_| fetched);
    Ok(settle(options))
}

/// Always slices, which is how the bulk goes, and nothing from before.
fn settle(mut options: Options) -> Options {
    options.single_max = 0;
    options.resume = Resume::Nothing;
    options
}

/// A folder for the generated files, gone when this is.
struct Folder {
    path: PathBuf,
    stamp: u64,
}

impl Folder {
    fn new() -> Result<Folder, Error> {
        let stamp = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let name = format!("panup-tune-{stamp}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).map_err(|error| failed("no temporary folder", &error))?;
        Ok(Folder { path, stamp })
    }

    /// A file of random bytes, under a name that no other run uses.
    fn generate(&self, trial: &Trial) -> Result<PathBuf, Error> {
        let name = format!("{}-{}-{trial}.bin", self.stamp, std::process::id());
        let path = self.path.join(name);
        write_random(&path, trial.bytes)
            .map_err(|error| failed("a file to send cannot be written", &error))?;
        Ok(path)
    }

    fn remove(&self, path: &Path) {
        // What stays goes with the folder.
        drop(std::fs::remove_file(path));
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            complain(&format!("{} is left: {error}", self.path.display()));
        }
    }
}

fn write_random(path: &Path, bytes: u64) -> std::io::Result<()> {
    let mut file = std::fs::File::create_new(path)?;
    let mut random = fastrand::Rng::new();
    let mut block = vec![0; BLOCK];
    let mut left = bytes;
    while left > 0 {
        random.fill(&mut block);
        let now = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
        file.write_all(&block[..now])?;
        left -= now as u64;
    }
    Ok(())
}

fn failed(what: &str, error: &std::io::Error) -> Error {
    let message = format!("{what}: {error}");
    Error::new(Kind::Invalid, Operation::Configure, message)
}

/// Often enough that a setting that ends within a second is measured to a few percent.
const BEAT: Duration = Duration::from_millis(5);

/// For hashing, logging in and creating, before the first byte leaves.
const PATIENCE: Duration = Duration::from_secs(60);

/// Written at a time.
const BLOCK: usize = 1 << 20;
