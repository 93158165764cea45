//! One large file and many small ones at once, on a link that either could fill: neither may wait for the
//! other. Bytes of the small ones are few, and their calls are many.

use tempfile::TempDir;

use crate::corpus::Corpus;
use crate::emulator::Emulator;
use crate::send::Sender;
use crate::setting;
use crate::sizes::{big, size};

/// Together against the longer of the two alone.
pub fn table(folder: &TempDir) {
    let (large, count) = (big(folder), setting("PANUP_BENCH_SMALL", 10_000));
    let small = Corpus::files(folder, "few-bytes", count, 2 << 10);
    let emulator = Emulator::start(&["--servers", "1", "--weather", LINK]);
    let sender = Sender::new(&emulator, None);
    println!(
        "\none file of {} and {count} of 2 KiB, {LINK}",
        size(large.size)
    );
    let alone = [&large, &small].map(|corpus| sender.send_mixed(&[corpus]).wall);
    let both = sender.send_mixed(&[&large, &small]).wall;
    let longer = alone[0].max(alone[1]);
    println!(
        "the large one alone {:.1} s, the small ones alone {:.1} s, together {both:.1} s: {:.2} of the longer",
        alone[0],
        alone[1],
        both / longer
    );
}

/// 400 Mbit/s and 20 ms there and back.
const LINK: &str = "bandwidth=50M,latency=10";
