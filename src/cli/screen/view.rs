//! What is shown of a run at one moment, for a number of columns. In: counters, rates, names, waits. Out:
//! lines for a terminal, one line for a log, one object for a script. Never: a line that is too long, a
//! zero that says nothing.

use std::time::Duration;

use panup::{FileNow, Held, Operation, Snapshot, Wait};

use super::super::objects::{Line, Progress};
use super::super::size::human;
use super::text::{begin, columns, count, grouped, middle, time};

/// One moment of a run.
#[derive(Debug, Default)]
pub struct View {
    /// Its counters.
    pub now: Snapshot,
    /// Content bytes per second on the wire.
    pub speed: Option<f64>,
    /// Bytes hashed per second.
    pub hash_speed: Option<f64>,
    /// The time left.
    pub left: Option<Duration>,
    /// The first few files that are hashed, sent, verified.
    pub hashing: Vec<FileNow>,
    /// Of those that are sent.
    pub sending: Vec<FileNow>,
    /// Of those that the service verifies.
    pub verifying: Vec<FileNow>,
    /// Calls of which nothing has been heard for a while.
    pub waits: Vec<Wait>,
    /// Interrupted: what is said of it.
    pub ending: Option<String>,
}

/// Whether lines may be coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// With the eight colours that every terminal has.
    Coloured,
    /// Not.
    Plain,
}

impl View {
    /// Lines for a terminal of `width` columns and `height` lines.
    pub fn lines(&self, (width, height): (usize, usize), paint: Paint) -> Vec<String> {
        let mut lines = vec![self.bar(width, paint), self.counts(width)];
        lines.extend(self.ending.iter().map(|text| begin(text, width).to_owned()));
        lines.extend(self.files(width));
        let waits = grouped_waits(&self.waits).into_iter();
        lines.extend(waits.map(|(text, end)| labelled("waiting", &text, &end, width)));
        lines.truncate(height.saturating_sub(1).max(1));
        lines
    }

    /// One line for a log.
    pub fn line(&self) -> String {
        let mut parts = vec![self.amount()];
        parts.extend(self.speed.filter(|&speed| speed >= 1.0).map(pace));
        parts.push(self.files_of());
        parts.extend(self.troubles());
        parts.extend(self.left.map(|left| format!("{} left", time(left))));
        parts.extend(self.held());
        parts.extend(
            self.waits
                .first()
                .map(|first| format!("waiting: {}", wait(first))),
        );
        parts.join(", ")
    }

    /// One object for a script.
    pub fn object(&self) -> Line {
        let now = &self.now;
        Line::Progress(Progress {
            files: now.files,
            done: now.files_done,
            bytes: now.bytes,
            hashed: now.hashed,
            on_wire: now.on_wire,
            acked: now.acked,
            rate: self.speed.map(|speed| speed.round()),
            eta: self.left.map(|left| left.as_secs_f64().round()),
            held_by: now.held.map(Held::name),
        })
    }

    /// Hundredths of the bytes that the service has; failed files are none of them.
    pub fn percent(&self) -> Option<u8> {
        let total = self.total();
        let percent = (self.now.acked.min(total) * 100).checked_div(total)?;
        u8::try_from(percent).ok()
    }

    fn total(&self) -> u64 {
        self.now.bytes.saturating_sub(self.now.failed)
    }

    fn bar(&self, width: usize, paint: Paint) -> String {
        let mut parts = vec![self.amount()];
        parts.extend(self.speed.filter(|&speed| speed >= 1.0).map(pace));
        parts.extend(
            self.left
                .map(|left| format!("{} left{}", time(left), self.plus())),
        );
        let text = parts.join("  ");
        let room = width.saturating_sub(columns(&text) + 4);
        if room < SHORTEST_BAR {
            return begin(&text, width).to_owned();
        }
        let bar = self.cells(room.min(LONGEST_BAR));
        format!("[{}]  {text}", painted(bar, paint))
    }

    /// How many cells of `cells` are acknowledged, and on the wire; the rest is neither.
    fn cells(&self, cells: usize) -> [usize; 3] {
        let total = self.total().max(1);
        let part = |bytes: u64| {
            let share = bytes.min(total) as f64 / total as f64;
            (share * cells as f64) as usize
        };
        let acked = part(self.now.acked);
        let wire = part(self.now.acked + self.now.on_wire).max(acked);
        [acked, wire - acked, cells - wire]
    }

    fn amount(&self) -> String {
        let total = self.total();
        format!(
            "{} of {}{}",
            human(self.now.acked.min(total)),
            human(total),
            self.plus()
        )
    }

    /// The list still grows.
    fn plus(&self) -> &'static str {
        if self.now.is_listed { "" } else { "+" }
    }

    fn counts(&self, width: usize) -> String {
        let mut parts = vec![self.files_of()];
        parts.extend(self.held());
        parts.extend(self.troubles());
        if let Some(percent) = (self.now.resumed * 100).checked_div(self.total())
            && self.now.resumed > 0
        {
            parts.push(format!("{percent} % were sent before"));
        }
        fitting(&parts, width)
    }

    fn files_of(&self) -> String {
        let Snapshot {
            files, files_done, ..
        } = self.now;
        let word = if files == 1 { "file" } else { "files" };
        format!(
            "{} of {}{} {word}",
            grouped(files_done),
            grouped(files),
            self.plus()
        )
    }

    fn troubles(&self) -> Vec<String> {
        let failed = self.now.files_failed;
        let failed = (failed > 0).then(|| format!("{} failed", grouped(failed)));
        let retries = self.now.retries;
        let retries = (retries > 0).then(|| count(retries, "retry", "retries"));
        failed.into_iter().chain(retries).collect()
    }

    fn held(&self) -> Option<String> {
        let held = self.now.held?;
        Some(match (held, self.now.call_rate) {
            (Held::CallRate, Some(rate)) => format!("held by {held}, {}/s", rate_of(rate)),
            _ => format!("held by {held}"),
        })
    }

    fn files(&self, width: usize) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(file) = self.hashing.first() {
            let speed = self
                .hash_speed
                .filter(|&speed| speed >= 1.0 && self.is_hashing());
            let mut end = format!("  {}", human(file.size));
            end.extend(speed.map(|speed| format!(" at {}", pace(speed))));
            end.push_str(&others(self.now.hashing.saturating_sub(1)));
            lines.push(labelled("hashing", &name(file), &end, width));
        }
        let shown = self.sending.len();
        for (at, file) in self.sending.iter().enumerate() {
            let percent = (file.acked * 100).checked_div(file.size).unwrap_or(0);
            let mut end = match file.slices {
                0 => format!("  {}", human(file.size)),
                _ => format!("  {percent} % of {}", human(file.size)),
            };
            if at + 1 == shown {
                end.push_str(&others(self.now.sending.saturating_sub(shown)));
            }
            lines.push(labelled("sending", &name(file), &end, width));
        }
        if let Some(file) = self.verifying.first() {
            let end = others(self.now.verifying.saturating_sub(1));
            lines.push(labelled("verifying", &name(file), &end, width));
        }
        lines
    }

    fn is_hashing(&self) -> bool {
        self.now.hashed + self.now.failed < self.now.bytes
    }
}

/// One line for what waits for the same, the longest wait first, and how many more there are.
fn grouped_waits(waits: &[Wait]) -> Vec<(String, String)> {
    let mut groups: Vec<(&Wait, usize)> = Vec::new();
    for wait in waits {
        let same = |(first, _): &&mut (&Wait, usize)| {
            first.server == wait.server
                && first.operation == wait.operation
                && first.next.is_some() == wait.next.is_some()
        };
        match groups.iter_mut().find(same) {
            Some((_, more)) => *more += 1,
            None => groups.push((wait, 0)),
        }
    }
    let groups = groups.into_iter().take(MOST_WAITS);
    groups
        .map(|(first, more)| (wait(first), others(more)))
        .collect()
}

/// What is waited for, and which attempt it is.
fn wait(wait: &Wait) -> String {
    let what = match &wait.server {
        Some(server) => server.clone(),
        None => format!("the service's {}", call(wait.operation)),
    };
    let attempt = match wait.attempt {
        1 => String::new(),
        attempt => format!(", attempt {attempt} of {}", wait.attempts.max(attempt)),
    };
    let silent = time(wait.silent);
    match (wait.next, &wait.error) {
        (Some(next), Some(error)) if next >= Duration::from_secs(1) => {
            format!("{}{attempt} in {}", error.message(), time(next))
        }
        (Some(_), Some(error)) => format!("{}{attempt}", error.message()),
        _ if wait.server.is_some() && !wait.is_sent => {
            format!("{what} has taken nothing for {silent}{attempt}")
        }
        _ => format!("{what}: no answer for {silent}{attempt}"),
    }
}

fn call(operation: Operation) -> &'static str {
    operation.name()
}

fn name(file: &FileNow) -> String {
    file.path.display().to_string()
}

fn others(count: usize) -> String {
    match count {
        0 => String::new(),
        _ => format!(", {} more", grouped(count as u64)),
    }
}

fn pace(speed: f64) -> String {
    format!("{}/s", human(speed as u64))
}

/// `5`, `17`, `2.5`.
fn rate_of(rate: f64) -> String {
    match rate {
        10.0.. => format!("{rate:.0}"),
        _ => {
            let text = format!("{rate:.1}");
            text.trim_end_matches(".0").to_owned()
        }
    }
}

/// A word, a name that is cut where it does not fit, and what follows it.
fn labelled(label: &str, name: &str, end: &str, width: usize) -> String {
    let room = width.saturating_sub(LABEL + columns(end));
    let line = format!("{label:<LABEL$}{}{end}", middle(name, room));
    begin(&line, width).to_owned()
}

/// As many of `parts` as fit, in order.
fn fitting(parts: &[String], width: usize) -> String {
    let mut line = String::new();
    for part in parts {
        let gap = if line.is_empty() { "" } else { ", " };
        if columns(&line) + gap.len() + columns(part) <= width {
            line = format!("{line}{gap}{part}");
        }
    }
    line
}

fn painted([acked, wire, rest]: [usize; 3], paint: Paint) -> String {
    let (acked, wire, rest) = ("=".repeat(acked), "-".repeat(wire), " ".repeat(rest));
    match paint {
        Paint::Coloured => format!("\x1b[32m{acked}\x1b[0;2m{wire}\x1b[0m{rest}"),
        Paint::Plain => format!("{acked}{wire}{rest}"),
    }
}

/// Columns of the word before a name.
const LABEL: usize = 11;
/// Things that are waited for.
const MOST_WAITS: usize = 2;
/// A shorter bar shows nothing.
const SHORTEST_BAR: usize = 8;
/// A longer one shows no more.
const LONGEST_BAR: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> View {
        let mut view = View::default();
        let now = &mut view.now;
        (now.files, now.files_done, now.files_failed) = (10_000, 1234, 3);
        (now.bytes, now.acked, now.on_wire) = (1 << 30, 256 << 20, 128 << 20);
        (now.hashed, now.retries, now.is_listed) = (512 << 20, 1, true);
        now.held = Some(Held::CallRate);
        now.call_rate = Some(5.0);
        view.speed = Some(38e6);
        view.left = Some(Duration::from_secs(200));
        view
    }

    #[test]
    fn every_width_is_kept_and_used() {
        for width in [20, 40, 60, 76, 196, 400] {
            for line in view().lines((width, 24), Paint::Plain) {
                assert!(columns(&line) <= width, "{width}: {line}");
            }
        }
        assert_eq!(
            view().lines((76, 24), Paint::Plain),
            [
                "[=====--             ]  256.00 MiB of 1.00 GiB  36.24 MiB/s  3 min 20 s left",
                "1,234 of 10,000 files, held by the service's call rate, 5/s, 3 failed",
            ]
        );
        let bar = view().bar(196, Paint::Plain);
        assert_eq!(
            bar.matches('=').count(),
            25,
            "a quarter is acknowledged: {bar}"
        );
        assert_eq!(
            bar.matches('-').count(),
            12,
            "an eighth is on the wire: {bar}"
        );
    }

    #[test]
    fn what_is_not_known_is_not_shown() {
        let view = View {
            now: {
                let mut now = Snapshot::default();
                (now.files, now.bytes) = (1, 1 << 20);
                now
            },
            ..View::default()
        };
        let lines = view.lines((76, 24), Paint::Plain).join("\n");
        for part in ["left", "/s", "retr", "failed", "held"] {
            assert!(!lines.contains(part), "{part}: {lines}");
        }
        assert!(lines.contains("0 of 1+ file"), "{lines}");
        assert_eq!(json(&view)["eta"], serde_json::Value::Null);
    }

    #[test]
    fn failed_files_are_no_part_of_the_whole() {
        let mut view = view();
        view.now.failed = 768 << 20;
        assert_eq!(view.percent(), Some(100));
        view.now.failed = u64::MAX;
        assert_eq!(view.percent(), None);
    }

    #[test]
    fn colours_take_no_columns() {
        let (plain, coloured) = (
            view().bar(76, Paint::Plain),
            view().bar(76, Paint::Coloured),
        );
        let bare = coloured.replace("\x1b[32m", "").replace("\x1b[0;2m", "");
        assert_eq!(bare.replace("\x1b[0m", ""), plain);
    }

    fn json(view: &View) -> serde_json::Value {
        serde_json::to_value(view.object()).expect("an object")
    }

    #[test]
    fn the_objects_keys_are_the_documented_ones() {
        let object = json(&view());
        let keys: Vec<_> = object.as_object().expect("one").keys().collect();
        let expected = [
            "acked", "bytes", "done", "eta", "event", "files", "hashed", "held_by", "on_wire",
            "rate",
        ];
        assert_eq!(keys, expected);
        assert_eq!(
            (&object["held_by"], &object["eta"]),
            (&"calls".into(), &200.0.into())
        );
    }
}
