//! Every link with every setting. In come flags, out go a row a cell and a verdict a link.

use std::io::{self, ErrorKind, Write};

use crate::args::{Args, SETTLED};
use crate::cell::Bench;
use crate::panup::Panup;
use crate::stop::Stop;
use crate::table::{HEAD, Row, verdict};
use crate::tun::Net;

/// Measures and prints all; returns how many cells failed.
///
/// # Errors
/// `Unsupported` by this machine, `Interrupted`, or where the file cannot be made or hashed.
pub fn run(args: &Args) -> io::Result<usize> {
    args.check();
    let stop = Stop::on_signals()?;
    // Tried before the file is hashed: that takes a while.
    drop(Net::create(&args.congestion)?);
    let bench = Bench {
        panup: Panup::new(args)?,
        congestion: args.congestion.clone(),
        stop,
    };
    say(&format!(
        "{}, HTTP {}, {} s a cell, settled from second {SETTLED} on; first a file of {} GiB is hashed",
        args.congestion,
        args.http.name(),
        args.seconds,
        args.file_gib
    ));
    bench.learn()?;
    say(HEAD);
    let mut verdicts = Vec::new();
    let mut failed = 0;
    for link in args.links() {
        let mut rows = Vec::new();
        for &setting in &args.concurrency {
            let outcome = bench.measure(link, setting, args.lasts(&link));
            if let Err(error) = &outcome
                && matches!(
                    error.kind(),
                    ErrorKind::Interrupted | ErrorKind::Unsupported
                )
            {
                return outcome.map(|_| failed);
            }
            let row = Row {
                link,
                setting,
                outcome,
            };
            failed += usize::from(row.has_failed(args.back_within));
            say(&row.to_string());
            row.picture().iter().for_each(|picture| say(picture));
            rows.push(row);
        }
        verdicts.extend(verdict(&rows));
    }
    for line in verdicts {
        say(&line);
    }
    Ok(failed)
}

fn say(text: &str) {
    drop(writeln!(io::stdout().lock(), "{text}"));
}
