//! `panup upload`: from options to a run, and from its events to the screen and the exit code.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use panup::{
    Client, Credential, Error, Event, Item, Kind, Operation, Options, Progress, Resume, Run,
    Secret, Status,
};

use tokio::runtime::{Handle, Runtime, RuntimeFlavor};
use tokio::sync::mpsc;

use super::ahead::{Ahead, Patience};
use super::args::Upload;
use super::emulator::Local;
use super::ending;
use super::folders::{self, Ended, Folder};
use super::foot;
use super::left_out::LeftOut;
use super::metrics::Metrics;
use super::part::Part;
use super::plan::{self, Choice, Lines, PlanFile, Survey};
use super::report::Report;
use super::report_file::ReportFile;
use super::run_options;
use super::screen::Screen;
use super::signals::{Signals, Wish, Wishes};
use super::split::{self, Purpose, Splits};
use super::stdin::Stdin;
use super::timetable::following;
use super::timings::{Place, Timings};
use super::walk::{News, Walk};
use super::{INTERRUPTED, REFUSED, complain, credentials, mistakes};

/// Uploads, and says how it went.
///
/// # Errors
/// Wrong usage or configuration: nothing was uploaded.
pub fn run(upload: &Upload, verbose: bool) -> Result<u8, Error> {
    mistakes::check_paths(&upload.paths)?;
    let (found, news) = channel();
    let stdin = Stdin::of(upload, found.clone())?;
    let part = Part::of(upload)?;
    let (items, left_out) = match &stdin {
        Some(stdin) => (Box::new(std::iter::empty()) as Items, stdin.left_out()),
        None => files(upload, &part, found)?,
    };
    if upload.dry_run {
        return dry_run((items, &left_out), &news, (upload, &part));
    }
    let metrics = upload.metrics.map(Metrics::serve).transpose()?;
    let file = upload.report.as_deref().map(ReportFile::open).transpose()?;
    let picture = picture(upload)?;
    let local = Local::start(upload)?;
    let mut options = options(upload, local.as_ref())?;
    part.divide(&mut options);
    let is_kept = (options.state_dir.is_some() || options.checkpoint.is_some())
        && options.resume != Resume::Nothing;
    let signals = Signals::new();
    let work = panup::runtime()?;
    let screen = screen_runtime(&work)?;
    let code = screen.as_ref().unwrap_or(&work).block_on(async {
        // Opening the journal may wait for another process.
        let client = work.spawn_blocking(|| Client::new(options));
        let client = tokio::select! {
            client = client => client.map_err(|error| no_runtime(&error))??,
            () = signals.first() => leave(INTERRUPTED),
        };
        let rate = upload.limit_rate.as_ref();
        rate.map_or(Ok(()), |rate| rate.begin(&client, part.workers()))?;
        let mut splits = {
            let _inside = work.enter();
            Splits::new(&client, Purpose::Upload, upload.what.select.split)
        };
        let at_end = stdin.as_ref().map(Stdin::end);
        let ahead = Ahead::new({
            let _inside = work.enter();
            match stdin {
                Some(stdin) => begun(stdin, upload, &splits)?,
                None => splits.items(items),
            }
        });
        if let Some(end) = at_end {
            ahead.at_end(end);
        }
        let run = {
            let _inside = work.enter();
            client.start(ahead.items())?
        };
        if let Some(metrics) = &metrics {
            metrics.follow(&client, run.progress());
        }
        let interrupt = run.interrupter();
        signals.at_first(move |most| interrupt.interrupt_within(most));
        let progress = Arc::clone(run.progress());
        signals.at_second(move || ending::stopped(&progress, is_kept));
        let make = |found| folders::make(&client, upload.what.parent_id, found, work.handle());
        let timings = picture.map(|place| Timings::new(place, run.progress(), &client));
        let watched = watch(
            run,
            (upload, &left_out),
            (&news, file, (timings, metrics.as_ref())),
            (&signals, &make),
            (&ahead, &mut splits, work.handle()),
        );
        let code = following(rate, (&client, part.workers()), watched).await;
        if let Some(metrics) = &metrics {
            metrics.end();
        }
        if verbose {
            servers(&client);
        }
        if code == INTERRUPTED {
            // Dropping the client would wait for what did not end in time.
            std::mem::forget(client);
        }
        Ok::<_, Error>(code)
    })?;
    if let Some(local) = local {
        local.farewell(upload.output);
    }
    if code == INTERRUPTED {
        leave(code);
    }
    work.shutdown_background();
    Ok(code)
}

/// What comes of standard input.
fn begun(stdin: Stdin, upload: &Upload, splits: &Splits) -> Result<Items, Error> {
    if !upload.output.quiet {
        stdin.announce();
    }
    stdin.items(splits)
}

/// `--timings`
fn picture(upload: &Upload) -> Result<Option<Place>, Error> {
    let asked = upload.timings.as_ref();
    asked.map(|path| Place::new(path.0.as_deref())).transpose()
}

/// Ends the process without waiting for anything in it.
fn leave(code: u8) -> ! {
    std::process::exit(i32::from(code))
}

/// The screen has a runtime of its own: it is up to date, and ends, whatever the other's threads hang
/// in. Where `work` has no threads, its work is done on this one, and so is the screen's.
fn screen_runtime(work: &Runtime) -> Result<Option<Runtime>, Error> {
    if work.handle().runtime_flavor() == RuntimeFlavor::CurrentThread {
        return Ok(None);
    }
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let built = builder.enable_all().build();
    built.map(Some).map_err(|error| no_runtime(&error))
}

fn no_runtime(error: &dyn std::fmt::Display) -> Error {
    let message = format!("no runtime: {error}");
    Error::new(Kind::State, Operation::Configure, message)
}

fn options(upload: &Upload, local: Option<&Local>) -> Result<Options, Error> {
    let credential = match local {
        Some(local) => Credential::Token(Secret::new(&local.token())),
        None => credentials::find(&upload.account)?,
    };
    let mut options = run_options::of(upload, credential)?;
    if let Some(local) = local {
        options.api = local.api();
        // What is set for a real account may not even be readable here.
        options.environment_proxies = false;
    }
    // What an emulator of a moment knows is of no use to the next one.
    let lasting = local.is_none() || upload.account.state_dir.is_some();
    options.state_dir = options.state_dir.filter(|_| lasting);
    if lasting && options.state_dir.is_none() && options.checkpoint.is_none() {
        complain(
            "warning   no state folder is known here, since there is no home folder: nothing can be resumed, and each \
             run fetches a new token; name one with --state-dir",
        );
    }
    Ok(options)
}

/// Who else is told of a run: `--timings` and `--metrics`.
type Followers<'a> = (Option<Timings>, Option<&'a Metrics>);

/// Follows the run to its end, or for [`PATIENCE`] after an interrupt; the exit code.
async fn watch(
    mut run: Run,
    (upload, left_out): (&Upload, &LeftOut),
    (news, file, (timings, metrics)): (&Receiver<News>, Option<ReportFile>, Followers<'_>),
    (signals, make): (&Signals, &dyn Fn(Vec<Folder>) -> mpsc::Receiver<Ended>),
    (ahead, splits, work): (&Ahead<Item>, &mut Splits, &Handle),
) -> u8 {
    let screen = Screen::new(Arc::clone(run.progress()), upload.output);
    let mut report = Report::new(upload.output, screen, file);
    if let Some(timings) = timings {
        report.draws(timings);
    }
    let mut deadline = None;
    let (mut refused, mut ended) = (false, false);
    let limits = Limits::new(upload);
    let mut wishes = Wishes::new(report.is_live());
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let late = tokio::time::sleep_until(deadline.unwrap_or_else(tokio::time::Instant::now));
        tokio::select! {
            event = next(&mut run), if !ended => match event {
                Some(Event::File(outcome)) => {
                    if let Status::Failed(error) = &outcome.status {
                        refused |= error.kind() == Kind::Auth;
                    }
                    report.file(&outcome);
                    if let Some(metrics) = metrics {
                        metrics.count(&outcome);
                    }
                    ahead.printed();
                    let _inside = work.enter();
                    splits.ended(&outcome);
                }
                Some(Event::Warning(warning)) => report.warning(&warning.error),
                Some(Event::Stopped(error)) => report.stopped(&error),
                Some(_) => {}
                None => ended = true,
            },
            list = splits.next() => match list {
                Ok(outcome) => report.file(&outcome),
                Err(refused) => report.news(&News::Refused(refused)),
            },
            () = signals.first(), if deadline.is_none() => {
                deadline = Some(tokio::time::Instant::now() + PATIENCE);
                ahead.end();
            }
            () = late, if deadline.is_some() => {
                let now = run.progress().snapshot();
                report.unended(now.files.saturating_sub(now.files_done).max(ahead.unprinted()));
                break;
            }
            wish = wishes.next() => match wish {
                Wish::Tell => report.tell(),
                Wish::Stop => {
                    foot::clear();
                    Wishes::stop();
                }
            },
            _ = beat.tick() => {
                if deadline.is_none()
                    && !ended
                    && let Some(why) = limits.reached(run.progress())
                {
                    report.warning(&why);
                    run.interrupt();
                    deadline = Some(tokio::time::Instant::now() + PATIENCE);
                    ahead.end();
                }
                if deadline.is_some()
                    && let Some(landing) = run.progress().snapshot().landing
                    && report.ending(&landing)
                {
                    signals.allow(landing.longest);
                    deadline = Some(tokio::time::Instant::now() + landing.longest + AFTER);
                }
                report.beat();
            }
        }
        news.try_iter().for_each(|news| report.news(&news));
        // The lists of split files go up when the run has sent the parts.
        if ended && (deadline.is_some() || !splits.is_pending()) {
            break;
        }
    }
    if deadline.is_some() {
        report.interrupted();
    }
    news.try_iter().for_each(|news| report.news(&news));
    let patience = deadline.map_or(COUNTING, |_| COUNTING_BRIEFLY);
    if !ahead.rest(patience, |item| report.untried(&item)) {
        report.note("not all files that were not tried are counted: a folder or a list does not answer, or they are many");
    }
    news.try_iter().for_each(|news| report.news(&news));
    for line in splits.incomplete() {
        report.note(&line);
    }
    let found = report.take_folders();
    let mut cut_off = deadline.is_some();
    if !found.is_empty() && !report.has_stopped() && !cut_off {
        cut_off = !make_folders(make(found), &mut report, signals).await;
    }
    let tally = report.summary(left_out);
    match (refused, cut_off) {
        (true, ..) => REFUSED,
        (_, true) => INTERRUPTED,
        _ => tally.code(),
    }
}

/// `--max-duration` and `--max-transfer`.
struct Limits {
    end: Option<Instant>,
    /// Content bytes.
    most: Option<u64>,
}

impl Limits {
    fn new(upload: &Upload) -> Limits {
        Limits {
            end: upload
                .max_duration
                .and_then(|most| Instant::now().checked_add(most)),
            most: upload.max_transfer.map(|size| size.0),
        }
    }

    /// Which of them is reached.
    fn reached(&self, progress: &Progress) -> Option<Error> {
        let which = match self {
            Limits { end: Some(end), .. } if Instant::now() >= *end => "--max-duration is over",
            Limits {
                most: Some(most), ..
            } if progress.snapshot().sent >= *most => "--max-transfer is reached",
            _ => return None,
        };
        let message = format!("{which}: nothing new is begun; the same command goes on");
        Some(Error::new(Kind::Cancelled, Operation::Upload, message))
    }
}

/// Follows the making of empty folders; `false` where it was interrupted.
async fn make_folders(
    mut ends: mpsc::Receiver<Ended>,
    report: &mut Report,
    signals: &Signals,
) -> bool {
    let mut beat = tokio::time::interval(BEAT);
    loop {
        tokio::select! {
            end = ends.recv() => match end {
                Some((folder, made)) => report.folder(folder, made),
                None => return true,
            },
            () = signals.first() => {
                report.note("interrupted: not all empty folders are made; the same command makes the rest");
                return false;
            }
            _ = beat.tick() => report.beat(),
        }
    }
}

/// The next event. Those that have come are taken in a row, and none is looked for until a moment later:
/// a wake-up for each of a million files would cost a tenth of their upload.
async fn next(run: &mut Run) -> Option<Event> {
    tokio::select! {
        biased;
        event = run.next() => return event,
        () = std::future::ready(()) => {}
    }
    tokio::time::sleep(MOMENT).await;
    run.next().await
}

/// The files, found or planned, and what is left out.
fn files(upload: &Upload, part: &Part, news: Sender<News>) -> Result<(Items, Arc<LeftOut>), Error> {
    let Some(plan) = &upload.parts.plan else {
        let sums = run_options::sums(upload)?;
        let walk = Walk::new((&upload.paths, &upload.what), sums, upload.output, news)?;
        let walk = walk.only(part.shard);
        let left_out = walk.left_out();
        return Ok((walk.items(), left_out));
    };
    let plan = PlanFile::open(plan)?;
    plan.made_with(&plan::settings(upload)?)?;
    let choice = Choice {
        shard: part.shard,
        rebase: upload.parts.rebase.clone(),
        parent_id: upload.what.parent_id,
        news,
    };
    Ok((choice.items(&plan)?, Arc::default()))
}

type Items = Box<dyn Iterator<Item = Item> + Send>;

fn dry_run(
    (items, left_out): (Items, &LeftOut),
    news: &Receiver<News>,
    (upload, part): (&Upload, &Part),
) -> Result<u8, Error> {
    let mut lines = Lines::new(upload.output);
    let survey = Survey::new(upload, Some(part))?;
    let items = split::parts(items, upload.what.select.split);
    let end = survey.run((items, news), &mut |told| lines.told(told))?;
    Ok(lines.summary(left_out, &end))
}

/// `--verbose`: what went where, over which version.
fn servers(client: &Client) {
    for report in client.servers() {
        let server = &report.server;
        complain(&format!(
            "{server}: {} connections, {} requests over HTTP/1.1, {} over HTTP/2, {} sent",
            report.connections_opened,
            report.h1_requests,
            report.h2_requests,
            super::size::human(report.bytes)
        ));
        if let Some(version) = report.faster {
            complain(&format!(
                "{server}: the bulk went over {version:?}, measured faster"
            ));
        }
    }
}

/// After an interrupt: the run says within a moment what it waits for; this is for one that does not.
const PATIENCE: Duration = Duration::from_secs(8);
/// After the last body was given up: the journal is written.
const AFTER: Duration = Duration::from_secs(3);
/// After a run that an error ended: how long the files are looked for that it never asked for.
const COUNTING: Patience = Patience {
    in_all: Duration::from_secs(60),
    for_one: Duration::from_secs(2),
};
/// The same after an interrupt, which is to end soon.
const COUNTING_BRIEFLY: Patience = Patience {
    in_all: Duration::from_secs(2),
    for_one: Duration::from_secs(2),
};
/// How often a run is looked at and shown.
const BEAT: Duration = Duration::from_millis(100);
/// Not noticed by a person, and hundreds of files long where they are small.
const MOMENT: Duration = Duration::from_millis(2);
