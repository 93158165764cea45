//! The facts that wait for a commit. In: facts in their order. Out: what goes into one commit. Never: more than so many bytes, however
//! long no commit succeeds.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::command::{Request, Write};
use super::entry::UploadId;
use super::write;

/// What goes into one commit.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) writes: Vec<Write>,
    /// Last, and one row each: the order of acks does not matter, nor whether their row is gone.
    pub(super) acks: BTreeMap<UploadId, BTreeSet<u32>>,
    pub(super) requests: Vec<Request>,
    /// About as much memory as writes and acks take.
    bytes: usize,
    /// Entries that there was no room for.
    pub(super) refused: u64,
}

impl Batch {
    /// What an earlier run has committed as one group.
    pub(super) fn of(writes: Vec<Write>) -> Batch {
        let mut batch = Batch::default();
        for write in writes {
            match write {
                Write::Ack(upload, ack) => {
                    batch.acks.entry(upload).or_default().insert(ack.slice());
                }
                write => batch.writes.push(write),
            }
        }
        batch
    }

    /// Adds what comes within `group` of the first, up to [`ROWS`] or a request.
    pub(super) fn collect(&mut self, first: Write, posted: &Receiver<Write>, group: Duration) {
        let until = Instant::now() + group;
        self.add(first);
        for _ in 1..ROWS {
            if !self.requests.is_empty() {
                return;
            }
            let next = posted.try_recv().or_else(|_| {
                // To be woken for each of them would cost as much as to write it.
                thread::sleep(GATHER);
                posted.recv_timeout(until.saturating_duration_since(Instant::now()))
            });
            match next {
                Ok(write) => self.add(write),
                Err(_) => return,
            }
        }
    }

    pub(super) fn add(&mut self, write: Write) {
        match write {
            Write::Request(request) => self.requests.push(request),
            write if self.bytes + weight(&write) > MOST => self.refuse(write),
            Write::Ack(upload, ack) => {
                if self.acks.entry(upload).or_default().insert(ack.slice()) {
                    self.bytes += ACK;
                }
            }
            write => {
                self.bytes += weight(&write);
                self.writes.push(write);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.acks.is_empty()
    }

    /// The facts in it, those that there was no room for included.
    pub(super) fn len(&self) -> u64 {
        let facts = |write: &&Write| is_fact(write);
        let acks: usize = self.acks.values().map(BTreeSet::len).sum();
        (self.writes.iter().filter(facts).count() + acks) as u64 + self.refused
    }

    /// Rows that a commit touches.
    pub(super) fn rows(&self) -> usize {
        self.writes.len() + self.acks.len()
    }

    pub(super) fn take_requests(&mut self) -> Vec<Request> {
        mem::take(&mut self.requests)
    }

    /// # Errors
    /// Something was not written.
    pub(super) fn apply(&self, db: &Connection, now: i64) -> rusqlite::Result<()> {
        for entry in &self.writes {
            apply(entry, db, now)?;
        }
        for (upload, slices) in &self.acks {
            write::acks(db, *upload, slices, now)?;
        }
        Ok(())
    }

    fn refuse(&mut self, write: Write) {
        // A place that is given back is not lost: it must not stay locked because the disk is full.
        if is_fact(&write) {
            self.refused += 1;
        }
    }
}

/// Whether something that a run has done is lost with it.
fn is_fact(write: &Write) -> bool {
    !matches!(
        write,
        Write::Release(_) | Write::Used(_) | Write::Link(_) | Write::ForgetLink(..)
    )
}

fn apply(entry: &Write, db: &Connection, now: i64) -> rusqlite::Result<()> {
    match entry {
        Write::Hashes(path, identity, hashes) => {
            write::hashes(db, path, identity, hashes, now).map(drop)
        }
        Write::Begin(id, task, md5, created) => {
            write::begin(db, *id, (task, md5), created.as_ref(), now)
        }
        Write::Abandon(id) => write::abandon(db, *id),
        Write::Finish(task, md5, file_id) => write::finish(db, task, md5, *file_id, now),
        Write::Seen(task, md5) => write::seen(db, task, md5, now),
        Write::Replace(task, md5) => write::replace(db, task, md5),
        Write::Used(row) => write::used(db, *row, now),
        Write::Moved(id, path) => write::moved(db, *id, path),
        Write::ForgetHashes(path) => write::forget_hashes(db, path),
        Write::Link(link) => write::link(db, link, now),
        Write::ForgetLink(network, server) => write::forget_link(db, network, server),
        Write::Ack(..) | Write::Release(_) | Write::Request(_) => Ok(()),
    }
}

/// About as many bytes as an entry takes.
fn weight(write: &Write) -> usize {
    let own = size_of::<Write>();
    let task = |task: &super::Task| {
        size_of::<super::Task>() + task.path.as_os_str().len() + task.remote.path().len()
    };
    match write {
        Write::Hashes(path, _, hashes) => {
            let slices = hashes.slices.as_ref().map_or(0, |slices| slices.md5s.len());
            own + path.as_os_str().len() + 16 * slices
        }
        Write::Begin(_, of, _, created) => {
            let created = created.as_ref().map_or(0, |created| {
                let servers: usize = created.servers.iter().map(String::len).sum();
                created.preupload_id.len() + servers
            });
            own + task(of) + created
        }
        Write::Finish(of, ..) | Write::Seen(of, _) | Write::Replace(of, _) => own + task(of),
        Write::Moved(_, path) | Write::ForgetHashes(path) => own + path.as_os_str().len(),
        Write::Link(link) => own + link.network.len() + link.server.len(),
        Write::ForgetLink(network, server) => own + network.len() + server.len(),
        Write::Ack(..) => ACK,
        Write::Abandon(_) | Write::Used(_) | Write::Release(_) | Write::Request(_) => own,
    }
}

/// Long enough to put a burst into one commit, short enough that a kill costs few slices.
pub(super) const GROUP: Duration = Duration::from_millis(200);

/// The writing thread is away for so long once it has taken all that there is.
const GATHER: Duration = Duration::from_millis(1);

/// Rows in one commit: some 10 ms of work, so that other processes wait no longer for theirs.
pub(super) const ROWS: usize = 1000;

/// Bytes that wait for a database that cannot be written for the moment: some 30,000 finished
/// files, minutes at the rate of calls that the service allows.
pub(super) const MOST: usize = 16 << 20;

/// Bytes of an ack among others.
const ACK: usize = 8;
