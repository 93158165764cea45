//! `panup verify` and `panup status --check`: whether files are there and are what they should be. In:
//! paths, a report, or the journal. Out: a line for each that is not, a summary, an exit code. Never: a
//! call that changes anything.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::Instant;

use panup::{
    Client, Error, Event, FinishedFile, Kind, Operation, Options, Outcome, Receipt, Resume, Status,
};
use serde_json::Value;

use super::account::account_options;
use super::args::{Account, Output, Verify};
use super::objects::{File, Line, SCHEMA, Verified, rounded};
use super::signals::Signals;
use super::split::{Purpose, Splits};
use super::walk::{News, Walk};
use super::{
    INTERRUPTED, REFUSED, SOME_FAILED, complain, credentials, say, say_object, state_dir, text,
    usage,
};

/// Verifies, and says how it is.
///
/// # Errors
/// Wrong usage or configuration: the service was not asked.
pub fn run(verify: &Verify) -> Result<u8, Error> {
    let listed = verify.report.as_deref().map(|path| receipts(path, verify));
    let listed = listed.transpose()?;
    let options = options(verify)?;
    let signals = Signals::new();
    let runtime = panup::runtime()?;
    let mut found = Findings::new(verify.output);
    let interrupted = runtime.block_on(async {
        match listed {
            Some(receipts) => {
                let client = Client::new(options)?;
                let check = by_receipt(&client, receipts, &mut found);
                Ok::<_, Error>(unless_first(&signals, check).await)
            }
            None => by_path(verify, options, &signals, &mut found).await,
        }
    })?;
    let code = found.summary(interrupted);
    runtime.shutdown_background();
    Ok(code)
}

/// `status --check`: the account's files that the journal knows as finished.
///
/// # Errors
/// Wrong usage or configuration: the service was not asked.
pub fn check(account: &Account, files: Vec<FinishedFile>, json: bool) -> Result<u8, Error> {
    let mut options = Options::new(credentials::find(account)?);
    account_options(&mut options, account)?;
    options.state_dir = state_dir(account.state_dir.as_deref());
    let signals = Signals::new();
    let runtime = panup::runtime()?;
    let mut found = Findings::new(Output::of_lines(json));
    let interrupted = runtime.block_on(async {
        let client = Client::new(options)?;
        let own = client.account().await?;
        let (own, others): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|file| file.account == own);
        if !others.is_empty() {
            let many = others.len();
            complain(&format!(
                "{many} finished files of other accounts were not checked"
            ));
        }
        let receipts = own.into_iter().map(|file| {
            let mut receipt = Receipt::new(file.remote, file.size, file.finished.md5);
            receipt.parent_id = file.parent;
            receipt.file_id = file.finished.file_id;
            Listed::there(file.path, receipt)
        });
        let check = by_receipt(&client, receipts.collect(), &mut found);
        Ok::<_, Error>(unless_first(&signals, check).await)
    })?;
    let code = found.summary(interrupted);
    runtime.shutdown_background();
    Ok(code)
}

fn options(verify: &Verify) -> Result<Options, Error> {
    let mut options = Options::new(credentials::find(&verify.account)?);
    account_options(&mut options, &verify.account)?;
    options.hash_threads = verify.hash_threads;
    options.maps = !verify.no_mmap;
    options.call_rates = verify.call_rate.map(|rates| rates.0).unwrap_or_default();
    options.state_dir = state_dir(verify.account.state_dir.as_deref());
    options.resume = match verify.rehash {
        true => Resume::Nothing,
        false => Resume::Everything,
    };
    Ok(options)
}

/// Whether `work` was interrupted.
async fn unless_first(signals: &Signals, work: impl Future<Output = ()>) -> bool {
    tokio::select! {
        () = work => false,
        () = signals.first() => true,
    }
}

/// Hashes what is here and compares it with what is listed there; whether it was interrupted.
async fn by_path(
    verify: &Verify,
    options: Options,
    signals: &Signals,
    found: &mut Findings,
) -> Result<bool, Error> {
    let (told, news) = channel();
    let walk = Walk::new((&verify.paths, &verify.what), None, verify.output, told)?;
    let client = tokio::task::spawn_blocking(|| Client::new(options)).await;
    let client = client.map_err(|error| usage(error.to_string()))??;
    let mut splits = Splits::new(&client, Purpose::Verify, verify.what.select.split);
    let mut run = client.verify(splits.items(walk.items()))?;
    let interrupt = run.interrupter();
    signals.at_first(move |most| interrupt.interrupt_within(most));
    while let Some(event) = run.next().await {
        match event {
            Event::File(outcome) => {
                found.outcome(&outcome);
                splits.ended(&outcome);
            }
            Event::Warning(warning) => complain(&format!("warning   {warning}")),
            Event::Stopped(error) => complain(&format!("failed    {error}")),
            _ => {}
        }
        news.try_iter().for_each(|news| found.news(news));
    }
    while splits.is_pending() && !found.interrupted {
        tokio::select! {
            list = splits.next() => match list {
                Ok(outcome) => found.outcome(&outcome),
                Err(refused) => found.news(News::Refused(refused)),
            },
            () = signals.first() => found.interrupted = true,
        }
    }
    news.try_iter().for_each(|news| found.news(news));
    Ok(found.interrupted)
}

/// Asks for the files of receipts, a hundred at a time.
async fn by_receipt(client: &Client, listed: Vec<Listed>, found: &mut Findings) {
    let checker = client.checker();
    for chunk in listed.chunks(AT_ONCE) {
        let asked: Vec<Receipt> = chunk.iter().filter_map(|one| one.receipt.clone()).collect();
        let mut findings = checker.check(&asked).await.into_iter();
        for one in chunk {
            let status = match &one.receipt {
                Some(_) => findings.next().unwrap_or_else(|| unchecked(&one.why)),
                None => Status::Missing(one.why.clone()),
            };
            found.file(&one.path, &one.remote, &status, one.line(&status));
        }
    }
}

fn unchecked(why: &str) -> Status {
    Status::Failed(Error::new(Kind::Protocol, Operation::Infos, why.to_owned()))
}

/// A file that a report or the journal tells of.
struct Listed {
    path: PathBuf,
    remote: String,
    /// None of a file that was not uploaded.
    receipt: Option<Receipt>,
    why: String,
}

impl Listed {
    fn there(path: PathBuf, receipt: Receipt) -> Listed {
        Listed {
            path,
            remote: receipt.remote.clone(),
            receipt: Some(receipt),
            why: String::new(),
        }
    }

    fn line(&self, status: &Status) -> File {
        let file = File::new(&self.path, &self.remote, status.name(), status.error());
        let file = match &self.receipt {
            Some(receipt) => {
                file.with_facts(receipt.file_id, receipt.size, receipt.md5.to_string())
            }
            None => file,
        };
        file.with_note(status.note())
    }
}

/// What a report says, the last word on each remote path.
fn receipts(path: &Path, verify: &Verify) -> Result<Vec<Listed>, Error> {
    let bytes = std::fs::read(path).map_err(|error| Error::read(path, error))?;
    let named = |why: String| usage(format!("--report {}: {why}", path.display()));
    let text = text::decoded(bytes).map_err(|why| named(why.to_string()))?;
    let mut last = BTreeMap::new();
    let lines = text.split(|&byte| byte == b'\n').enumerate();
    let count = text.split(|&byte| byte == b'\n').count();
    for (number, line) in lines.filter(|(_, line)| !line.trim_ascii().is_empty()) {
        let object = match serde_json::from_slice::<Value>(line) {
            Ok(object) => object,
            // A run that was killed may have left half a line.
            Err(_) if number + 1 == count => {
                complain(&format!("warning   {} ends within a line", path.display()));
                continue;
            }
            Err(error) => return Err(named(format!("line {}: {error}", number + 1))),
        };
        if object["event"] != "file" {
            continue;
        }
        let listed = listed(&object, verify.what.parent_id)
            .map_err(|why| named(format!("line {}: {why}", number + 1)))?;
        last.insert((listed.remote.clone(), listed.path.clone()), listed);
    }
    if last.is_empty() {
        return Err(named("it tells of no file".to_owned()));
    }
    Ok(last.into_values().collect())
}

fn listed(object: &Value, parent_id: i64) -> Result<Listed, String> {
    let text = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
    let (path, remote, status) = (text("path").into(), text("remote"), text("status"));
    if !matches!(status.as_str(), "uploaded" | "reused" | "skipped") {
        return Ok(Listed {
            path,
            remote,
            receipt: None,
            why: format!("the report says {status:?}"),
        });
    }
    let md5 = text("md5")
        .parse()
        .map_err(|_| "it has no md5".to_owned())?;
    let size = object["size"].as_u64().ok_or("it has no size")?;
    let mut receipt = Receipt::new(remote, size, md5);
    receipt.file_id = object["file_id"].as_i64();
    receipt.parent_id = parent_id;
    Ok(Listed::there(path, receipt))
}

/// What was found so far.
struct Findings {
    output: Output,
    started: Instant,
    files: u64,
    there: u64,
    missing: u64,
    different: u64,
    unknown: u64,
    refused: bool,
    interrupted: bool,
}

impl Findings {
    fn new(output: Output) -> Findings {
        Findings {
            output,
            started: Instant::now(),
            files: 0,
            there: 0,
            missing: 0,
            different: 0,
            unknown: 0,
            refused: false,
            interrupted: false,
        }
    }

    /// A file of a run.
    fn outcome(&mut self, outcome: &Outcome) {
        let line = File::ended(outcome);
        self.file(&outcome.path, &outcome.remote, &outcome.status, line);
    }

    fn file(&mut self, path: &Path, remote: &str, status: &Status, line: File) {
        self.files += 1;
        let (count, name) = match status {
            Status::Missing(_) => (&mut self.missing, "missing"),
            Status::Different(_) => (&mut self.different, "different"),
            Status::Failed(error) => {
                self.refused |= error.kind() == Kind::Auth;
                (&mut self.unknown, "unknown")
            }
            Status::Interrupted(_) => {
                self.interrupted = true;
                (&mut self.unknown, "interrupted")
            }
            _ => (&mut self.there, "there"),
        };
        *count += 1;
        if self.output.json {
            return say_object(&Line::File(line.with_status(name)));
        }
        let why = match (status.note(), status.error()) {
            (_, Some(error)) => error.to_string(),
            (Some(note), None) => note.to_owned(),
            (None, None) => String::new(),
        };
        let path = path.display();
        match name {
            "there" | "interrupted" => {}
            "unknown" => say(&format!("unknown   {why}")),
            name if path.to_string().is_empty() => say(&format!("{name:<9} {remote}: {why}")),
            name => say(&format!("{name:<9} {path} -> {remote}: {why}")),
        }
    }

    fn news(&mut self, news: News) {
        match news {
            News::Refused(refused) => {
                let status = Status::Failed(refused.error.clone());
                let line = File::refused(&refused);
                self.file(&refused.path, &refused.remote, &status, line);
            }
            News::Warning(error) => complain(&format!("warning   {error}")),
            News::LeftOut(..) | News::Folder(_) => {}
        }
    }

    /// The last line; the exit code.
    fn summary(&self, interrupted: bool) -> u8 {
        let Findings {
            files,
            there,
            missing,
            different,
            unknown,
            ..
        } = *self;
        let seconds = self.started.elapsed().as_secs_f64();
        let interrupted = interrupted || self.interrupted;
        if self.output.json {
            say_object(&Line::Verified(Verified {
                schema: SCHEMA,
                files,
                there,
                missing,
                different,
                unknown,
                seconds: rounded(seconds),
            }));
        } else if !self.output.quiet {
            let unknown = match unknown {
                0 => String::new(),
                _ => format!(", {unknown} not known"),
            };
            let cut = if interrupted { "interrupted: " } else { "" };
            let files = match files {
                1 => "1 file".to_owned(),
                _ => format!("{files} files"),
            };
            say(&format!(
                "{cut}{files}: {there} there, {missing} missing, {different} different{unknown}; {seconds:.1} s"
            ));
        }
        match () {
            () if self.refused => REFUSED,
            () if interrupted => INTERRUPTED,
            () if missing + different + unknown > 0 => SOME_FAILED,
            () => 0,
        }
    }
}

/// Receipts that one call asks for.
const AT_ONCE: usize = 100;
