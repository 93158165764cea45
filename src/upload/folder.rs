//! One remote folder, as far as it was listed. In: a name. Out: what is there by that name. Never: an
//! entry in the trash, nor a listing without end.

use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::MutexGuard;
use tokio::time::Instant;
use unicode_normalization::UnicodeNormalization;

use crate::digest::Md5;
use crate::error::{Error, Kind, Operation, Result};
use crate::sync::Mutex;
use crate::transfer::{Cursor, Scope, Transfer};
use crate::wire::{Entry, EntryKind, Remote};

/// A folder's listing. Those who look at the same time share it: one lists, the others wait.
#[derive(Debug)]
pub struct Folder {
    listing: tokio::sync::Mutex<Listing>,
    /// When it was last of use.
    used: Mutex<Instant>,
    /// Entries remembered, in all folders.
    entries: Arc<AtomicUsize>,
}

/// What is to be looked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Where.
    pub remote: &'a Remote,
    /// Bytes.
    pub size: u64,
    /// The MD5 of the whole; `None` where it is not known yet: then any content of that size may be it.
    pub md5: Option<Md5>,
    /// Whether the service may have given it a suffix, as it does where both are kept.
    pub or_numbered: bool,
}

/// What stands at a file's place.
#[derive(Debug, Clone)]
pub enum Standing {
    /// A file with this size and MD5; with this size, where no MD5 was said.
    Same(Entry),
    /// Something else of that name.
    Other(Entry),
    /// Nothing of that name.
    Nothing(Absence),
    /// Not known: it would take too many calls, or the account may not list.
    Unknown,
}

/// What there is instead of a file of the name.
#[derive(Debug, Clone, Default)]
pub struct Absence {
    /// An entry whose name differs only by case or by the way in which Unicode composes it: another file.
    pub similar: Option<Entry>,
    /// One of that name lies in the trash.
    pub trashed: bool,
}

impl Absence {
    /// In words.
    #[must_use]
    pub fn told(&self) -> String {
        match &self.similar {
            _ if self.trashed => "it is in the trash".to_owned(),
            Some(similar) => format!(
                "there is only {:?}, whose name differs by case or composition",
                similar.name
            ),
            None => "nothing of this name is there".to_owned(),
        }
    }
}

/// How much of a listing must be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needed {
    /// So many pages are worth it.
    Pages(usize),
    /// All of it.
    Whole,
    /// All of it, as it is from this moment on.
    WholeSince(Instant),
}

#[derive(Debug, Default)]
struct Listing {
    began: Option<Instant>,
    /// When a call for it failed.
    failed: Option<Instant>,
    cursor: Cursor,
    pages: usize,
    by_name: HashMap<Box<str>, Known>,
    /// The second, third … entry of one name, which the service does not let be.
    others: HashMap<Box<str>, Vec<Known>>,
    /// Names of what lies in the trash.
    trashed: HashSet<Box<str>>,
    /// It was said that this is not looked through.
    given_up: bool,
    /// Names as they are without case and composed, hashed.
    folded: HashSet<u64>,
}

impl Folder {
    /// One of which nothing is known.
    #[must_use]
    pub fn new(entries: Arc<AtomicUsize>) -> Folder {
        entries.fetch_add(FOLDER_WEIGHT, Ordering::Relaxed);
        Folder {
            listing: tokio::sync::Mutex::default(),
            used: Mutex::new(Instant::now()),
            entries,
        }
    }

    /// When it was last of use.
    #[must_use]
    pub fn used(&self) -> Instant {
        *self.used.lock()
    }

    /// The id of the folder `name` in this one, whose own id is `id`; `None` where that is not known.
    ///
    /// # Errors
    /// As a call fails.
    pub async fn find_folder(
        &self,
        link: (&Transfer, &Scope),
        id: i64,
        name: &str,
        needed: Needed,
    ) -> Result<Option<Option<i64>>> {
        let is_folder = |entry: &Entry| entry.kind == EntryKind::Folder;
        let Some(mut listing) = self.begun(needed).await else {
            return Ok(None);
        };
        loop {
            if let Some(found) = listing.of(name).find(is_folder) {
                return Ok(Some(Some(found.id)));
            }
            if !self.more(&mut listing, link, id, needed).await? {
                return Ok(listing.cursor.has_ended().then_some(None));
            }
        }
    }

    /// What stands at the place of `wanted` in this folder, whose own id is `id`.
    ///
    /// # Errors
    /// As a call fails.
    pub async fn find_file(
        &self,
        link: (&Transfer, &Scope),
        id: i64,
        wanted: Wanted<'_>,
        needed: Needed,
    ) -> Result<Standing> {
        let Some(mut listing) = self.begun(needed).await else {
            return Ok(Standing::Unknown);
        };
        loop {
            if let Some(same) = listing.same(wanted) {
                return Ok(Standing::Same(same));
            }
            // A name is taken once; what the service made from it may stand anywhere.
            let is_taken = !wanted.or_numbered && listing.of(wanted.remote.name()).next().is_some();
            if is_taken || !self.more(&mut listing, link, id, needed).await? {
                break;
            }
        }
        let name = wanted.remote.name();
        if let Some(other) = listing.of(name).next() {
            return Ok(Standing::Other(other));
        }
        Ok(match listing.cursor.has_ended() {
            true => Standing::Nothing(Absence {
                similar: listing.similar(name),
                trashed: listing.trashed.contains(name),
            }),
            false => Standing::Unknown,
        })
    }

    /// The listing; a new one where it is not of the moment that is needed. `None` where a call for it
    /// failed that this one waited for: it would fare no better.
    async fn begun(&self, needed: Needed) -> Option<MutexGuard<'_, Listing>> {
        let asked = Instant::now();
        *self.used.lock() = asked;
        let mut listing = self.listing.lock().await;
        if listing.failed.is_some_and(|failed| failed >= asked) {
            return None;
        }
        if let (Needed::WholeSince(moment), Some(began)) = (needed, listing.began)
            && began < moment
        {
            self.entries.fetch_sub(listing.len(), Ordering::Relaxed);
            *listing = Listing::default();
        }
        Some(listing)
    }

    /// Reads one more page where it is needed and there is one; `false` where not.
    async fn more(
        &self,
        listing: &mut Listing,
        (transfer, scope): (&Transfer, &Scope),
        id: i64,
        needed: Needed,
    ) -> Result<bool> {
        let wanted = match needed {
            Needed::Pages(pages) => listing.pages < pages,
            Needed::Whole | Needed::WholeSince(_) => true,
        };
        if listing.cursor.has_ended() || !wanted {
            return Ok(false);
        }
        if listing.len() >= MOST_ENTRIES {
            // Said once; what is not known of it stays so.
            return match std::mem::replace(&mut listing.given_up, true) {
                false => Err(too_large(id)),
                true => Ok(false),
            };
        }
        listing.began.get_or_insert_with(Instant::now);
        let page = transfer.list(scope, id, listing.cursor.after()).await;
        let page = page.and_then(|page| listing.cursor.advance(page.next).map(|()| page));
        let page = page.inspect_err(|_| listing.failed = Some(Instant::now()))?;
        listing.pages += 1;
        let before = listing.len();
        for entry in page.entries {
            // A folder that changes meanwhile may show an entry twice.
            listing.add(entry);
        }
        self.entries
            .fetch_add(listing.len() - before, Ordering::Relaxed);
        Ok(true)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let weight = self.listing.get_mut().len() + FOLDER_WEIGHT;
        self.entries.fetch_sub(weight, Ordering::Relaxed);
    }
}

impl Listing {
    fn len(&self) -> usize {
        self.by_name.len() + self.trashed.len()
    }

    fn add(&mut self, entry: Entry) {
        if entry.trashed {
            self.trashed.insert(entry.name.into());
            return;
        }
        self.folded.insert(folded(&entry.name));
        let known = Known::of(&entry);
        match self.by_name.entry(entry.name.into()) {
            Slot::Vacant(slot) => drop(slot.insert(known)),
            Slot::Occupied(slot) if slot.get().id == known.id => {}
            Slot::Occupied(slot) => {
                let others = self.others.entry(slot.key().clone()).or_default();
                let is_new = others.iter().all(|other| other.id != known.id);
                if is_new && others.len() < MOST_OF_A_NAME {
                    others.push(known);
                }
            }
        }
    }

    /// The entries of this name.
    fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Entry> + 'a {
        let others = self.others.get(name).into_iter().flatten();
        let all = self.by_name.get(name).into_iter().chain(others);
        all.map(move |known| known.entry(name))
    }

    /// A file with the wanted content, under its name or, where both are kept, under one that the
    /// service made from it.
    fn same(&self, wanted: Wanted<'_>) -> Option<Entry> {
        let name = wanted.remote.name();
        let named = self.of(name).find(|entry| is_same(entry, wanted));
        if named.is_some() || !wanted.or_numbered {
            return named;
        }
        let names = (1..MOST_NUMBERED).map(|number| numbered(name, number));
        let taken = names.take_while(|name| self.by_name.contains_key(name.as_str()));
        let find = |name: String| self.of(&name).find(|entry| is_same(entry, wanted));
        taken.into_iter().find_map(find)
    }

    /// An entry whose name is another only by case or composition.
    fn similar(&self, name: &str) -> Option<Entry> {
        let key = folded(name);
        if !self.folded.contains(&key) {
            return None;
        }
        let mut all = self.by_name.iter();
        let (name, known) = all.find(|(other, _)| folded(other) == key && ***other != *name)?;
        Some(known.entry(name))
    }
}

/// What is kept of an entry: a folder may have hundreds of thousands.
#[derive(Debug, Clone, Copy)]
struct Known {
    id: i64,
    size: u64,
    etag: Option<Md5>,
    kind: EntryKind,
    refused: bool,
}

impl Known {
    fn of(entry: &Entry) -> Known {
        let Entry {
            id,
            size,
            etag,
            kind,
            refused,
            ..
        } = *entry;
        Known {
            id,
            size,
            etag,
            kind,
            refused,
        }
    }

    fn entry(&self, name: &str) -> Entry {
        let Known {
            id,
            size,
            etag,
            kind,
            refused,
        } = *self;
        Entry {
            id,
            name: name.to_owned(),
            kind,
            size,
            etag,
            trashed: false,
            refused,
        }
    }
}

/// Whether `entry` is proof that the wanted content is there: a file that review refused is none.
fn is_same(entry: &Entry, wanted: Wanted<'_>) -> bool {
    entry.kind == EntryKind::File
        && !entry.refused
        && entry.size == wanted.size
        && entry
            .etag
            .is_some_and(|etag| wanted.md5.is_none_or(|md5| md5 == etag))
}

/// `a(1).txt` for `a.txt`.
fn numbered(name: &str, number: u32) -> String {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("{stem}({number}).{extension}"),
        _ => format!("{name}({number})"),
    }
}

fn folded(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    for character in name.nfc().flat_map(char::to_lowercase) {
        character.hash(&mut hasher);
    }
    hasher.finish()
}

fn too_large(id: i64) -> Error {
    let message = format!(
        "the folder with id {id} has more than {MOST_ENTRIES} entries: what is in it is not looked for"
    );
    Error::new(Kind::Rejected, Operation::List, message)
}

/// Whether the error is about a folder that is too large, and not of the service.
pub fn is_too_large(error: &Error) -> bool {
    error.kind() == Kind::Rejected && error.operation() == Operation::List && error.code().is_none()
}

/// Entries remembered at once: some 150 bytes each.
pub const MOST_ENTRIES: usize = 400_000;

/// A folder without entries costs about as much as these.
const FOLDER_WEIGHT: usize = 4;

/// Entries of one name that are remembered. The service lets a name be taken once.
const MOST_OF_A_NAME: usize = 8;

/// Numbers that are tried behind a name, as far as each is taken.
const MOST_NUMBERED: u32 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Md5;
    use crate::wire::Remote;

    fn file(id: i64, name: &str, byte: u8) -> Entry {
        Entry {
            id,
            name: name.to_owned(),
            kind: EntryKind::File,
            size: 5,
            etag: Some(Md5([byte; 16])),
            trashed: false,
            refused: false,
        }
    }

    fn listing(entries: impl IntoIterator<Item = Entry>) -> Listing {
        let mut listing = Listing::default();
        entries.into_iter().for_each(|entry| listing.add(entry));
        listing
    }

    fn found(listing: &Listing, name: &str, or_numbered: bool) -> Option<i64> {
        let remote = Remote::new(0, name).expect("a name");
        let wanted = Wanted {
            remote: &remote,
            size: 5,
            md5: Some(Md5([1; 16])),
            or_numbered,
        };
        listing.same(wanted).map(|entry| entry.id)
    }

    #[test]
    fn only_the_same_bytes_that_others_can_read_are_the_same() {
        let refused = Entry {
            refused: true,
            ..file(2, "b", 1)
        };
        let trashed = Entry {
            trashed: true,
            ..file(3, "c", 1)
        };
        let longer = Entry {
            size: 6,
            ..file(4, "d", 1)
        };
        let folder = Entry {
            kind: EntryKind::Folder,
            ..file(5, "e", 1)
        };
        let unsaid = Entry {
            etag: None,
            ..file(6, "f", 1)
        };
        let all = [file(1, "a", 1), refused, trashed, longer, folder, unsaid];
        let listing = listing(all);
        assert_eq!(found(&listing, "a", false), Some(1));
        for name in ["b", "c", "d", "e", "f", "g"] {
            assert_eq!(found(&listing, name, false), None, "{name}");
        }
        assert!(listing.of("c").next().is_none(), "the trash is no place");
        assert!(listing.of("b").next().is_some());
    }

    #[test]
    fn where_both_are_kept_a_numbered_one_is_the_same_too() {
        let listing = listing([
            file(1, "a.txt", 9),
            file(2, "a(1).txt", 8),
            file(3, "a(2).txt", 1),
            file(4, "b(2)", 1),
        ]);
        assert_eq!(found(&listing, "a.txt", true), Some(3));
        assert_eq!(found(&listing, "a.txt", false), None);
        assert_eq!(found(&listing, "b", true), None, "nothing stands between");
    }

    #[test]
    fn names_that_differ_by_case_or_composition_are_similar_and_not_the_same() {
        let listing = listing([file(1, "R\u{e9}sum\u{e9}", 1), file(2, "README", 1)]);
        for name in ["re\u{301}sume\u{301}", "readme", "Re\u{301}sume\u{301}"] {
            assert_eq!(found(&listing, name, false), None, "{name}");
            assert!(listing.similar(name).is_some(), "{name}");
        }
        assert!(listing.similar("README").is_none(), "it is the name itself");
        assert!(listing.similar("other").is_none());
    }

    #[test]
    fn numbers_stand_before_the_extension() {
        assert_eq!(numbered("a.txt", 1), "a(1).txt");
        assert_eq!(numbered("a.tar.gz", 2), "a.tar(2).gz");
        assert_eq!(numbered(".profile", 1), ".profile(1)");
        assert_eq!(numbered("a", 1), "a(1)");
    }
}
