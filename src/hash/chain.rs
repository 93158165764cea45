//! One big file's MD5: a single serial chain, the longest pole of its upload. A second processor
//! cannot shorten it, but it can have the slices' MD5s ready when it ends.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::watch::{PIECE, Watch};
use crate::digest::{End, FileDigest, Hasher, Lanes, Md5};
use crate::source::{Source, touched};
use crate::sync::Mutex;

/// Works out a mapped file's MD5 on this thread, and on `pool` those of its slices, each group of them
/// just behind the chain, where the pages still are. Returns when the chain has ended; the last of
/// all tasks calls `done`, which is dropped instead where one of them panicked or was stopped.
pub(super) fn with_slices(
    source: Source,
    slice_size: usize,
    pool: &rayon::ThreadPool,
    watch: &Watch,
    done: impl FnOnce(FileDigest) + Send + 'static,
) {
    let count = source.mapped().map_or(0, <[u8]>::len).div_ceil(slice_size);
    let chain = Arc::new(FileChain {
        source,
        slice_size,
        watch: watch.clone(),
        parts: Mutex::new(Parts {
            missing: 1 + count.div_ceil(GROUP),
            whole: None,
            slices: vec![Md5([0; 16]); count],
            done: Some(done),
        }),
    });
    let mut whole = Hasher::new();
    for (number, group) in chain.groups().enumerate() {
        for piece in group.chunks(PIECE) {
            if watch.is_stopped() {
                return;
            }
            whole.update(piece);
            watch.count(piece.len());
        }
        let chain = Arc::clone(&chain);
        pool.spawn_fifo(move || chain.hash_group(number));
    }
    chain.keep(|parts| parts.whole = Some(whole.finish()));
}

struct FileChain<F> {
    source: Source,
    slice_size: usize,
    watch: Watch,
    parts: Mutex<Parts<F>>,
}

struct Parts<F> {
    /// Tasks that have not ended: the chain, and one for each group.
    missing: usize,
    whole: Option<Md5>,
    slices: Vec<Md5>,
    done: Option<F>,
}

impl<F: FnOnce(FileDigest)> FileChain<F> {
    fn groups(&self) -> std::slice::Chunks<'_, u8> {
        let map = self.source.mapped().unwrap_or_default();
        map.chunks(self.slice_size.saturating_mul(GROUP))
    }

    fn hash_group(&self, number: usize) {
        let Some(group) = self.groups().nth(number) else {
            return;
        };
        if self.watch.is_stopped() {
            return;
        }
        // The same bytes as the chain's.
        let uncounted = AtomicU64::new(0);
        let lanes = Lanes::new()
            .watched(&uncounted, &self.watch.stop)
            .telling(touched);
        let mut md5s = Vec::with_capacity(GROUP);
        if lanes.slices(group, self.slice_size, &mut md5s) == End::Done {
            let first = number * GROUP;
            self.keep(|parts| parts.slices[first..first + md5s.len()].copy_from_slice(&md5s));
        }
    }

    fn keep(&self, keep: impl FnOnce(&mut Parts<F>)) {
        let mut parts = self.parts.lock();
        keep(&mut parts);
        parts.missing -= 1;
        if parts.missing > 0 {
            return;
        }
        let (whole, slices) = (parts.whole.take(), std::mem::take(&mut parts.slices));
        let done = parts.done.take();
        drop(parts);
        if let (Some(done), Some(whole)) = (done, whole) {
            let size = self.source.len();
            done(FileDigest::new(whole, size).with_slices(self.slice_size as u64, slices));
        }
    }
}

/// Slices hashed at a time: one group of eight lanes, so that little is left when the chain ends.
const GROUP: usize = 8;

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::time::Duration;

    use super::*;
    use crate::digest;
    use crate::source::Settings;

    /// From a file's map, where files are mapped, and from a caller's memory.
    fn sources(data: &[u8]) -> Vec<Source> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), data).expect("room");
        let settings = Settings {
            map_from: 0,
            ..Settings::default()
        };
        let mapped = Source::open(file.path(), &settings).expect("there");
        let memory = Arc::new(bytes::Bytes::copy_from_slice(data));
        let memory = Source::of_caller("f".as_ref(), memory, &settings).expect("there");
        let all = [mapped, memory].into_iter();
        let all: Vec<Source> = all.filter(|source| source.mapped().is_some()).collect();
        assert_eq!(all.len(), if cfg!(unix) { 2 } else { 1 });
        all
    }

    fn chain(source: Source, slice_size: usize, watch: &Watch) -> Option<FileDigest> {
        let pool = super::super::threads::pool("test", 1, 1).expect("a thread");
        let (tell, told) = channel();
        let done = move |digest| tell.send(digest).expect("heard");
        with_slices(source, slice_size, &pool, watch, done);
        match told.recv_timeout(Duration::from_secs(60)) {
            Ok(digest) => Some(digest),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("neither done nor dropped"),
        }
    }

    #[test]
    fn whole_and_slices_agree_with_one_after_the_other() {
        for length in [1usize, 4096, 8 * 4096, 8 * 4096 + 1, 100_003] {
            let data: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let mut slices = Vec::new();
            digest::slices(&data, 4096, &mut slices);
            let expected =
                FileDigest::new(digest::md5(&data), length as u64).with_slices(4096, slices);
            for source in sources(&data) {
                let watch = Watch::default();
                let found = chain(source, 4096, &watch).expect("not stopped");
                assert_eq!(found, expected, "{length}");
                let counted = watch.hashed.load(Ordering::Relaxed);
                assert_eq!(counted, length as u64, "each byte once");
            }
        }
    }

    #[test]
    fn a_stopped_chain_has_no_digest() {
        let of_the_run = Watch::default();
        of_the_run.stop.store(true, Ordering::Relaxed);
        let of_the_file = Watch {
            own: Some(Arc::new(true.into())),
            ..Watch::default()
        };
        for watch in [of_the_run, of_the_file] {
            for source in sources(&vec![0; 1 << 16]) {
                assert_eq!(chain(source, 4096, &watch), None);
            }
            assert_eq!(watch.one(&[0; 100]), None);
        }
    }
}
