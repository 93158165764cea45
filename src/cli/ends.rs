//! The end of a run, told to people. In: counts, failures, where the time went. Out: lines that fit. Never:
//! a zero that says nothing, or shares that do not add up.

use std::collections::HashMap;
use std::time::Duration;

use panup::{Error, Held, Kind, Summary};

use super::screen::text::{columns, middle};
use super::size::{counted, human};

/// Failures by kind: how many, and the first few.
#[derive(Debug, Default)]
pub struct Failures {
    groups: Vec<Group>,
    /// Where a kind is in `groups`.
    known: HashMap<(Kind, Option<i64>), usize>,
    count: u64,
}

#[derive(Debug)]
struct Group {
    kind: Kind,
    count: u64,
    examples: Vec<String>,
}

impl Failures {
    /// One more; whether it is among those that are told as they come.
    pub fn note(&mut self, error: &Error) -> bool {
        self.count += 1;
        let key = (error.kind(), error.code());
        let next = self.groups.len();
        let at = match self.known.get(&key) {
            Some(&at) => at,
            // Codes are few; were they many, the last group takes the rest.
            None if next >= MOST_GROUPS => next - 1,
            None => {
                self.known.insert(key, next);
                self.groups.push(Group {
                    kind: error.kind(),
                    count: 0,
                    examples: Vec::new(),
                });
                next
            }
        };
        let group = &mut self.groups[at];
        group.count += 1;
        if group.examples.len() < EXAMPLES {
            group.examples.push(error.to_string());
        }
        self.count <= MOST_TOLD
    }

    /// Each kind with its count, examples where not all were told as they came, and what to do about it.
    pub fn lines(&self, width: usize) -> Vec<String> {
        let mut lines = Vec::new();
        let mut remedies = Vec::new();
        let mut groups: Vec<&Group> = self.groups.iter().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        for group in groups {
            if self.count > FEW {
                let files = counted(group.count, "file", "files");
                lines.push(format!("{files} failed: {}", meaning(group.kind)));
            }
            if self.count > MOST_TOLD {
                let room = width.saturating_sub(4);
                let examples = group.examples.iter();
                lines.extend(examples.map(|error| format!("    {}", middle(error, room))));
            }
            let remedy = remedy(group.kind);
            if !remedies.contains(&remedy) {
                remedies.push(remedy);
                lines.extend(wrapped(&[&format!("  what to do: {remedy}")], width));
            }
        }
        lines
    }
}

/// What a run did, in some lines.
#[derive(Debug)]
pub struct Totals<'a> {
    /// Its counts.
    pub summary: &'a Summary,
    /// What was left out, as it is put behind the counts.
    pub left_out: String,
    /// Bytes that an earlier run had sent.
    pub resumed: u64,
    /// Attempts that were repeated.
    pub retries: u64,
    /// By what it was held back, and for how long.
    pub spent: &'a [(Held, Duration)],
}

impl Totals<'_> {
    /// Lines of at most `width` columns, as far as they can be broken.
    pub fn lines(&self, width: usize) -> Vec<String> {
        let parts = [
            format!("{}{}", self.counts(), self.left_out),
            self.amounts(),
            self.troubles(),
        ];
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let mut lines = wrapped(&parts, width);
        let shares = self.shares();
        if !shares.is_empty() {
            let parts: Vec<&str> = shares.iter().map(String::as_str).collect();
            lines.extend(wrapped_by(&parts, ", ", width));
        }
        lines
    }

    fn counts(&self) -> String {
        let summary = self.summary;
        let counts = [
            (summary.uploaded, "uploaded"),
            (summary.reused, "reused"),
            (summary.skipped, "skipped"),
            (summary.failed, "failed"),
            (summary.interrupted, "interrupted"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let counts: Vec<_> = counts
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        let files = counted(summary.files, "file", "files");
        match counts.is_empty() {
            true => files,
            false => format!("{files}: {}", counts.join(", ")),
        }
    }

    fn amounts(&self) -> String {
        let Summary {
            bytes,
            sent,
            uploaded,
            elapsed,
            ..
        } = *self.summary;
        let seconds = elapsed.as_secs_f64().max(0.1);
        let mut parts = vec![match bytes {
            0 => format!("{seconds:.1} s"),
            _ => format!("{} in {seconds:.1} s", human(bytes)),
        }];
        let per_second = |amount: u64| amount as f64 / seconds;
        if sent > 0 && per_second(sent) >= 1.0 {
            parts.push(format!("{}/s", human(per_second(sent) as u64)));
        }
        if uploaded >= MANY && per_second(uploaded) >= 1.0 {
            parts.push(format!("{:.0} files/s", per_second(uploaded)));
        }
        parts.join(", ")
    }

    fn troubles(&self) -> String {
        let Summary { bytes, sent, .. } = *self.summary;
        let mut parts = Vec::new();
        if self.resumed > 0 {
            parts.push(format!(
                "{} were sent by an earlier run",
                human(self.resumed)
            ));
        }
        if sent > 0 && sent != bytes {
            parts.push(format!("{} sent", human(sent)));
        }
        if self.retries > 0 {
            parts.push(counted(self.retries, "retry", "retries"));
        }
        parts.join(", ")
    }

    fn shares(&self) -> Vec<String> {
        let total: Duration = self.spent.iter().map(|(_, time)| *time).sum();
        if total < LONG {
            return Vec::new();
        }
        let times: Vec<f64> = self
            .spent
            .iter()
            .map(|(_, time)| time.as_secs_f64())
            .collect();
        let shares = hundredths(&times);
        let shares = self
            .spent
            .iter()
            .zip(shares)
            .filter(|(_, share)| *share > 0);
        let shares = shares.map(|((held, _), share)| format!("{} {share} %", told(*held)));
        let mut shares: Vec<_> = shares.collect();
        if let Some(first) = shares.first_mut() {
            *first = format!("the time went to {first}");
        }
        shares
    }
}

/// Whole hundredths of the sum, which add up to 100: the largest remainders are rounded up.
fn hundredths(parts: &[f64]) -> Vec<u32> {
    let sum: f64 = parts.iter().sum();
    if sum <= 0.0 {
        return vec![0; parts.len()];
    }
    let exact: Vec<f64> = parts.iter().map(|part| part / sum * 100.0).collect();
    let mut whole: Vec<u32> = exact.iter().map(|share| share.floor() as u32).collect();
    let missing = 100_u32.saturating_sub(whole.iter().sum());
    let mut order: Vec<usize> = (0..parts.len()).collect();
    let rest = |at: usize| exact[at].fract();
    order.sort_by(|&a, &b| rest(b).total_cmp(&rest(a)));
    for &at in order.iter().cycle().take(missing as usize) {
        whole[at] += 1;
    }
    whole
}

/// What the time went to.
fn told(held: Held) -> &'static str {
    match held {
        Held::Disk => "the disk",
        Held::Hash => "hashing",
        Held::Link => "the link",
        Held::Limit => "the rate limit",
        Held::Others => "others on the link",
        Held::Service => "the service's answers",
        Held::CallRate => "its call rate",
        Held::Verifying => "its verifying",
        _ => "waiting after failures",
    }
}

/// What a kind of failure means.
fn meaning(kind: Kind) -> &'static str {
    match kind {
        Kind::Source => "not there, not readable, or changed meanwhile",
        Kind::Invalid => "the service takes no such file",
        Kind::Auth => "the credentials were refused",
        Kind::Rejected => "refused by the service",
        Kind::Throttled => "the service was too busy",
        Kind::Transport => "the network, or a server, did not answer",
        Kind::Protocol => "an answer that makes no sense",
        Kind::Expired => "the service forgot the upload",
        Kind::Integrity => "what arrived was not what was sent",
        Kind::State => "the state folder cannot be used",
        Kind::Internal => "a fault of panup's own",
        _ => "not done",
    }
}

fn remedy(kind: Kind) -> &'static str {
    match kind {
        Kind::Source => {
            "see that they are there, can be read and stay as they are; then run the same command again"
        }
        Kind::Invalid => {
            "--empty skip, --bad-names skip or fullwidth, or --exclude; repeating the same helps nothing"
        }
        Kind::Auth => "panup login, or another token",
        Kind::Rejected => {
            "see what the service said; where a name is taken, --on-conflict. Repeating the same helps nothing"
        }
        Kind::Throttled => "run the same command again later; what arrived is not sent again",
        Kind::Internal => {
            "run the same command again with --log-file FILE, and report what that says"
        }
        Kind::State => "name another folder with --state-dir",
        _ => "run the same command again; what arrived is not sent again",
    }
}

/// `parts` with semicolons between them, in lines of `width` columns.
fn wrapped(parts: &[&str], width: usize) -> Vec<String> {
    wrapped_by(parts, "; ", width)
}

fn wrapped_by(parts: &[&str], gap: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts.iter().filter(|part| !part.is_empty()) {
        match lines.last_mut() {
            Some(line) if columns(line) + gap.len() + columns(part) <= width => {
                line.push_str(gap);
                line.push_str(part);
            }
            Some(line) => {
                line.push_str(gap.trim_end());
                lines.push(format!("  {part}"));
            }
            None => lines.push((*part).to_owned()),
        }
    }
    lines
        .into_iter()
        .flat_map(|line| broken(&line, width))
        .collect()
}

/// A line that is still too long, broken at blanks.
fn broken(line: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in line.split_inclusive(' ') {
        let last = lines.len() - 1;
        if columns(&lines[last]) + columns(word.trim_end()) > width
            && !lines[last].trim().is_empty()
        {
            let done = lines[last].trim_end().to_owned();
            lines[last] = done;
            lines.push(format!("    {word}"));
        } else {
            lines[last].push_str(word);
        }
    }
    lines
}

/// Failures that are told as they come; later ones are counted.
pub const MOST_TOLD: u64 = 20;
/// Failures that need no overview.
const FEW: u64 = 3;
/// Of each kind.
const EXAMPLES: usize = 3;
const MOST_GROUPS: usize = 12;
/// Files whose pace says something.
const MANY: u64 = 10;
/// Where the time went says nothing of a shorter run.
const LONG: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use panup::Operation;

    use super::*;

    fn totals<'a>(summary: &'a Summary, spent: &'a [(Held, Duration)]) -> Totals<'a> {
        Totals {
            summary,
            left_out: String::new(),
            resumed: 0,
            retries: 0,
            spent,
        }
    }

    #[test]
    fn nothing_is_said_of_zeros_and_one_is_singular() {
        let mut summary = Summary::default();
        (summary.files, summary.skipped, summary.bytes) = (1, 1, 5);
        summary.elapsed = Duration::from_millis(120);
        assert_eq!(
            totals(&summary, &[]).lines(80),
            ["1 file: 1 skipped; 5 B in 0.1 s"]
        );
    }

    #[test]
    fn the_end_of_a_long_run_fits_eighty_columns() {
        let mut summary = Summary::default();
        (summary.files, summary.uploaded, summary.failed) = (10_000, 9_990, 10);
        (summary.bytes, summary.sent) = (1 << 30, (1 << 30) + (100 << 20));
        summary.elapsed = Duration::from_secs(28);
        let second = Duration::from_secs(1);
        let spent = [
            (Held::Link, 20 * second),
            (Held::CallRate, 7 * second),
            (Held::Hash, second),
        ];
        let totals = Totals {
            resumed: 64 << 20,
            retries: 1,
            ..totals(&summary, &spent)
        };
        let lines = totals.lines(80);
        let expected = [
            "10000 files: 9990 uploaded, 10 failed;",
            "  1.00 GiB in 28.0 s, 40.14 MiB/s, 357 files/s;",
            "  64.00 MiB were sent by an earlier run, 1.10 GiB sent, 1 retry",
            "the time went to the link 71 %, its call rate 25 %, hashing 4 %",
        ];
        assert_eq!(lines, expected);
        assert!(lines.iter().all(|line| columns(line) <= 80), "{lines:?}");
    }

    #[test]
    fn shares_add_up_to_a_hundred() {
        for parts in [
            &[1.0, 1.0, 1.0][..],
            &[0.5, 0.25, 0.25],
            &[1e-9, 7.0],
            &[3.0; 7],
        ] {
            assert_eq!(hundredths(parts).iter().sum::<u32>(), 100, "{parts:?}");
        }
        assert_eq!(hundredths(&[1.0, 1.0, 1.0]), [34, 33, 33]);
        assert_eq!(hundredths(&[]), Vec::<u32>::new());
        assert_eq!(hundredths(&[0.0]), [0]);
    }

    #[test]
    fn many_failures_are_grouped_with_examples_and_a_remedy() {
        let mut failures = Failures::default();
        for number in 0..120 {
            let error = Error::new(Kind::Transport, Operation::Slice, "refused");
            let told = failures.note(&error.with_path(format!("d/{number}")));
            assert_eq!(told, number < 20);
        }
        failures.note(&Error::new(Kind::Invalid, Operation::Check, "empty").with_path("e"));
        let lines = failures.lines(80);
        assert_eq!(
            lines[0],
            "120 files failed: the network, or a server, did not answer"
        );
        assert_eq!(
            lines.iter().filter(|line| line.contains("d/")).count(),
            3,
            "{lines:?}"
        );
        assert!(
            lines.iter().any(|line| line.starts_with("1 file failed: ")),
            "{lines:?}"
        );
        assert_eq!(
            lines
                .iter()
                .filter(|line| line.contains("what to do"))
                .count(),
            2
        );
        assert!(lines.iter().all(|line| columns(line) <= 80), "{lines:?}");
    }

    #[test]
    fn few_failures_need_no_overview() {
        let mut failures = Failures::default();
        let error = Error::new(Kind::Source, Operation::Read, "not there").with_path("x");
        assert!(failures.note(&error));
        let lines = failures.lines(80);
        assert!(lines[0].starts_with("  what to do: see that"), "{lines:?}");
        assert_eq!(Failures::default().lines(80), Vec::<String>::new());
    }
}
