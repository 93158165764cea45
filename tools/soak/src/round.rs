//! One round: a world, some runs in bad weather, and two in fair weather, after which everything is there.

use std::process::Command;
use std::time::Duration;

use panup_emulator::{Operation, Outcome};

use crate::args::Args;
use crate::judge::{Judge, Run};
use crate::kind::{self, Kind};
use crate::process::{Ended, Process};
use crate::scene::Scene;
use crate::shim::Shim;
use crate::table::Table;
use crate::{moment, say, strike};

/// A round on its way.
pub struct Round<'a> {
    args: &'a Args,
    shim: &'a Shim,
    number: u64,
    chance: fastrand::Rng,
    scene: Scene,
    judge: Judge,
    table: Table,
    runs: u64,
    /// The weather of all runs so far.
    past: Vec<String>,
}

impl<'a> Round<'a> {
    /// Round `number`, by the seed.
    pub fn new(args: &'a Args, shim: &'a Shim, number: u64) -> Round<'a> {
        let mut chance = fastrand::Rng::with_seed(
            args.seed
                .wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
        );
        let scene = Scene::new(args, &mut chance);
        Round {
            args,
            shim,
            number,
            chance,
            scene,
            judge: Judge::default(),
            table: Table::default(),
            runs: 0,
            past: Vec::new(),
        }
    }

    /// To its end; what happened.
    pub fn run(mut self) -> Table {
        for _ in 0..self.chance.usize(1..5) {
            self.scene.grow(&mut self.chance);
            let kinds = kind::some(&self.args.only, &mut self.chance);
            self.weather(kinds);
        }
        self.scene.clear();
        self.weather(Vec::new());
        // What one run has done the next one knows, whatever has become of modes, tokens and clocks.
        let mut again = vec![Kind::Touch, Kind::Token];
        let clock = self.args.only.is_empty() || self.args.only.contains(&Kind::Clock);
        again.extend((clock && self.chance.bool()).then_some(Kind::Clock));
        self.weather(again);
        self.count();
        self.table
    }

    fn weather(&mut self, mut kinds: Vec<Kind>) {
        let bent = |kind: &Kind| matches!(kind, Kind::Clock | Kind::ReadError | Kind::WriteError);
        kinds.retain(|kind| !bent(kind) || self.shim.path().is_some());
        self.table.run(&kinds);
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        self.past.push(if names.is_empty() {
            "fair".to_owned()
        } else {
            names.join(" + ")
        });
        let ends = self.processes(&kinds);
        let run = Run {
            kinds: &kinds,
            ends: &ends,
        };
        let found = self.judge.look(&mut self.scene, &run);
        for (at, (fault, what)) in found.iter().enumerate() {
            self.table.fault(*fault, &kinds);
            if at < COMPLAINTS {
                self.complain(fault.name(), what);
            }
        }
        if found.len() > COMPLAINTS {
            say(&format!(
                "and {} more after this run",
                found.len() - COMPLAINTS
            ));
        }
        if !kinds.iter().all(|kind| kind.is_mild()) {
            self.scene.clear();
        }
    }

    fn processes(&mut self, kinds: &[Kind]) -> Vec<Ended> {
        let (scene, chance) = (&mut self.scene, &mut self.chance);
        if kinds.contains(&Kind::Token) {
            scene.account.renew(&scene.emulator, chance);
        }
        if kinds.contains(&Kind::Touch) {
            moment::touch(scene, chance);
        }
        strike::lay(&scene.emulator, kinds, (chance, &mut self.table));
        let twins = if kinds.contains(&Kind::Twins) { 2 } else { 1 };
        let mut processes = Vec::new();
        for twin in 0..twins {
            let command = self.command(kinds);
            if twin > 0 {
                std::thread::sleep(Duration::from_millis(self.chance.u64(0..500)));
            }
            let name = format!("{}-{twin}", self.runs);
            processes.push(Process::start(command, &self.scene.path("out"), &name));
        }
        self.runs += 1;
        self.table.count("processes", twins);
        let patience = moment::pass(&mut self.scene, &mut processes, (kinds, &mut self.chance));
        processes
            .into_iter()
            .map(|process| process.end(patience))
            .collect()
    }

    /// The command, with what `kinds` want of its machine.
    fn command(&mut self, kinds: &[Kind]) -> Command {
        let chance = &mut self.chance;
        let mut limits = Vec::new();
        if kinds.contains(&Kind::Descriptors) {
            let which = if chance.bool() { "-S" } else { "" };
            limits.push(format!("ulimit {which} -n {}", chance.u64(64..257)));
        }
        if kinds.contains(&Kind::FileSize) {
            // Blocks of 512 bytes; below 64 the database's index of 32 KiB cannot even be opened.
            limits.push(format!("ulimit -f {}", chance.u64(80..400)));
        }
        let limits = (!limits.is_empty()).then(|| limits.join("; "));
        let mut command = self.scene.upload(limits.as_deref());
        if kinds.contains(&Kind::Stall) {
            command.args(["--timeout=1s", "--retries=3"]);
        }
        if kinds.contains(&Kind::ReadError) && !self.scene.is_read() && chance.bool() {
            command.arg("--no-mmap");
        }
        if !kinds.contains(&Kind::Stall)
            && chance.bool()
            && !kinds.iter().all(|kind| kind.is_mild())
        {
            command.arg("--retries=3");
        }
        let Some(shim) = self.shim.path() else {
            return command;
        };
        command.env("LD_PRELOAD", shim);
        if kinds.contains(&Kind::Clock) {
            command.env("SOAK_CLOCK", clock(chance).to_string());
        }
        if let Some(folder) = disk(kinds) {
            let from = chance.u64(0..60);
            let moment = format!(
                "{}:{from}:{}",
                self.scene.path(folder).display(),
                from + chance.u64(0..10)
            );
            command.env("SOAK_EIO", moment);
            if folder == "state" {
                command.env("SOAK_EIO_WRITES", "1");
            }
        }
        command
    }

    fn complain(&mut self, fault: &str, what: &str) {
        let kept = self.scene.keep();
        say(&format!(
            "{}: {what}\n    under {}, after {}; --seed {} --round {}; {}",
            fault.to_uppercase(),
            self.scene.mode,
            self.past.join(", "),
            self.args.seed,
            self.number,
            kept.display()
        ));
        let stats = format!("{:#?}", self.scene.emulator.stats());
        drop(std::fs::write(kept.join("out").join("calls"), stats));
    }

    fn count(&mut self) {
        let stored = self.scene.stored();
        let stats = self.scene.emulator.stats();
        self.table.count("rounds", 1);
        self.table.count("files stored", stored.len() as u64);
        let struck = stats.operations.values().map(|tally| tally.faulted).sum();
        self.table.count("calls struck", struck);
        let mut seen = std::collections::HashSet::new();
        for call in stats.calls_of(Operation::Slice) {
            if call.outcome == Outcome::Done {
                self.table.count("slices taken", 1);
                let again = !seen.insert((call.preupload_id.clone(), call.slice_no));
                self.table.count("slices taken again", u64::from(again));
            }
        }
    }
}

/// Which folder coughs.
fn disk(kinds: &[Kind]) -> Option<&'static str> {
    if kinds.contains(&Kind::WriteError) {
        return Some("state");
    }
    kinds.contains(&Kind::ReadError).then_some("local")
}

/// Seconds by which the clock is wrong: two years ahead, or back when there were no certificates yet.
fn clock(chance: &mut fastrand::Rng) -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = i64::try_from(now.map_or(0, |now| now.as_secs())).unwrap_or(0);
    const YEAR: i64 = 365 * 24 * 3600;
    match chance.bool() {
        true => 2 * YEAR,
        false => 6 * YEAR - now,
    }
}

/// Of one run; the next ones are of the same kind as a rule.
const COMPLAINTS: usize = 3;
