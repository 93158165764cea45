//! The bars on a terminal: one for hashing, one for what the service has acknowledged.

use std::io::IsTerminal;
use std::sync::Arc;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use panup::Progress;

use super::args::Output;

/// Bars that sample a run's counters; nothing where standard error is no terminal.
pub struct Screen {
    progress: Arc<Progress>,
    bars: Option<Bars>,
}

struct Bars {
    all: MultiProgress,
    hashing: ProgressBar,
    sending: ProgressBar,
}

impl Screen {
    /// Bars if there is a terminal and the user wants to see them.
    pub fn new(progress: Arc<Progress>, output: Output) -> Screen {
        // A terminal that cannot move its cursor shows lines, as a file does.
        let draws = std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        let terminal = draws && std::io::stderr().is_terminal();
        let live = terminal && !output.quiet && !output.json;
        Screen {
            progress,
            bars: live.then(Bars::new),
        }
    }

    /// Whether there are bars.
    pub fn is_live(&self) -> bool {
        self.bars.is_some()
    }

    /// Shows the counters as they are now.
    pub fn draw(&self) {
        let Some(bars) = &self.bars else { return };
        let now = self.progress.snapshot();
        bars.hashing.set_length(now.bytes);
        bars.hashing.set_position(now.hashed.min(now.bytes));
        bars.sending.set_length(now.bytes);
        bars.sending.set_position(now.acked.min(now.bytes));
        let retries = match now.retries {
            0 => String::new(),
            retries => format!(", {retries} retries"),
        };
        bars.sending.set_message(format!(
            "{}/{} files, {}/{} in flight{retries}",
            now.files_done, now.files, now.in_flight, now.permits
        ));
    }

    /// Does `print` with the bars out of the way.
    pub fn hidden(&self, print: impl FnOnce()) {
        match &self.bars {
            Some(bars) => bars.all.suspend(print),
            None => print(),
        }
    }

    /// Takes the bars away.
    pub fn clear(&mut self) {
        if let Some(bars) = self.bars.take() {
            bars.hashing.finish_and_clear();
            bars.sending.finish_and_clear();
        }
    }
}

impl Bars {
    fn new() -> Bars {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let bar = |name: &'static str, template: &str| {
            // A template is a constant of ours; if it cannot be read, the plain bar does.
            let style = ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            all.add(ProgressBar::new(0))
                .with_style(style.progress_chars("=> "))
                .with_prefix(name)
        };
        let hashing = bar(
            "hashing",
            "{prefix:8} [{bar:30}] {binary_bytes:>11}/{binary_total_bytes:11} {binary_bytes_per_sec:>13}",
        );
        let sending = bar(
            "sending",
            "{prefix:8} [{bar:30}] {binary_bytes:>11}/{binary_total_bytes:11} {binary_bytes_per_sec:>13} eta {eta:4} {msg}",
        );
        Bars {
            all,
            hashing,
            sending,
        }
    }
}
