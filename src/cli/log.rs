//! What the library tells of its decisions. In: `--verbose`, `--log-file`, `PANUP_LOG`. Out: lines with the
//! time, on standard error above whatever is drawn there, and in a file. Never: colours, or a name that
//! acts on a terminal.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use panup::{Error, Kind, Operation};
use time::{OffsetDateTime, UtcOffset};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::out::{self, shown};

/// From now on: `verbose` once shows what the library decides, twice what it tries; `PANUP_LOG` says it in
/// detail. A file gets both.
///
/// # Errors
/// The file cannot be opened.
pub fn start(verbose: u8, file: Option<&Path>) -> Result<(), Error> {
    let level = match verbose {
        0 => "off",
        1 => "panup=info",
        _ => "panup=debug",
    };
    let asked = || EnvFilter::try_from_env("PANUP_LOG").ok();
    let clock = Clock::new();
    let shown = tracing_subscriber::fmt::layer()
        .with_writer(|| out::Log)
        .with_ansi(false)
        .with_target(false)
        .with_timer(clock)
        // Said on standard error, which is what could not be written: that would panic.
        .log_internal_errors(false)
        .with_filter(asked().unwrap_or_else(|| EnvFilter::new(level)));
    let file = file.map(LogFile::open).transpose()?;
    let kept = file.map(|file| {
        tracing_subscriber::fmt::layer()
            .with_writer(move || file.clone())
            .with_ansi(false)
            .with_timer(clock)
            .log_internal_errors(false)
            .with_filter(asked().unwrap_or_else(|| EnvFilter::new("panup=debug")))
    });
    tracing_subscriber::registry().with(shown).with(kept).init();
    Ok(())
}

/// The time of day where the user is, or UTC where that is not known.
#[derive(Debug, Clone, Copy)]
struct Clock(UtcOffset);

impl Clock {
    fn new() -> Clock {
        // Asked before there is a second thread, which some systems want.
        Clock(UtcOffset::current_local_offset().unwrap_or(UtcOffset::UTC))
    }
}

impl FormatTime for Clock {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        let now = OffsetDateTime::now_utc().to_offset(self.0);
        let (hour, minute, second, milli) = now.time().as_hms_milli();
        write!(
            w,
            "{} {hour:02}:{minute:02}:{second:02}.{milli:03}",
            now.date()
        )
    }
}

/// A file that lines are appended to.
#[derive(Debug, Clone)]
struct LogFile(Arc<Mutex<File>>);

impl LogFile {
    fn open(path: &Path) -> Result<LogFile, Error> {
        let file = File::options().create(true).append(true).open(path);
        let refused = |error| {
            let message = format!("--log-file {}: {error}", path.display());
            Error::new(Kind::Invalid, Operation::Configure, message)
        };
        Ok(LogFile(Arc::new(Mutex::new(file.map_err(refused)?))))
    }
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let text = shown(text.strip_suffix('\n').unwrap_or(&text)).into_owned();
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(file, "{text}")?;
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
