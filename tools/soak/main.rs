//! The soak: real processes against a service in which everything goes wrong at random, killed,
//! interrupted and started again, their files edited meanwhile; and after each round the question
//! whether every byte is where it belongs. `--minutes N` (30), `--seed N` (by the clock).

#[path = "../../tests/rig/mod.rs"]
mod rig;
mod table;

use std::fs;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use panup::Item;
use panup_emulator::{
    Action, CLIENT_ID, CLIENT_SECRET, Cut, Fault, Operation, Outcome, Page, Place, Tls, Weather,
};
use rig::{Killed, Rig};
use table::Table;

fn main() -> ExitCode {
    let minutes = number("--minutes").unwrap_or(30);
    let seed = number("--seed").unwrap_or_else(|| fastrand::u64(..));
    say(&format!("{minutes} minutes, seed {seed}"));
    let end = Instant::now() + Duration::from_secs(60 * minutes);
    let mut table = Table::default();
    let mut chance = fastrand::Rng::with_seed(seed);
    while Instant::now() < end {
        round(&mut chance, &mut table);
    }
    say(&table.to_string());
    if table.wrong + table.lost == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Some files, some faults, some runs that end badly; then a run in fair weather.
fn round(chance: &mut fastrand::Rng, table: &mut Table) {
    let tls = [Tls::Off, Tls::Both, Tls::Http1][chance.usize(0..3)];
    let rig = Rig::with(tls, |config| {
        config.slice_size = SLICE;
        config.polls = chance.u32(0..2);
        config.quirks.numbers_as_strings = chance.bool();
        config.quirks.http_401 = chance.bool();
    });
    if let Some(pem) = rig.emulator.ca_pem() {
        fs::write(rig.path("ca.pem"), pem).expect("room");
    }
    let items = files(&rig, chance);
    let mut versions: Vec<Vec<Vec<u8>>> = items.iter().map(|item| vec![read(item)]).collect();
    for _ in 0..chance.usize(1..5) {
        for _ in 0..chance.usize(0..4) {
            let (name, fault) = trouble(chance);
            table.fault(name);
            rig.emulator.inject(fault);
        }
        weather(&rig, chance, table);
        bad_run(&rig, &items, &mut versions, (chance, table));
    }
    rig.emulator.clear_faults();
    for server in 0..2 {
        rig.emulator.revive_server(server);
        rig.emulator
            .set_weather(Place::Server(server), Weather::default());
    }
    table.in_faults(&rig);
    fair_run(&rig, &items, &versions, table);
}

/// A run that is killed, interrupted, left alone, or has a file changed under it.
fn bad_run(
    rig: &Rig,
    items: &[Item],
    versions: &mut [Vec<Vec<u8>>],
    (chance, table): (&mut fastrand::Rng, &mut Table),
) {
    table.runs += 1;
    let mut process = Killed(command(rig, items).spawn().expect("the binary is built"));
    // Not synchronisation: the moment is random on purpose.
    std::thread::sleep(Duration::from_millis(chance.u64(20..900)));
    match chance.u8(0..4) {
        0 => table.killed += 1,
        1 => {
            table.interrupted += 1;
            let pid = rustix::process::Pid::from_child(&process.0);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
            let _ = wait_for(&mut process, 20);
        }
        2 => {
            table.edited += 1;
            let at = chance.usize(0..items.len());
            edit(&items[at], &mut versions[at], chance);
            let _ = wait_for(&mut process, 20);
        }
        _ => {
            let _ = wait_for(&mut process, 20);
        }
    }
    drop(process);
    see_that_nothing_is_wrong(rig, items, versions, table);
}

/// With nothing in the way every file arrives, and nothing that was acknowledged goes again.
fn fair_run(rig: &Rig, items: &[Item], versions: &[Vec<Vec<u8>>], table: &mut Table) {
    table.runs += 1;
    let resumed: u64 = rig.unfinished().iter().map(|upload| upload.acked).sum();
    table.resumed_slices += resumed;
    let mut process = Killed(command(rig, items).spawn().expect("the binary is built"));
    let code = wait_for(&mut process, 120);
    if code != Some(0) {
        table.lost += 1;
        say(&format!("a run in fair weather ended with {code:?}"));
    }
    see_that_nothing_is_wrong(rig, items, versions, table);
    let stored = rig.stored();
    for item in items {
        if stored.get(&item.remote) == Some(&read(item)) {
            table.completed += 1;
            table.bytes += read(item).len() as u64;
        } else {
            table.lost += 1;
            say(&format!("{} is not there as it is", item.remote));
        }
    }
    table.rounds += 1;
    table.count_slices(rig);
}

/// Whatever is stored was that file at some time.
fn see_that_nothing_is_wrong(
    rig: &Rig,
    items: &[Item],
    versions: &[Vec<Vec<u8>>],
    table: &mut Table,
) {
    for (name, bytes) in rig.stored() {
        let at = items.iter().position(|item| item.remote == name);
        if !at.is_some_and(|at| versions[at].contains(&bytes)) {
            table.wrong += 1;
            say(&format!("{name} is wrong"));
        }
    }
}

fn command(rig: &Rig, items: &[Item]) -> std::process::Command {
    let mut command = rig.upload(&items[0], &["--concurrency=4", "--on-conflict=overwrite"]);
    command.args(items[1..].iter().map(|item| &item.path));
    if rig.emulator.ca_pem().is_some() {
        command.arg("--ca-cert").arg(rig.path("ca.pem"));
    }
    // Nobody reads them, and a full pipe would stop the process.
    command
        .env_remove("PANUP_TOKEN")
        .env("PANUP_CLIENT_ID", CLIENT_ID)
        .env("PANUP_CLIENT_SECRET", CLIENT_SECRET)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    command
}

/// Its exit code; `None` where it had to be killed.
fn wait_for(process: &mut Killed, seconds: u64) -> Option<i32> {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < deadline {
        if let Some(status) = process.0.try_wait().expect("ours") {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

/// Files for single/create, for reading and for maps.
fn files(rig: &Rig, chance: &mut fastrand::Rng) -> Vec<Item> {
    (0..chance.usize(2..8))
        .map(|at| {
            let size = match chance.u8(0..3) {
                0 => chance.u64(1..200_000),
                1 => chance.u64(200_000..4 << 20),
                _ => chance.u64(4 << 20..24 << 20),
            };
            rig.file(&format!("f{at}"), size, chance.u64(..))
        })
        .collect()
}

fn read(item: &Item) -> Vec<u8> {
    fs::read(&item.path).expect("still there")
}

fn edit(item: &Item, versions: &mut Vec<Vec<u8>>, chance: &mut fastrand::Rng) {
    let mut bytes = read(item);
    match chance.u8(0..3) {
        0 => bytes.truncate(1 + bytes.len() / 2),
        1 => bytes.extend_from_slice(b"and more"),
        _ => {
            let at = chance.usize(0..bytes.len());
            bytes[at] ^= 0xff;
        }
    }
    // Truncated first and written after: in between it is neither, and neither may arrive.
    fs::write(&item.path, &bytes).expect("room");
    versions.push(bytes);
}

/// One fault of every sort, on any call.
fn trouble(chance: &mut fastrand::Rng) -> (String, Fault) {
    let operation = Operation::ALL[chance.usize(0..Operation::ALL.len())];
    let action = match chance.u8(0..18) {
        0 => Action::status(503),
        1 => Action::page(502, Page::Html),
        2 => Action::page(500, Page::IoTimeout),
        3 => Action::too_fast(),
        4 => Action::queue_full(),
        5 => Action::Close(Cut::BeforeBody),
        6 => Action::Close(Cut::After(chance.u64(0..SLICE))),
        7 => Action::Close(Cut::AfterBody),
        8 => Action::Close(Cut::AfterCommit),
        9 => Action::Close(Cut::InAnswer),
        10 => Action::Reset,
        11 => Action::TruncatedJson,
        12 => Action::WrongJson,
        13 => Action::NoFileId,
        14 => Action::NotCompleted,
        15 => Action::LastCall,
        16 => Action::ExpireTokens,
        _ => Action::ForgetUploads,
    };
    let name = format!("{action:?}");
    let name = name.split([' ', '{']).next().unwrap_or(&name);
    let name = name
        .split_once("(After")
        .map_or(name, |_| "Close(After)")
        .to_owned();
    let fault = Fault::on(operation, action);
    let fault = if chance.bool() {
        fault.nth(chance.u64(1..6))
    } else {
        fault.every(chance.u64(4..12))
    };
    (name, fault)
}

/// A server dies, comes back, or becomes slow.
fn weather(rig: &Rig, chance: &mut fastrand::Rng, table: &mut Table) {
    let server = chance.usize(0..2);
    match chance.u8(0..6) {
        0 => {
            table.fault("server dead".to_owned());
            rig.emulator.kill_server(server);
        }
        1 => rig.emulator.revive_server(server),
        2 => {
            table.fault("slow server".to_owned());
            let slow = Weather {
                bandwidth: Some(chance.u64(1 << 20..16 << 20)),
                latency_ms: chance.u64(0..80),
                jitter_ms: 20,
                ..Weather::default()
            };
            rig.emulator.set_weather(Place::Server(server), slow);
        }
        _ => {}
    }
}

impl Table {
    /// Slices that were taken more often than once for one preuploadID.
    fn count_slices(&mut self, rig: &Rig) {
        let mut seen = std::collections::HashSet::new();
        let stats = rig.emulator.stats();
        for call in stats.calls_of(Operation::Slice) {
            if call.outcome != Outcome::Done {
                continue;
            }
            self.slices += 1;
            if !seen.insert((call.preupload_id.clone(), call.slice_no)) {
                self.slices_again += 1;
                self.bytes_again += call.body_bytes;
            }
        }
    }

    fn in_faults(&mut self, rig: &Rig) {
        let operations = rig.emulator.stats().operations;
        self.struck += operations.values().map(|tally| tally.struck).sum::<u64>();
    }
}

fn number(flag: &str) -> Option<u64> {
    let mut args = std::env::args();
    args.find(|arg| arg == flag)?;
    args.next()?.parse().ok()
}

fn say(text: &str) {
    drop(writeln!(std::io::stdout().lock(), "{text}"));
}

/// Small enough that files have many.
const SLICE: u64 = 1 << 20;
