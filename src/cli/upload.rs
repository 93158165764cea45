//! `panup upload`: from options to a run, and from its events to the screen and the exit code.

use std::process::ExitCode;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use panup::{
    Client, Conflict, Credential, Error, Event, Http, Kind, Options, Resume, Run, Secret, Status,
};

use super::args::{Account, HttpVersion, OnConflict, Output, Upload};
use super::emulator::Local;
use super::plan::Plan;
use super::report::Report;
use super::screen::Screen;
use super::walk::{Refused, Walk};
use super::{INTERRUPTED, REFUSED, SOME_FAILED, complain, credentials, state_dir};

/// Uploads, and says how it went.
///
/// # Errors
/// Wrong usage or configuration: nothing was uploaded.
pub fn run(upload: &Upload, verbose: bool) -> Result<ExitCode, Error> {
    let (refused, refusals) = channel();
    let walk = Walk::new(upload, refused)?;
    if upload.select.dry_run {
        return Ok(dry_run(walk, &refusals, upload.output));
    }
    let local = Local::start(upload)?;
    let options = options(upload, local.as_ref())?;
    let code = panup::runtime()?.block_on(async {
        let client = Client::new(options)?;
        let run = client.start(walk.items())?;
        let code = watch(run, upload, &refusals).await;
        if verbose {
            servers(&client);
        }
        Ok::<_, Error>(code)
    })?;
    if let Some(local) = local {
        local.farewell(upload.output);
    }
    Ok(code)
}

fn options(upload: &Upload, local: Option<&Local>) -> Result<Options, Error> {
    let credential = match local {
        Some(local) => Credential::Token(Secret::new(&local.token())),
        None => credentials::find(&upload.account)?,
    };
    let mut options = Options::new(credential);
    account_options(&mut options, &upload.account)?;
    if let Some(local) = local {
        options.api = local.api();
    }
    options.on_conflict = match upload.on_conflict {
        OnConflict::Fail => Conflict::Fail,
        OnConflict::KeepBoth => Conflict::KeepBoth,
        OnConflict::Overwrite => Conflict::Overwrite,
    };
    options.http = match upload.http {
        HttpVersion::Auto => Http::Auto,
        HttpVersion::One => Http::H1,
        HttpVersion::Two => Http::H2,
    };
    options.single_max = upload.single_max.0;
    options.concurrency = upload.concurrency.0;
    options.connections = upload.connections.0;
    options.hash_threads = upload.hash_threads;
    options.limit_rate = upload.limit_rate.map(|rate| rate.0);
    options.call_rates = upload.call_rate.map(|rates| rates.0).unwrap_or_default();
    if let Some(retries) = upload.retries {
        options.retry.attempts = retries.saturating_add(1);
    }
    if let Some(silence) = upload.timeout {
        options.timeouts.connect = silence;
        options.timeouts.stall = silence;
        options.timeouts.answer = silence;
    }
    options.maps = !upload.no_mmap;
    options.resume = match (upload.no_resume, upload.force) {
        (true, _) => Resume::Nothing,
        (false, true) => Resume::SendAgain,
        (false, false) => Resume::Everything,
    };
    // What an emulator of a moment knows is of no use to the next one.
    let lasting = local.is_none() || upload.account.state_dir.is_some();
    options.state_dir = state_dir(upload.account.state_dir.as_deref()).filter(|_| lasting);
    Ok(options)
}

/// The options that say where the service is and whom to trust.
///
/// # Errors
/// Where a certificate cannot be read.
pub fn account_options(options: &mut Options, account: &Account) -> Result<(), Error> {
    options.api.clone_from(&account.api);
    // An empty variable is one that is not set.
    options.account = account.account.clone().filter(|name| !name.is_empty());
    options.allow_http = account.allow_http;
    for path in &account.ca_cert {
        options
            .roots
            .push(std::fs::read(path).map_err(|error| Error::read(path, error))?);
    }
    Ok(())
}

/// Follows the run to its end. The first Ctrl-C lets what is in flight land, the second ends at once.
async fn watch(mut run: Run, upload: &Upload, refusals: &Receiver<Refused>) -> ExitCode {
    let screen = Screen::new(std::sync::Arc::clone(run.progress()), upload.output);
    let mut report = Report::new(upload.output, screen);
    let mut interrupted = false;
    let mut refused = false;
    let mut beat = tokio::time::interval(Duration::from_millis(100));
    let mut signals = Signals::new();
    loop {
        tokio::select! {
            event = run.next() => match event {
                Some(Event::File(outcome)) => {
                    if let Status::Failed(error) = &outcome.status {
                        refused |= error.kind() == Kind::Auth;
                    }
                    report.file(&outcome);
                }
                Some(Event::Warning(error)) => report.warning(&error),
                Some(_) => {}
                None => break,
            },
            () = signals.next() => {
                if interrupted {
                    return ExitCode::from(INTERRUPTED);
                }
                interrupted = true;
                report.note("interrupted: finishing what is in flight, once more ends at once");
                run.interrupt();
            }
            _ = beat.tick() => report.beat(),
        }
        refusals
            .try_iter()
            .for_each(|refused| report.refused(&refused));
    }
    refusals
        .try_iter()
        .for_each(|refused| report.refused(&refused));
    let failed = report.summary();
    match (refused, interrupted, failed) {
        (true, ..) => ExitCode::from(REFUSED),
        (_, true, _) => ExitCode::from(INTERRUPTED),
        (.., 0) => ExitCode::SUCCESS,
        _ => ExitCode::from(SOME_FAILED),
    }
}

/// Ctrl-C, and what service managers send. Listened to from the first moment on: one that comes while
/// nobody waits is not lost.
pub struct Signals {
    #[cfg(unix)]
    caught: Vec<tokio::signal::unix::Signal>,
}

impl Signals {
    /// From now on they are caught.
    #[cfg(unix)]
    pub fn new() -> Signals {
        use tokio::signal::unix::{SignalKind, signal};
        let kinds = [SignalKind::interrupt(), SignalKind::terminate()];
        let caught = kinds.into_iter().filter_map(|kind| signal(kind).ok());
        Signals {
            caught: caught.collect(),
        }
    }

    /// From now on they are caught.
    #[cfg(not(unix))]
    pub fn new() -> Signals {
        Signals {}
    }

    /// Waits for the next one.
    #[cfg(unix)]
    pub async fn next(&mut self) {
        std::future::poll_fn(|cx| {
            let mut caught = self.caught.iter_mut();
            match caught.any(|signal| signal.poll_recv(cx).is_ready()) {
                true => std::task::Poll::Ready(()),
                false => std::task::Poll::Pending,
            }
        })
        .await;
    }

    /// Waits for the next one.
    #[cfg(not(unix))]
    pub async fn next(&mut self) {
        drop(tokio::signal::ctrl_c().await);
    }
}

fn dry_run(walk: Walk, refusals: &Receiver<Refused>, output: Output) -> ExitCode {
    let mut report = Plan::new(output);
    for item in walk.items() {
        match std::fs::metadata(&item.path) {
            Ok(facts) => report.file(&item, facts.len()),
            Err(error) => report.refused(&Refused {
                error: Error::read(&item.path, error),
                path: item.path,
            }),
        }
    }
    refusals
        .try_iter()
        .for_each(|refused| report.refused(&refused));
    match report.summary() {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(SOME_FAILED),
    }
}

/// `--verbose`: what went where, over which version.
fn servers(client: &Client) {
    for (server, stats) in client.servers() {
        complain(&format!(
            "{server}: {} connections, {} requests over HTTP/1.1, {} over HTTP/2, {} sent",
            stats.opened,
            stats.h1_requests,
            stats.h2_requests,
            super::size::human(stats.bytes)
        ));
    }
    for (server, version) in client.versions() {
        if let Some(version) = version {
            complain(&format!(
                "{server}: the bulk went over {version:?}, measured faster"
            ));
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    #[tokio::test]
    async fn a_signal_that_comes_while_nobody_waits_is_not_lost() {
        let mut signals = Signals::new();
        for signal in [Signal::INT, Signal::TERM] {
            kill_process(getpid(), signal).expect("ours");
            // Long enough for the handler; a listener of later would have missed it.
            tokio::time::sleep(Duration::from_millis(50)).await;
            let caught = tokio::time::timeout(Duration::from_secs(10), signals.next()).await;
            assert!(caught.is_ok(), "{signal:?}");
        }
    }
}
