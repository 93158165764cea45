//! `panup plan`: from a walk to a plan's file. In: the options of an upload. Out: a file, an analysis, an
//! exit code. Never: a file without its line.

use std::collections::HashMap;
use std::sync::mpsc::channel;

use clap::ValueEnum;
use panup::{Error, Status};
use serde_json::{Value, json};

use super::super::args::{self, Upload};
use super::super::size::counted;
use super::super::walk::{News, Walk};
use super::super::{REFUSED, complain, dest, run_options, say, split};
use super::analysis::Analysis;
use super::balance::{Balance, balance};
use super::entry::Entry;
use super::file;
use super::lines::Lines;
use super::survey::{Survey, Told};
use super::totals::{Pace, told};

/// Plans, and writes down what was planned.
///
/// # Errors
/// Wrong usage or configuration, or a plan that cannot be written.
pub fn run(plan: &args::Plan) -> Result<u8, Error> {
    let upload = &plan.upload;
    if upload.parts.plan.is_some() || upload.parts.shard.is_some() {
        let message = "a plan is of all files: --plan and --shard are for `panup upload`";
        return Err(super::super::usage(message.to_owned()));
    }
    let settings = settings(upload)?;
    let (found, news) = channel();
    let sums = run_options::sums(upload)?;
    let walk = Walk::new((&upload.paths, &upload.what), sums, upload.output, found)?;
    let left_out = walk.left_out();
    let survey = Survey::new(upload, None)?;
    let pace = Pace::of(survey.options());
    let mut analysis = Analysis::new(survey.options());
    let mut entries = Vec::new();
    let mut lines = Lines::of_faults(upload.output);
    let items = split::parts(walk.items(), upload.what.select.split);
    let end = survey.run((items, &news), &mut |told| {
        match &told {
            Told::File(outcome) => {
                Entry::add(&mut entries, outcome, &pace);
                if let Status::Planned(forecast) = &outcome.status {
                    analysis.add(outcome.size, forecast);
                }
            }
            Told::News(News::Refused(refused)) => entries.push(Entry::refused(refused)),
            _ => {}
        }
        lines.told(told);
    })?;
    if plan.analyze && !upload.output.json {
        analysis.lines().iter().for_each(|line| say(line));
    }
    let is_whole = !end.stopped && !end.interrupted;
    if let (Some(out), false) = (&plan.out, is_whole) {
        complain(&format!(
            "{} is not written: not all is known",
            out.display()
        ));
    }
    if let Some(out) = plan.out.as_deref().filter(|_| is_whole) {
        let dealt = deal(&entries, plan.shards);
        file::write(out, (&settings, plan.shards), (&entries, &dealt.shards))?;
        if !upload.output.quiet {
            complain(&summary(&entries, &dealt, plan.shards));
        }
    }
    match end.refused {
        true => Ok(REFUSED),
        false => Ok(lines.summary(&left_out, &end)),
    }
}

/// What an upload with the plan must have as well.
///
/// # Errors
/// `--dest` is none.
pub fn settings(upload: &Upload) -> Result<Value, Error> {
    let conflict = upload.on_conflict.to_possible_value();
    let conflict = conflict.map(|value| value.get_name().to_owned());
    Ok(json!({
        "api": upload.account.api, "parent_id": upload.what.parent_id,
        "dest": dest(upload.what.dest.as_deref().unwrap_or(""))?, "on_conflict": conflict,
        "single_max": upload.single_max.0, "split": upload.what.select.split,
    }))
}

/// A file that is planned twice for one place stays with the first: who uploads both sees that they are one.
fn deal(entries: &[Entry], count: u32) -> Balance {
    let costs: Vec<f64> = entries.iter().map(|entry| entry.cost).collect();
    let mut dealt = balance(&costs, count);
    if !entries.iter().any(|entry| entry.is_twin) {
        return dealt;
    }
    let firsts = entries.iter().zip(&dealt.shards);
    let firsts = firsts.filter(|(entry, _)| !entry.is_twin);
    let firsts: HashMap<String, u32> = firsts
        .map(|(entry, &shard)| (entry.remote(), shard))
        .collect();
    let twins = entries.iter().zip(&mut dealt.shards);
    for (twin, shard) in twins.filter(|(entry, _)| entry.is_twin) {
        *shard = firsts.get(&twin.remote()).copied().unwrap_or(*shard);
    }
    dealt
}

fn summary(entries: &[Entry], dealt: &Balance, count: u32) -> String {
    let files = counted(entries.len() as u64, "file", "files");
    if count == 1 {
        return format!("{files} planned");
    }
    let ratio = dealt.longest / dealt.mean.max(f64::MIN_POSITIVE);
    let longest = entries.iter().max_by(|a, b| a.cost.total_cmp(&b.cost));
    let why = match longest {
        Some(entry) if ratio > 1.05 && entry.cost > dealt.mean => format!(
            ": {:?} alone takes {}, more than a shard's part; fewer shards would be even",
            entry.remote(),
            told(entry.cost)
        ),
        _ => String::new(),
    };
    format!(
        "{files} planned in {count} shards of {} each, the longest {ratio:.3} times the mean{why}",
        told(dealt.mean)
    )
}
