//! The remote paths of a run, each with the local file that it is for. Two files for one remote
//! path would replace each other, and which of them stays would be chance; so the first that was
//! handed in has the path, and every other one is told before a byte of it is read.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;

use super::{Item, Origin};
use crate::error::{Error, Kind, Operation, Result};
use crate::source::identity_at;
use crate::wire::{Conflict, Remote};

/// The set of remote paths that the files of one run go to, in the order in which they are handed
/// in.
///
/// It costs about 16 bytes for each file, as many again where its path has capitals, 36 with the room that a hash table keeps (36 MB for a
/// million), and each local and each remote folder once. A file whose remote name is not its own
/// name costs its path as well.
#[derive(Debug)]
pub struct Targets {
    conflict: Conflict,
    /// Keys of 96 bits by two hash functions that are drawn at random: that two of a million
    /// paths meet has a chance of 1 in 10^17, so paths are not kept to be compared.
    hashers: [RandomState; 2],
    files: HashMap<Key, Local>,
    /// The second, third … file of one path, where both are kept.
    others: HashMap<Key, Vec<Local>>,
    /// The folders on the way to the files, each with the first file below it.
    folders: HashMap<Key, Local>,
    /// Paths with capitals, or not composed as NFC has it, by what they become without; each with the
    /// first file of it or below it.
    folded: HashMap<Key, Local>,
    /// The last file's folder: most files have the same one.
    last: Option<(i64, String)>,
    paths: Paths,
}

/// What a [`Targets::claim`] that is no error says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Claimed {
    /// The remote path is this item's.
    New,
    /// So it is; but it differs only by case, or by how Unicode composes it, from that of the local file
    /// with this path. Other programs and systems may take them for one.
    Similar(PathBuf),
    /// The same local file goes to the same remote path already: it was handed in as this path.
    Again(PathBuf),
}

type Key = [u32; 3];

impl Targets {
    /// An empty set, for a run that does `conflict` where a name is taken and the item says nothing else.
    #[must_use]
    pub fn new(conflict: Conflict) -> Targets {
        Targets {
            conflict,
            hashers: [RandomState::new(), RandomState::new()],
            files: HashMap::new(),
            others: HashMap::new(),
            folders: HashMap::new(),
            folded: HashMap::new(),
            last: None,
            paths: Paths::default(),
        }
    }

    /// Claims the remote path of `item`, and the one that is reserved for what is made of it. The disk is asked only where it is claimed already, to see
    /// whether both local paths are one file.
    ///
    /// # Errors
    /// [`Kind::Invalid`]: the remote path is none; another file of the run has it, unless both are
    /// to be kept; or what is a folder for one of them is a file for the other. The message names
    /// both local files.
    pub fn claim(&mut self, item: &Item) -> Result<Claimed> {
        if let Some(reserved) = &item.reserved {
            self.claim_path(item, reserved, item.path.clone())?;
        }
        self.claim_path(item, &item.remote, item.local())
    }

    fn claim_path(&mut self, item: &Item, path: &str, local: PathBuf) -> Result<Claimed> {
        let named = |error: Error| error.with_path(&item.path);
        let remote = Remote::new(item.parent_id, path).map_err(named)?;
        let key = self.key(remote.parent(), remote.path());
        // Of contents without a path nobody can say that they are the same.
        let is_named = !matches!(item.origin, Origin::Caller(_));
        let name = remote.path().rsplit('/').next().unwrap_or_default();
        let known = self.files.get(&key).into_iter();
        for &known in known.chain(self.others.get(&key).into_iter().flatten()) {
            let first = self.paths.get(known, name);
            if is_named && same_file(&first, &local) {
                return Ok(Claimed::Again(first));
            }
            if item.conflict.unwrap_or(self.conflict) != Conflict::KeepBoth {
                return Err(taken(item, &remote, &first));
            }
        }
        if let Some(&below) = self.folders.get(&key) {
            return Err(no_folder(item, remote.path(), &self.paths.get(below, "")));
        }
        let like_a_folder = self.claim_folders(item, &remote)?;
        let local = self.paths.add(&local, name);
        let like_a_file = self.similar((&remote, remote.path()), key, local);
        let similar = like_a_file.or(like_a_folder);
        match self.files.entry(key) {
            Entry::Vacant(free) => {
                free.insert(local);
            }
            Entry::Occupied(_) => self.others.entry(key).or_default().push(local),
        }
        Ok(similar.map_or(Claimed::New, |known| {
            Claimed::Similar(self.paths.get(known, name))
        }))
    }

    /// The first file whose remote path `path`, of `local` under `key`, is like; it is remembered where it
    /// has another form without capitals.
    fn similar(
        &mut self,
        (remote, path): (&Remote, &str),
        key: Key,
        local: Local,
    ) -> Option<Local> {
        let form = folded(path);
        let form_key = form
            .as_deref()
            .map_or(key, |form| self.key(remote.parent(), form));
        let other = self.folded.get(&form_key).copied();
        if form.is_none() {
            return other;
        }
        self.folded.entry(form_key).or_insert(local);
        let plain = self.files.get(&form_key).or(self.folders.get(&form_key));
        other.or(plain.copied())
    }

    /// All or none of the folders on the way to `remote`; the first file of one that is like another.
    fn claim_folders(&mut self, item: &Item, remote: &Remote) -> Result<Option<Local>> {
        let (parent, folder) = (remote.parent(), remote.folder());
        let known = |last: &(i64, String)| last.0 == parent && last.1 == folder;
        if folder.is_empty() || self.last.as_ref().is_some_and(known) {
            return Ok(None);
        }
        let mut new = Vec::new();
        for path in ancestors(folder) {
            let key = self.key(parent, path);
            if let Some(&file) = self.files.get(&key) {
                let name = path.rsplit('/').next().unwrap_or_default();
                return Err(no_folder(item, path, &self.paths.get(file, name)));
            }
            if !self.folders.contains_key(&key) {
                new.push((path, key));
            }
        }
        let mut similar = None;
        if !new.is_empty() {
            let first = self.paths.add(&item.path, "");
            for (path, key) in new {
                similar = self.similar((remote, path), key, first).or(similar);
                self.folders.insert(key, first);
            }
        }
        self.last = Some((parent, folder.to_owned()));
        Ok(similar)
    }

    fn key(&self, parent: i64, path: &str) -> Key {
        let [one, two] = self
            .hashers
            .each_ref()
            .map(|hasher| hasher.hash_one((parent, path)));
        [one as u32, (one >> 32) as u32, two as u32]
    }
}

/// Local paths, kept short: of a file that goes up under its own name only its folder, once for all
/// files in there.
#[derive(Debug, Default)]
struct Paths {
    numbers: HashMap<Arc<Path>, u32>,
    kept: Vec<Arc<Path>>,
}

/// The number of a path in [`Paths`]: a whole one, or a folder to which the name is to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Local(u32);

impl Paths {
    fn add(&mut self, path: &Path, name: &str) -> Local {
        let own_name = path.file_name().is_some_and(|own| own == name);
        match path.parent() {
            Some(folder) if own_name && folder.join(name) == path => Local(self.number(folder)),
            _ => Local(self.number(path) | WHOLE),
        }
    }

    fn get(&self, local: Local, name: &str) -> PathBuf {
        let kept = &self.kept[(local.0 & !WHOLE) as usize];
        if local.0 & WHOLE == 0 {
            kept.join(name)
        } else {
            kept.to_path_buf()
        }
    }

    /// There is no memory for more than 2^31 paths.
    fn number(&mut self, path: &Path) -> u32 {
        if let Some(&number) = self.numbers.get(path) {
            return number;
        }
        let (path, number) = (Arc::<Path>::from(path), self.kept.len() as u32);
        self.kept.push(Arc::clone(&path));
        self.numbers.insert(path, number);
        number
    }
}

/// `a`, `a/b`, `a/b/c` of `a/b/c`.
fn ancestors(folder: &str) -> impl Iterator<Item = &str> {
    let ends = folder.match_indices('/').map(|(at, _)| at);
    ends.chain(std::iter::once(folder.len()))
        .map(|end| &folder[..end])
}

/// A path without capitals, composed as NFC has it; `None` where it is so already.
fn folded(path: &str) -> Option<String> {
    if path.is_ascii() {
        let has_capitals = path.bytes().any(|byte| byte.is_ascii_uppercase());
        return has_capitals.then(|| path.to_ascii_lowercase());
    }
    let form: String = path.nfc().flat_map(char::to_lowercase).collect();
    (form != path).then_some(form)
}

/// Whether two paths lead to one file: by their names without links, or by what the system says of
/// both. Numbers alone are not believed, since not every file system keeps them apart.
fn same_file(one: &Path, other: &Path) -> bool {
    let named = || Some(one.canonicalize().ok()? == other.canonicalize().ok()?);
    let facts = |path: &Path| {
        let found = identity_at(path).ok()?;
        Some((found.dev, found.inode, found.size, found.mtime_ns))
    };
    let known = || Some(facts(one)? == facts(other)?);
    one == other || named().unwrap_or(false) || known().unwrap_or(false)
}

fn taken(item: &Item, remote: &Remote, first: &Path) -> Error {
    let message = format!(
        "{:?} is the remote path of {} as well, which comes first in this run and would be replaced",
        remote.path(),
        first.display()
    );
    let error = Error::new(Kind::Invalid, Operation::Check, message).with_path(&item.path);
    error.advice("rename one of them, send them to different folders, or keep both (keep-both)")
}

fn no_folder(item: &Item, path: &str, first: &Path) -> Error {
    let message = format!(
        "{path:?} would have to be a file and a folder at once, because of {}, which comes first in this run",
        first.display()
    );
    let error = Error::new(Kind::Invalid, Operation::Check, message).with_path(&item.path);
    error.advice("rename one of them, or send them to different folders")
}

/// Marks the number of a path that is kept as a whole.
const WHOLE: u32 = 1 << 31;

#[cfg(test)]
mod tests {
    use super::*;

    fn item(path: &Path, parent_id: i64, remote: &str) -> Item {
        Item::new(path).to(parent_id, remote)
    }

    /// With the separators of remote paths.
    fn said(error: &Error) -> String {
        error.message().replace(std::path::MAIN_SEPARATOR, "/")
    }

    /// Claims `remote` below the root for `path`, which need not exist.
    fn claim(targets: &mut Targets, path: &str, remote: &str) -> Result<Claimed> {
        targets.claim(&item(Path::new(path), 0, remote))
    }

    #[test]
    fn the_first_has_the_path_and_the_second_is_told_of_it() {
        for conflict in [Conflict::Fail, Conflict::Overwrite] {
            let mut targets = Targets::new(conflict);
            assert_eq!(claim(&mut targets, "x/f", "f"), Ok(Claimed::New));
            assert_eq!(claim(&mut targets, "x/g", "g"), Ok(Claimed::New));
            for spelled in ["f", "/f", "f/", "//f"] {
                let error = claim(&mut targets, "y/f", spelled).expect_err("taken");
                assert_eq!(error.kind(), Kind::Invalid);
                assert_eq!(error.path(), Some(Path::new("y/f")));
                assert!(said(&error).contains("of x/f as well"), "{error}");
            }
            // A name of its own below another folder is another path.
            let elsewhere = item(Path::new("y/f"), 7, "f");
            assert_eq!(targets.claim(&elsewhere), Ok(Claimed::New));
        }
    }

    #[test]
    fn a_file_under_another_name_is_named_as_well() {
        let mut targets = Targets::new(Conflict::Fail);
        assert_eq!(claim(&mut targets, "x/one.bin", "a/f"), Ok(Claimed::New));
        let error = claim(&mut targets, "y/two.bin", "a/f").expect_err("taken");
        assert!(said(&error).contains("of x/one.bin as well"), "{error}");
    }

    #[test]
    fn both_are_kept_where_that_is_asked_and_each_of_them_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let [x, y] = ["x", "y"].map(|name| folder.path().join(name));
        for path in [&x, &y] {
            std::fs::write(path, path.as_os_str().as_encoded_bytes()).expect("written");
        }
        let mut targets = Targets::new(Conflict::KeepBoth);
        for path in [&x, &y] {
            assert_eq!(targets.claim(&item(path, 0, "f")), Ok(Claimed::New));
        }
        for path in [&y, &x] {
            let again = targets.claim(&item(path, 0, "f"));
            assert_eq!(again, Ok(Claimed::Again(path.clone())));
        }
    }

    #[test]
    fn the_same_file_twice_is_one_however_it_is_spelled() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("f");
        std::fs::create_dir(folder.path().join("sub")).expect("a folder");
        std::fs::write(&path, "f").expect("written");
        std::fs::hard_link(&path, folder.path().join("hard")).expect("linked");
        #[cfg(unix)]
        std::os::unix::fs::symlink(&path, folder.path().join("soft")).expect("linked");
        // A link takes a right there that not everybody has.
        #[cfg(not(unix))]
        std::fs::hard_link(&path, folder.path().join("soft")).expect("linked");
        for conflict in [Conflict::Fail, Conflict::KeepBoth, Conflict::Overwrite] {
            let mut targets = Targets::new(conflict);
            assert_eq!(targets.claim(&item(&path, 0, "f")), Ok(Claimed::New));
            for spelled in ["f", "./f", "sub/../f", "hard", "soft"] {
                let again = targets.claim(&item(&folder.path().join(spelled), 0, "f"));
                assert_eq!(again, Ok(Claimed::Again(path.clone())), "{spelled}");
            }
            // Under another name it is another file.
            assert_eq!(targets.claim(&item(&path, 0, "g")), Ok(Claimed::New));
        }
    }

    #[test]
    fn a_name_is_a_file_or_a_folder() {
        for conflict in [Conflict::Fail, Conflict::KeepBoth, Conflict::Overwrite] {
            let mut targets = Targets::new(conflict);
            assert_eq!(claim(&mut targets, "x/a", "a"), Ok(Claimed::New));
            let error = claim(&mut targets, "y/b", "a/b").expect_err("a file");
            assert!(said(&error).contains("because of x/a,"), "{error}");
            let error = claim(&mut targets, "y/b", "a/c/b").expect_err("a file");
            assert!(said(&error).contains("because of x/a,"), "{error}");
            assert_eq!(claim(&mut targets, "x/f", "p/q/f"), Ok(Claimed::New));
            assert_eq!(claim(&mut targets, "x/g", "p/q/g"), Ok(Claimed::New));
            for folder in ["p", "p/q"] {
                let error = claim(&mut targets, "y/p", folder).expect_err("a folder");
                assert_eq!(error.kind(), Kind::Invalid);
                assert!(said(&error).contains("because of x/f,"), "{error}");
            }
            assert_eq!(claim(&mut targets, "x/h", "p/qq"), Ok(Claimed::New));
        }
    }

    #[test]
    fn paths_that_differ_only_by_case_or_composition_are_told() {
        let like = |names: [&str; 2]| {
            let mut targets = Targets::new(Conflict::Fail);
            assert_eq!(claim(&mut targets, "x/one", names[0]), Ok(Claimed::New));
            claim(&mut targets, "x/two", names[1]).expect("free")
        };
        let one = Claimed::Similar("x/one".into());
        for names in [
            ["d/readme", "d/README"],
            ["d/ReadMe", "d/readme"],
            ["d/ReadMe", "d/README"],
            ["\u{e9}", "e\u{301}"],
            ["e\u{301}", "\u{e9}"],
            ["\u{c9}", "\u{e9}"],
            ["D/x", "d/y"],
            ["d/x", "D/y"],
            ["A/b/x", "a/b/x"],
        ] {
            assert_eq!(like(names), one, "{names:?}");
        }
        for names in [
            ["a", "b"],
            ["A", "B"],
            ["A/x", "B/x"],
            ["d/A", "e/a"],
            ["A/x", "A/y"],
        ] {
            assert_eq!(like(names), Claimed::New, "{names:?}");
        }
    }

    #[test]
    fn what_was_refused_claims_nothing() {
        let mut targets = Targets::new(Conflict::Fail);
        assert_eq!(claim(&mut targets, "x/a", "new/a"), Ok(Claimed::New));
        claim(&mut targets, "y/b", "other/new/../?").expect_err("no name");
        claim(&mut targets, "y/b", "z/y/x?/b").expect_err("no name");
        assert_eq!(claim(&mut targets, "x/z", "z"), Ok(Claimed::New));
        claim(&mut targets, "y/b", "z/b").expect_err("a file");
        assert_eq!(claim(&mut targets, "x/w", "z2/b"), Ok(Claimed::New));
    }

    #[test]
    fn a_hundred_thousand_files_cost_what_is_said() {
        let mut targets = Targets::new(Conflict::Fail);
        for number in 0..100_000 {
            let name = format!("f{}/{number}", number / 1000);
            assert_eq!(
                claim(&mut targets, &format!("/home/me/{name}"), &name),
                Ok(Claimed::New)
            );
        }
        assert_eq!(size_of::<(Key, Local)>(), 16);
        let kept = targets.paths.kept.len();
        assert_eq!(
            kept, 200,
            "100 local folders, and a file in 100 remote ones"
        );
        let error = claim(&mut targets, "99999", "f99/99999").expect_err("taken");
        let first = "/home/me/f99/99999";
        assert!(said(&error).contains(first), "{error}");
    }
}
