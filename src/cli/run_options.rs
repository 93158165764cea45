//! The library's options, as those of `panup upload` ask for them.

use panup::{Conflict, Congestion, Credential, Error, HashOptions, Http, Look, Options, Resume};

use super::account::account_options;
use super::args::{HttpVersion, LookFirst, OnConflict, Pacing, Upload};
use super::state_dir;
use super::timetable::LimitRate;
use super::walk::Sums;

/// What the options ask for, of whoever has `credential`.
///
/// # Errors
/// A certificate cannot be read.
pub fn of(upload: &Upload, credential: Credential) -> Result<Options, Error> {
    let mut options = Options::new(credential);
    account_options(&mut options, &upload.account)?;
    options.on_conflict = conflict(upload.on_conflict);
    options.look = look(upload.look);
    options.http = match upload.http {
        HttpVersion::Auto => Http::Auto,
        HttpVersion::One => Http::H1,
        HttpVersion::Two => Http::H2,
    };
    options.congestion = match upload.congestion {
        Pacing::Auto => Congestion::Auto,
        Pacing::System => Congestion::System,
        Pacing::Bbr => Congestion::Bbr,
        Pacing::Cubic => Congestion::Cubic,
    };
    options.single_max = upload.single_max.0;
    options.concurrency = upload.concurrency.0;
    options.connections = upload.connections.0;
    options.hash_threads = upload.hash_threads;
    options.limit_rate = upload.limit_rate.as_ref().and_then(LimitRate::now);
    options.yields = upload.yields;
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
    options.checkpoint = upload.checkpoint.clone();
    options.state_dir = state_dir(upload.account.state_dir.as_deref());
    Ok(options)
}

/// `--md5-from`, read.
///
/// # Errors
/// It cannot be read, or is wrong.
pub fn sums(upload: &Upload) -> Result<Option<Sums>, Error> {
    let mut options = HashOptions::default();
    options.threads = upload.hash_threads;
    options.maps = !upload.no_mmap;
    let sums = upload.md5_from.as_deref();
    sums.map(|list| Sums::checked(list, &options)).transpose()
}

fn conflict(asked: OnConflict) -> Conflict {
    match asked {
        OnConflict::Fail => Conflict::Fail,
        OnConflict::Skip => Conflict::Skip,
        OnConflict::KeepBoth => Conflict::KeepBoth,
        OnConflict::Overwrite => Conflict::Overwrite,
    }
}

fn look(asked: LookFirst) -> Look {
    match asked {
        LookFirst::Auto => Look::Auto,
        LookFirst::Always => Look::Always,
        LookFirst::Never => Look::Never,
    }
}
