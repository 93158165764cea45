//! What `--dry-run` prints: a line or a JSON object for each file that would go up, and how many
//! there are.

use panup::Item;
use serde_json::json;

use super::args::Output;
use super::left_out::LeftOut;
use super::objects;
use super::size::{counted, human};
use super::walk::{News, Refused};
use super::{Tally, complain, say, say_object};

/// The lines of one dry run.
pub struct Plan {
    output: Output,
    files: u64,
    bytes: u64,
    tally: Tally,
}

impl Plan {
    /// An empty plan.
    pub fn new(output: Output) -> Plan {
        Plan {
            output,
            files: 0,
            bytes: 0,
            tally: Tally::default(),
        }
    }

    /// A file of `size` bytes would go up.
    pub fn file(&mut self, item: &Item, size: u64) {
        self.files += 1;
        self.bytes += size;
        if self.output.json {
            say_object(&objects::planned(item, size));
        } else if !self.output.quiet {
            let path = item.path.display();
            say(&format!("{path} -> {} ({size} bytes)", item.remote));
        }
    }

    /// What the walk said.
    pub fn news(&mut self, news: &News) {
        match news {
            News::Refused(refused) => self.refused(refused),
            News::LeftOut(path, why) => say_object(&objects::left_out(path, *why)),
            News::Folder(folder) if self.output.json => {
                say_object(&objects::folder(folder, "planned"))
            }
            News::Folder(_) if self.output.quiet => {}
            News::Folder(folder) => {
                let path = folder.path.display();
                say(&format!("{path} -> {} (an empty folder)", folder.remote));
            }
            News::Warning(error) => {
                if self.output.json {
                    say_object(&objects::warning(error));
                }
                complain(&format!("warning   {error}"));
            }
        }
    }

    fn refused(&mut self, refused: &Refused) {
        self.tally.failed += 1;
        self.tally.for_good += u64::from(refused.error.is_final());
        if self.output.json {
            say_object(&objects::refused(refused));
        } else {
            complain(&format!("failed    {}", refused.error));
        }
    }

    /// The last line; returns how many files failed.
    pub fn summary(self, left_out: &LeftOut) -> Tally {
        let failed = self.tally.failed;
        if self.output.json {
            // Nothing was uploaded, so nothing but files and failures can be counted.
            let mut line = json!({
                "event": "summary", "files": self.files + failed, "uploaded": 0, "reused": 0,
                "skipped": 0, "failed": failed, "bytes": 0, "sent": 0, "seconds": 0.0,
                "unstarted": 0,
            });
            left_out.add_to(&mut line);
            say_object(&line);
        } else if !self.output.quiet {
            complain(&format!(
                "{}, {} would be uploaded{}",
                counted(self.files, "file", "files"),
                human(self.bytes),
                left_out.summary()
            ));
        }
        self.tally
    }
}
