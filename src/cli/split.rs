//! `--split`: large files as parts, `NAME.001` and so on, and a list `NAME.md5` of them and the whole, in
//! md5sum's format, when all are there. In: files, and how each part ended. Out: the parts as files, and
//! the lists. Never: a list of parts that are not there.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use panup::digest::Md5;
use panup::{Client, Error, Event, Item, Kind, Operation, Origin, Outcome, Status};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::echo::{Echo, Part};
use super::walk::Refused;

/// What becomes of the list of a split file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It is uploaded.
    Upload,
    /// It is compared with what is there.
    Verify,
}

/// Splits the files of one run, and sends their lists.
pub struct Splits {
    client: Client,
    purpose: Purpose,
    shared: Arc<Shared>,
    lists: (mpsc::Sender<List>, mpsc::Receiver<List>),
    /// Lists that are under way.
    pending: usize,
}

/// The files as a run sends them: those of more than `size` bytes, where that is given, and those of which a
/// list says so, as their parts. Their lists, which a run makes of what it has sent, are not among them.
pub fn parts(
    items: Box<dyn Iterator<Item = Item> + Send>,
    size: Option<u64>,
) -> Box<dyn Iterator<Item = Item> + Send> {
    Box::new(items.flat_map(move |item| match wanted(&item, size) {
        Some((size, split)) => cut(&item, Echo::from_tag(item.tag.as_deref()), (size, split)),
        None => Parts::One(Some(item)),
    }))
}

/// How a list has ended.
pub type List = Result<Outcome, Refused>;

struct Shared {
    /// Files of more bytes are split into parts of so many.
    size: Option<u64>,
    files: Mutex<HashMap<String, Split>>,
    /// The MD5 of one whole file at a time is worked out: it goes beside the parts' own.
    turn: Semaphore,
}

/// A file that is split.
struct Split {
    path: PathBuf,
    parent_id: i64,
    size: u64,
    echo: Echo,
    /// What the whole's must be, where that was said.
    expected: Option<Md5>,
    /// Of the parts that are there.
    parts: Vec<Option<Md5>>,
    /// More may come: it is a stream.
    is_open: bool,
    whole: JoinHandle<Result<Md5, Error>>,
}

impl Splits {
    /// Splits files of more than `size` bytes, where that is given, and those of which a list says so.
    pub fn new(client: &Client, purpose: Purpose, size: Option<u64>) -> Splits {
        Splits {
            client: client.clone(),
            purpose,
            shared: Arc::new(Shared {
                size,
                files: Mutex::default(),
                turn: Semaphore::new(1),
            }),
            lists: mpsc::channel(LISTS),
            pending: 0,
        }
    }

    /// The files, those that are too large as parts. Called within a tokio runtime.
    pub fn items(
        &self,
        items: Box<dyn Iterator<Item = Item> + Send>,
    ) -> Box<dyn Iterator<Item = Item> + Send> {
        let (client, shared) = (self.client.clone(), Arc::clone(&self.shared));
        let runtime = tokio::runtime::Handle::current();
        Box::new(items.flat_map(move |item| {
            let Some((size, split)) = wanted(&item, shared.size) else {
                return Parts::One(Some(item));
            };
            let shared_too = Arc::clone(&shared);
            let (client, path) = (client.clone(), item.path.clone());
            let whole = runtime.spawn(async move {
                let _turn = shared_too.turn.acquire().await;
                client.md5(&path).await
            });
            shared.begin(&item, (size, split), whole)
        }))
    }

    /// The parts of a stream that goes to `remote` below `parent_id`, `size` bytes each. Called within a
    /// tokio runtime.
    pub fn stream(
        &self,
        (path, parent_id, remote): (&Path, i64, &str),
        size: Option<u64>,
    ) -> StreamParts {
        StreamParts {
            shared: Arc::clone(&self.shared),
            runtime: tokio::runtime::Handle::current(),
            path: path.to_owned(),
            parent_id,
            remote: remote.to_owned(),
            split: size.unwrap_or(0),
            whole: None,
        }
    }

    /// A file of the run has ended: the list goes out with the last part of its file. Called within a
    /// tokio runtime.
    pub fn ended(&mut self, outcome: &Outcome) {
        let Some(part) = Echo::from_tag(outcome.tag.as_deref()).into_part() else {
            return;
        };
        let is_there = matches!(
            outcome.status,
            Status::Uploaded(_) | Status::Reused(_) | Status::Skipped(_) | Status::Present(_)
        );
        let mut files = self.shared.files();
        let Some(split) = files.get_mut(&part.of) else {
            return;
        };
        let place = usize::try_from(part.number)
            .ok()
            .and_then(|number| split.parts.get_mut(number.checked_sub(1)?));
        if let Some(place) = place {
            *place = outcome.md5.filter(|_| is_there);
        }
        if split.is_open || split.parts.iter().any(Option::is_none) {
            return;
        }
        let split = files.remove(&part.of);
        drop(files);
        if let Some(split) = split {
            self.pending += 1;
            let (client, purpose) = (self.client.clone(), self.purpose);
            let told = self.lists.0.clone();
            tokio::spawn(async move {
                let outcome = list(&client, purpose, split, part).await;
                drop(told.send(outcome).await);
            });
        }
    }

    /// How the next list has ended; waits for ever where none is under way.
    pub async fn next(&mut self) -> List {
        if self.pending == 0 {
            std::future::pending::<()>().await;
        }
        let outcome = self.lists.1.recv().await;
        self.pending -= 1;
        match outcome {
            Some(outcome) => outcome,
            // The sender is this very struct's.
            None => std::future::pending().await,
        }
    }

    /// Whether lists are under way.
    pub fn is_pending(&self) -> bool {
        self.pending > 0
    }

    /// The files of which parts are not there at the end of the run, and how many.
    pub fn incomplete(&self) -> Vec<String> {
        let mut files = self.shared.files();
        let mut lines: Vec<String> = files
            .drain()
            .map(|(remote, split)| {
                split.whole.abort();
                let there = split.parts.iter().flatten().count();
                let all = match split.is_open {
                    true => format!("{}, and more that were not read,", split.parts.len()),
                    false => split.parts.len().to_string(),
                };
                format!(
                    "{}: {there} of {all} parts are there; {} goes up with the last one",
                    split.path.display(),
                    list_name(&remote)
                )
            })
            .collect();
        lines.sort();
        lines
    }
}

/// The parts of a stream: how many there are is known with the last one.
pub struct StreamParts {
    shared: Arc<Shared>,
    runtime: tokio::runtime::Handle,
    path: PathBuf,
    parent_id: i64,
    remote: String,
    split: u64,
    whole: Option<oneshot::Sender<Md5>>,
}

impl StreamParts {
    /// `item` as part `number`; with the last one comes the MD5 of the `whole`.
    pub fn name(&mut self, item: Item, number: u64, whole: Option<Md5>) -> Item {
        if number == 1 {
            let split = self.begin();
            self.shared.files().insert(self.remote.clone(), split);
        }
        if let Some(split) = self.shared.files().get_mut(&self.remote) {
            split.parts.push(None);
            split.size += item_length(&item);
            split.is_open = whole.is_none();
        }
        if let (Some(whole), Some(told)) = (whole, self.whole.take_if(|_| whole.is_some())) {
            let _ = told.send(whole);
        }
        let part = Part {
            of: self.remote.clone(),
            number,
            split: self.split,
        };
        let mut item = item.to(self.parent_id, part_name(&self.remote, number, 0));
        item.tag = Echo::default().with_part(part).into_tag();
        item
    }

    fn begin(&mut self) -> Split {
        let (tell, told) = oneshot::channel();
        self.whole = Some(tell);
        let whole = self.runtime.spawn(async move {
            let cut_off =
                |_| Error::new(Kind::Cancelled, Operation::Read, "not all of it was read");
            told.await.map_err(cut_off)
        });
        Split {
            path: self.path.clone(),
            parent_id: self.parent_id,
            size: 0,
            echo: Echo::default(),
            expected: None,
            parts: Vec::new(),
            is_open: true,
            whole,
        }
    }
}

fn item_length(item: &Item) -> u64 {
    match &item.origin {
        Origin::Caller(source) => source.length(),
        _ => 0,
    }
}

impl Shared {
    fn files(&self) -> MutexGuard<'_, HashMap<String, Split>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(
        &self,
        item: &Item,
        (size, split): (u64, u64),
        whole: JoinHandle<Result<Md5, Error>>,
    ) -> Parts {
        let count = size.div_ceil(split);
        let echo = Echo::from_tag(item.tag.as_deref());
        let kept = Split {
            path: item.path.clone(),
            parent_id: item.parent_id,
            size,
            echo: echo.clone(),
            expected: item.md5,
            parts: vec![None; usize::try_from(count).unwrap_or(0)],
            is_open: false,
            whole,
        };
        self.files().insert(item.remote.clone(), kept);
        cut(item, echo, (size, split))
    }
}

/// The size of a file that is to be split, and that of its parts.
fn wanted(item: &Item, size: Option<u64>) -> Option<(u64, u64)> {
    if item.origin != Origin::File {
        return None;
    }
    let listed = Echo::from_tag(item.tag.as_deref()).into_part();
    let split = listed.map(|part| part.split).or(size)?;
    let facts = match &item.below {
        Some(_) => std::fs::symlink_metadata(&item.path),
        None => std::fs::metadata(&item.path),
    };
    let facts = facts.ok().filter(|facts| facts.is_file())?;
    (facts.len() > split && split > 0).then_some((facts.len(), split))
}

fn cut(item: &Item, echo: Echo, (size, split): (u64, u64)) -> Parts {
    Parts::Many {
        item: Box::new(item.clone()),
        echo,
        size,
        split,
        next: 0,
    }
}

/// A file, or the parts of one.
enum Parts {
    One(Option<Item>),
    Many {
        item: Box<Item>,
        echo: Echo,
        size: u64,
        split: u64,
        next: u64,
    },
}

impl Iterator for Parts {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        let (item, echo, size, split, next) = match self {
            Parts::One(item) => return item.take(),
            Parts::Many {
                item,
                echo,
                size,
                split,
                next,
            } => (item, echo, *size, *split, next),
        };
        let start = *next * split;
        if start >= size {
            return None;
        }
        *next += 1;
        let range = start..size.min(start + split);
        let count = size.div_ceil(split);
        let remote = part_name(&item.remote, *next, count);
        let mut part = Item::part(&item.path, range).to(item.parent_id, remote);
        part.below.clone_from(&item.below);
        part.reserved = Some(list_name(&item.remote));
        let echo = echo.with_part(Part {
            of: item.remote.clone(),
            number: *next,
            split,
        });
        part.tag = echo.into_tag();
        Some(part)
    }
}

/// `NAME.001`, wider where there are more than 999: their order by name is theirs in the file.
fn part_name(remote: &str, number: u64, count: u64) -> String {
    let width = count.to_string().len().max(3);
    format!("{remote}.{number:0width$}")
}

fn list_name(remote: &str) -> String {
    format!("{remote}.md5")
}

/// Makes the list of a file whose parts are all there, and sends it.
async fn list(client: &Client, purpose: Purpose, split: Split, part: Part) -> List {
    let remote = list_name(&part.of);
    let echo = split.echo.with_part(Part {
        number: 0,
        ..part.clone()
    });
    let path = split.path.clone();
    let failed = |error: Error| Refused {
        error: error.with_path(&path),
        path: path.clone(),
        remote: remote.clone(),
        echo: echo.clone(),
    };
    let whole = match split.whole.await {
        Ok(Ok(md5)) => md5,
        Ok(Err(error)) => return Err(failed(error)),
        Err(error) => {
            let message = format!("its MD5 was not worked out: {error}");
            return Err(failed(Error::new(Kind::Internal, Operation::Read, message)));
        }
    };
    if let Some(expected) = split.expected.filter(|expected| *expected != whole) {
        let message = format!("the file's MD5 is {whole}, and {expected} was expected");
        return Err(failed(
            Error::new(Kind::Source, Operation::Check, message).for_good(),
        ));
    }
    let text = text(&part.of, &split.parts, &whole);
    let mut item = Item::bytes(&path, text).to(split.parent_id, &remote);
    item.tag = echo.clone().into_tag();
    tracing::info!(
        "{} bytes of {} are there as {} parts",
        split.size,
        path.display(),
        split.parts.len()
    );
    send(client, purpose, item).await.map_err(failed)
}

async fn send(client: &Client, purpose: Purpose, item: Item) -> Result<Outcome, Error> {
    let mut run = match purpose {
        Purpose::Upload => client.start([item])?,
        Purpose::Verify => client.verify([item])?,
    };
    let mut ended = None;
    while let Some(event) = run.next().await {
        if let Event::File(outcome) = event {
            ended = Some(outcome);
        }
    }
    ended.ok_or_else(|| Error::new(Kind::Cancelled, Operation::Upload, "interrupted"))
}

/// The parts and the whole, as `md5sum -c` reads them.
fn text(remote: &str, parts: &[Option<Md5>], whole: &Md5) -> String {
    let name = remote.rsplit('/').next().unwrap_or(remote);
    let mut text = String::new();
    for (number, md5) in (1..).zip(parts) {
        if let Some(md5) = md5 {
            let name = part_name(name, number, parts.len() as u64);
            let _ = writeln!(text, "{md5}  {name}");
        }
    }
    let _ = writeln!(text, "{whole}  {name}");
    text
}

/// Lists that have ended and are not printed yet.
const LISTS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_sort_by_name_as_they_lie_in_the_file() {
        for count in [2, 999, 1000, 12_345] {
            let names: Vec<String> = (1..=count).map(|n| part_name("d/a", n, count)).collect();
            assert!(names.is_sorted(), "{count}");
        }
        assert_eq!(part_name("d/a", 7, 12), "d/a.007");
        assert_eq!(part_name("d/a", 7, 1000), "d/a.0007");
    }

    #[test]
    fn a_list_is_md5sums() {
        let md5 = |byte| Md5([byte; 16]);
        let text = text("d/a", &[Some(md5(1)), Some(md5(2))], &md5(3));
        let [one, two, three] = ["01", "02", "03"].map(|byte| byte.repeat(16));
        let expected = format!("{one}  a.001\n{two}  a.002\n{three}  a\n");
        assert_eq!(text, expected);
    }
}
