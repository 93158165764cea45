//! One stream that arrives in pieces, on the fastest single chain of this processor.

use super::Md5;
use super::kernel::{self, Kernel, Md5State};
use super::padding::{BLOCK, START, close};

/// The MD5 of a stream that arrives in pieces. Pieces of 64 KiB and more run at full speed.
#[derive(Clone)]
pub struct Hasher {
    kernel: &'static Kernel,
    state: Md5State,
    /// What did not fill a block yet: the first `length % 64` bytes count.
    pending: [u8; BLOCK],
    length: u64,
}

impl Hasher {
    /// Nothing hashed yet.
    #[must_use]
    pub fn new() -> Self {
        Hasher::on(kernel::best())
    }

    /// The same on a kernel of choice, for tests and benches.
    #[must_use]
    pub fn on(kernel: &'static Kernel) -> Self {
        Hasher {
            kernel,
            state: START,
            pending: [0; BLOCK],
            length: 0,
        }
    }

    /// Appends `data` to the stream.
    pub fn update(&mut self, data: &[u8]) {
        let data = self.fill_pending(data);
        let whole = data.len() - data.len() % BLOCK;
        self.kernel.chain(&mut self.state, &data[..whole]);
        self.pending[..data.len() - whole].copy_from_slice(&data[whole..]);
    }

    /// Counts all of `data`, completes the pending block with its start, and returns what is left
    /// of it.
    fn fill_pending<'d>(&mut self, data: &'d [u8]) -> &'d [u8] {
        let pending = self.pending_len();
        self.length += data.len() as u64;
        if pending == 0 {
            return data;
        }
        let (head, rest) = data.split_at(data.len().min(BLOCK - pending));
        self.pending[pending..pending + head.len()].copy_from_slice(head);
        if pending + head.len() == BLOCK {
            self.kernel.chain(&mut self.state, &self.pending);
        }
        rest
    }

    fn pending_len(&self) -> usize {
        (self.length % BLOCK as u64) as usize
    }

    /// The MD5 of everything appended.
    #[must_use]
    pub fn finish(self) -> Md5 {
        close(
            self.kernel,
            self.state,
            &self.pending[..self.pending_len()],
            self.length,
        )
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Hasher::new()
    }
}

/// The MD5 of `data`, as one chain.
#[must_use]
pub fn md5(data: &[u8]) -> Md5 {
    let mut hasher = Hasher::new();
    hasher.update(data);
    hasher.finish()
}
