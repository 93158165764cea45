//! Sixteen lanes; two such groups hide each other's latency.

use std::arch::x86_64::*;

use crate::digest::kernel::rounds::{self, K};
use crate::digest::kernel::{AHEAD, SLICES, States};

#[target_feature(enable = "avx512f")]
pub(super) fn one_group(states: &mut States, streams: &[&[u8]], blocks: usize) {
    separate::<1>(states, streams, blocks);
}

#[target_feature(enable = "avx512f")]
pub(super) fn two_groups(states: &mut States, streams: &[&[u8]], blocks: usize) {
    separate::<2>(states, streams, blocks);
}

/// N groups of sixteen chains, each chain on its own stream.
#[target_feature(enable = "avx512f")]
#[inline]
fn separate<const N: usize>(states: &mut States, streams: &[&[u8]], blocks: usize) {
    let groups: &[[&[u8]; 16]] = streams.as_chunks().0;
    let mut chains = load(states, std::array::from_fn::<_, N, _>(|group| 16 * group));
    for block in 0..blocks {
        let words: [[V; 16]; N] = std::array::from_fn(|group| transposed(&groups[group], block));
        let word = |n: usize, k: u32| words.map(|words| add(words[n], splat(k)));
        rounds::rounds!(chains, word);
    }
    store(states, std::array::from_fn(|group| 16 * group), chains);
}

/// Sixteen streams, each through two chains: its file's and its slice's.
#[target_feature(enable = "avx512f")]
pub(super) fn shared(states: &mut States, streams: &[&[u8]], blocks: usize) {
    let streams: &[&[u8]; 16] = &streams.as_chunks().0[0];
    let mut chains = load(states, [0, SLICES]);
    for block in 0..blocks {
        let words = transposed(streams, block);
        let word = |n: usize, k: u32| [pin(add(words[n], splat(k))); 2];
        rounds::rounds!(chains, word);
    }
    store(states, [0, SLICES], chains);
}

super::steps!(
    "avx512f",
    __m512i,
    zmm_reg,
    _mm512_ternarylogic_epi32,
    _mm512_rol_epi32,
    _mm512_add_epi32
);

#[target_feature(enable = "avx512f")]
#[inline]
fn splat(word: u32) -> V {
    _mm512_set1_epi32(word.cast_signed())
}

/// Block `block` of sixteen streams, word by word: vector n holds word n of each.
#[target_feature(enable = "avx512f")]
#[inline]
fn transposed(streams: &[&[u8]; 16], block: usize) -> [V; 16] {
    let quarters: [[V; 4]; 4] = std::array::from_fn(|quarter| {
        let at = 64 * block + 16 * quarter;
        // Streams r, 4 + r, 8 + r and 12 + r in the four quarters of a vector: a 4 × 4
        // transposition of each quarter is all.
        let [r0, r1, r2, r3] = std::array::from_fn(|r| four(streams, r, at));
        let (low01, high01) = (_mm512_unpacklo_epi32(r0, r1), _mm512_unpackhi_epi32(r0, r1));
        let (low23, high23) = (_mm512_unpacklo_epi32(r2, r3), _mm512_unpackhi_epi32(r2, r3));
        [
            _mm512_unpacklo_epi64(low01, low23),
            _mm512_unpackhi_epi64(low01, low23),
            _mm512_unpacklo_epi64(high01, high23),
            _mm512_unpackhi_epi64(high01, high23),
        ]
    });
    for stream in streams {
        let ahead = stream.as_ptr().wrapping_add(64 * block + AHEAD);
        // SAFETY: a prefetch reads nothing, an address behind the end is only useless.
        #[allow(unused_unsafe, reason = "it is a safe function in later Rust")]
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
        }
    }
    std::array::from_fn(|n| quarters[n / 4][n % 4])
}

/// 16 bytes of each of four streams at byte `at`.
#[target_feature(enable = "avx512f")]
#[inline]
fn four(streams: &[&[u8]; 16], r: usize, at: usize) -> V {
    let [s0, s1, s2, s3] = std::array::from_fn(|quarter| {
        let stream = streams[4 * quarter + r];
        debug_assert!(at + 16 <= stream.len());
        // SAFETY: `Group::run` has checked that every stream holds the blocks of the run, and
        // `at` is inside them. Unaligned load.
        unsafe { _mm_loadu_si128(stream.as_ptr().add(at).cast()) }
    });
    let low = _mm512_inserti32x4::<1>(_mm512_castsi128_si512(s0), s1);
    _mm512_inserti32x4::<3>(_mm512_inserti32x4::<2>(low, s2), s3)
}

/// The chains of the groups that start at lanes `at`.
#[target_feature(enable = "avx512f")]
#[inline]
fn load<const N: usize>(states: &States, at: [usize; N]) -> [[V; N]; 4] {
    states.0.each_ref().map(|words| {
        at.map(|lane| {
            let words: &[u32; 16] = words[lane..]
                .first_chunk()
                .expect("a group lies inside the row");
            // SAFETY: 64 bytes behind a reference; unaligned load.
            unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
        })
    })
}

#[target_feature(enable = "avx512f")]
#[inline]
fn store<const N: usize>(states: &mut States, at: [usize; N], chains: [[V; N]; 4]) {
    for (words, vectors) in states.0.iter_mut().zip(chains) {
        for (lane, vector) in at.into_iter().zip(vectors) {
            let words: &mut [u32; 16] = words[lane..]
                .first_chunk_mut()
                .expect("a group lies inside the row");
            // SAFETY: 64 bytes behind a unique reference; unaligned store.
            unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), vector) };
        }
    }
}
