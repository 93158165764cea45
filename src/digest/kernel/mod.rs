//! The block function of MD5, several ways. In: chains' states and whole blocks of 64 bytes.
//! Out: the states behind those blocks, the same from every kernel. Never: padding, lengths, or a
//! kernel that this processor has not been asked about.

mod portable;

use std::fmt;

/// The four words of one chain.
pub type State = [u32; 4];

/// One way to compute MD5 that this processor can do.
pub struct Kernel {
    name: &'static str,
    chain: fn(&mut State, &[u8]),
}

impl Kernel {
    /// The kernel's name, as [`by_name`] takes it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Takes one chain through `blocks`.
    ///
    /// # Panics
    /// If `blocks` is not a multiple of 64 bytes long.
    pub fn chain(&self, state: &mut State, blocks: &[u8]) {
        assert_eq!(blocks.len() % 64, 0, "whole blocks only");
        (self.chain)(state, blocks);
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The fastest kernel of this processor.
#[must_use]
pub fn best() -> &'static Kernel {
    &portable::KERNEL
}

/// Every kernel that this processor can run, slowest first.
pub fn available() -> impl Iterator<Item = &'static Kernel> {
    [&portable::KERNEL].into_iter()
}

/// A kernel by name: `portable`, `scalar`, `avx2`, `avx512`, `neon`. `None` where this processor
/// cannot run it.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Kernel> {
    available().find(|kernel| kernel.name == name)
}
