//! Goodput over concurrency on different links, and where `auto` comes out against the best fixed
//! setting. Loopback is whole files to their end, hashing included; a shaped link is a stream of
//! slices of one file whose MD5s are known, measured between two moments.

use std::time::Duration;

use tempfile::TempDir;

use crate::chart::{self, Line};
use crate::corpus::Corpus;
use crate::emulator::Emulator;
use crate::send::{Job, Sender};
use crate::{MIB, full};

/// The table, its notes and the chart.
pub fn table(folder: &TempDir) {
    println!(
        "\ngoodput in MiB/s by bodies in flight, one upload server, plain h1, slices of 16 MiB"
    );
    print!("{:<20}", "link");
    for count in settings() {
        print!(" {count:>6}");
    }
    println!(
        " {:>6} {:>8} {:>5} {:>13}",
        "auto", "(flight)", "best", "auto / best"
    );
    let mut lines = vec![loopback(folder)];
    print_line(&lines[0]);
    // Larger than what any processor's cache holds, and hashed once for all cells.
    let corpus = Corpus::files(folder, "stream", 1, 512 << 20);
    for link in links() {
        let line = shaped(link, &corpus, folder);
        print_line(&line);
        lines.push(line);
    }
    notes();
    println!("chart: {}", chart::write(&lines).display());
}

/// A link of the grid.
#[derive(Clone, Copy)]
struct Link {
    megabits: u64,
    rtt: u64,
}

fn links() -> Vec<Link> {
    let all = [100, 1000].map(|megabits| [10, 80, 200].map(|rtt| Link { megabits, rtt }));
    let all = all.into_iter().flatten();
    // Where concurrency matters least, and where it matters most.
    let told = |link: &Link| full() || matches!((link.megabits, link.rtt), (100, 80) | (1000, 200));
    all.filter(told).collect()
}

fn settings() -> &'static [usize] {
    if full() {
        &[1, 2, 4, 8, 16, 32, 64]
    } else {
        &[1, 4, 16, 64]
    }
}

fn loopback(folder: &TempDir) -> Line {
    let corpus = Corpus::files(folder, "loopback", 16, 64 << 20);
    let emulator = Emulator::start(&["--servers", "1"]);
    let sender = Sender::new(&emulator, None);
    // Opened once, so that the first cell does not pay for cold files.
    sender.send(&Job::new(&corpus));
    let goodput = |concurrency| {
        let job = Job::new(&corpus).concurrency(concurrency);
        (0..2)
            .map(|_| sender.send(&job))
            .map(|cost| (cost.goodput(), cost.permits))
            .fold(
                (0.0, 0),
                |best, now| if now.0 > best.0 { now } else { best },
            )
    };
    let fixed = |&count: &usize| (count, goodput(Some(count)).0);
    let points: Vec<_> = settings().iter().map(fixed).collect();
    let (rate, permits) = goodput(None);
    let best = best(&points).1;
    Line {
        name: "loopback".to_owned(),
        capacity: best.max(rate),
        points,
        auto: (permits, rate),
    }
}

fn shaped(link: Link, corpus: &Corpus, folder: &TempDir) -> Line {
    let bandwidth = link.megabits * 1_000_000 / 8;
    let weather = format!("bandwidth={bandwidth},latency={}", link.rtt);
    let state = tempfile::tempdir_in(folder).expect("a folder");
    let (fixed, auto) = times();
    // An emulator for each cell: what a run leaves behind in the kernel's queues would go on
    // arriving for many seconds, and be the next one's rival.
    let flow = |concurrency, (warm_up, until)| {
        let emulator = Emulator::start(&["--servers", "1", "--weather", &weather]);
        let job = Job::new(corpus).concurrency(concurrency);
        Sender::new(&emulator, Some(state.path())).flow(&job, warm_up, until)
    };
    // Fills the journal with the file's MD5.
    flow(Some(1), (Duration::ZERO, Duration::from_millis(500)));
    let point = |&count: &usize| (count, flow(Some(count), fixed).goodput());
    let points = settings().iter().map(point).collect();
    let found = flow(None, auto);
    Line {
        name: format!("{} Mbit/s, {} ms", link.megabits, link.rtt),
        capacity: bandwidth as f64 / MIB,
        points,
        auto: (found.permits, found.goodput()),
    }
}

/// From when to when a cell is measured: with fixed settings, and with auto, which has to find out.
fn times() -> ((Duration, Duration), (Duration, Duration)) {
    let seconds = |from, to| (Duration::from_secs(from), Duration::from_secs(to));
    if full() {
        (seconds(5, 20), seconds(20, 35))
    } else {
        (seconds(1, 5), seconds(10, 16))
    }
}

fn print_line(line: &Line) {
    print!("{:<20}", line.name);
    for (_, goodput) in &line.points {
        print!(" {goodput:>6.1}");
    }
    let (count, best) = best(&line.points);
    let (permits, auto) = line.auto;
    println!(
        " {auto:>6.1} {permits:>8} {count:>5} {:>10.2}    {:.0} % of the link",
        auto / best,
        auto / line.capacity * 100.0
    );
}

fn best(points: &[(usize, f64)]) -> (usize, f64) {
    let better = |best: (usize, f64), &point: &(usize, f64)| {
        if point.1 > best.1 { point } else { best }
    };
    points.iter().fold((0, 0.0), better)
}

fn notes() {
    println!(
        "Shaped links are the emulator's model: bandwidth shared by all connections, the latency added to \n\
         each answer and each new connection. There is no TCP window, slow start or loss in it, so a single \n\
         connection gets the whole bandwidth, which on a real path of that round trip it may not.\n\
         Goodput there is what the server read between two moments of a stream."
    );
    if !full() {
        println!("PANUP_BENCH_FULL=1 measures the whole grid, 20 s a cell.");
    }
}
