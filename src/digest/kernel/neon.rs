//! Four chains in the four words of a vector, for 64-bit Arm. Not yet run on such a machine: its
//! arithmetic was checked against stand-ins for the instructions, its speed is unknown.

use std::arch::aarch64::*;

use super::rounds::{self, K};
use super::{Group, Kernel, SLICES, States, portable};

pub(super) static KERNEL: Kernel = Kernel {
    name: "neon",
    present: || std::arch::is_aarch64_feature_detected!("neon"),
    chain: portable::chain,
    groups: &[
        Group {
            lanes: 4,
            run: one_group,
        },
        Group {
            lanes: 8,
            run: two_groups,
        },
    ],
    shared: &[Group {
        lanes: 4,
        run: shared,
    }],
    // A vector instruction takes two cycles where a scalar one takes one.
    least: 3,
};

#[target_feature(enable = "neon")]
fn one_group(states: &mut States, streams: &[&[u8]], blocks: usize) {
    separate::<1>(states, streams, blocks);
}

#[target_feature(enable = "neon")]
fn two_groups(states: &mut States, streams: &[&[u8]], blocks: usize) {
    separate::<2>(states, streams, blocks);
}

/// N groups of four chains, each chain on its own stream.
#[target_feature(enable = "neon")]
#[inline]
fn separate<const N: usize>(states: &mut States, streams: &[&[u8]], blocks: usize) {
    let groups: &[[&[u8]; 4]] = streams.as_chunks().0;
    let mut chains = load(states, std::array::from_fn::<_, N, _>(|group| 4 * group));
    for block in 0..blocks {
        let words: [[V; 16]; N] = std::array::from_fn(|group| transposed(&groups[group], block));
        let word = |n: usize, k: u32| words.map(|words| add(words[n], vdupq_n_u32(k)));
        rounds::rounds!(chains, word);
    }
    store(states, std::array::from_fn(|group| 4 * group), chains);
}

/// Four streams, each through two chains: its file's and its slice's.
#[target_feature(enable = "neon")]
fn shared(states: &mut States, streams: &[&[u8]], blocks: usize) {
    let streams: &[&[u8]; 4] = &streams.as_chunks().0[0];
    let mut chains = load(states, [0, SLICES]);
    for block in 0..blocks {
        let words = transposed(streams, block);
        let word = |n: usize, k: u32| [add(words[n], vdupq_n_u32(k)); 2];
        rounds::rounds!(chains, word);
    }
    store(states, [0, SLICES], chains);
}

type V = uint32x4_t;

#[target_feature(enable = "neon")]
#[inline]
fn f<const L: i32, const R: i32>(a: V, b: V, c: V, d: V, word: V) -> V {
    turn::<L, R>(add(add(a, word), vbslq_u32(b, c, d)), b)
}

#[target_feature(enable = "neon")]
#[inline]
fn g<const L: i32, const R: i32>(a: V, b: V, c: V, d: V, word: V) -> V {
    turn::<L, R>(add(add(a, word), vbslq_u32(d, b, c)), b)
}

#[target_feature(enable = "neon")]
#[inline]
fn h<const L: i32, const R: i32>(a: V, b: V, c: V, d: V, word: V) -> V {
    turn::<L, R>(add(add(a, word), veorq_u32(veorq_u32(c, d), b)), b)
}

#[target_feature(enable = "neon")]
#[inline]
fn i<const L: i32, const R: i32>(a: V, b: V, c: V, d: V, word: V) -> V {
    turn::<L, R>(add(add(a, word), veorq_u32(vornq_u32(b, d), c)), b)
}

/// A shift right, and a shift left that keeps the bits which it does not write.
#[target_feature(enable = "neon")]
#[inline]
fn turn<const L: i32, const R: i32>(sum: V, b: V) -> V {
    add(vsliq_n_u32::<L>(vshrq_n_u32::<R>(sum), sum), b)
}

#[target_feature(enable = "neon")]
#[inline]
fn add(a: V, b: V) -> V {
    vaddq_u32(a, b)
}

/// Block `block` of four streams, word by word: vector n holds word n of each.
#[target_feature(enable = "neon")]
#[inline]
fn transposed(streams: &[&[u8]; 4], block: usize) -> [V; 16] {
    let quarters: [[V; 4]; 4] = std::array::from_fn(|quarter| {
        let at = 64 * block + 16 * quarter;
        let [r0, r1, r2, r3] = std::array::from_fn(|r| sixteen_bytes(streams[r], at));
        let (low02, high02) = (vzip1q_u32(r0, r2), vzip2q_u32(r0, r2));
        let (low13, high13) = (vzip1q_u32(r1, r3), vzip2q_u32(r1, r3));
        [
            vzip1q_u32(low02, low13),
            vzip2q_u32(low02, low13),
            vzip1q_u32(high02, high13),
            vzip2q_u32(high02, high13),
        ]
    });
    std::array::from_fn(|n| quarters[n / 4][n % 4])
}

#[target_feature(enable = "neon")]
#[inline]
fn sixteen_bytes(stream: &[u8], at: usize) -> V {
    debug_assert!(at + 16 <= stream.len());
    // SAFETY: `Group::run` has checked that every stream holds the blocks of the run, and `at` is
    // inside them. A load of bytes may be unaligned.
    vreinterpretq_u32_u8(unsafe { vld1q_u8(stream.as_ptr().add(at)) })
}

/// The chains of the groups that start at lanes `at`.
#[target_feature(enable = "neon")]
#[inline]
fn load<const N: usize>(states: &States, at: [usize; N]) -> [[V; N]; 4] {
    states.0.each_ref().map(|words| {
        at.map(|lane| {
            let words: &[u32; 4] = words[lane..]
                .first_chunk()
                .expect("a group lies inside the row");
            // SAFETY: 16 bytes behind a reference.
            unsafe { vld1q_u32(words.as_ptr()) }
        })
    })
}

#[target_feature(enable = "neon")]
#[inline]
fn store<const N: usize>(states: &mut States, at: [usize; N], chains: [[V; N]; 4]) {
    for (words, vectors) in states.0.iter_mut().zip(chains) {
        for (lane, vector) in at.into_iter().zip(vectors) {
            let words: &mut [u32; 4] = words[lane..]
                .first_chunk_mut()
                .expect("a group lies inside the row");
            // SAFETY: 16 bytes behind a unique reference.
            unsafe { vst1q_u32(words.as_mut_ptr(), vector) };
        }
    }
}

const I_BIAS: u32 = 0;
