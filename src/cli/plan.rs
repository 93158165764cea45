//! What `--dry-run` prints: a line or a JSON object for each file that would go up, and how many
//! there are.

use panup::Item;
use serde_json::json;

use super::args::Output;
use super::left_out::LeftOut;
use super::report::failure;
use super::size::human;
use super::walk::{News, Refused};
use super::{complain, say, say_object};

/// The lines of one dry run.
pub struct Plan {
    output: Output,
    files: u64,
    bytes: u64,
    failed: u64,
}

impl Plan {
    /// An empty plan.
    pub fn new(output: Output) -> Plan {
        Plan {
            output,
            files: 0,
            bytes: 0,
            failed: 0,
        }
    }

    /// A file of `size` bytes would go up.
    pub fn file(&mut self, item: &Item, size: u64) {
        self.files += 1;
        self.bytes += size;
        if self.output.json {
            let line = json!({
                "event": "planned", "path": item.path.to_string_lossy(), "remote": item.remote, "size": size,
            });
            say_object(&line);
        } else if !self.output.quiet {
            let path = item.path.display();
            say(&format!("{path} -> {} ({size} bytes)", item.remote));
        }
    }

    /// What the walk said.
    pub fn news(&mut self, news: &News) {
        match news {
            News::Refused(refused) => self.refused(refused),
            News::Warning(error) => complain(&format!("warning   {error}")),
        }
    }

    fn refused(&mut self, refused: &Refused) {
        self.failed += 1;
        if self.output.json {
            say_object(&failure(&refused.path, "", 0, &refused.error));
        } else {
            complain(&format!("failed    {}", refused.error));
        }
    }

    /// The last line; returns how many files failed.
    pub fn summary(self, left_out: &LeftOut) -> u64 {
        if self.output.json {
            // Nothing was uploaded, so nothing but files and failures can be counted.
            let line = json!({
                "event": "summary", "files": self.files + self.failed, "uploaded": 0, "reused": 0,
                "skipped": 0, "failed": self.failed, "bytes": 0, "sent": 0, "seconds": 0.0,
                "unstarted": 0, "links": left_out.links(), "special": left_out.special(),
            });
            say_object(&line);
        } else if !self.output.quiet {
            complain(&format!(
                "{} files, {} would be uploaded",
                self.files,
                human(self.bytes)
            ));
        }
        self.failed
    }
}
