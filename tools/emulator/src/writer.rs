//! The way of a body's bytes into a hash and a file. In come bytes as they arrive, out go an MD5 and
//! a region that is written; hashing and writing happen on blocking threads, batch by batch, and no
//! slice is ever held whole.

use std::io;

use bytes::Bytes;
use md5::{Digest, Md5};
use tokio::task::JoinHandle;

use crate::store::{BATCH, Region, Sum};

/// Bytes on their way into a hash and a region.
pub(crate) struct Writer {
    work: Progress,
    batch: Vec<Bytes>,
    batched: usize,
    /// Bytes that were pushed.
    pub(crate) bytes: u64,
}

/// What is done with a batch, and at most one batch at a time is being done.
enum Progress {
    /// Nothing is to be done with the bytes.
    Idle,
    Ready(Work),
    Running(JoinHandle<io::Result<Work>>),
}

struct Work {
    digest: Option<Md5>,
    region: Option<Region>,
}

impl Writer {
    /// Hashes if `verify`, writes if there is a region.
    pub(crate) fn new(verify: bool, region: Option<Region>) -> Self {
        let digest = verify.then(Md5::new);
        let idle = digest.is_none() && region.is_none();
        Self {
            work: if idle {
                Progress::Idle
            } else {
                Progress::Ready(Work { digest, region })
            },
            batch: Vec::new(),
            batched: 0,
            bytes: 0,
        }
    }

    pub(crate) async fn push(&mut self, bytes: Bytes) -> io::Result<()> {
        self.bytes += bytes.len() as u64;
        if matches!(self.work, Progress::Idle) {
            return Ok(());
        }
        self.batched += bytes.len();
        self.batch.push(bytes);
        if self.batched >= BATCH {
            self.start_batch().await?;
        }
        Ok(())
    }

    /// The MD5 of all bytes, if they were hashed; every byte is written when this returns.
    pub(crate) async fn finish(&mut self) -> io::Result<Option<Sum>> {
        let Some(mut work) = self.settled().await? else {
            return Ok(None);
        };
        let batch = std::mem::take(&mut self.batch);
        if self.batched <= SMALL && work.region.is_none() {
            work.do_batch(&batch)?;
        } else {
            work = tokio::task::spawn_blocking(move || work.do_batch(&batch).map(|()| work))
                .await
                .map_err(io::Error::other)??;
        }
        Ok(work.digest.map(|digest| digest.finalize().into()))
    }

    async fn start_batch(&mut self) -> io::Result<()> {
        let Some(mut work) = self.settled().await? else {
            return Ok(());
        };
        let batch = std::mem::take(&mut self.batch);
        self.batched = 0;
        self.work = Progress::Running(tokio::task::spawn_blocking(move || {
            work.do_batch(&batch)?;
            Ok(work)
        }));
        Ok(())
    }

    async fn settled(&mut self) -> io::Result<Option<Work>> {
        match std::mem::replace(&mut self.work, Progress::Idle) {
            Progress::Idle => Ok(None),
            Progress::Ready(work) => Ok(Some(work)),
            Progress::Running(job) => job.await.map_err(io::Error::other)?.map(Some),
        }
    }
}

impl Work {
    fn do_batch(&mut self, batch: &[Bytes]) -> io::Result<()> {
        for bytes in batch {
            if let Some(digest) = &mut self.digest {
                digest.update(bytes);
            }
            if let Some(region) = &mut self.region {
                region.write(bytes)?;
            }
        }
        Ok(())
    }
}

/// Hashing this much takes as long as handing it to another thread and back.
const SMALL: usize = 16 << 10;
