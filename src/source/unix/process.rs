//! Limits of this process. In: what the system allows this process. Out: as much of it as can be had,
//! at a command's start, how many descriptors are left, and what it has used. Never: a change of the process without
//! being asked for it.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

/// Readies a process whose main business is panup, as the `panup` command does at its start. A
/// library must not do this behind its program's back, so nothing else here calls it:
///
/// - The limit of open files is raised from the soft to the hard one: windows and connections are
///   as many as there are descriptors for.
/// - SIGXFSZ is ignored: a write beyond `ulimit -f` is then an error like a full disk, where it
///   would end the process.
/// - Where the address space is limited (`ulimit -v`), the allocator is told to keep to one arena:
///   each one of glibc's sets 64 MiB of it aside.
pub fn prepare_process() {
    raise_open_files();
    // SAFETY: SIG_IGN is a valid action for a signal that can be caught.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    if address_space().is_some() {
        keep_to_one_arena();
    }
}

/// How many descriptors the process may have (the soft limit), and has.
pub(in crate::source) fn descriptors() -> (u64, u64) {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    // Unknown (no /proc): the three of every process, and a runtime's.
    let open = ["/proc/self/fd", "/dev/fd"]
        .into_iter()
        .find_map(|listed| std::fs::read_dir(listed).ok())
        .map_or(USUALLY_OPEN, |entries| entries.count() as u64);
    (limit, open)
}

/// What all threads of this process have used of the processors so far.
pub fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Bytes of address space that are left under `ulimit -v`; `None` where it is not limited.
pub(super) fn address_space_left() -> Option<u64> {
    let limit = address_space()?;
    let pages: u64 = std::fs::read_to_string("/proc/self/statm")
        .ok()?
        .split_ascii_whitespace()
        .next()?
        .parse()
        .ok()?;
    Some(limit.saturating_sub(pages * super::guard::page_size() as u64))
}

fn address_space() -> Option<u64> {
    getrlimit(Resource::As).current
}

fn raise_open_files() {
    let now = getrlimit(Resource::Nofile);
    let maximum = now.maximum;
    for current in higher_than(now) {
        if setrlimit(Resource::Nofile, Rlimit { current, maximum }).is_ok() {
            return;
        }
    }
}

/// Soft limits above the one of now, the highest first; `None` is no limit. macOS gives a process 256, says
/// that there is no hard limit, and refuses a soft one above its own constant.
fn higher_than(now: Rlimit) -> impl Iterator<Item = Option<u64>> {
    let number = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
    let (current, maximum) = (number(now.current), number(now.maximum));
    let is_better = move |wanted: &Option<u64>| number(*wanted) > current;
    [now.maximum, Some(OPEN_MAX.min(maximum))]
        .into_iter()
        .filter(is_better)
}

#[cfg(target_env = "gnu")]
fn keep_to_one_arena() {
    // SAFETY: `mallopt` only sets a number, and is called before there are threads.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

#[cfg(not(target_env = "gnu"))]
fn keep_to_one_arena() {}

/// Standard streams, and a runtime's own.
const USUALLY_OPEN: u64 = 12;

/// macOS's, from its `sys/syslimits.h`.
const OPEN_MAX: u64 = 10_240;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_limit_is_tried_first_and_none_that_is_no_gain() {
        let tried = |current, maximum| -> Vec<Option<u64>> {
            higher_than(Rlimit { current, maximum }).collect()
        };
        // As macOS has it: the first is refused there.
        assert_eq!(tried(Some(256), None), [None, Some(10_240)]);
        assert_eq!(
            tried(Some(1024), Some(524_288)),
            [Some(524_288), Some(10_240)]
        );
        assert_eq!(tried(Some(20_000), None), [None]);
        assert_eq!(tried(Some(1024), Some(4096)), [Some(4096), Some(4096)]);
        assert_eq!(tried(Some(4096), Some(4096)), []);
        assert_eq!(tried(None, None), []);
    }
}
