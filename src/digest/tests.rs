//! One driver for every kernel that this machine has, against the `md-5` crate.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ::md5::Digest;
use proptest::collection::vec;
use proptest::prelude::*;

use super::kernel::{self, Kernel};
use super::{End, Hasher, Lanes, Md5, batch, lanes, md5, slices, whole_and_slices};

fn oracle(data: &[u8]) -> Md5 {
    Md5(::md5::Md5::digest(data).into())
}

fn oracles<'a>(streams: impl IntoIterator<Item = &'a [u8]>) -> Vec<Md5> {
    streams.into_iter().map(oracle).collect()
}

/// Period 251, so that no two blocks, pages or slices of a test are alike.
fn data(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8).collect()
}

fn kernels() -> Vec<&'static Kernel> {
    let arm = cfg!(target_arch = "aarch64");
    for name in if arm {
        &["neon"][..]
    } else {
        &["scalar", "avx2", "avx512"]
    } {
        if kernel::by_name(name).is_none() {
            // Past the harness's capture: a kernel left out must be seen.
            writeln!(
                io::stderr(),
                "kernel {name}: not on this machine, NOT TESTED"
            )
            .expect("standard error");
        }
    }
    kernel::available().collect()
}

fn boundaries() -> Vec<usize> {
    let mut lengths = vec![
        0, 1, 54, 55, 56, 57, 62, 63, 64, 65, 118, 119, 120, 121, 127, 128, 129,
    ];
    for lanes in [4, 8, 16, 32] {
        lengths.extend([lanes - 1, lanes, lanes + 1].map(|blocks| 64 * blocks));
        lengths.extend([64 * lanes - 9, 64 * lanes - 8, 64 * lanes + 1]);
    }
    lengths
}

fn on(kernel: &'static Kernel, streams: &[&[u8]]) -> Vec<Md5> {
    let mut out = Vec::new();
    assert_eq!(Lanes::on(kernel).batch(streams, &mut out), End::Done);
    out
}

#[test]
fn the_vectors_of_rfc_1321() {
    let vectors = [
        ("", "d41d8cd98f00b204e9800998ecf8427e"),
        ("a", "0cc175b9c0f1b6a831c399e269772661"),
        ("abc", "900150983cd24fb0d6963f7d28e17f72"),
        ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
        (
            "abcdefghijklmnopqrstuvwxyz",
            "c3fcd3d76192e4007dfb496cca67e13b",
        ),
        (
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            "d174ab98d277d9f5a5611c2c9f419d9f",
        ),
        (
            "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
            "57edf4a22be3c955ac49da2e2107b67a",
        ),
    ];
    let messages: Vec<&[u8]> = vectors
        .iter()
        .map(|(message, _)| message.as_bytes())
        .collect();
    for kernel in kernels() {
        let digests: Vec<String> = on(kernel, &messages).iter().map(Md5::to_string).collect();
        assert_eq!(digests, vectors.map(|(_, digest)| digest), "{kernel:?}");
    }
}

#[test]
fn every_kernel_agrees_at_every_boundary_and_alignment() {
    let data = data(64 * 40);
    for kernel in kernels() {
        for length in boundaries() {
            for start in [0, 1, 3, 15, 16, 31, 63] {
                let stream = &data[start..start + length];
                // Enough equal streams to fill the lanes, and one more.
                let streams = vec![stream; kernel.lanes() + 1];
                assert_eq!(
                    on(kernel, &streams),
                    vec![oracle(stream); streams.len()],
                    "{kernel:?}, {length} from {start}"
                );
            }
        }
    }
}

#[test]
fn every_number_of_live_lanes_agrees() {
    let data = data(64 * 70 + 70);
    for kernel in kernels() {
        for count in 0..=2 * kernel.lanes() + 1 {
            let streams: Vec<&[u8]> = (0..count).map(|n| &data[n..64 * 4 + 7 * n]).collect();
            assert_eq!(
                on(kernel, &streams),
                oracles(streams),
                "{kernel:?}, {count} streams"
            );
        }
    }
}

#[test]
fn unequal_lanes_refill_and_answer_by_key() {
    let data = data(64 * 140);
    let lengths: Vec<usize> = (0..97).map(|n| n * 7919 % data.len()).collect();
    for kernel in kernels() {
        let (mut asked, mut answers) = (lengths.iter().enumerate(), vec![None; lengths.len()]);
        let end = Lanes::on(kernel).run(
            &mut || {
                asked
                    .next()
                    .map(|(n, &length)| (n, &data[data.len() - length..]))
            },
            &mut |n, md5| assert_eq!(answers[n].replace(md5), None, "told once"),
        );
        assert_eq!(end, End::Done);
        for (n, &length) in lengths.iter().enumerate() {
            assert_eq!(
                answers[n],
                Some(oracle(&data[data.len() - length..])),
                "{kernel:?}, stream {n}"
            );
        }
    }
}

#[test]
fn long_streams_enter_staggered_and_are_counted_once() {
    let data = data((1 << 20) * 3 + 12345);
    let streams: Vec<&[u8]> = (0..5).map(|n| &data[4096 * n + n..]).collect();
    let bytes: usize = streams.iter().map(|stream| stream.len()).sum();
    for kernel in kernels() {
        let (hashed, stop, mut out) = (AtomicU64::new(0), AtomicBool::new(false), Vec::new());
        let end = Lanes::on(kernel)
            .watched(&hashed, &stop)
            .batch(&streams, &mut out);
        assert_eq!(
            (end, out),
            (End::Done, oracles(streams.iter().copied())),
            "{kernel:?}"
        );
        assert_eq!(hashed.into_inner(), bytes as u64, "{kernel:?}");
    }
}

#[test]
fn a_stop_is_seen_between_runs() {
    let data = data(3 << 20);
    for kernel in kernels() {
        let (hashed, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        let lanes = Lanes::on(kernel).watched(&hashed, &stop);
        let (mut streams, mut ended) = ([&data[..100], &data[..]].into_iter().enumerate(), vec![]);
        let end = lanes.run(&mut || streams.next(), &mut |n, _| {
            ended.push(n);
            stop.store(true, Ordering::Relaxed);
        });
        assert_eq!((end, ended), (End::Stopped, vec![0]), "{kernel:?}");
        assert!(
            hashed.load(Ordering::Relaxed) < data.len() as u64,
            "{kernel:?}"
        );
        assert_eq!(lanes.one(&data), None, "{kernel:?}");
    }
}

#[test]
fn next_is_not_asked_again_after_none() {
    let (mut left, mut ended) = (3, 0);
    lanes::run(
        &mut || {
            assert!(left >= 0, "asked after None");
            left -= 1;
            (left >= 0).then_some(((), &b"x"[..]))
        },
        &mut |(), _| ended += 1,
    );
    assert_eq!(ended, 3);
}

#[test]
fn a_hasher_takes_pieces_of_any_size() {
    let data = data(1000);
    for kernel in kernels() {
        for piece in [1, 7, 55, 63, 64, 65, 128, 129, 999, 1000] {
            let mut hasher = Hasher::on(kernel);
            data.chunks(piece).for_each(|piece| hasher.update(piece));
            let copy = hasher.clone();
            hasher.update(b"more");
            assert_eq!(copy.finish(), oracle(&data), "{kernel:?} by {piece}");
            assert_eq!(
                hasher.finish(),
                oracle(&[&data[..], b"more"].concat()),
                "{kernel:?} by {piece}"
            );
        }
    }
    assert_eq!(md5(&data), oracle(&data));
}

#[test]
fn slices_come_in_order_and_are_appended() {
    let data = data(1000);
    for size in [1, 63, 64, 100, 999, 1000, 1001] {
        let mut out = vec![md5(b"before")];
        slices(&data, size, &mut out);
        let expected = [vec![md5(b"before")], oracles(data.chunks(size))].concat();
        assert_eq!(out, expected, "slices of {size}");
    }
    let mut none = Vec::new();
    slices(&[], 64, &mut none);
    assert_eq!(none, []);
    assert_eq!(batch(&[]), []);
}

fn check_files(kernel: &'static Kernel, files: &[&[u8]], slice_size: usize) {
    let (hashed, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let (mut asked, mut answers) = (files.iter().copied().enumerate(), vec![None; files.len()]);
    let end = Lanes::on(kernel).watched(&hashed, &stop).whole_and_slices(
        &mut || asked.next(),
        slice_size,
        &mut |n, whole, slices| assert_eq!(answers[n].replace((whole, slices)), None, "told once"),
    );
    assert_eq!(end, End::Done);
    for (n, file) in files.iter().enumerate() {
        let expected = (oracle(file), oracles(file.chunks(slice_size)));
        assert_eq!(
            answers[n],
            Some(expected),
            "{kernel:?}, file {n} of {} bytes",
            file.len()
        );
    }
    let bytes: usize = files.iter().map(|file| file.len()).sum();
    assert_eq!(
        hashed.into_inner(),
        bytes as u64,
        "{kernel:?}: bytes counted once"
    );
}

#[test]
fn whole_and_slices_agree_for_any_number_of_files() {
    let data = data(64 * 200);
    for kernel in kernels() {
        for count in [0, 1, 2, 5, 6, 7, 8, 9, 12, 13, 16, 17, 33, 50] {
            let files: Vec<&[u8]> = (0..count)
                .map(|n| &data[n..n + 64 * 100 + 13 * n])
                .collect();
            check_files(kernel, &files, 64 * 7);
        }
    }
}

#[test]
fn long_files_are_seated_staggered() {
    let data = data((2 << 20) + 5000);
    let files: Vec<&[u8]> = (0..17).map(|n| &data[64 * n..]).collect();
    for kernel in kernels().into_iter().filter(|kernel| kernel.lanes() > 1) {
        check_files(kernel, &files, 1 << 20);
    }
}

#[test]
fn whole_and_slices_agree_at_the_ends_of_slices() {
    let data = data(64 * 40);
    let slice = 64 * 8;
    let lengths = [
        0,
        1,
        63,
        64,
        65,
        slice - 1,
        slice,
        slice + 1,
        2 * slice - 9,
        2 * slice - 8,
        2 * slice,
        2 * slice + 1,
        4 * slice + 56,
    ];
    let files: Vec<&[u8]> = (0..lengths.len() * 3)
        .map(|n| &data[..lengths[n % lengths.len()]])
        .collect();
    for kernel in kernels() {
        check_files(kernel, &files, slice);
        check_files(kernel, &files, slice + 1);
        check_files(kernel, &files, 1 << 30);
    }
}

#[test]
fn whole_and_slices_can_be_stopped() {
    let data = data(200_000);
    for kernel in kernels() {
        let (hashed, stop) = (AtomicU64::new(0), AtomicBool::new(true));
        let mut files = std::iter::repeat_n(((), &data[..]), 40);
        let end = Lanes::on(kernel).watched(&hashed, &stop).whole_and_slices(
            &mut || files.next(),
            64 * 64,
            &mut |(), _, _| panic!("nothing ends"),
        );
        assert_eq!((end, hashed.into_inner()), (End::Stopped, 0), "{kernel:?}");
    }
    let (mut files, mut ended) = ([&data[..], &[]].into_iter().enumerate(), vec![]);
    whole_and_slices(&mut || files.next(), 100_000, &mut |n, _, slices| {
        ended.push((n, slices.len()))
    });
    ended.sort_unstable();
    assert_eq!(ended, [(0, 2), (1, 0)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_set_of_streams_agrees(
        bytes in vec(any::<u8>(), 4096),
        spans in vec((0usize..4096, 0usize..4096), 0..80),
        blocks in 1usize..40,
    ) {
        let streams: Vec<&[u8]> = spans.iter().map(|&(a, b)| &bytes[a.min(b)..a.max(b)]).collect();
        for kernel in kernel::available() {
            prop_assert_eq!(on(kernel, &streams), oracles(streams.iter().copied()), "{:?}", kernel);
            check_files(kernel, &streams, 64 * blocks);
        }
    }
}
