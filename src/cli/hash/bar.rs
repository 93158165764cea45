//! How far hashing is, sampled by a thread of its own: the one that prints waits for files.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use panup::{HashProgress, HashSnapshot};

/// A bar where standard error is a terminal, nothing elsewhere. Dropping it takes it away.
pub struct Bar(Option<Live>);

struct Live {
    bar: ProgressBar,
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Bar {
    /// A bar that follows `progress`.
    pub fn start(progress: &Arc<HashProgress>) -> Bar {
        if !std::io::stderr().is_terminal() {
            return Bar(None);
        }
        // A constant of ours; if it cannot be read, the plain bar does.
        let style = ProgressStyle::with_template(TEMPLATE)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        let target = ProgressDrawTarget::stderr_with_hz(10);
        let bar = ProgressBar::with_draw_target(Some(0), target).with_style(style);
        let (end, ended) = channel();
        let (shown, progress) = (bar.clone(), Arc::clone(progress));
        let thread = std::thread::spawn(move || {
            while ended.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                draw(&shown, &progress);
            }
        });
        Bar(Some(Live {
            bar,
            end: Some(end),
            thread: Some(thread),
        }))
    }

    /// Does `print` with the bar out of the way.
    pub fn hidden<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(live) => live.bar.suspend(print),
            None => print(),
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It ends with the sender; a panic there takes no line of output with it.
            thread.join().ok();
        }
        self.bar.finish_and_clear();
    }
}

fn draw(bar: &ProgressBar, progress: &HashProgress) {
    let HashSnapshot {
        files,
        files_done: done,
        bytes,
        hashed,
        ..
    } = progress.snapshot();
    // The size of a small file is known once it is opened: the files tell how far it is, too.
    let by_files = u128::from(hashed) * u128::from(files) / u128::from(done.max(1));
    bar.set_length(bytes.max(u64::try_from(by_files).unwrap_or(u64::MAX)));
    bar.set_position(hashed.min(bytes));
    bar.set_message(format!("{done}/{files} files, {} found", HumanBytes(bytes)));
}

const TEMPLATE: &str = "hashing [{bar:30}] {binary_bytes:>11} {binary_bytes_per_sec:>13} {msg}";

/// As often as the bar is drawn.
const BEAT: Duration = Duration::from_millis(100);
