//! What a run prints: a line or a JSON object for each file, and a summary.

use std::io::IsTerminal;
use std::time::Instant;

use console::Term;
use panup::{Error, Item, Kind, Landing, Operation, Outcome, Status, Summary};

use super::args::Output;
use super::echo::Echo;
use super::ending;
use super::ends::{Failures, Totals};
use super::folders::{self, Folder};
use super::left_out::LeftOut;
use super::objects::{self, File, Line, SCHEMA, rounded};
use super::out::lose;
use super::report_file::ReportFile;
use super::screen::Screen;
use super::size::human;
use super::timings::Timings;
use super::walk::{News, Refused};
use super::{Tally, complain, say, say_object};

/// The lines of one run.
pub struct Report {
    output: Output,
    screen: Screen,
    /// Progress and lines are on one terminal.
    is_on_terminal: bool,
    /// Lines for files that are done.
    shown: u64,
    failures: Failures,
    /// It was said that the run was interrupted.
    is_ending: bool,
    /// `--report`
    file: Option<ReportFile>,
    /// `--timings`
    timings: Option<Timings>,
    summary: Summary,
    /// Files of the summary that the run never asked for.
    unstarted: u64,
    /// What ended the run, where that was no interrupt.
    stopped_by: Option<Error>,
    /// What the last attempt of a file had failed with that was interrupted.
    last_failure: Option<Error>,
    /// Those that failed for good.
    for_good: u64,
    /// Those that the journal knows as uploaded, and the service was not asked.
    by_journal: u64,
    /// Empty folders that are to be made, and how many were.
    folders: Vec<Folder>,
    folders_made: u64,
    started: Instant,
}

impl Report {
    /// An empty report.
    pub fn new(output: Output, screen: Screen, file: Option<ReportFile>) -> Report {
        Report {
            output,
            file,
            timings: None,
            for_good: 0,
            by_journal: 0,
            is_on_terminal: screen.is_live() && std::io::stdout().is_terminal(),
            shown: 0,
            failures: Failures::default(),
            is_ending: false,
            screen,
            summary: Summary::default(),
            unstarted: 0,
            stopped_by: None,
            last_failure: None,
            folders: Vec::new(),
            folders_made: 0,
            started: Instant::now(),
        }
    }

    /// The run is drawn as well.
    pub fn draws(&mut self, timings: Timings) {
        self.timings = Some(timings);
    }

    /// A file ended.
    pub fn file(&mut self, outcome: &Outcome) {
        self.summary.count(outcome);
        if let Some(timings) = &mut self.timings {
            timings.file(outcome);
        }
        match &outcome.status {
            Status::Failed(error) => self.for_good += u64::from(error.is_final()),
            Status::Skipped(_) => self.by_journal += 1,
            _ => {}
        }
        if self.object(|| Line::File(File::ended(outcome))) {
            return;
        }
        match &outcome.status {
            // What ended the run was told once, and what was interrupted is counted.
            Status::Failed(error) if self.stopped_by.is_some() && error.is_of_the_run() => {}
            Status::Interrupted(error) => self.keep_failure(error),
            Status::Failed(error) => self.failed(error),
            status if !self.output.quiet && self.shows_line() => {
                let id = status
                    .file_id()
                    .map(|id| format!(", id {id}"))
                    .unwrap_or_default();
                let note = status
                    .note()
                    .map(|note| format!(": {note}"))
                    .unwrap_or_default();
                let path = outcome.path.display();
                say(&format!(
                    "{:<9} {path} -> {} ({}{id}{note})",
                    status.name(),
                    outcome.remote,
                    human(outcome.size)
                ));
            }
            _ => {}
        }
    }

    /// Tells it, or only counts it where there are many.
    fn failed(&mut self, error: &Error) {
        if self.failures.note(error) || self.output.quiet {
            complain(&format!("failed    {error}"));
        }
    }

    /// Lines that would push everything else off a terminal are left out after the first few.
    fn shows_line(&mut self) -> bool {
        self.shown += 1;
        !self.is_on_terminal || self.shown <= MOST_SHOWN
    }

    fn keep_failure(&mut self, interrupted: &Error) {
        let failure = std::error::Error::source(interrupted);
        let failure = failure.and_then(|error| error.downcast_ref::<Error>());
        self.last_failure = failure.cloned().or(self.last_failure.take());
    }

    /// Something ended the run.
    pub fn stopped(&mut self, error: &Error) {
        if !self.output.json {
            complain(&format!("failed    {error}"));
        }
        self.stopped_by = Some(error.clone());
    }

    /// The run ended before this file.
    pub fn untried(&mut self, item: &Item) {
        self.unstarted += 1;
        self.summary.files += 1;
        let (status, error) = match &self.stopped_by {
            Some(end) => {
                self.summary.failed += 1;
                ("failed", end.cuts_off(&item.path))
            }
            None => {
                self.summary.interrupted += 1;
                let message = "interrupted before its turn";
                let error = Error::new(Kind::Cancelled, Operation::Upload, message);
                ("interrupted", error.with_path(&item.path))
            }
        };
        self.object(|| Line::File(File::untried(item, status, &error)));
    }

    /// What the walk said.
    pub fn news(&mut self, news: &News) {
        match news {
            News::Refused(refused) => self.refused(refused),
            News::LeftOut(path, why) => say_object(&objects::left_out(path, *why)),
            News::Folder(folder) if self.folders.len() < folders::MOST => {
                self.folders.push(folder.clone());
            }
            News::Folder(folder) => {
                let message = format!("there are more than {} empty folders", folders::MOST);
                let error = Error::new(Kind::Invalid, Operation::Upload, message);
                self.folder(folder.clone(), Err(error.with_path(&folder.path)));
            }
            News::Warning(error) => self.warning(error),
        }
    }

    /// The empty folders that are to be made now.
    pub fn take_folders(&mut self) -> Vec<Folder> {
        std::mem::take(&mut self.folders)
    }

    /// An empty folder was made, was there already, or could not be made.
    pub fn folder(&mut self, folder: Folder, made: Result<bool, Error>) {
        match made {
            Ok(false) => {
                self.object(|| objects::folder(&folder, "there"));
            }
            Ok(true) => {
                self.folders_made += 1;
                let is_told = self.object(|| objects::folder(&folder, "made"));
                if !is_told && !self.output.quiet && self.shows_line() {
                    let path = folder.path.display();
                    say(&format!("{:<9} {path} -> {}", "folder", folder.remote));
                }
            }
            Err(error) => self.refused(&Refused {
                path: folder.path,
                remote: folder.remote,
                echo: Echo::default(),
                error,
            }),
        }
    }

    fn refused(&mut self, refused: &Refused) {
        self.summary.files += 1;
        self.summary.failed += 1;
        self.for_good += u64::from(refused.error.is_final());
        if let Some(timings) = &mut self.timings {
            timings.refused(&refused.path, &refused.error);
        }
        if !self.object(|| Line::File(File::refused(refused))) {
            self.failed(&refused.error);
        }
    }

    /// The object of a file, to where objects go; whether that is all that is to be printed.
    fn object(&mut self, object: impl FnOnce() -> Line) -> bool {
        if self.file.is_none() && !self.output.json {
            return false;
        }
        let object = object();
        if let Some(file) = &mut self.file {
            file.write(&object);
        }
        if self.output.json {
            say_object(&object);
        }
        self.output.json
    }

    /// So many files did not end in time after an interrupt.
    pub fn unended(&mut self, files: u64) {
        self.summary.files += files;
        self.summary.interrupted += files;
        let word = if files == 1 { "file" } else { "files" };
        self.note(&format!(
            "{files} {word} did not end in time: a disk, a network folder or another program does not answer"
        ));
    }

    /// Something to know that stops nothing.
    pub fn warning(&self, error: &Error) {
        if self.output.json {
            say_object(&objects::warning(error));
        }
        complain(&format!("warning   {error}"));
    }

    /// Whether something ended the run.
    pub fn has_stopped(&self) -> bool {
        self.stopped_by.is_some()
    }

    /// Prints a note.
    pub fn note(&self, text: &str) {
        complain(text);
    }

    /// The run was interrupted and waits for this; whether that is said for the first time.
    pub fn ending(&mut self, landing: &Landing) -> bool {
        if self.screen.is_live() {
            self.screen.ending(ending::landing(landing));
            return !std::mem::replace(&mut self.is_ending, true);
        }
        let first = !std::mem::replace(&mut self.is_ending, true);
        if first {
            complain(&ending::landing(landing));
        }
        first
    }

    /// It was interrupted, and has ended.
    pub fn interrupted(&mut self) {
        if !std::mem::replace(&mut self.is_ending, true) {
            complain("interrupted: ending, once more ends at once");
        }
    }

    /// Whether there is something at the foot of a terminal.
    pub fn is_live(&self) -> bool {
        self.screen.is_live()
    }

    /// Says now how far it is.
    pub fn tell(&mut self) {
        self.screen.tell();
    }

    /// Redraws.
    pub fn beat(&mut self) {
        self.screen.draw();
        if let Some(timings) = &mut self.timings {
            timings.beat();
        }
    }

    /// The last line; returns what it says.
    pub fn summary(mut self, left_out: &LeftOut) -> Tally {
        self.summary.elapsed = self.started.elapsed();
        self.screen.clear();
        self.draw();
        let Summary {
            files,
            uploaded,
            reused,
            skipped,
            failed,
            interrupted,
            bytes,
            sent,
            ..
        } = self.summary;
        let tally = Tally {
            failed,
            for_good: self.for_good,
            interrupted,
        };
        if self.output.json {
            let seconds = self.summary.elapsed.as_secs_f64();
            say_object(&Line::Summary(objects::Summary {
                schema: SCHEMA,
                files,
                uploaded,
                reused,
                skipped,
                failed,
                interrupted,
                bytes,
                sent,
                seconds: rounded(seconds),
                unstarted: self.unstarted,
                folders: self.folders_made,
                left_out: left_out.counts(),
                forecast: None,
            }));
            return tally;
        }
        self.tell_failures();
        self.ends();
        if !self.output.quiet {
            let end = self.screen.end();
            let totals = Totals {
                summary: &self.summary,
                left_out: format!("{}{}", self.folders_told(), left_out.summary()),
                resumed: end.resumed,
                retries: end.retries,
                spent: &self.screen.time_spent(),
            };
            let lines = totals.lines(width(&Term::stdout()));
            lines.iter().for_each(|line| say(line));
        }
        tally
    }

    /// The picture, where one was asked for. A run that did its work has done so without it too.
    fn draw(&mut self) {
        let Some(timings) = self.timings.take() else {
            return;
        };
        match timings.finish(&self.summary, &self.screen.time_spent()) {
            Ok(path) if !self.output.quiet => {
                complain(&format!("the run as a picture: {}", path.display()));
            }
            Ok(_) => {}
            Err(error) => {
                complain(&format!("panup: {error}"));
                lose();
            }
        }
    }

    fn folders_told(&self) -> String {
        match self.folders_made {
            0 => String::new(),
            1 => ", 1 empty folder made".to_owned(),
            made => format!(", {made} empty folders made"),
        }
    }

    /// What failed, by kind, and what to do about it. What ended the run was told.
    fn tell_failures(&self) {
        if self.stopped_by.is_none() && !self.output.quiet {
            let lines = self.failures.lines(width(&Term::stderr()));
            lines.iter().for_each(|line| complain(line));
        }
        let hidden = self.shown.saturating_sub(MOST_SHOWN);
        if self.is_on_terminal && hidden > 0 && !self.output.quiet {
            say(&format!("and {hidden} more; --report FILE lists them all"));
        }
    }

    /// One line for all files that the run's end came before.
    fn ends(&self) {
        let Summary {
            files,
            uploaded,
            reused,
            skipped,
            failed,
            interrupted,
            ..
        } = self.summary;
        if self.by_journal > 0 && !self.output.quiet {
            let skipped = self.by_journal;
            complain(&format!(
                "{skipped} of them skipped: the journal knows them as uploaded, and the service was not asked; --look \
                 always asks it, --force sends them again"
            ));
        }
        if self.stopped_by.is_some() {
            complain(&format!(
                "the run ended with that: {failed} of {files} files failed or were not tried"
            ));
        }
        if interrupted > 0 {
            let done = uploaded + reused + skipped;
            let failure = match &self.last_failure {
                Some(error) => format!("; the last attempt failed: {error}"),
                None => String::new(),
            };
            complain(&format!(
                "interrupted: {done} done, {interrupted} to go; the same command goes on there{failure}"
            ));
        }
    }
}

/// Columns of a terminal. Whatever reads lines elsewhere gets them whole.
fn width(out: &Term) -> usize {
    match out.size_checked() {
        Some((_, columns)) if out.is_term() => usize::from(columns),
        _ => usize::MAX,
    }
}

/// Files that are done, of which a terminal shows a line beside the progress.
const MOST_SHOWN: u64 = 20;
