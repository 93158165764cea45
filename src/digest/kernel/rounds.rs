//! The 64 steps of MD5 (RFC 1321, 3.4), written once for every kernel.
//!
//! In: the chains' four words, and a closure that yields a word of the message plus a constant.
//! Out: the chains behind one block. It never names an instruction: the module that expands it
//! has `f`, `g`, `h` and `i` in scope, each one step in its own instructions.

/// Takes `$chains` (`[[V; N]; 4]`, N independent chains or groups) through one block.
/// `$word(n, k)` is word `n` of each chain's block plus the constant `k`.
macro_rules! rounds {
    ($chains:ident, $word:ident) => {{
        let before = $chains;
        $crate::digest::kernel::rounds::sixteen!(f, $chains, $word, 0, 1, 0, [7, 12, 17, 22], 0);
        $crate::digest::kernel::rounds::sixteen!(g, $chains, $word, 16, 5, 1, [5, 9, 14, 20], 0);
        $crate::digest::kernel::rounds::sixteen!(h, $chains, $word, 32, 3, 5, [4, 11, 16, 23], 0);
        $crate::digest::kernel::rounds::sixteen!(
            i,
            $chains,
            $word,
            48,
            7,
            0,
            [6, 10, 15, 21],
            I_BIAS
        );
        for (words, before) in $chains.iter_mut().zip(before) {
            for (word, before) in words.iter_mut().zip(before) {
                *word = add(*word, before);
            }
        }
    }};
}

/// One round: steps `$first` to `$first + 15`, word `($mul * n + $plus) % 16` in step `n`.
macro_rules! sixteen {
    ($step:ident, $chains:ident, $word:ident, $first:expr, $mul:expr, $plus:expr, $by:tt, $bias:expr) => {
        $crate::digest::kernel::rounds::four!(
            $step, $chains, $word, $first, 0, $mul, $plus, $by, $bias
        );
        $crate::digest::kernel::rounds::four!(
            $step, $chains, $word, $first, 4, $mul, $plus, $by, $bias
        );
        $crate::digest::kernel::rounds::four!(
            $step, $chains, $word, $first, 8, $mul, $plus, $by, $bias
        );
        $crate::digest::kernel::rounds::four!(
            $step, $chains, $word, $first, 12, $mul, $plus, $by, $bias
        );
    };
}

/// Four steps, after which the four words are back in their places.
macro_rules! four {
    ($step:ident, $chains:ident, $word:ident, $first:expr, $n:expr, $mul:expr, $plus:expr,
     [$s0:expr, $s1:expr, $s2:expr, $s3:expr], $bias:expr) => {
        $crate::digest::kernel::rounds::one!(
            $step,
            $chains,
            $word,
            [0, 1, 2, 3],
            ($mul * $n + $plus) % 16,
            K[$first + $n].wrapping_sub($bias),
            $s0
        );
        $crate::digest::kernel::rounds::one!(
            $step,
            $chains,
            $word,
            [3, 0, 1, 2],
            ($mul * ($n + 1) + $plus) % 16,
            K[$first + $n + 1].wrapping_sub($bias),
            $s1
        );
        $crate::digest::kernel::rounds::one!(
            $step,
            $chains,
            $word,
            [2, 3, 0, 1],
            ($mul * ($n + 2) + $plus) % 16,
            K[$first + $n + 2].wrapping_sub($bias),
            $s2
        );
        $crate::digest::kernel::rounds::one!(
            $step,
            $chains,
            $word,
            [1, 2, 3, 0],
            ($mul * ($n + 3) + $plus) % 16,
            K[$first + $n + 3].wrapping_sub($bias),
            $s3
        );
    };
}

/// One step of every chain; `$a` to `$d` say which words play a, b, c and d.
macro_rules! one {
    ($step:ident, $chains:ident, $word:ident, [$a:expr, $b:expr, $c:expr, $d:expr],
     $n:expr, $k:expr, $by:expr) => {
        for (chain, word) in $word($n, const { $k }).into_iter().enumerate() {
            let [b, c, d] = [$chains[$b][chain], $chains[$c][chain], $chains[$d][chain]];
            $chains[$a][chain] = $step::<{ $by }, { 32 - $by }>($chains[$a][chain], b, c, d, word);
        }
    };
}

pub(super) use {four, one, rounds, sixteen};

/// `floor(2^32 × |sin(step + 1)|)`.
#[rustfmt::skip]
pub(super) const K: [u32; 64] = [
    0xd76a_a478, 0xe8c7_b756, 0x2420_70db, 0xc1bd_ceee, 0xf57c_0faf, 0x4787_c62a, 0xa830_4613, 0xfd46_9501,
    0x6980_98d8, 0x8b44_f7af, 0xffff_5bb1, 0x895c_d7be, 0x6b90_1122, 0xfd98_7193, 0xa679_438e, 0x49b4_0821,
    0xf61e_2562, 0xc040_b340, 0x265e_5a51, 0xe9b6_c7aa, 0xd62f_105d, 0x0244_1453, 0xd8a1_e681, 0xe7d3_fbc8,
    0x21e1_cde6, 0xc337_07d6, 0xf4d5_0d87, 0x455a_14ed, 0xa9e3_e905, 0xfcef_a3f8, 0x676f_02d9, 0x8d2a_4c8a,
    0xfffa_3942, 0x8771_f681, 0x6d9d_6122, 0xfde5_380c, 0xa4be_ea44, 0x4bde_cfa9, 0xf6bb_4b60, 0xbebf_bc70,
    0x289b_7ec6, 0xeaa1_27fa, 0xd4ef_3085, 0x0488_1d05, 0xd9d4_d039, 0xe6db_99e5, 0x1fa2_7cf8, 0xc4ac_5665,
    0xf429_2244, 0x432a_ff97, 0xab94_23a7, 0xfc93_a039, 0x655b_59c3, 0x8f0c_cc92, 0xffef_f47d, 0x8584_5dd1,
    0x6fa8_7e4f, 0xfe2c_e6e0, 0xa301_4314, 0x4e08_11a1, 0xf753_7e82, 0xbd3a_f235, 0x2ad7_d2bb, 0xeb86_d391,
];
