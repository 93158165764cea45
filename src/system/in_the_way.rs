//! Files that others keep from being touched for a moment. In: an attempt. Out: its outcome, once whoever
//! was in the way has gone, or will not go. Never: a wait for what passes with no time.
//!
//! On Windows a file can be neither replaced nor removed while a program has it open that did not allow it.
//! Virus scanners and indexers open what was just written, for some milliseconds.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::here;

/// Gives the file `from` the name `to`, in place of whatever has it. On Windows it is tried for a second
/// where another program has one of them open.
///
/// # Errors
/// It cannot be renamed.
pub fn replace_file(from: &Path, to: &Path) -> io::Result<()> {
    insist(|| std::fs::rename(from, to))
}

/// Attempts again, for a second, while another program is in the way.
pub(crate) fn insist<T>(attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    while_in_the_way(here::IN_THE_WAY, LONGEST, attempt)
}

fn while_in_the_way<T>(
    codes: &[i32],
    longest: Duration,
    mut attempt: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    let until = Instant::now() + longest;
    let passes = |error: &io::Error| {
        error
            .raw_os_error()
            .is_some_and(|code| codes.contains(&code))
    };
    loop {
        match attempt() {
            Err(error) if passes(&error) && Instant::now() < until => std::thread::sleep(PAUSE),
            ended => return ended,
        }
    }
}

const LONGEST: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(codes: &[i32], longest: Duration, fails: u32, code: i32) -> (bool, u32) {
        let mut made = 0;
        let outcome = while_in_the_way(codes, longest, || {
            made += 1;
            match made <= fails {
                true => Err(io::Error::from_raw_os_error(code)),
                false => Ok(()),
            }
        });
        (outcome.is_ok(), made)
    }

    #[test]
    fn whoever_is_in_the_way_is_given_a_moment_and_nothing_else_is() {
        let minute = Duration::from_secs(60);
        assert_eq!(attempts(&[32, 5], minute, 3, 32), (true, 4));
        assert_eq!(attempts(&[32, 5], minute, 3, 2), (false, 1));
        assert_eq!(attempts(&[], minute, 3, 32), (false, 1));
        let (ended, made) = attempts(&[32], Duration::from_millis(25), u32::MAX, 32);
        assert!(!ended && made >= 2, "{made}");
    }

    #[test]
    fn a_file_takes_the_place_of_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("new"), "new").expect("written");
        std::fs::write(at("old"), "old").expect("written");
        replace_file(&at("new"), &at("old")).expect("replaced");
        assert_eq!(std::fs::read(at("old")).expect("there"), b"new");
        assert!(!at("new").exists());
    }

    /// As a virus scanner has it: open for a moment, without sharing it.
    #[cfg(windows)]
    #[test]
    fn a_file_that_another_has_open_for_a_moment_is_replaced_all_the_same() {
        use std::os::windows::fs::OpenOptionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for held in ["new", "old"] {
            std::fs::write(at("new"), "new").expect("written");
            std::fs::write(at("old"), "old").expect("written");
            let mut alone = std::fs::OpenOptions::new();
            let alone = alone.read(true).share_mode(0).open(at(held)).expect("ours");
            assert!(
                std::fs::rename(at("new"), at("old")).is_err(),
                "{held} is held"
            );
            let scanner = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(100));
                drop(alone);
            });
            replace_file(&at("new"), &at("old")).expect("it was let go");
            scanner.join().expect("no panic");
            assert_eq!(std::fs::read(at("old")).expect("there"), b"new");
        }
    }
}
