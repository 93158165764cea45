//! Every link with every setting. In come flags, out go a row a cell and a verdict a link.

use std::io::{self, Write};

use crate::args::{AUTO, Args, SETTLED, Setting};
use crate::cell::{Bench, ends_all};
use crate::panup::Panup;
use crate::picture;
use crate::rows::Rows;
use crate::short;
use crate::stop::Stop;
use crate::table::{HEAD, Row, named, verdict};
use crate::tun::Net;
use crate::wire::Link;

/// Measures and prints all; returns how many cells failed.
///
/// # Errors
/// `Unsupported` by this machine, `Interrupted`, or where the file cannot be made or hashed.
pub fn run(args: &Args) -> io::Result<usize> {
    if args.slices.is_empty() {
        args.check();
    }
    let stop = Stop::on_signals()?;
    // Tried before the file is hashed: that takes a while.
    let congestion = match args.congestion.as_str() {
        AUTO => Net::usual_congestion()?,
        asked => asked.to_owned(),
    };
    drop(Net::create(&congestion)?);
    let file = args.out.as_deref();
    let mut file = file.map(|path| Rows::open(path, FIELDS)).transpose()?;
    let bench = Bench {
        panup: Panup::new(args)?,
        congestion,
        known: args.known,
        clients: args.clients,
        late: args.late,
        rival: args.rival,
        stop,
    };
    if !args.slices.is_empty() {
        return short::run(args, &bench, say);
    }
    say(&format!(
        "{}, HTTP {}, {} s a cell, settled from second {SETTLED} on; first a file of {} GiB is hashed",
        bench.congestion,
        args.http.name(),
        args.seconds,
        args.file_gib
    ));
    bench.learn()?;
    say(HEAD);
    let mut rows: Vec<Row> = Vec::new();
    let mut verdicts = Vec::new();
    let mut failed = 0;
    for link in args.links() {
        let before = rows.len();
        for (setting, sockets) in args.settings() {
            let cell = cell(args, &bench, (&link, setting, &sockets));
            if let Some(known) = file.as_ref().and_then(|file| file.find(&cell)) {
                say(&format!("measured before: {}", known.replace('\t', " ")));
                continue;
            }
            let outcome = bench.measure(link, (setting, &sockets), args.lasts(&link));
            if let Err(error) = &outcome
                && ends_all(error)
            {
                return outcome.map(|_| failed);
            }
            let row = Row {
                link,
                setting,
                sockets,
                outcome,
            };
            failed += usize::from(row.has_failed(args.back_within));
            say(&row.to_string());
            row.picture().iter().for_each(|picture| say(picture));
            row.phases().iter().for_each(|phase| say(phase));
            row.clients().iter().for_each(|clients| say(clients));
            if let (Some(file), Some(fields)) = (&mut file, row.fields()) {
                file.add(&format!("{cell}\t{fields}"))?;
            }
            rows.push(row);
            if let Some(path) = &args.picture {
                std::fs::write(path, picture::draw(&rows))?;
            }
        }
        verdicts.extend(verdict(&rows[before..]));
    }
    for line in verdicts {
        say(&line);
    }
    Ok(failed)
}

/// What tells one cell from every other, as the first columns of [`FIELDS`].
fn cell(args: &Args, bench: &Bench, (link, setting, sockets): (&Link, Setting, &String)) -> String {
    let columns = [
        link.mbit.to_string(),
        link.rtt.as_millis().to_string(),
        link.loss.to_string(),
        named(link.weather),
        link.queue.to_string(),
        bench.congestion.clone(),
        args.rival
            .map_or("alone".to_owned(), |span| format!("rival {span}")),
        if args.yields { "yields" } else { "greedy" }.to_owned(),
        args.http.name().to_owned(),
        args.servers.to_string(),
        match args.late {
            0 => args.clients.to_string(),
            late => format!("{}, {late} s apart", args.clients),
        },
        args.known
            .map_or("new".to_owned(), |seconds| format!("known {seconds}")),
        args.lasts(link).to_string(),
        setting.to_string(),
        sockets.clone(),
    ];
    columns.join("\t")
}

/// The columns of a file of rows: the cell, then what [`Row::fields`] has.
const FIELDS: &str = "mbit\trtt\tloss\tweather\tqueue\tcongestion\trival\tyield\thttp\tservers\tclients\tknown\tseconds\tsetting\tsockets\t\
    settled\tbefore\tretries\tfull\tlost\twait\tback\trival share\tload\tJain";

fn say(text: &str) {
    drop(writeln!(io::stdout().lock(), "{text}"));
}
