//! The lines at the foot of a terminal that are drawn again and again. In: lines; others that want to
//! write there. Out: the terminal with the latest lines last. Never: a torn line: whoever writes to the
//! terminal meanwhile does it through [`above`].
//!
//! The cursor rests behind the last line, so a `^C` that the terminal echoes changes nothing but that line,
//! which is drawn anew. An Enter moves it to the next line: that is seen by the line that waits to be read.

use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::system::typed_ahead;

/// What stands at the foot of the terminal: one for the process, as the terminal is.
static FOOT: Mutex<Foot> = Mutex::new(Foot {
    drawn: Vec::new(),
    text: String::new(),
    is_on: false,
    taskbar: None,
    typed: 0,
});

#[derive(Debug)]
struct Foot {
    /// Columns of each line that stands there now.
    drawn: Vec<usize>,
    text: String,
    /// Lines may be drawn.
    is_on: bool,
    /// What the taskbar shows, in hundredths.
    taskbar: Option<u8>,
    /// Bytes of whole lines that were typed and not read by anybody.
    typed: u64,
}

/// From now on lines may be drawn.
pub fn begin() {
    let mut foot = lock();
    foot.is_on = true;
    foot.typed = typed_ahead();
}

/// Draws `lines` in place of those that stand there, on a terminal of `width` columns.
pub fn draw(lines: &[(String, usize)], width: usize) {
    let mut foot = lock();
    if !foot.is_on {
        return;
    }
    let texts: Vec<&str> = lines.iter().map(|(text, _)| text.as_str()).collect();
    // What a narrower terminal has wrapped is drawn again whatever it says.
    let wrapped = foot.drawn.iter().any(|&columns| columns > width);
    let text = texts.join("\x1b[K\r\n");
    let entered = foot.entered();
    if !foot.drawn.is_empty() && foot.text == text && !wrapped && entered == 0 {
        return;
    }
    let home = foot.home(width, entered);
    write(&format!("{SYNC}{home}{text}\x1b[J{SHOWN}"));
    foot.drawn = lines.iter().map(|&(_, columns)| columns).collect();
    foot.text = text;
}

/// Shows `percent` in the taskbar of terminals that have one.
pub fn taskbar(percent: Option<u8>) {
    let mut foot = lock();
    if foot.is_on && foot.taskbar != percent {
        foot.taskbar = percent;
        write(&in_taskbar(percent));
    }
}

/// Takes the lines away, and draws none until [`begin`].
pub fn end() {
    lock().end();
}

/// As [`end`], for one who must not wait for another thread.
pub fn end_soon() {
    let deadline = Instant::now() + SOON;
    loop {
        match FOOT.try_lock() {
            Ok(mut foot) => return foot.end(),
            Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner().end(),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return,
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// Takes the lines away until they are drawn again: the process is about to stop.
pub fn clear() {
    lock().clear();
}

/// Does `print`, which writes whole lines to the terminal, above the lines, which are drawn again later.
pub fn above(print: impl FnOnce()) {
    let mut foot = lock();
    foot.clear();
    print();
}

impl Foot {
    fn clear(&mut self) {
        if !self.drawn.is_empty() {
            let entered = self.entered();
            write(&format!("{}\x1b[J", self.home(terminal_width(), entered)));
            self.drawn.clear();
            self.text.clear();
        }
    }

    fn end(&mut self) {
        self.clear();
        if self.taskbar.take().is_some() {
            write(&in_taskbar(None));
        }
        self.is_on = false;
    }

    /// Lines by which the cursor went down since it was asked last: nobody types two in a tenth of a second.
    fn entered(&mut self) -> usize {
        let typed = typed_ahead();
        let before = std::mem::replace(&mut self.typed, typed);
        usize::from(typed > before)
    }

    /// To the begin of the first line, from behind the last one or `entered` lines below. A narrower terminal
    /// has wrapped them.
    fn home(&self, width: usize, entered: usize) -> String {
        let rows = |&columns: &usize| columns.max(1).div_ceil(width.max(1));
        let rows = self.drawn.iter().map(rows).sum::<usize>() + entered;
        match rows {
            0 | 1 => "\r".to_owned(),
            _ => format!("\r\x1b[{}A", rows - 1),
        }
    }
}

/// Columns of the terminal on standard error.
fn terminal_width() -> usize {
    let size = console::Term::stderr().size_checked();
    size.map_or(80, |(_, columns)| usize::from(columns))
}

/// OSC 9;4: a share of the whole, or its end.
fn in_taskbar(percent: Option<u8>) -> String {
    match percent {
        Some(percent) => format!("\x1b]9;4;1;{percent}\x1b\\"),
        None => "\x1b]9;4;0;\x1b\\".to_owned(),
    }
}

fn write(text: &str) {
    let mut out = std::io::stderr().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

fn lock() -> MutexGuard<'static, Foot> {
    FOOT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Terminals that know it show nothing until the end of the frame.
const SYNC: &str = "\x1b[?2026h";
const SHOWN: &str = "\x1b[?2026l";

/// A thread that hangs in the terminal is not waited for any longer.
const SOON: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_home_counts_wrapped_lines() {
        let foot = |drawn: &[usize]| Foot {
            drawn: drawn.to_vec(),
            text: String::new(),
            is_on: true,
            taskbar: None,
            typed: 0,
        };
        assert_eq!(foot(&[]).home(80, 0), "\r");
        assert_eq!(foot(&[76]).home(80, 0), "\r");
        assert_eq!(foot(&[76, 0, 30]).home(80, 0), "\r\x1b[2A");
        assert_eq!(foot(&[76, 0, 30]).home(80, 1), "\r\x1b[3A", "Enter");
        assert_eq!(
            foot(&[76, 0, 30]).home(40, 0),
            "\r\x1b[3A",
            "the first takes two rows"
        );
    }
}
