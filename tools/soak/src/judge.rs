//! The judge: what must not be, by what the service has on its disk, what the files are and were, and
//! what the runs have said.

use std::collections::HashSet;

use crate::kind::Kind;
use crate::process::{Done, Ended};
use crate::scene::{Scene, Stored, Sum};
use crate::table::Fault;

/// What it has seen in a round.
#[derive(Debug, Default)]
pub struct Judge {
    /// What a run that ended by itself, its journal unharmed, has said to be there.
    known: HashSet<(usize, Sum)>,
    /// What a run may have sent without being able to write it down.
    excused: HashSet<(usize, Sum)>,
    /// Something has happened after which nobody knows what became of a file.
    doubt: bool,
    /// What was complained of before.
    said: HashSet<String>,
}

/// One run, or two at once.
#[derive(Debug)]
pub struct Run<'a> {
    /// The weather it had.
    pub kinds: &'a [Kind],
    /// How it ended.
    pub ends: &'a [Ended],
}

impl Judge {
    /// What must not be, after `run`.
    pub fn look(&mut self, scene: &mut Scene, run: &Run<'_>) -> Vec<(Fault, String)> {
        let stored = scene.stored();
        let mut found = Vec::new();
        for ended in run.ends {
            match ended.status {
                None => found.push((Fault::Hung, ended.errors.clone())),
                Some(_) => {
                    let crashed = ended.crashed();
                    found.extend(
                        crashed.map(|how| (Fault::Crashed, format!("{how}: {}", ended.errors))),
                    );
                }
            }
        }
        self.excuse(scene, run);
        self.see_stored(scene, &stored, &mut found);
        for ended in run.ends {
            for done in ended.done.iter().filter(|done| !done.is_another_name()) {
                self.see_done(scene, &stored, (run, done), &mut found);
            }
            self.see_refused(scene, (run, ended), &mut found);
        }
        if run.kinds.iter().all(|kind| kind.is_mild()) {
            self.see_all_done(scene, &stored, run, &mut found);
        }
        self.learn(scene, run);
        found.retain(|(_, what)| self.said.insert(what.clone()));
        found
    }

    /// Whatever is stored was that file at some time, and is there once.
    fn see_stored(&self, scene: &Scene, stored: &[Stored], found: &mut Vec<(Fault, String)>) {
        let mut seen = HashSet::new();
        for Stored {
            path,
            file,
            is_copy,
            sum,
            id,
        } in stored
        {
            let Some(at) = *file else {
                found.push((Fault::Wrong, format!("{path} is nobody's")));
                continue;
            };
            if !scene.files[at].versions.contains(sum) {
                found.push((Fault::Wrong, format!("{path} ({id}) never was {sum}")));
            }
            if *is_copy && scene.mode != "keep-both" {
                found.push((Fault::Doubled, format!("{path} under {}", scene.mode)));
            }
            let again = !seen.insert((at, sum));
            if again && !self.excused.contains(&(at, sum.clone())) {
                found.push((
                    Fault::Doubled,
                    format!("{path} is there with the same {sum} twice"),
                ));
            }
        }
    }

    /// What is said to be there is there, and is what the file is.
    fn see_done(
        &self,
        scene: &Scene,
        stored: &[Stored],
        (run, done): (&Run<'_>, &Done),
        found: &mut Vec<(Fault, String)>,
    ) {
        let Done { path, sum, status } = done;
        let Some(at) = at(scene, path) else {
            return found.push((
                Fault::Wrong,
                format!("{} was not asked for", path.display()),
            ));
        };
        let (file, edited) = (&scene.files[at], run.kinds.contains(&Kind::Edit));
        let stale = !edited && file.current() != sum;
        if stale || !file.versions.contains(sum) {
            found.push((
                Fault::Wrong,
                format!("{} is said to be {status} as {sum}", file.remote),
            ));
        }
        let mut same = stored.iter().filter(|stored| stored.file == Some(at));
        let replaced = edited && scene.mode == "overwrite" && run.ends.len() > 1;
        if !replaced && !same.any(|stored| stored.sum == *sum) {
            found.push((
                Fault::Lost,
                format!(
                    "{} is said to be {status} as {sum}, and is not there",
                    file.remote
                ),
            ));
        }
        if status != "skipped" && self.known.contains(&(at, sum.clone())) {
            found.push((
                Fault::Forgotten,
                format!("{} is {status} again, {sum}", file.remote),
            ));
        }
    }

    /// No name is taken by what an earlier run has said to be there.
    fn see_refused(
        &self,
        scene: &Scene,
        (run, ended): (&Run<'_>, &Ended),
        found: &mut Vec<(Fault, String)>,
    ) {
        for (path, why) in &ended.failed {
            let Some(at) = at(scene, path) else { continue };
            let current = scene.files[at].current();
            let unchanged = !run.kinds.contains(&Kind::Edit);
            if unchanged && why.contains(TAKEN) && self.known.contains(&(at, current.clone())) {
                found.push((
                    Fault::Forgotten,
                    format!("{} as {current}: {why}", scene.files[at].remote),
                ));
            }
        }
    }

    /// With nothing in the way every file is done, but where nobody can know whether it is there.
    fn see_all_done(
        &self,
        scene: &Scene,
        stored: &[Stored],
        run: &Run<'_>,
        found: &mut Vec<(Fault, String)>,
    ) {
        for (at, file) in scene.files.iter().enumerate() {
            let done = run.ends.iter().flat_map(|ended| &ended.done);
            let mut done = done.filter(|done| !done.is_another_name());
            if done.any(|done| self::at(scene, &done.path) == Some(at)) {
                continue;
            }
            let key = (at, file.current().clone());
            let others = stored.iter().filter(|stored| stored.file == Some(at));
            let taken = others.clone().any(|stored| stored.sum != key.1);
            let there = others.clone().any(|stored| stored.sum == key.1);
            let unknown = self.doubt && !self.known.contains(&key);
            let may_fail = match scene.mode {
                "fail" => taken || there && unknown,
                "keep-both" => unknown,
                _ => false,
            };
            if !may_fail {
                let mut failed = run.ends.iter().flat_map(|ended| &ended.failed);
                let why = failed.find(|(path, _)| self::at(scene, path) == Some(at));
                let why = why.map_or("not a word of it", |(_, why)| why.as_str());
                found.push((
                    Fault::Lost,
                    format!("{}, with nothing in the way: {why}", file.remote),
                ));
            }
        }
    }

    /// Where the journal could not be written, a second copy is what was warned of.
    fn excuse(&mut self, scene: &Scene, run: &Run<'_>) {
        let hard = run.kinds.iter().any(|kind| kind.is_hard_on_the_journal());
        let unwritten = |ended: &Ended| ended.warned || hard && !ended.by_itself();
        if run.ends.iter().any(unwritten) {
            for (at, file) in scene.files.iter().enumerate() {
                let versions = file.versions.iter();
                self.excused.extend(versions.map(|sum| (at, sum.clone())));
            }
        }
    }

    fn learn(&mut self, scene: &Scene, run: &Run<'_>) {
        for ended in run.ends {
            let cut_short =
                !ended.by_itself() || ended.status.and_then(|status| status.code()) == Some(130);
            self.doubt |= cut_short || ended.warned;
            let at_once = run.kinds.contains(&Kind::SignalTwice);
            if ended.warned || !ended.by_itself() || at_once {
                continue;
            }
            let done = ended.done.iter();
            self.known
                .extend(done.filter_map(|done| Some((at(scene, &done.path)?, done.sum.clone()))));
        }
        self.doubt |= run.kinds.iter().any(|kind| kind.leaves_doubt());
    }
}

fn at(scene: &Scene, path: &std::path::Path) -> Option<usize> {
    let name = path.file_name();
    scene
        .files
        .iter()
        .position(|file| file.path.file_name() == name)
}

/// The service's words for a name that is taken.
const TAKEN: &str = "已存在";
