//! The uploads under way. In come attempts at slices and their MD5s, out goes which slices are
//! there and, once all are, the MD5 of the whole; a slice counts only when its attempt was
//! checked, and a bad attempt never spoils what is already there.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use md5::{Digest, Md5};

use crate::node::Content;
use crate::reply::Refusal;
use crate::store::{Lease, Region, Spool, Sum};
use crate::tree::Duplicate;

/// What a create has promised.
#[derive(Clone, Debug)]
pub(crate) struct PlannedFile {
    pub(crate) folder: i64,
    pub(crate) name: String,
    pub(crate) content: Content,
    pub(crate) duplicate: Duplicate,
}

/// One upload, shared by the calls that serve it.
#[derive(Clone, Debug)]
pub(crate) struct Upload(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    planned: PlannedFile,
    slice_size: u64,
    /// How many slices there have to be.
    count: u64,
    /// Those that were begun: ten gigabytes of tiny slices cost nothing until they come.
    slices: BTreeMap<u64, Slice>,
    /// None when bytes are discarded, or when it has ended.
    spool: Option<Spool>,
    phase: Phase,
    polls_left: u32,
    polls: u32,
    check: Check,
}

#[derive(Clone, Debug)]
enum Slice {
    Arriving(Lease),
    Present(Sum),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Ended,
}

/// The MD5 of the whole file, which follows the slices from the front.
#[derive(Debug)]
struct Check {
    verify: bool,
    digest: Md5,
    /// Slices that are in `digest`.
    done: u64,
    running: bool,
    /// Counts how often it had to begin again, so that a hash of older bytes is not taken.
    epoch: u64,
}

/// Where the bytes of a checked slice are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SliceBytes<'a> {
    Discarded,
    InPlace,
    Aside(&'a Region),
}

/// Where a `complete` stands.
#[derive(Debug)]
pub(crate) enum Completion {
    /// To be asked again; with the number of times it was asked before.
    Pending(u32),
    /// All is there and right: the file can be kept.
    Whole(PlannedFile, Option<Spool>),
}

/// How an upload is set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UploadSettings {
    pub(crate) slice_size: u64,
    pub(crate) polls: u32,
    pub(crate) verify: bool,
}

impl Upload {
    pub(crate) fn new(
        planned: PlannedFile,
        spool: Option<Spool>,
        settings: UploadSettings,
    ) -> Self {
        let count = planned.content.size.div_ceil(settings.slice_size);
        let check = Check {
            verify: settings.verify,
            digest: Md5::new(),
            done: 0,
            running: false,
            epoch: 0,
        };
        Self(Arc::new(Mutex::new(Inner {
            planned,
            slice_size: settings.slice_size,
            count,
            slices: BTreeMap::new(),
            spool,
            phase: Phase::Open,
            polls_left: settings.polls,
            polls: 0,
            check,
        })))
    }

    /// How many bytes slice `no` (from 1) has to have.
    pub(crate) fn expected(&self, no: u64) -> Result<u64, Refusal> {
        let inner = self.lock();
        inner.check_open()?;
        let count = inner.count;
        if no == 0 || no > count {
            return Err(Refusal::business(format!(
                "sliceNo {no} is out of range: the file has {count} slices, counted from 1"
            )));
        }
        let before = (no - 1) * inner.slice_size;
        Ok(inner.slice_size.min(inner.planned.content.size - before))
    }

    /// The way in for slice `no`, which is in range: straight to its place when no other
    /// attempt came before, or none, and then its bytes have to wait aside until they are checked.
    pub(crate) fn direct_region(&self, no: u64) -> Option<Region> {
        let mut inner = self.lock();
        let region = inner.region(no)?;
        if inner.slices.contains_key(&no) {
            return None;
        }
        let lease = region.lease.clone();
        inner.slices.insert(no, Slice::Arriving(lease));
        Some(region)
    }

    /// The attempt that was let in with this lease is over without success.
    pub(crate) fn abandon(&self, no: u64, lease: &Lease) {
        if !lease.holds() {
            return;
        }
        lease.take_back();
        let mut inner = self.lock();
        if let Some(Slice::Arriving(_)) = inner.slices.get(&no) {
            inner.slices.remove(&no);
        }
    }

    /// Slice `no` was found to be `sum`. False when an attempt that is in place came second to
    /// one that waited aside. Blocking when the bytes wait aside.
    pub(crate) fn accept(&self, no: u64, sum: Sum, bytes: SliceBytes<'_>) -> io::Result<bool> {
        let mut inner = self.lock();
        if inner.phase == Phase::Ended {
            return Ok(true);
        }
        match (bytes, inner.slices.get(&no)) {
            (SliceBytes::InPlace, None | Some(Slice::Present(_))) => return Ok(false),
            (SliceBytes::Aside(_), Some(Slice::Arriving(other))) => other.take_back(),
            _ => {}
        }
        if let (SliceBytes::Aside(aside), Some(place)) = (bytes, inner.region(no)) {
            place.copy_from(aside)?;
        }
        let before = inner.slices.insert(no, Slice::Present(sum));
        if matches!(before, Some(Slice::Present(old)) if old != sum) {
            inner.check.begin_again();
        }
        Ok(true)
    }

    /// Whether there is a whole to be checked along the way.
    pub(crate) fn hashes_whole(&self) -> bool {
        let inner = self.lock();
        inner.check.verify && inner.count > 1 && inner.spool.is_some()
    }

    /// Hashes on from the front while there are slices. Blocking; one at a time per upload.
    pub(crate) fn hash_on(&self) -> io::Result<()> {
        while let Some((region, mut digest, epoch)) = self.next_to_check() {
            let read = region.read(|bytes| {
                digest.update(bytes);
                Ok(())
            });
            let mut inner = self.lock();
            inner.check.running = false;
            read?;
            if inner.check.epoch == epoch {
                inner.check.digest = digest;
                inner.check.done += 1;
            }
        }
        Ok(())
    }

    fn next_to_check(&self) -> Option<(Region, Md5, u64)> {
        let mut inner = self.lock();
        let Check { done, running, .. } = inner.check;
        let open = inner.phase == Phase::Open;
        let wanted = inner.check.verify && inner.count > 1 && !running && open;
        if !wanted || !matches!(inner.slices.get(&(done + 1)), Some(Slice::Present(_))) {
            return None;
        }
        let region = inner.region(done + 1)?;
        inner.check.running = true;
        Some((region, inner.check.digest.clone(), inner.check.epoch))
    }

    /// Whether the file is whole and right. The upload ends here when it is, and when it is not.
    pub(crate) fn complete(&self) -> Result<Completion, Refusal> {
        let mut inner = self.lock();
        inner.check_open()?;
        inner.check_all_there()?;
        let polls = inner.polls;
        inner.polls += 1;
        if inner.polls_left > 0 {
            inner.polls_left -= 1;
            return Ok(Completion::Pending(polls));
        }
        let Some(right) = inner.is_right() else {
            return Ok(Completion::Pending(polls));
        };
        inner.phase = Phase::Ended;
        let spool = inner.spool.take();
        if !right {
            return Err(failed("the MD5 of the whole file is not the etag"));
        }
        Ok(Completion::Whole(inner.planned.clone(), spool))
    }

    /// Whether complete could be asked for.
    pub(crate) fn check_all_there(&self) -> Result<(), Refusal> {
        let inner = self.lock();
        inner.check_open()?;
        inner.check_all_there()
    }

    /// Gives it up, and its bytes.
    pub(crate) fn end(&self) {
        let mut inner = self.lock();
        inner.phase = Phase::Ended;
        inner.spool = None;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn check_open(&self) -> Result<(), Refusal> {
        match self.phase {
            Phase::Open => Ok(()),
            Phase::Ended => Err(failed("this upload has ended")),
        }
    }

    fn check_all_there(&self) -> Result<(), Refusal> {
        let there = |slice: &&Slice| matches!(slice, Slice::Present(_));
        let missing = self.count - self.slices.values().filter(there).count() as u64;
        if missing == 0 {
            return Ok(());
        }
        let is_missing = |no: &u64| !self.slices.get(no).as_ref().is_some_and(there);
        let first = (1..=self.count).find(is_missing).unwrap_or_default();
        Err(failed(&format!(
            "slices are missing: {missing}, slice {first} is the first"
        )))
    }

    /// None while it is not yet known.
    fn is_right(&self) -> Option<bool> {
        let wanted = self.planned.content.sum;
        if !self.check.verify {
            return Some(true);
        }
        if let (1, Some(Slice::Present(only))) = (self.count, self.slices.get(&1)) {
            return Some(*only == wanted);
        }
        if self.spool.is_none() {
            // Discarded: the slices were checked one by one, the whole cannot be.
            return Some(true);
        }
        let all = self.check.done == self.count;
        all.then(|| Sum::from(self.check.digest.clone().finalize()) == wanted)
    }

    fn region(&self, no: u64) -> Option<Region> {
        let at = (no - 1) * self.slice_size;
        let bytes = self.slice_size.min(self.planned.content.size - at);
        Some(self.spool.as_ref()?.region(at, bytes))
    }
}

impl Check {
    fn begin_again(&mut self) {
        self.digest = Md5::new();
        self.done = 0;
        self.epoch += 1;
    }
}

fn failed(detail: &str) -> Refusal {
    Refusal::business("文件上传失败").because(detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: UploadSettings = UploadSettings {
        slice_size: 10,
        polls: 1,
        verify: true,
    };

    fn upload(size: u64, sum: Sum) -> Upload {
        let planned = PlannedFile {
            folder: 0,
            name: "a".to_owned(),
            content: Content { sum, size },
            duplicate: Duplicate::Refuse,
        };
        Upload::new(planned, None, SETTINGS)
    }

    #[test]
    fn slices_have_exact_lengths() {
        let lengths = |size| -> Vec<Option<u64>> {
            let upload = upload(size, [0; 16]);
            (0..=4).map(move |no| upload.expected(no).ok()).collect()
        };
        let wanted: Vec<_> = vec![None, Some(10), Some(10), Some(1), None];
        assert_eq!(lengths(21), wanted);
        let wanted: Vec<_> = vec![None, Some(10), Some(10), None, None];
        assert_eq!(lengths(20), wanted);
    }

    #[test]
    fn complete_needs_every_slice_and_its_polls() {
        let upload = upload(20, [0; 16]);
        upload
            .accept(2, [2; 16], SliceBytes::Discarded)
            .expect("no I/O");
        let refused = upload.complete().expect_err("one is missing");
        assert_eq!(refused.message, "文件上传失败");
        assert_eq!(
            refused.detail.as_deref(),
            Some("slices are missing: 1, slice 1 is the first")
        );
        upload
            .accept(1, [1; 16], SliceBytes::Discarded)
            .expect("no I/O");
        assert!(matches!(upload.complete(), Ok(Completion::Pending(0))));
        assert!(matches!(upload.complete(), Ok(Completion::Whole(..))));
        assert!(upload.complete().is_err());
        assert!(upload.expected(1).is_err());
    }

    #[test]
    fn the_only_slice_is_the_whole_file() {
        let right = upload(5, [1; 16]);
        right
            .accept(1, [1; 16], SliceBytes::Discarded)
            .expect("no I/O");
        assert!(matches!(right.complete(), Ok(Completion::Pending(0))));
        assert!(matches!(right.complete(), Ok(Completion::Whole(..))));
        let wrong = upload(5, [1; 16]);
        wrong
            .accept(1, [2; 16], SliceBytes::Discarded)
            .expect("no I/O");
        assert!(matches!(wrong.complete(), Ok(Completion::Pending(0))));
        assert!(wrong.complete().is_err());
    }
}
