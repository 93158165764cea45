//! `.gitignore`, `.ignore` and `.panupignore`, with git's rules. In: the paths of a walk, each folder
//! before what is in it. Out: whether one of the files says that a path is to be ignored.
//!
//! Of the three, a later one wins over an earlier one, and the file of a deeper folder over one above it.

use std::path::{Path, PathBuf};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::super::globs::absolute;

/// The ignore files that hold at one place of a walk.
pub struct IgnoreFiles {
    root: PathBuf,
    ignore_case: bool,
    /// From the outermost folder inwards.
    levels: Vec<Level>,
}

struct Level {
    folder: PathBuf,
    /// In the order of [`FILES`]; `None` where there is no such file.
    files: [Option<Gitignore>; FILES.len()],
}

impl IgnoreFiles {
    /// For the walk of `root`: the files of the folders above it that hold below it.
    pub fn new(root: &Path, ignore_case: bool) -> IgnoreFiles {
        let root = absolute(root);
        let mut files = IgnoreFiles {
            ignore_case,
            levels: Vec::new(),
            root,
        };
        for folder in folders_above(&files.root) {
            files.enter(folder);
        }
        files
    }

    /// Whether the root itself is to be ignored.
    pub fn is_root_ignored(&self, folder: bool) -> bool {
        self.decide(&self.root, folder)
    }

    /// Whether what is at `below` in the root is to be ignored; its folders were asked for before.
    pub fn is_ignored(&mut self, below: &Path, folder: bool) -> bool {
        let path = self.root.join(below);
        let Some(parent) = path.parent() else {
            return false;
        };
        while self
            .levels
            .last()
            .is_some_and(|level| !parent.starts_with(&level.folder))
        {
            self.levels.pop();
        }
        if self
            .levels
            .last()
            .is_none_or(|level| level.folder != parent)
        {
            self.enter(parent.to_owned());
        }
        self.decide(&path, folder)
    }

    fn enter(&mut self, folder: PathBuf) {
        let files = FILES.map(|name| {
            let path = folder.join(name);
            let mut builder = GitignoreBuilder::new(&folder);
            // It can only fail for globs that are there already: there are none.
            builder.case_insensitive(self.ignore_case).ok()?;
            if !path.is_file() {
                return None;
            }
            if let Some(error) = builder.add(&path) {
                // The other lines hold.
                tracing::warn!("{error}");
            }
            builder.build().ok()
        });
        self.levels.push(Level { folder, files });
    }

    fn decide(&self, path: &Path, folder: bool) -> bool {
        for kind in (0..FILES.len()).rev() {
            let files = self.levels.iter().rev();
            for file in files.filter_map(|level| level.files[kind].as_ref()) {
                match file.matched_path_or_any_parents(path, folder) {
                    Match::Ignore(_) => return true,
                    Match::Whitelist(_) => return false,
                    Match::None => {}
                }
            }
        }
        false
    }
}

/// The folders above `root`, from the one with a `.git` inwards; none where there is none.
fn folders_above(root: &Path) -> Vec<PathBuf> {
    let mut above: Vec<PathBuf> = Vec::new();
    if root.join(".git").exists() {
        return above;
    }
    for folder in root.ancestors().skip(1) {
        above.push(folder.to_owned());
        if folder.join(".git").exists() {
            above.reverse();
            return above;
        }
    }
    Vec::new()
}

const FILES: [&str; 3] = [".gitignore", ".ignore", ".panupignore"];

#[cfg(test)]
mod tests {
    use super::*;

    /// The files below `root` that stay, in the order of a walk.
    fn kept(root: &Path, files: &[&str]) -> Vec<String> {
        let mut ignored = IgnoreFiles::new(root, false);
        let mut kept = Vec::new();
        for file in files {
            let mut folders: Vec<&Path> = Path::new(file).ancestors().skip(1).collect();
            folders.retain(|folder| *folder != Path::new(""));
            let out = folders
                .iter()
                .rev()
                .any(|folder| ignored.is_ignored(folder, true));
            if !out && !ignored.is_ignored(Path::new(file), false) {
                kept.push((*file).to_owned());
            }
        }
        kept
    }

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        folder
    }

    #[test]
    fn deeper_files_and_later_kinds_win() {
        let tree = tree(&[
            (".gitignore", "*.log\n/build/\n"),
            ("sub/.gitignore", "!keep.log\n"),
            (".ignore", "note\n"),
            (".panupignore", "!b.log\n"),
        ]);
        let files = [
            "a.log",
            "b.log",
            "build/x",
            "note",
            "sub/a.log",
            "sub/build/x",
            "sub/keep.log",
            "z",
        ];
        assert_eq!(
            kept(tree.path(), &files),
            ["b.log", "sub/build/x", "sub/keep.log", "z"]
        );
    }

    #[test]
    fn files_above_hold_as_far_as_the_repository_goes() {
        let tree = tree(&[
            (".gitignore", "x\n"),
            ("repo/.git/HEAD", ""),
            ("repo/.gitignore", "/sub/y\nz\n"),
            ("bare/sub/.gitignore", "a\n"),
        ]);
        let sub = tree.path().join("repo/sub");
        assert_eq!(kept(&sub, &["w", "x", "y", "z"]), ["w", "x"]);
        assert!(IgnoreFiles::new(&sub.join("z"), false).is_root_ignored(false));
        let bare = tree.path().join("bare/sub");
        assert_eq!(kept(&bare, &["a", "x"]), ["x"], "no repository is above");
    }
}
