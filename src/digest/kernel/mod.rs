//! The block function of MD5, several ways. In: chains' states and whole blocks of 64 bytes.
//! Out: the states behind those blocks, the same from every kernel. Never: padding, lengths, or an
//! instruction that this processor has not been asked about.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
mod neon;
mod portable;
#[cfg(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_endian = "little")
))]
mod rounds;
#[cfg(target_arch = "x86_64")]
mod scalar;

use std::fmt;
use std::sync::OnceLock;

/// The four words of one chain.
pub type Md5State = [u32; 4];

/// One way to compute MD5. Only kernels that this processor can run are ever handed out.
pub struct Kernel {
    name: &'static str,
    present: fn() -> bool,
    chain: unsafe fn(&mut Md5State, &[u8]),
    /// By rising number of lanes.
    groups: &'static [Group],
    /// Groups of files, each taken through two chains at once: whole and slice.
    shared: &'static [Group],
    /// Fewest live chains for which the narrowest group beats one chain after the other.
    least: usize,
}

/// Lanes that move in step.
pub(super) struct Group {
    lanes: usize,
    run: unsafe fn(&mut States, &[&[u8]], usize),
}

/// The chains of up to [`WIDEST`] lanes, word by word, as the vectors want them.
#[repr(align(64))]
pub(super) struct States([[u32; WIDEST]; 4]);

impl Kernel {
    /// The kernel's name, as [`by_name`] takes it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Streams that it hashes at a time; 1 if it has a single chain only.
    #[must_use]
    pub fn lanes(&self) -> usize {
        self.groups.last().map_or(1, |group| group.lanes)
    }

    /// Takes one chain through `blocks`.
    ///
    /// # Panics
    /// If `blocks` is not a multiple of 64 bytes long.
    pub fn chain(&self, state: &mut Md5State, blocks: &[u8]) {
        assert_eq!(blocks.len() % 64, 0, "whole blocks only");
        // SAFETY: kernels are reachable through `available` only, which has asked the processor.
        unsafe { (self.chain)(state, blocks) }
    }

    /// The narrowest group for `live` chains, the widest if there are more; `None` where one
    /// chain after the other is faster.
    pub(super) fn group(&self, live: usize) -> Option<&'static Group> {
        if live < self.least {
            return None;
        }
        narrowest(self.groups, live)
    }

    /// The same over files with two chains each.
    pub(super) fn shared(&self, live: usize) -> Option<&'static Group> {
        narrowest(self.shared, live)
    }
}

fn narrowest(groups: &'static [Group], live: usize) -> Option<&'static Group> {
    groups
        .iter()
        .find(|group| group.lanes >= live)
        .or(groups.last())
}

impl Group {
    pub(super) fn lanes(&self) -> usize {
        self.lanes
    }

    /// Takes lane n of `states` through the first `blocks` blocks of stream n. Of a group for
    /// files, chains `n` and `SLICES + n` both.
    ///
    /// # Panics
    /// If there are not as many streams as lanes or one of them is shorter than `blocks`.
    pub(super) fn run(&self, states: &mut States, streams: &[&[u8]], blocks: usize) {
        assert_eq!(streams.len(), self.lanes, "a stream for every lane");
        assert!(
            streams.iter().all(|stream| stream.len() / 64 >= blocks),
            "streams hold the run"
        );
        // SAFETY: a group comes from a kernel, see `Kernel::chain`; the lengths were just checked.
        unsafe { (self.run)(states, streams, blocks) }
    }
}

impl States {
    pub(super) fn new() -> Self {
        States([[0; WIDEST]; 4])
    }

    pub(super) fn chain(&self, lane: usize) -> Md5State {
        self.0.each_ref().map(|words| words[lane])
    }

    pub(super) fn put(&mut self, lane: usize, state: Md5State) {
        for (words, word) in self.0.iter_mut().zip(state) {
            words[lane] = word;
        }
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The fastest kernel of this processor. It is looked for once.
#[must_use]
pub fn best() -> &'static Kernel {
    static BEST: OnceLock<&Kernel> = OnceLock::new();
    BEST.get_or_init(|| available().last().unwrap_or(&portable::KERNEL))
}

/// Every kernel that this processor can run, the fastest last.
pub fn available() -> impl Iterator<Item = &'static Kernel> {
    TABLE.iter().copied().filter(|kernel| (kernel.present)())
}

/// A kernel by name: `portable`, `x86-64`, `scalar`, `avx2`, `avx512`, `neon`. `None` where this processor
/// cannot run it.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Kernel> {
    available().find(|kernel| kernel.name == name)
}

/// Slowest first.
static TABLE: &[&Kernel] = &[
    &portable::KERNEL,
    #[cfg(target_arch = "x86_64")]
    &scalar::BASE,
    #[cfg(target_arch = "x86_64")]
    &scalar::BMI,
    #[cfg(target_arch = "x86_64")]
    &avx2::KERNEL,
    #[cfg(target_arch = "x86_64")]
    &avx512::OTHERS,
    #[cfg(target_arch = "x86_64")]
    &avx512::INTEL,
    #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
    &neon::KERNEL,
];

/// Lanes of the widest group of any kernel.
pub(super) const WIDEST: usize = 32;

/// Where the slices' chains start in a group for files: the widest has 16 files.
pub(super) const SLICES: usize = WIDEST / 2;

/// How far ahead of the lanes memory is asked for, in bytes. The hardware follows a few streams,
/// not sixteen.
#[cfg(target_arch = "x86_64")]
const AHEAD: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    /// Two pages, the second one closed: reading behind a stream that ends at the border kills.
    struct Cliff(*mut u8);

    #[cfg(unix)]
    impl Cliff {
        fn new() -> Self {
            let (access, kind) = (
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            );
            // SAFETY: fresh anonymous memory, no address asked for.
            let page = unsafe { libc::mmap(std::ptr::null_mut(), 2 * PAGE, access, kind, -1, 0) };
            assert_ne!(page, libc::MAP_FAILED);
            // SAFETY: the second half of what was just mapped.
            let closed = unsafe { libc::mprotect(page.add(PAGE), PAGE, libc::PROT_NONE) };
            assert_eq!(closed, 0);
            Cliff(page.cast())
        }

        /// The last `length` bytes before the border.
        fn edge(&self, length: usize) -> &[u8] {
            assert!(length <= PAGE);
            // SAFETY: inside the first page, which lives as long as `self` and is never written.
            unsafe { std::slice::from_raw_parts(self.0.add(PAGE - length), length) }
        }
    }

    #[cfg(unix)]
    impl Drop for Cliff {
        fn drop(&mut self) {
            // SAFETY: mapped by `new`; every view of it borrows `self`.
            unsafe { libc::munmap(self.0.cast(), 2 * PAGE) };
        }
    }

    #[cfg(unix)]
    const PAGE: usize = 4096;

    #[cfg(unix)]
    #[test]
    fn no_kernel_reads_behind_its_streams() {
        let cliff = Cliff::new();
        for kernel in available() {
            let groups = || kernel.groups.iter().chain(kernel.shared);
            for blocks in 1..=9 {
                let mut expected = [1, 2, 3, 4];
                portable::KERNEL.chain(&mut expected, cliff.edge(64 * blocks));
                let mut state = [1, 2, 3, 4];
                kernel.chain(&mut state, cliff.edge(64 * blocks));
                assert_eq!(state, expected, "{kernel:?}, one chain");
                for group in groups() {
                    let mut states = States([[1; WIDEST], [2; WIDEST], [3; WIDEST], [4; WIDEST]]);
                    group.run(
                        &mut states,
                        &vec![cliff.edge(64 * blocks); group.lanes()],
                        blocks,
                    );
                    for lane in 0..group.lanes() {
                        assert_eq!(states.chain(lane), expected, "{kernel:?}, lane {lane}");
                    }
                }
            }
        }
    }

    #[test]
    fn lanes_outside_a_group_are_left_alone() {
        let block = [7; 64];
        for kernel in available() {
            for group in kernel.groups {
                let mut states = States::new();
                group.run(&mut states, &vec![&block[..]; group.lanes()], 1);
                let untouched = (group.lanes()..WIDEST).all(|lane| states.chain(lane) == [0; 4]);
                assert!(untouched, "{kernel:?}, {} lanes", group.lanes());
            }
        }
    }

    #[test]
    #[should_panic(expected = "streams hold the run")]
    fn a_stream_shorter_than_the_run_is_refused() {
        let group = available().flat_map(|kernel| kernel.groups).next();
        let Some(group) = group else {
            panic!("streams hold the run: no groups here")
        };
        let mut streams = vec![&[0; 128][..]; group.lanes()];
        streams[group.lanes() - 1] = &[0; 127];
        group.run(&mut States::new(), &streams, 2);
    }
}
