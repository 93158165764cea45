//! Lines on standard output, and a bar on standard error where that is a terminal.

use std::io::{BufWriter, ErrorKind, IsTerminal, Stdout, Write};
use std::sync::Arc;

use panup::HashProgress;

use super::super::complain;
use super::bar::Bar;
use super::bare;

/// Where the lines go.
pub struct Printer {
    out: BufWriter<Stdout>,
    end: u8,
    is_terminal: bool,
    bar: Bar,
    well: bool,
}

impl Printer {
    /// Nothing printed yet; lines end in `end`.
    pub fn new(progress: &Arc<HashProgress>, end: u8) -> Printer {
        Printer {
            end,
            out: BufWriter::with_capacity(BUFFER, std::io::stdout()),
            is_terminal: std::io::stdout().is_terminal(),
            bar: Bar::start(progress),
            well: true,
        }
    }

    /// A line. People see it at once; scripts get many at a time.
    pub fn line(&mut self, line: &[u8]) {
        let Printer { out, bar, end, .. } = self;
        let write = |out: &mut BufWriter<Stdout>| {
            out.write_all(line)?;
            out.write_all(&[*end])
        };
        let written = match self.is_terminal {
            true => bar.hidden(|| write(out).and_then(|()| out.flush())),
            false => write(out),
        };
        self.note(written);
    }

    /// Does `complain` with the bar out of the way, and behind the lines before it.
    pub fn aside(&mut self, complain: impl FnOnce()) {
        let flushed = self.out.flush();
        self.note(flushed);
        self.bar.hidden(complain);
    }

    /// The end of the lines: whether all could be written.
    pub fn end(mut self) -> bool {
        let flushed = self.out.flush();
        self.note(flushed);
        self.well
    }

    fn note(&mut self, written: std::io::Result<()>) {
        match written {
            Ok(()) => {}
            // Its reader has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
            Err(error) if self.well => {
                self.well = false;
                self.bar.hidden(|| {
                    complain(&format!("panup: write error: {}", bare(&error.to_string())))
                });
            }
            Err(_) => {}
        }
    }
}

/// Some hundred lines.
const BUFFER: usize = 64 << 10;
