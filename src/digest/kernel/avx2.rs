//! Eight chains in the eight words of a vector; two such groups hide each other's latency.

use std::arch::x86_64::*;

use super::rounds::{self, K};
use super::{AHEAD, Group, Kernel, SLICES, States, scalar};

pub(super) static KERNEL: Kernel = Kernel {
    name: "avx2",
    present: || (scalar::BMI.present)() && is_x86_feature_detected!("avx2"),
    chain: scalar::chain_bmi,
    groups: &[
        Group {
            lanes: 8,
            run: one_group,
        },
        Group {
            lanes: 16,
            run: two_groups,
        },
    ],
    shared: &[Group {
        lanes: 8,
        run: shared,
    }],
    // A vector step costs as much as 1.4 scalar ones (6.3 against 4.5 cycles a byte of each).
    least: 3,
};

#[target_feature(enable = "avx2")]
fn one_group(states: &mut States, streams: &[&[u8]], blocks: usize) {
    separate::<1>(states, streams, blocks);
}

#[target_feature(enable = "avx2")]
fn two_groups(states: &mut States, streams: &[&[u8]], blocks: usize) {
    separate::<2>(states, streams, blocks);
}

/// N groups of eight chains, each chain on its own stream.
#[target_feature(enable = "avx2")]
#[inline]
fn separate<const N: usize>(states: &mut States, streams: &[&[u8]], blocks: usize) {
    let groups: &[[&[u8]; 8]] = streams.as_chunks().0;
    let mut chains = load(states, std::array::from_fn::<_, N, _>(|group| 8 * group));
    for block in 0..blocks {
        let words: [[V; 16]; N] = std::array::from_fn(|group| transposed(&groups[group], block));
        let word = |n: usize, k: u32| words.map(|words| add(words[n], splat(k)));
        rounds::rounds!(chains, word);
    }
    store(states, std::array::from_fn(|group| 8 * group), chains);
}

/// Eight streams, each through two chains: its file's and its slice's.
#[target_feature(enable = "avx2")]
fn shared(states: &mut States, streams: &[&[u8]], blocks: usize) {
    let streams: &[&[u8]; 8] = &streams.as_chunks().0[0];
    let mut chains = load(states, [0, SLICES]);
    for block in 0..blocks {
        let words = transposed(streams, block);
        let word = |n: usize, k: u32| [pin(add(words[n], splat(k))); 2];
        rounds::rounds!(chains, word);
    }
    store(states, [0, SLICES], chains);
}

type V = __m256i;

#[target_feature(enable = "avx2")]
#[inline]
fn f<const L: i32, const R: i32>(a: V, b: V, c: V, d: V, word: V) -> V {
    let f = _mm256_xor_si256(_mm256_and_si256(_mm256_xor_si256(c, d), b), d);
    turn::<L, R>(add(pin(add(a, word)), f), b)
}

#[target_feature(enable = "avx2")]
#[inline]
fn g<const L: i32, const R: i32>(a: V, b: V, c: V, d: V, word: V) -> V {
    let sum = pin(add(pin(add(a, word)), _mm256_andnot_si256(d, c)));
    turn::<L, R>(add(sum, _mm256_and_si256(d, b)), b)
}

#[target_feature(enable = "avx2")]
#[inline]
fn h<const L: i32, const R: i32>(a: V, b: V, c: V, d: V, word: V) -> V {
    let h = _mm256_xor_si256(pin(_mm256_xor_si256(c, d)), b);
    turn::<L, R>(add(pin(add(a, word)), h), b)
}

#[target_feature(enable = "avx2")]
#[inline]
fn i<const L: i32, const R: i32>(a: V, b: V, c: V, d: V, word: V) -> V {
    let not_i = _mm256_xor_si256(_mm256_andnot_si256(b, d), c);
    turn::<L, R>(_mm256_sub_epi32(pin(add(a, word)), not_i), b)
}

#[target_feature(enable = "avx2")]
#[inline]
fn turn<const L: i32, const R: i32>(sum: V, b: V) -> V {
    let turned = _mm256_or_si256(_mm256_slli_epi32::<L>(sum), _mm256_srli_epi32::<R>(sum));
    add(turned, b)
}

#[target_feature(enable = "avx2")]
#[inline]
fn add(a: V, b: V) -> V {
    _mm256_add_epi32(a, b)
}

#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn splat(word: u32) -> V {
    _mm256_set1_epi32(word.cast_signed())
}

/// See the scalar kernel: the order of the additions is the point.
#[target_feature(enable = "avx2")]
#[inline]
fn pin(mut value: V) -> V {
    // SAFETY: the template is empty; nothing is read, written or clobbered.
    unsafe {
        std::arch::asm!("/* {0} */", inout(ymm_reg) value, options(pure, nomem, nostack, preserves_flags));
    }
    value
}

/// Block `block` of eight streams, word by word: vector n holds word n of each.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn transposed(streams: &[&[u8]; 8], block: usize) -> [V; 16] {
    let quarters: [[V; 4]; 4] = std::array::from_fn(|quarter| {
        let at = 64 * block + 16 * quarter;
        // Stream r in the low half, stream 4 + r in the high one: a 4 × 4 transposition of each half is all.
        let [r0, r1, r2, r3] = std::array::from_fn(|r| pair(streams[r], streams[4 + r], at));
        let (low01, high01) = (_mm256_unpacklo_epi32(r0, r1), _mm256_unpackhi_epi32(r0, r1));
        let (low23, high23) = (_mm256_unpacklo_epi32(r2, r3), _mm256_unpackhi_epi32(r2, r3));
        [
            _mm256_unpacklo_epi64(low01, low23),
            _mm256_unpackhi_epi64(low01, low23),
            _mm256_unpacklo_epi64(high01, high23),
            _mm256_unpackhi_epi64(high01, high23),
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

/// 16 bytes of two streams at byte `at`.
#[target_feature(enable = "avx2")]
#[inline]
fn pair(low: &[u8], high: &[u8], at: usize) -> V {
    debug_assert!(at + 16 <= low.len() && at + 16 <= high.len());
    // SAFETY: `Group::run` has checked that every stream holds the blocks of the run, and `at`
    // is inside them. Unaligned loads.
    let (low, high) = unsafe {
        (
            _mm_loadu_si128(low.as_ptr().add(at).cast()),
            _mm_loadu_si128(high.as_ptr().add(at).cast()),
        )
    };
    _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(low), high)
}

/// The chains of the groups that start at lanes `at`.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn load<const N: usize>(states: &States, at: [usize; N]) -> [[V; N]; 4] {
    states.0.each_ref().map(|words| {
        at.map(|lane| {
            let words: &[u32; 8] = words[lane..]
                .first_chunk()
                .expect("a group lies inside the row");
            // SAFETY: 32 bytes behind a reference; unaligned load.
            unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
        })
    })
}

#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn store<const N: usize>(states: &mut States, at: [usize; N], chains: [[V; N]; 4]) {
    for (words, vectors) in states.0.iter_mut().zip(chains) {
        for (lane, vector) in at.into_iter().zip(vectors) {
            let words: &mut [u32; 8] = words[lane..]
                .first_chunk_mut()
                .expect("a group lies inside the row");
            // SAFETY: 32 bytes behind a unique reference; unaligned store.
            unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), vector) };
        }
    }
}

const I_BIAS: u32 = 1;
