//! `panup tune`: how many bodies in flight a link wants. In: a budget in bytes. Out: a table, and
//! the flag to use. Never: more bytes than the budget, a byte to an account without a yes, or the same
//! content twice, which the service would not ask for again.

mod left;
mod meter;
mod plan;
mod verdict;

use std::io::{BufRead, IsTerminal, Write};
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
use super::timings::Place;
use super::{
    INTERRUPTED, SOME_FAILED, complain, credentials, dest, say, say_object, state_dir, usage,
};
use left::Left;
use meter::Meter;
use plan::{Trial, plan};
use verdict::{Row, STEP, Table};

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
    let picture = tune.timings.as_ref();
    let picture = picture
        .map(|path| Place::new(path.0.as_deref()))
        .transpose()?;
    let target = Target::new(tune)?;
    if target.is_an_account() && !tune.yes && !asked(tune)? {
        complain("nothing was sent");
        return Ok(INTERRUPTED);
    }
    let folder = Folder::new()?;
    let runtime = panup::runtime()?;
    let mut table = Table::new(tune.output, tune.budget.0, picture);
    let code = runtime.block_on(measure_and_clean(
        tune,
        &trials,
        (&target, &folder),
        &mut table,
    ));
    table.draw();
    runtime.shutdown_background();
    code
}

/// Whether the user says yes.
///
/// # Errors
/// There is nobody to ask.
fn asked(tune: &Tune) -> Result<bool, Error> {
    let (budget, dest, api) = (human(tune.budget.0), &tune.dest, &tune.account.api);
    let what =
        format!("up to {budget} of random content go to {dest:?} at {api}, and then to its trash");
    if !std::io::stdin().is_terminal() {
        let message = format!("{what}; --yes says that this is wanted");
        return Err(usage(message));
    }
    drop(write!(std::io::stderr(), "{what}. Go on? [y/N] "));
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    Ok(read.is_ok() && is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    ["y", "yes"].contains(&answer.trim().to_lowercase().as_str())
}

/// What was sent goes to the trash, however the measuring ended.
async fn measure_and_clean(
    tune: &Tune,
    trials: &[Trial],
    (target, folder): (&Target, &Folder),
    table: &mut Table,
) -> Result<u8, Error> {
    let signals = Signals::new();
    let mut left = Left::default();
    let code = measure_all((tune, trials), (target, folder), &signals, &mut left, table).await;
    if target.is_an_account() {
        left.clean_up(&target.options, &tune.dest).await;
    }
    code
}

async fn measure_all(
    (tune, trials): (&Tune, &[Trial]),
    (target, folder): (&Target, &Folder),
    signals: &Signals,
    left: &mut Left,
    table: &mut Table,
) -> Result<u8, Error> {
    for trial in trials {
        // Resends of earlier settings may have used up what was meant for this one.
        if table.sent() + trial.bytes > tune.budget.0 {
            complain(&format!("the budget is spent: {trial} was not tried"));
            continue;
        }
        let path = folder.generate(trial)?;
        let rest = tune.budget.0 - table.sent();
        let item = item(tune, &path);
        left.begun(&item.remote);
        let measured = tokio::select! {
            measured = measure(tune, target, *trial, item, rest) => measured,
            () = signals.first() => return Ok(INTERRUPTED),
        };
        folder.remove(&path);
        let (row, status) = measured?;
        left.ended(status.as_ref(), row.sent < trial.bytes);
        table.add(row);
    }
    table.finish();
    Ok(if table.failed() { SOME_FAILED } else { 0 })
}

/// One setting, one file, a client of its own so that nothing is known from the setting before.
async fn measure(
    tune: &Tune,
    target: &Target,
    trial: Trial,
    item: Item,
    rest: u64,
) -> Result<(Row, Option<Status>), Error> {
    let mut options = target.options.clone();
    options.concurrency = trial.concurrency;
    let client = Client::new(options)?;
    let mut run = client.start([item])?;
    let limit = Limit {
        bytes: rest,
        time: Duration::from_secs(tune.seconds),
    };
    let mut meter = Meter::new();
    let status = watch(&mut run, &mut meter, limit).await;
    if let Some(Status::Failed(error)) = status.as_ref()
        && error.kind() == Kind::Auth
    {
        return Err(error.clone());
    }
    Ok((row(trial, &meter, run.progress(), status.as_ref()), status))
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
                Some(Event::Warning(warning)) => complain(&format!("warning   {warning}")),
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

fn row(trial: Trial, meter: &Meter, progress: &Progress, status: Option<&Status>) -> Row {
    let (error, rate, time) = match status {
        Some(Status::Failed(error) | Status::Interrupted(error)) => {
            (Some(error.clone()), 0.0, meter.sending())
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
        way: meter.way(STEP),
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
    emulator: Option<panup_emulator::Emulator>,
}

impl Target {
    #[cfg(feature = "emulator")]
    fn new(tune: &Tune) -> Result<Target, Error> {
        use panup_emulator::{Config, Emulator};
        if !tune.emulator {
            let options = account(tune)?;
            return Ok(Target {
                options,
                emulator: None,
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
        options.environment_proxies = false;
        Ok(Target {
            options: settle(options),
            emulator: Some(emulator),
        })
    }

    #[cfg(not(feature = "emulator"))]
    fn new(tune: &Tune) -> Result<Target, Error> {
        let options = account(tune)?;
        Ok(Target { options })
    }

    /// Whether what is sent goes to somebody's account, and stays there.
    fn is_an_account(&self) -> bool {
        #[cfg(feature = "emulator")]
        return self.emulator.is_none();
        #[cfg(not(feature = "emulator"))]
        true
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

#[cfg(test)]
mod tests {
    use super::is_yes;

    #[test]
    fn only_a_yes_is_one() {
        for answer in ["y\n", "YES\n", " yes \r\n"] {
            assert!(is_yes(answer), "{answer:?}");
        }
        for answer in ["", "\n", "n\n", "yesterday\n", "ja\n"] {
            assert!(!is_yes(answer), "{answer:?}");
        }
    }
}
