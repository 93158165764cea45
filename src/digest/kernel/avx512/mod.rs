//! AVX-512: a round's function is one instruction (`vpternlogd`), a rotation another (`vprold`),
//! so a step takes 6 operations where AVX2 takes 10, each of one cycle on Intel.

mod eight;
mod one;
mod sixteen;

use std::arch::x86_64::__cpuid;

use super::{Group, Kernel, Md5State, scalar};

/// Intel: the single chain is a vector too.
pub(super) static INTEL: Kernel = kernel(|| present() && is_intel(), one::chain);

/// Others: `vprold` takes two cycles on Zen 4, so a single chain is faster in general registers.
pub(super) static OTHERS: Kernel = kernel(|| present() && !is_intel(), scalar::chain_bmi);

const fn kernel(present: fn() -> bool, chain: unsafe fn(&mut Md5State, &[u8])) -> Kernel {
    Kernel {
        name: "avx512",
        present,
        chain,
        groups: GROUPS,
        shared: SHARED,
        // Eight chains in a vector take hardly longer than a single one.
        least: 2,
    }
}

static GROUPS: &[Group] = &[
    Group {
        lanes: 8,
        run: eight::separate,
    },
    Group {
        lanes: 16,
        run: sixteen::one_group,
    },
    Group {
        lanes: 32,
        run: sixteen::two_groups,
    },
];

static SHARED: &[Group] = &[
    Group {
        lanes: 8,
        run: eight::shared,
    },
    Group {
        lanes: 16,
        run: sixteen::shared,
    },
];

fn present() -> bool {
    let vectors = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl");
    vectors && (scalar::BMI.present)()
}

/// By the first third of the vendor's name, `GenuineIntel`.
fn is_intel() -> bool {
    // SAFETY: every processor of this architecture has the instruction.
    #[allow(unused_unsafe, reason = "it is a safe function in later Rust")]
    let vendor = unsafe { __cpuid(0) };
    vendor.ebx.to_le_bytes() == *b"Genu"
}

/// The steps in vectors of one length, for [`super::rounds`].
macro_rules! steps {
    ($features:literal, $vector:ty, $register:ident, $ternary:ident, $rotate:ident, $add:ident) => {
        type V = $vector;

        #[target_feature(enable = $features)]
        #[inline]
        fn f<const L: i32, const R: i32>(a: V, b: V, c: V, d: V, word: V) -> V {
            turn::<L>(add(pin(add(a, word)), $ternary::<{ super::F }>(b, c, d)), b)
        }

        #[target_feature(enable = $features)]
        #[inline]
        fn g<const L: i32, const R: i32>(a: V, b: V, c: V, d: V, word: V) -> V {
            turn::<L>(add(pin(add(a, word)), $ternary::<{ super::G }>(b, c, d)), b)
        }

        #[target_feature(enable = $features)]
        #[inline]
        fn h<const L: i32, const R: i32>(a: V, b: V, c: V, d: V, word: V) -> V {
            turn::<L>(add(pin(add(a, word)), $ternary::<{ super::H }>(b, c, d)), b)
        }

        #[target_feature(enable = $features)]
        #[inline]
        fn i<const L: i32, const R: i32>(a: V, b: V, c: V, d: V, word: V) -> V {
            turn::<L>(add(pin(add(a, word)), $ternary::<{ super::I }>(b, c, d)), b)
        }

        #[target_feature(enable = $features)]
        #[inline]
        fn turn<const L: i32>(sum: V, b: V) -> V {
            add($rotate::<L>(sum), b)
        }

        #[target_feature(enable = $features)]
        #[inline]
        fn add(a: V, b: V) -> V {
            $add(a, b)
        }

        /// See the scalar kernel: the order of the additions is the point.
        #[target_feature(enable = $features)]
        #[inline]
        fn pin(mut value: V) -> V {
            // SAFETY: the template is empty; nothing is read, written or clobbered.
            unsafe {
                std::arch::asm!("/* {0} */", inout($register) value,
                    options(pure, nomem, nostack, preserves_flags));
            }
            value
        }

        const I_BIAS: u32 = 0;
    };
}

use steps;

/// `b ? c : d` as a table of (b, c, d), as `vpternlogd` takes it.
const F: i32 = 0xca;
/// `d ? b : c`.
const G: i32 = 0xe4;
/// `b ^ c ^ d`.
const H: i32 = 0x96;
/// `c ^ (b | !d)`.
const I: i32 = 0x39;
