//! The instructions of AVX-512 on shorter vectors: a single chain, and eight.
//!
//! The single chain is four operations of one cycle a step, 4.0 cycles a byte on Intel: the
//! general registers need 4.5. It is the one way past the scalar kernel's floor.

use std::arch::x86_64::*;

use super::avx2::{add, load, splat, store, transposed};
use super::avx512::{F, G, H, I};
use super::rounds::{self, K};
use super::{SLICES, State, States};

#[target_feature(enable = "avx512f,avx512vl")]
pub(super) fn one_group(states: &mut States, streams: &[&[u8]], blocks: usize) {
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

type V = __m256i;

#[target_feature(enable = "avx512f,avx512vl")]
#[inline]
fn f<const L: i32, const R: i32>(a: V, b: V, c: V, d: V, word: V) -> V {
    turn::<L>(
        add(pin(add(a, word)), _mm256_ternarylogic_epi32::<F>(b, c, d)),
        b,
    )
}

#[target_feature(enable = "avx512f,avx512vl")]
#[inline]
fn g<const L: i32, const R: i32>(a: V, b: V, c: V, d: V, word: V) -> V {
    turn::<L>(
        add(pin(add(a, word)), _mm256_ternarylogic_epi32::<G>(b, c, d)),
        b,
    )
}

#[target_feature(enable = "avx512f,avx512vl")]
#[inline]
fn h<const L: i32, const R: i32>(a: V, b: V, c: V, d: V, word: V) -> V {
    turn::<L>(
        add(pin(add(a, word)), _mm256_ternarylogic_epi32::<H>(b, c, d)),
        b,
    )
}

#[target_feature(enable = "avx512f,avx512vl")]
#[inline]
fn i<const L: i32, const R: i32>(a: V, b: V, c: V, d: V, word: V) -> V {
    turn::<L>(
        add(pin(add(a, word)), _mm256_ternarylogic_epi32::<I>(b, c, d)),
        b,
    )
}

#[target_feature(enable = "avx512f,avx512vl")]
#[inline]
fn turn<const L: i32>(sum: V, b: V) -> V {
    add(_mm256_rol_epi32::<L>(sum), b)
}

use super::avx2::pin;

const I_BIAS: u32 = 0;

pub(super) use chain::chain;

/// One chain, in the lowest word of each vector.
mod chain {
    use super::*;

    #[target_feature(enable = "avx512f,avx512vl")]
    pub(in super::super) fn chain(state: &mut State, blocks: &[u8]) {
        let mut chains = state.map(|word| [_mm_cvtsi32_si128(word.cast_signed())]);
        for block in blocks.as_chunks::<64>().0 {
            let (words, _) = block.as_chunks::<4>();
            // Added in a general register, where it costs the vector ports nothing.
            let word = |n: usize, k: u32| {
                let sum = u32::from_le_bytes(words[n]).wrapping_add(k);
                [_mm_cvtsi32_si128(sum.cast_signed())]
            };
            rounds::rounds!(chains, word);
        }
        *state = chains.map(|[word]| _mm_cvtsi128_si32(word).cast_unsigned());
    }

    type V = __m128i;

    #[target_feature(enable = "avx512f,avx512vl")]
    #[inline]
    fn f<const L: i32, const R: i32>(a: V, b: V, c: V, d: V, word: V) -> V {
        turn::<L>(
            add(pin(add(a, word)), _mm_ternarylogic_epi32::<F>(b, c, d)),
            b,
        )
    }

    #[target_feature(enable = "avx512f,avx512vl")]
    #[inline]
    fn g<const L: i32, const R: i32>(a: V, b: V, c: V, d: V, word: V) -> V {
        turn::<L>(
            add(pin(add(a, word)), _mm_ternarylogic_epi32::<G>(b, c, d)),
            b,
        )
    }

    #[target_feature(enable = "avx512f,avx512vl")]
    #[inline]
    fn h<const L: i32, const R: i32>(a: V, b: V, c: V, d: V, word: V) -> V {
        turn::<L>(
            add(pin(add(a, word)), _mm_ternarylogic_epi32::<H>(b, c, d)),
            b,
        )
    }

    #[target_feature(enable = "avx512f,avx512vl")]
    #[inline]
    fn i<const L: i32, const R: i32>(a: V, b: V, c: V, d: V, word: V) -> V {
        turn::<L>(
            add(pin(add(a, word)), _mm_ternarylogic_epi32::<I>(b, c, d)),
            b,
        )
    }

    #[target_feature(enable = "avx512f,avx512vl")]
    #[inline]
    fn turn<const L: i32>(sum: V, b: V) -> V {
        add(_mm_rol_epi32::<L>(sum), b)
    }

    #[target_feature(enable = "avx512f,avx512vl")]
    #[inline]
    fn add(a: V, b: V) -> V {
        _mm_add_epi32(a, b)
    }

    /// See the scalar kernel: the order of the additions is the point.
    #[target_feature(enable = "avx512f,avx512vl")]
    #[inline]
    fn pin(mut value: V) -> V {
        // SAFETY: the template is empty; nothing is read, written or clobbered.
        unsafe {
            std::arch::asm!("/* {0} */", inout(xmm_reg) value, options(pure, nomem, nostack, preserves_flags));
        }
        value
    }
}
