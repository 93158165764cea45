//! Where an MD5 starts and how it ends (RFC 1321, 3.1 to 3.3).

use super::Md5;
use super::kernel::{Kernel, Md5State};

/// The last one or two blocks of a stream: what is left of its data, 0x80, zeros, its length.
pub(super) struct Tail {
    bytes: [u8; 2 * BLOCK],
    start: usize,
    end: usize,
}

impl Tail {
    /// The tail of a stream of `length` bytes, of which `rest`, shorter than a block, are left.
    pub(super) fn new(rest: &[u8], length: u64) -> Self {
        let mut bytes = [0; 2 * BLOCK];
        bytes[..rest.len()].copy_from_slice(rest);
        bytes[rest.len()] = 0x80;
        // The 0x80 and the eight bytes of the length must still fit behind the data.
        let end = if rest.len() < BLOCK - 8 {
            BLOCK
        } else {
            2 * BLOCK
        };
        bytes[end - 8..end].copy_from_slice(&length.wrapping_mul(8).to_le_bytes());
        Tail {
            bytes,
            start: 0,
            end,
        }
    }

    /// What is left of it: two blocks, one or none.
    pub(super) fn blocks(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Leaves `blocks` blocks behind.
    pub(super) fn advance(&mut self, blocks: usize) {
        self.start += blocks * BLOCK;
    }
}

/// The digest of a stream of `length` bytes from the state before its last, `rest`, shorter than
/// a block.
pub(super) fn close(kernel: &Kernel, mut state: Md5State, rest: &[u8], length: u64) -> Md5 {
    kernel.chain(&mut state, Tail::new(rest, length).blocks());
    digest(&state)
}

/// A chain's four words as the digest that they are once the tail has gone through.
pub(super) fn digest(state: &Md5State) -> Md5 {
    let mut bytes = [0; 16];
    for (four, word) in bytes.chunks_exact_mut(4).zip(state) {
        four.copy_from_slice(&word.to_le_bytes());
    }
    Md5(bytes)
}

/// Bytes that MD5 takes at a time.
pub(super) const BLOCK: usize = 64;

/// The state of a chain that has seen nothing.
pub(super) const START: Md5State = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
