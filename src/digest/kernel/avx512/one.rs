//! One chain, in the lowest word of a short vector: four operations of one cycle a step, 4.0
//! cycles a byte on Intel where general registers need 4.5. The one way past that floor.

use std::arch::x86_64::*;

use crate::digest::kernel::Md5State;
use crate::digest::kernel::rounds::{self, K};

#[target_feature(enable = "avx512f,avx512vl")]
pub(super) fn chain(state: &mut Md5State, blocks: &[u8]) {
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

super::steps!(
    "avx512f,avx512vl",
    __m128i,
    xmm_reg,
    _mm_ternarylogic_epi32,
    _mm_rol_epi32,
    _mm_add_epi32
);
