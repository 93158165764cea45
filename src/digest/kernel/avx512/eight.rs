//! Eight lanes: the vectors of AVX2, with better instructions.

use std::arch::x86_64::*;

use crate::digest::kernel::avx2::{load, splat, store, transposed};
use crate::digest::kernel::rounds::{self, K};
use crate::digest::kernel::{SLICES, States};

/// Eight chains, each on its own stream.
#[target_feature(enable = "avx512f,avx512vl")]
pub(super) fn separate(states: &mut States, streams: &[&[u8]], blocks: usize) {
    let streams: &[&[u8]; 8] = &streams.as_chunks().0[0];
    let mut chains = load(states, [0]);
    for block in 0..blocks {
        let words = transposed(streams, block);
        let word = |n: usize, k: u32| [add(words[n], splat(k))];
        rounds::rounds!(chains, word);
    }
    store(states, [0], chains);
}

/// Eight streams, each through two chains: its file's and its slice's.
#[target_feature(enable = "avx512f,avx512vl")]
pub(super) fn shared(states: &mut States, streams: &[&[u8]], blocks: usize) {
    let streams: &[&[u8]; 8] = &streams.as_chunks().0[0];
    let mut chains = load(states, [0, SLICES]);
    for block in 0..blocks {
        let words = transposed(streams, block);
        let word = |n: usize, k: u32| [pin(add(words[n], splat(k))); 2];
        rounds::rounds!(chains, word);
    }
    store(states, [0, SLICES], chains);
}

super::steps!(
    "avx512f,avx512vl",
    __m256i,
    ymm_reg,
    _mm256_ternarylogic_epi32,
    _mm256_rol_epi32,
    _mm256_add_epi32
);
