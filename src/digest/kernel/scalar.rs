//! One chain in general registers, at the latency of the chain itself.
//!
//! Left alone, LLVM folds the constants into three-operand additions on the critical path and
//! undoes the G trick: 6.1 cycles a byte. The empty assembly keeps the order written here: 4.5,
//! the floor of 5 + 4 + 4 + 5 cycles a step (Zen 3).

use std::arch::asm;

use super::rounds::{self, K};
use super::{Kernel, Md5State};

pub(super) static BMI: Kernel = Kernel {
    name: "scalar",
    present: || is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2"),
    chain: chain_bmi,
    groups: &[],
    shared: &[],
    least: usize::MAX,
};

pub(super) static BASE: Kernel = Kernel {
    name: "x86-64",
    present: || true,
    chain: chain_base,
    groups: &[],
    shared: &[],
    least: usize::MAX,
};

/// BMI1 has the and-not of G and I, BMI2 the rotation that leaves its source alone.
#[target_feature(enable = "bmi1,bmi2")]
pub(super) fn chain_bmi(state: &mut Md5State, blocks: &[u8]) {
    chain(state, blocks);
}

fn chain_base(state: &mut Md5State, blocks: &[u8]) {
    chain(state, blocks);
}

#[inline(always)]
fn chain(state: &mut Md5State, blocks: &[u8]) {
    let mut chains = state.map(|word| [word]);
    for block in blocks.as_chunks::<64>().0 {
        let (words, _) = block.as_chunks::<4>();
        let word = |n: usize, k: u32| [u32::from_le_bytes(words[n]).wrapping_add(k)];
        rounds::rounds!(chains, word);
    }
    *state = chains.map(|[word]| word);
}

/// The word and the constant join `a` early; only the function of `b` is on the chain.
#[inline(always)]
fn f<const L: u32, const R: u32>(a: u32, b: u32, c: u32, d: u32, word: u32) -> u32 {
    let sum = pin(a.wrapping_add(word));
    turn::<L>(sum.wrapping_add(((c ^ d) & b) ^ d), b)
}

/// The two halves of G never overlap, so they may be added one by one: `b` comes in last.
#[inline(always)]
fn g<const L: u32, const R: u32>(a: u32, b: u32, c: u32, d: u32, word: u32) -> u32 {
    let sum = pin(pin(a.wrapping_add(word)).wrapping_add(!d & c));
    turn::<L>(sum.wrapping_add(d & b), b)
}

#[inline(always)]
fn h<const L: u32, const R: u32>(a: u32, b: u32, c: u32, d: u32, word: u32) -> u32 {
    let sum = pin(a.wrapping_add(word));
    turn::<L>(sum.wrapping_add(pin(c ^ d) ^ b), b)
}

/// `c ^ (b | !d)` is `!(c ^ (!b & d))`, and subtracting `x` adds `!x + 1`: [`I_BIAS`] less.
#[inline(always)]
fn i<const L: u32, const R: u32>(a: u32, b: u32, c: u32, d: u32, word: u32) -> u32 {
    let sum = pin(a.wrapping_add(word));
    turn::<L>(sum.wrapping_sub((!b & d) ^ c), b)
}

#[inline(always)]
fn turn<const L: u32>(sum: u32, b: u32) -> u32 {
    sum.rotate_left(L).wrapping_add(b)
}

#[inline(always)]
fn add(a: u32, b: u32) -> u32 {
    a.wrapping_add(b)
}

/// An instruction that is not there: LLVM must have `value` in a register here, as it is.
#[inline(always)]
fn pin(mut value: u32) -> u32 {
    // SAFETY: the template is empty; nothing is read, written or clobbered.
    unsafe {
        asm!("/* {0:e} */", inout(reg) value, options(pure, nomem, nostack, preserves_flags))
    };
    value
}

const I_BIAS: u32 = 1;
