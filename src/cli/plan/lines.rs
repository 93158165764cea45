//! What `--dry-run` prints: for each file what would become of it, and what that costs in all.

use panup::{Error, Outcome, Status};

use super::super::args::Output;
use super::super::left_out::LeftOut;
use super::super::objects::{self, File, ForecastCounts, Line, SCHEMA, Summary};
use super::super::size::{counted, human};
use super::super::walk::{News, Refused};
use super::super::{INTERRUPTED, REFUSED, Tally, complain, say, say_object};
use super::survey::{End, Told};
use super::totals::{Pace, Totals, amount};

/// The lines of one dry run.
pub struct Lines {
    output: Output,
    /// Files that would go up or be skipped have lines.
    each: bool,
    /// Sizes of the files that would be sent.
    bytes: u64,
    totals: Totals,
    skipped: u64,
    /// Files of which the service did not say what is there.
    unknown: u64,
    tally: Tally,
}

impl Lines {
    /// Nothing was said so far.
    pub fn new(output: Output) -> Lines {
        Lines {
            output,
            each: true,
            bytes: 0,
            totals: Totals::default(),
            skipped: 0,
            unknown: 0,
            tally: Tally::default(),
        }
    }

    /// The same without lines of files that would not fail.
    pub fn of_faults(output: Output) -> Lines {
        Lines {
            each: false,
            ..Lines::new(output)
        }
    }

    /// Says it.
    pub fn told(&mut self, told: Told<'_>) {
        match told {
            Told::File(outcome) => self.file(outcome),
            Told::News(news) => self.news(news),
            Told::Warning(error) => self.warning(error),
            Told::Stopped(_) if self.output.json => {}
            Told::Stopped(error) => complain(&format!("failed    {error}")),
        }
    }

    fn file(&mut self, outcome: &Outcome) {
        match &outcome.status {
            Status::Planned(forecast) => {
                self.bytes += outcome.size;
                self.totals.add(forecast);
                self.unknown += u64::from(!forecast.is_known);
            }
            Status::Failed(error) => {
                self.tally.failed += 1;
                self.tally.for_good += u64::from(error.is_final());
            }
            Status::Interrupted(_) => self.tally.interrupted += 1,
            _ => self.skipped += 1,
        }
        if self.output.json && (self.each || outcome.status.error().is_some()) {
            return say_object(&objects::planned(outcome));
        }
        let (path, remote) = (outcome.path.display(), &outcome.remote);
        match &outcome.status {
            // What concerns every file is told once.
            Status::Failed(error) if error.is_of_the_run() => {}
            Status::Failed(error) => complain(&format!("failed    {error}")),
            Status::Interrupted(_) => {}
            _ if self.output.quiet || self.output.json || !self.each => {}
            Status::Planned(_) => say(&format!(
                "upload    {path} -> {remote} ({} bytes)",
                outcome.size
            )),
            status => {
                let note = status.note().unwrap_or_default();
                say(&format!("skip      {path} -> {remote}: {note}"));
            }
        }
    }

    fn news(&mut self, news: &News) {
        match news {
            News::Refused(refused) => self.refused(refused),
            News::LeftOut(path, why) => say_object(&objects::left_out(path, *why)),
            News::Folder(folder) if self.output.json => {
                say_object(&objects::folder(folder, "planned"))
            }
            News::Folder(_) if self.output.quiet => {}
            News::Folder(folder) => {
                let path = folder.path.display();
                say(&format!(
                    "folder    {path} -> {} (an empty folder)",
                    folder.remote
                ));
            }
            News::Warning(error) => self.warning(error),
        }
    }

    fn warning(&self, error: &Error) {
        if self.output.json {
            say_object(&objects::warning(error));
        }
        complain(&format!("warning   {error}"));
    }

    fn refused(&mut self, refused: &Refused) {
        self.tally.failed += 1;
        self.tally.for_good += u64::from(refused.error.is_final());
        if self.output.json {
            say_object(&Line::File(File::refused(refused)));
        } else {
            complain(&format!("failed    {}", refused.error));
        }
    }

    /// The last lines; the exit code.
    pub fn summary(self, left_out: &LeftOut, end: &End) -> u8 {
        let pace = Pace::of(&end.options);
        match self.output {
            Output { json: true, .. } => self.object(left_out, end, &pace),
            Output { quiet: true, .. } => {}
            _ => self.for_people(left_out, end, &pace),
        }
        match () {
            () if end.refused => REFUSED,
            () if end.interrupted => INTERRUPTED,
            () => self.tally.code(),
        }
    }

    fn object(&self, left_out: &LeftOut, end: &End, pace: &Pace) {
        let Tally {
            failed,
            interrupted,
            ..
        } = self.tally;
        let planned = self.totals.files;
        // Nothing was uploaded, so nothing of that can be counted.
        say_object(&Line::Summary(Summary {
            schema: SCHEMA,
            files: planned + self.skipped + failed + interrupted,
            uploaded: 0,
            reused: 0,
            skipped: self.skipped,
            failed,
            interrupted,
            bytes: 0,
            sent: 0,
            seconds: 0.0,
            unstarted: 0,
            folders: 0,
            left_out: left_out.counts(),
            forecast: Some(ForecastCounts {
                unknown: self.unknown,
                hashed: end.compared.0,
                not_asked: end.unasked,
                ..self.totals.counts(pace)
            }),
        }));
    }

    fn for_people(&self, left_out: &LeftOut, end: &End, pace: &Pace) {
        let (planned, others) = (self.totals.files, self.skipped + self.tally.failed);
        let mut first = format!(
            "{}, {} would be uploaded",
            counted(planned, "file", "files"),
            human(self.bytes)
        );
        if others > 0 {
            let failed = self.tally.failed;
            first += &format!(", {} skipped, {failed} would fail", self.skipped);
        }
        complain(&format!("{first}{}", left_out.summary()));
        self.totals
            .lines(pace)
            .iter()
            .for_each(|line| complain(line));
        if let (files @ 1.., bytes) = end.compared {
            complain(&format!(
                "{} hashed, to compare their contents with what is there",
                amount(files, bytes)
            ));
        }
        if planned == 0 {
            return;
        }
        match (end.unasked, self.unknown) {
            (Some(why), _) => complain(&format!(
                "the service was not asked ({why}): names that are taken there are not known"
            )),
            (None, 0) => complain("what the service has the content of already is not sent"),
            (None, unknown) => complain(&format!(
                "of {} it is not known what is there",
                counted(unknown, "file", "files")
            )),
        }
    }
}
