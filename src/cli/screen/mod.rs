//! A run, shown while it goes on: lines at the foot of a terminal, a line now and then in a log, or an
//! object a second for a script. In: the run's counters, sampled. Out: what there is to see of them.
//! Never: an event asked of the run.

mod pace;
pub mod text;
mod view;

use std::ffi::OsStr;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use panup::{Held, Progress, Snapshot, Step, Wait};

use super::args::{Color, Output};
use super::foot;
use super::system::acts_on_escapes;
use super::{complain, say_object};
use pace::Pace;
use view::{Paint, View};

/// Samples a run's counters, and shows them.
pub struct Screen {
    progress: Arc<Progress>,
    shows: Shows,
    pace: Pace,
    paint: Paint,
    has_taskbar: bool,
    started: Instant,
    /// When a line or an object was last written.
    told: Instant,
    /// Bytes sent and acknowledged, and files ended; and when that was new.
    moved: ((u64, u64, u64), Instant),
    ending: Option<String>,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    /// Lines at the foot of a terminal.
    Foot,
    /// A line every ten seconds.
    Line,
    /// An object every second.
    Object,
    Nothing,
}

impl Screen {
    /// What suits standard error and the user's wishes.
    pub fn new(progress: Arc<Progress>, output: Output) -> Screen {
        let now = Instant::now();
        let shows = Screen::wanted(output);
        if shows == Shows::Foot {
            foot::begin();
        }
        Screen {
            progress,
            shows,
            pace: Pace::default(),
            paint: paint(output.color, std::env::var_os("NO_COLOR").as_deref()),
            has_taskbar: has_taskbar(|name| std::env::var(name).ok(), cfg!(windows)),
            started: now,
            told: now,
            moved: ((0, 0, 0), now),
            ending: None,
        }
    }

    fn wanted(output: Output) -> Shows {
        let draws = moves_its_cursor(std::env::var_os("TERM").as_deref(), cfg!(windows));
        match () {
            () if output.no_progress => Shows::Nothing,
            () if output.json => Shows::Object,
            () if output.quiet => Shows::Nothing,
            () if draws && std::io::stderr().is_terminal() && acts_on_escapes() => Shows::Foot,
            () => Shows::Line,
        }
    }

    /// Whether lines are drawn at the foot of a terminal.
    pub fn is_live(&self) -> bool {
        self.shows == Shows::Foot
    }

    /// Takes a sample, and shows it where it is time.
    pub fn draw(&mut self) {
        let at = self.started.elapsed();
        let now = self.progress.snapshot();
        self.pace.note(at, &now);
        if (now.sent, now.acked, now.files_done) != self.moved.0 {
            self.moved = ((now.sent, now.acked, now.files_done), Instant::now());
        }
        match self.shows {
            Shows::Foot => self.draw_foot(),
            Shows::Line if self.told.elapsed() >= LINE => self.tell(),
            Shows::Object if self.told.elapsed() >= OBJECT => self.tell(),
            _ => {}
        }
    }

    /// One line, or one object, of how it is now.
    pub fn tell(&mut self) {
        self.told = Instant::now();
        let view = self.view();
        match self.shows {
            Shows::Object => say_object(&view.object()),
            _ => complain(&view.line()),
        }
    }

    /// What is shown of an interrupted run.
    pub fn ending(&mut self, text: String) {
        self.ending = Some(text);
    }

    /// The run's counters at its end.
    pub fn end(&self) -> Snapshot {
        self.progress.snapshot()
    }

    /// By what the run was held back, and for how long.
    pub fn time_spent(&self) -> Vec<(Held, Duration)> {
        self.progress.time_spent()
    }

    /// Takes the lines away.
    pub fn clear(&mut self) {
        if self.is_live() {
            foot::end();
            self.shows = Shows::Nothing;
        }
    }

    fn draw_foot(&self) {
        let size = console::Term::stderr().size_checked();
        let (height, width) = size.map_or((24, 80), |(h, w)| (usize::from(h), usize::from(w)));
        let view = self.view();
        // Room for a `^C` behind the last line.
        let room = (width.saturating_sub(MARGIN).max(1), height);
        let lines = view.lines(room, self.paint);
        let plain = view.lines(room, Paint::Plain);
        let lines: Vec<_> = lines
            .into_iter()
            .zip(&plain)
            .map(|(line, plain)| (line, text::columns(plain)))
            .collect();
        foot::draw(&lines, width);
        if self.has_taskbar {
            foot::taskbar(view.percent());
        }
    }

    fn view(&self) -> View {
        let progress = &self.progress;
        let now = progress.snapshot();
        let is_sent = now.acked + now.failed >= now.bytes;
        View {
            now,
            speed: self.pace.speed().filter(|_| !is_sent),
            hash_speed: self.pace.hashing(),
            left: self.pace.left().filter(|_| self.ending.is_none()),
            hashing: progress.files_at(Step::Hashing, 1),
            sending: progress.files_at(Step::Sending, MOST_SENDING),
            verifying: progress.files_at(Step::Verifying, 1),
            waits: self.waits(),
            ending: self.ending.clone(),
        }
    }
}

impl Screen {
    /// Calls of which nothing has been heard for a while. Bodies that were sent are waited for where nothing
    /// else happens either: what sockets hold takes its time on a slow link.
    fn waits(&self) -> Vec<Wait> {
        let mut waits = self.progress.waits(PATIENCE, MOST_WAITS);
        let stands = self.moved.1.elapsed() >= PATIENCE;
        waits.retain(|wait| stands || !wait.is_sent);
        waits
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.clear();
    }
}

/// `NO_COLOR` with anything in it asks for none.
fn paint(color: Color, no_color: Option<&OsStr>) -> Paint {
    match color {
        Color::Always => Paint::Coloured,
        Color::Auto if no_color.is_none_or(OsStr::is_empty) => Paint::Coloured,
        Color::Auto | Color::Never => Paint::Plain,
    }
}

/// A terminal that cannot move its cursor shows lines, as a file does. Consoles of Windows have no name.
fn moves_its_cursor(term: Option<&OsStr>, is_windows: bool) -> bool {
    term.map_or(is_windows, |term| term != "dumb")
}

/// Terminals that show a share of the whole in their taskbar or tab. Others print the sequence, so it goes to
/// those that are known.
fn has_taskbar(variable: impl Fn(&str) -> Option<String>, is_windows: bool) -> bool {
    let term = variable("TERM");
    if !moves_its_cursor(term.as_ref().map(OsStr::new), is_windows) {
        return false;
    }
    let program = variable("TERM_PROGRAM").unwrap_or_default();
    variable("WT_SESSION").is_some()
        || variable("ConEmuANSI").is_some_and(|value| value == "ON")
        || ["ghostty", "WezTerm", "iTerm.app"].contains(&program.as_str())
}

/// Columns left free at the end of each line.
const MARGIN: usize = 4;
/// Files that are sent, by name.
const MOST_SENDING: usize = 3;
/// Calls that are waited for, before those that wait for the same are put together.
const MOST_WAITS: usize = 64;
/// What is not heard of for so long is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two lines in a log.
const LINE: Duration = Duration::from_secs(10);
/// Between two objects.
const OBJECT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_of_windows_has_no_name_and_moves_its_cursor() {
        let named = |name| moves_its_cursor(name, false);
        assert!(named(Some(OsStr::new("xterm"))) && !named(Some(OsStr::new("dumb"))));
        assert!(!named(None) && moves_its_cursor(None, true));
        assert!(!moves_its_cursor(Some(OsStr::new("dumb")), true));
        let is_terminal = |name: &str| (name == "WT_SESSION").then(|| "id".to_owned());
        assert!(has_taskbar(is_terminal, true) && !has_taskbar(is_terminal, false));
    }

    #[test]
    fn colours_are_the_users_affair() {
        let no = |value: &'static str| Some(OsStr::new(value));
        assert_eq!(paint(Color::Auto, None), Paint::Coloured);
        assert_eq!(paint(Color::Auto, no("")), Paint::Coloured);
        assert_eq!(paint(Color::Auto, no("1")), Paint::Plain);
        assert_eq!(paint(Color::Always, no("1")), Paint::Coloured);
        assert_eq!(paint(Color::Never, None), Paint::Plain);
    }

    #[test]
    fn only_terminals_that_are_known_get_a_taskbar() {
        let has = |set: &[(&str, &str)]| {
            has_taskbar(
                |name| {
                    let found = set.iter().find(|(known, _)| *known == name);
                    found.map(|(_, value)| (*value).to_owned())
                },
                false,
            )
        };
        let term = ("TERM", "xterm-256color");
        assert!(has(&[term, ("WT_SESSION", "x")]));
        assert!(has(&[term, ("ConEmuANSI", "ON")]));
        assert!(has(&[term, ("TERM_PROGRAM", "ghostty")]));
        assert!(!has(&[term, ("ConEmuANSI", "OFF")]));
        assert!(!has(&[term, ("TERM_PROGRAM", "vscode")]));
        assert!(!has(&[("TERM", "dumb"), ("WT_SESSION", "x")]));
        assert!(!has(&[("WT_SESSION", "x")]));
    }
}
