//! Who is let in: an item that can be opened, has a name and a size that the service takes, and is
//! not known as finished. Everybody else has ended before a byte was read.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Item;
use super::event::{Outcome, Progress, Status};
use super::hash::{Admitted, Candidate, Stage, name};
use super::window::{Share, Window};
use crate::digest::Md5;
use crate::error::{Error, Result};
use crate::journal::{Finished, Task};
use crate::options::Resume;
use crate::source::{Source, patiently};
use crate::wire::{Remote, check_size};

impl Stage {
    /// Opens an item and takes its place in the window; `None` where it has ended already.
    pub(super) fn admit(
        &self,
        item: &Item,
        window: &Arc<Window>,
        mut let_go: impl FnMut(),
    ) -> Option<Candidate> {
        let started = Instant::now();
        match self.open(item, &mut let_go) {
            Ok((source, task)) => {
                if let Some(finished) = self.finished(&task) {
                    self.skip(item, &source, &finished);
                    return None;
                }
                let share = enter(window, source.len(), let_go)?;
                Some(Candidate {
                    source,
                    task,
                    started,
                    share,
                })
            }
            Err(error) => {
                let size = item.facts().map_or(0, |facts| facts.len());
                self.fail(item, size, error);
                None
            }
        }
    }

    /// Opens it, once there is a descriptor for it.
    fn open(&self, item: &Item, let_go: impl FnOnce()) -> Result<(Source, Task)> {
        let named = |error: Error| error.with_path(&item.path);
        let core = &self.shared.core;
        let open = || Source::open_below(item.below.as_deref(), &item.path, &core.source_settings);
        let source = patiently(open, let_go, || self.shared.is_draining())?;
        if source.is_empty() {
            // Some files have contents that their size knows nothing of.
            source.read_into(&mut Vec::new())?;
        }
        check_size(source.len()).map_err(named)?;
        let task = Task {
            account: Arc::clone(&core.account),
            remote: Remote::new(item.parent_id, &item.remote).map_err(named)?,
            conflict: core.options.on_conflict,
            path: std::path::absolute(&item.path).unwrap_or_else(|_| item.path.clone()),
            identity: *source.identity(),
        };
        Ok((source, task))
    }

    fn finished(&self, task: &Task) -> Option<Finished> {
        let known = self.shared.core.options.resume == Resume::Everything;
        known
            .then(|| self.shared.core.journal.finished(task))
            .flatten()
    }

    fn skip(&self, item: &Item, source: &Source, finished: &Finished) {
        let (id, md5) = (finished.file_id, Some(finished.md5));
        self.skipped(item, source.len(), id, md5);
    }

    /// The same file was handed in for the same place before, as `first`.
    pub(super) fn again(&self, item: &Item, size: u64, first: &Path) {
        let (path, first) = (item.path.display(), first.display());
        tracing::info!("{path} is the same file as {first}, which goes to the same place");
        self.skipped(item, size, 0, None);
    }

    fn skipped(&self, item: &Item, size: u64, id: i64, md5: Option<Md5>) {
        for counter in [&self.shared.progress.hashed, &self.shared.progress.acked] {
            Progress::add(counter, size);
        }
        let outcome = Outcome {
            path: item.path.clone(),
            remote: item.remote.clone(),
            status: Status::Skipped(id),
            size,
            md5,
            sent: 0,
            elapsed: Duration::ZERO,
        };
        drop(self.out.send(Admitted::Ended(Box::new(outcome))));
    }

    pub(super) fn fail(&self, item: &Item, size: u64, error: Error) {
        let error = name(error, &item.path);
        let outcome = Outcome {
            path: item.path.clone(),
            remote: item.remote.clone(),
            status: Status::Failed(error),
            size,
            md5: None,
            sent: 0,
            elapsed: Duration::ZERO,
        };
        drop(self.out.send(Admitted::Ended(Box::new(outcome))));
    }
}

/// Room in the window, waited for if need be. Whoever waits must first let go of what it has in
/// there itself: a batch larger than the window would wait for its own files for ever.
fn enter(window: &Arc<Window>, bytes: u64, let_go: impl FnOnce()) -> Option<Share> {
    window.try_enter(bytes).or_else(|| {
        let_go();
        window.enter(bytes)
    })
}

#[cfg(test)]
mod tests {
    use super::super::window::Size;
    use super::*;

    #[test]
    fn a_batch_larger_than_the_window_does_not_wait_for_itself() {
        let window = Window::new(Size {
            files: 9,
            bytes: 10,
        });
        let mut held = Vec::new();
        let mut let_go = 0;
        for _ in 0..5 {
            let share = enter(&window, 4, || {
                let_go += 1;
                held.clear();
            });
            held.push(share.expect("not closed"));
        }
        assert_eq!((let_go, held.len()), (2, 1), "two at a time");
    }
}
