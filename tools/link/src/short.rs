//! Files of a few slices, from the program's start to its end. In come links and numbers of slices, out go
//! the seconds, and what the protocol and TCP take at best. A size is hashed before: that is no link's doing.

use std::io;
use std::time::Duration;

use crate::args::{Args, Http};
use crate::cell::{Bench, ends_all, load};
use crate::wire::{Link, PAYLOAD};

/// Measures and says all; returns how many cells failed.
///
/// # Errors
/// As [`crate::grid::run`].
pub fn run(args: &Args, bench: &Bench, say: impl Fn(&str)) -> io::Result<usize> {
    say("  mbit   rtt     loss slices setting sockets |  seconds     best  ratio  load");
    let mut failed = 0;
    for &slices in &args.slices {
        bench.panup.make_file(slices * SLICE)?;
        bench.learn()?;
        for link in args.links() {
            for (setting, sockets) in args.settings() {
                let cell = format!(
                    "{:>6} {:>5} {:>8} {slices:>6} {setting:>7} {sockets:>7} |",
                    link.mbit,
                    link.rtt.as_millis(),
                    link.loss
                );
                match bench.whole(link, (setting, &sockets)) {
                    Ok(took) => {
                        let took = took.as_secs_f64();
                        let best = best(&link, slices, args.http).as_secs_f64();
                        let ratio = took / best;
                        say(&format!(
                            "{cell} {took:>6.2} s {best:>6.2} s {ratio:>6.2} {:>5.1}",
                            load()
                        ));
                    }
                    Err(error) if ends_all(&error) => return Err(error),
                    Err(error) => {
                        failed += 1;
                        say(&format!("{cell} {error}"));
                    }
                }
            }
        }
    }
    Ok(failed)
}

/// What the protocol takes at best: a round trip each for a connection to the API, `create`, a connection to
/// the server and `complete`, one more for each of the two connections over TLS; then each slice over a
/// connection of its own, all from the first moment on, their windows doubled each round trip, together no
/// faster than the link; and a round trip for the last slice's way and answer.
fn best(link: &Link, slices: u64, http: Http) -> Duration {
    let rtt = link.rtt.as_secs_f64();
    let at_once = link.best() * rtt;
    let mut rounds = if http == Http::One { 5.0 } else { 7.0 };
    let (mut window, mut left) = (FIRST_WINDOW, (slices * SLICE) as f64);
    // All slices are alike, so that they end together.
    while window * (slices as f64) < left.min(at_once) {
        left -= window * slices as f64;
        window *= 2.0;
        rounds += 1.0;
    }
    Duration::from_secs_f64(rounds * rtt + left / link.best())
}

/// As the service asks for it.
const SLICE: u64 = 16 << 20;

/// Ten segments: RFC 6928.
const FIRST_WINDOW: f64 = 10.0 * PAYLOAD;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Weather;

    fn link(mbit: u64, millis: u64) -> Link {
        Link {
            mbit,
            rtt: Duration::from_millis(millis),
            loss: 0.0,
            queue: 0,
            weather: Weather::Steady,
        }
    }

    #[test]
    fn a_short_way_costs_bytes_and_a_long_one_round_trips() {
        let bytes = link(100, 1).best();
        let near = best(&link(100, 0), 3, Http::One).as_secs_f64();
        assert!((near - 3.0 * SLICE as f64 / bytes).abs() < 1e-3, "{near}");
        // A slice is 1,159 first windows: ten of them, each twice the one before, and a rest.
        let far = |slices| best(&link(1_000_000, 1000), slices, Http::One).as_secs_f64();
        assert_eq!((far(1) - 5.0).round(), 10.0);
        assert_eq!((far(8) - 5.0).round(), 10.0, "each carries its own");
        // 320 Mbit/s and 200 ms: 8 MB a round trip are reached by three windows after eight.
        let three = best(&link(320, 200), 3, Http::One).as_secs_f64();
        assert!((2.6..3.9).contains(&three), "{three}");
        let tls = best(&link(320, 200), 3, Http::Auto).as_secs_f64();
        assert!((tls - three - 0.4).abs() < 1e-9, "{tls}");
    }
}
