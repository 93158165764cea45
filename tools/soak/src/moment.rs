//! What happens in the middle of a run: signals, edits, locks, and the sky that clears.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, OpenFlags};
use rustix::process::Signal;

use crate::kind::Kind;
use crate::process::Process;
use crate::scene::{LocalFile, Scene, sum};

/// Something that happens at a moment of its own.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Signal(Signal),
    Edit,
    Touch,
    Lock,
    Unlock,
    Clear,
}

/// Lets happen what `kinds` want, to the last of it; returns how long the processes may take from then on.
pub fn pass(
    scene: &mut Scene,
    processes: &mut [Process],
    (kinds, chance): (&[Kind], &mut fastrand::Rng),
) -> Duration {
    let start = Instant::now();
    let mut moments = moments(kinds, chance);
    moments.sort_by_key(|(at, _)| *at);
    let mut lock = None;
    for (at, moment) in moments {
        let over = |processes: &mut [Process]| processes.iter_mut().all(Process::has_ended);
        while start.elapsed() < at && !over(processes) {
            std::thread::sleep(Duration::from_millis(5).min(at));
        }
        match moment {
            Moment::Signal(signal) => processes
                .iter_mut()
                .for_each(|process| process.signal(signal)),
            Moment::Edit => edit(any(scene, chance), chance),
            Moment::Touch => touch(scene, chance),
            Moment::Lock => lock = hold(&scene.path("state").join("journal.db")),
            Moment::Unlock => lock = None,
            Moment::Clear => scene.clear(),
        }
    }
    drop(lock);
    let has = |kind| kinds.contains(&kind);
    match (has(Kind::Signal), has(Kind::SignalTwice)) {
        (true, _) => AFTER_A_SIGNAL,
        (_, true) => AT_ONCE,
        _ => LONGEST,
    }
}

fn moments(kinds: &[Kind], chance: &mut fastrand::Rng) -> Vec<(Duration, Moment)> {
    let mut moments = Vec::new();
    for kind in kinds {
        let at = Duration::from_millis(chance.u64(20..1500));
        match kind {
            Kind::Kill => moments.push((at, Moment::Signal(Signal::KILL))),
            Kind::Signal | Kind::SignalTwice => {
                let signal = [Signal::INT, Signal::TERM][chance.usize(0..2)];
                moments.push((at, Moment::Signal(signal)));
                if *kind == Kind::SignalTwice {
                    let again = at + Duration::from_millis(chance.u64(20..1000));
                    moments.push((again, Moment::Signal(signal)));
                }
            }
            Kind::Stop => {
                let until = at + Duration::from_millis(chance.u64(500..6000));
                moments.push((at, Moment::Signal(Signal::STOP)));
                moments.push((until, Moment::Signal(Signal::CONT)));
            }
            Kind::Edit => moments.push((at, Moment::Edit)),
            Kind::TouchMeanwhile => moments.push((at, Moment::Touch)),
            Kind::Lock => {
                let from = if chance.bool() { Duration::ZERO } else { at };
                let until = from + Duration::from_millis(chance.u64(500..14_000));
                moments.push((from, Moment::Lock));
                moments.push((until, Moment::Unlock));
            }
            Kind::Stall | Kind::Servers if chance.bool() => {
                moments.push((at + Duration::from_secs(4), Moment::Clear));
            }
            _ => {}
        }
    }
    moments
}

/// The same contents in another guise: what a backup, an editor or an administrator leaves behind.
pub fn touch(scene: &mut Scene, chance: &mut fastrand::Rng) {
    let aside = scene.path("aside");
    for file in &scene.files {
        let beside = aside.join(format!("{:016x}", chance.u64(..)));
        match chance.u8(0..5) {
            0 => {
                let mode = [0o600, 0o640, 0o644, 0o755][chance.usize(0..4)];
                fs::set_permissions(&file.path, fs::Permissions::from_mode(mode)).expect("ours");
            }
            1 => {
                let times = fs::File::options()
                    .append(true)
                    .open(&file.path)
                    .expect("there");
                times.set_modified(SystemTime::now()).expect("ours");
            }
            2 => fs::hard_link(&file.path, beside).expect("one file system"),
            3 => {
                fs::copy(&file.path, &beside).expect("room");
                fs::rename(&beside, &file.path).expect("one file system");
            }
            _ => {}
        }
    }
}

fn any<'a>(scene: &'a mut Scene, chance: &mut fastrand::Rng) -> &'a mut LocalFile {
    let at = chance.usize(0..scene.files.len());
    &mut scene.files[at]
}

/// Other contents, never the same twice.
fn edit(file: &mut LocalFile, chance: &mut fastrand::Rng) {
    let mut bytes = fs::read(&file.path).expect("still there");
    match chance.u8(0..3) {
        0 => bytes.truncate(1 + bytes.len() / 2),
        1 => bytes.extend_from_slice(&chance.u64(..).to_le_bytes()),
        _ => {
            let at = chance.usize(0..bytes.len());
            bytes[at] ^= chance.u8(1..);
        }
    }
    let sum = sum(&bytes);
    if file.versions.contains(&sum) {
        return;
    }
    file.versions.push(sum);
    // Truncated first and written after: in between it is neither, and neither may arrive.
    fs::write(&file.path, &bytes).expect("room");
}

/// A writer that does not let go, as a backup or a shell of the database.
fn hold(database: &Path) -> Option<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let holder = Connection::open_with_flags(database, flags).ok()?;
    holder.busy_timeout(Duration::from_secs(2)).ok()?;
    holder.execute_batch("BEGIN IMMEDIATE").ok()?;
    Some(holder)
}

/// What a process may take in all: every call's attempts with the longest waits between them, one
/// call after the other.
const LONGEST: Duration = Duration::from_secs(300);

/// What is in flight may land, the journal is flushed.
const AFTER_A_SIGNAL: Duration = Duration::from_secs(20);

/// As a service manager would have it.
const AT_ONCE: Duration = Duration::from_secs(10);
