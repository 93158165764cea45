//! The ways out for people and scripts. In: lines. Out: standard output and standard error. Never: a
//! name that acts on a terminal or ends its line, or lost output that counts as success.

use std::borrow::Cow;
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::foot;
use super::objects::Line;
use super::words::in_words_of_the_command;

/// A line for people on standard output.
pub fn say(line: &str) {
    let line = in_words_of_the_command(line);
    say_bytes(format!("{}\n", shown(&line)).as_bytes());
}

/// A line for scripts on standard output, as it is.
pub fn say_object(line: &Line) {
    let line = text_of(line);
    say_bytes(format!("{}\n", in_words_of_the_command(&line)).as_bytes());
}

/// An object as one line, without its end.
pub fn text_of(line: &Line) -> String {
    serde_json::to_string(line).unwrap_or_default()
}

/// Bytes on standard output. A reader that went away is no failure; anything else is said once, and
/// makes the program's end a failure.
pub fn say_bytes(bytes: &[u8]) {
    if LOST.load(Ordering::Relaxed) {
        return;
    }
    let mut written = Ok(());
    on(&STDOUT_IS_TERMINAL, || {
        let bytes = text_alone(bytes, cfg!(windows) && *STDOUT_IS_TERMINAL);
        let mut out = std::io::stdout().lock();
        written = out.write_all(&bytes).and_then(|()| out.flush());
    });
    // A reader that went away has seen enough; an upload goes on, and its exit code says how it ended.
    let lost = written
        .err()
        .filter(|error| error.kind() != ErrorKind::BrokenPipe);
    if let Some(error) = lost
        && !LOST.swap(true, Ordering::Relaxed)
    {
        complain(&format!("panup: standard output: {error}"));
    }
}

/// A console of Windows takes nothing but Unicode, and a name need not be that.
fn text_alone(bytes: &[u8], is_console: bool) -> Cow<'_, [u8]> {
    match is_console && std::str::from_utf8(bytes).is_err() {
        true => String::from_utf8_lossy(bytes)
            .into_owned()
            .into_bytes()
            .into(),
        false => bytes.into(),
    }
}

/// Output was lost: the program's end is a failure.
pub fn lose() {
    LOST_ELSEWHERE.store(true, Ordering::Relaxed);
}

/// Whether output was lost.
pub fn is_lost() -> bool {
    LOST.load(Ordering::Relaxed) || LOST_ELSEWHERE.load(Ordering::Relaxed)
}

/// A line for people on standard error. Errors are ignored: standard error is the last resort.
pub fn complain(line: &str) {
    let line = in_words_of_the_command(line);
    on(&STDERR_IS_TERMINAL, || {
        drop(writeln!(std::io::stderr().lock(), "{}", shown(&line)));
    });
}

/// Prints above what stands at the foot of the terminal, where it goes there.
fn on(is_terminal: &LazyLock<bool>, print: impl FnOnce()) {
    if **is_terminal {
        foot::above(print);
    } else {
        print();
    }
}

static STDOUT_IS_TERMINAL: LazyLock<bool> = LazyLock::new(|| std::io::stdout().is_terminal());
static STDERR_IS_TERMINAL: LazyLock<bool> = LazyLock::new(|| std::io::stderr().is_terminal());

/// Standard error for a log that writes a line at a time.
pub struct Log;

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        complain(text.strip_suffix('\n').unwrap_or(&text));
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A line with nothing in it that a terminal would act on, that would end it, or that would turn it
/// around; no longer than anybody reads.
pub fn shown(line: &str) -> Cow<'_, str> {
    if line.len() <= LONGEST && !line.chars().any(acts) {
        return Cow::Borrowed(line);
    }
    let mut text = String::with_capacity(line.len() + 16);
    let mut chars = line.chars();
    for c in chars.by_ref() {
        match c {
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            c if acts(c) => text.extend(c.escape_unicode()),
            c => text.push(c),
        }
        if text.len() > LONGEST {
            let left = chars.as_str().len();
            text.push_str(&format!("… ({left} bytes more)"));
            break;
        }
    }
    Cow::Owned(text)
}

/// Controls of both sets, line separators, and what turns the direction of text.
fn acts(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// Twice the longest path, and what is said of it.
const LONGEST: usize = 10_000;

/// Set when standard output could not be written: one for the process, as standard output is.
static LOST: AtomicBool = AtomicBool::new(false);

/// Set when another output of the program could not be written.
static LOST_ELSEWHERE: AtomicBool = AtomicBool::new(false);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_shown_as_what_it_is() {
        for (text, expected) in [
            ("名 'a' \\ b", "名 'a' \\ b"),
            ("a\nb\rc\td", "a\\nb\\rc\\td"),
            ("\u{1b}[2J\u{7f}", "\\u{1b}[2J\\u{7f}"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("a\u{202e}b\u{2069}", "a\\u{202e}b\\u{2069}"),
        ] {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn what_is_no_text_is_kept_from_a_console_that_refuses_it() {
        let name = b"a\xed\xa0\x80b";
        assert_eq!(&*text_alone(name, false), name);
        assert_eq!(
            &*text_alone(name, true),
            "a\u{fffd}\u{fffd}\u{fffd}b".as_bytes()
        );
        assert_eq!(&*text_alone("名".as_bytes(), true), "名".as_bytes());
    }

    #[test]
    fn no_line_is_longer_than_anybody_reads() {
        let text = shown(&"名".repeat(500_000)).into_owned();
        assert!(
            text.len() < LONGEST + 40 && text.ends_with(" bytes more)"),
            "{}",
            text.len()
        );
        assert!(shown(&"\n".repeat(500_000)).len() < LONGEST + 40);
    }
}
