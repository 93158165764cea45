//! The tree of remote files and folders. In come paths, contents and what to do about taken
//! names, out go ids and where each thing is; the one place that knows what exists. No I/O.

use std::collections::HashMap;

use crate::reply::Refusal;
use crate::store::Sum;

/// Everything that exists.
#[derive(Debug)]
pub(crate) struct Tree {
    next_id: i64,
    nodes: HashMap<i64, Node>,
    names: HashMap<(i64, Box<str>), i64>,
    contents: HashMap<Content, Vec<i64>>,
}

/// A file's bytes, as far as the service tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Content {
    pub(crate) sum: Sum,
    pub(crate) size: u64,
}

#[derive(Debug)]
struct Node {
    parent: i64,
    name: Box<str>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// With the moment when the call that made it was answered.
    Folder { settled: u64 },
    /// None for a file that was there before the emulator and was never hashed.
    File { content: Option<Content> },
}

/// What to do about a taken name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duplicate {
    Refuse,
    KeepBoth,
    Overwrite,
}

/// The folder that a call ends in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FolderPath {
    pub(crate) folder: i64,
    /// What the call itself had to make.
    pub(crate) made: Vec<i64>,
    /// Whether another call that overlaps with this one made a folder that both needed.
    pub(crate) raced: bool,
}

impl Tree {
    pub(crate) fn new(first_id: i64) -> Self {
        Self {
            next_id: first_id,
            nodes: HashMap::new(),
            names: HashMap::new(),
            contents: HashMap::new(),
        }
    }

    /// The folder below `parent` that `path` leads to, made where it is missing, for a call that
    /// began at `began`.
    pub(crate) fn ensure_folder(
        &mut self,
        parent: i64,
        path: &[String],
        began: u64,
    ) -> Result<FolderPath, Refusal> {
        self.check_folder(parent)?;
        let mut path_made = FolderPath {
            folder: parent,
            made: Vec::new(),
            raced: false,
        };
        for name in path {
            path_made.folder = match self.child(path_made.folder, name) {
                None => {
                    let kind = Kind::Folder { settled: NOT_YET };
                    let id = self.add(path_made.folder, name, kind);
                    path_made.made.push(id);
                    id
                }
                Some(id) => match self.nodes[&id].kind {
                    Kind::Folder { settled } => {
                        path_made.raced |= settled > began;
                        id
                    }
                    Kind::File { .. } => {
                        return Err(Refusal::business(format!(
                            "文件夹不存在: {name} is a file, not a folder"
                        )));
                    }
                },
            };
        }
        Ok(path_made)
    }

    /// The call that made these folders is answered at `moment`.
    pub(crate) fn settle(&mut self, made: &[i64], moment: u64) {
        for id in made {
            if let Some(Node {
                kind: Kind::Folder { settled },
                ..
            }) = self.nodes.get_mut(id)
            {
                *settled = moment;
            }
        }
    }

    /// Whether `name` may be given to a file in `folder`, without giving it.
    pub(crate) fn check_name(
        &self,
        folder: i64,
        name: &str,
        duplicate: Duplicate,
    ) -> Result<(), Refusal> {
        let Some(taken) = self.child(folder, name) else {
            return Ok(());
        };
        let by_folder = matches!(self.nodes[&taken].kind, Kind::Folder { .. });
        match duplicate {
            Duplicate::KeepBoth => Ok(()),
            Duplicate::Overwrite if !by_folder => Ok(()),
            _ => Err(Refusal::business(format!("该目录下文件名已存在: {name}"))),
        }
    }

    /// A new file in `folder`; its id is returned. The name is the one asked for, or with
    /// keep-both the next that is free.
    pub(crate) fn place(
        &mut self,
        folder: i64,
        name: &str,
        duplicate: Duplicate,
        content: Content,
    ) -> Result<i64, Refusal> {
        self.check_folder(folder)?;
        self.check_name(folder, name, duplicate)?;
        let name = match duplicate {
            Duplicate::KeepBoth => self.free_name(folder, name),
            Duplicate::Refuse | Duplicate::Overwrite => name.to_owned(),
        };
        if let Some(replaced) = self.child(folder, &name) {
            self.remove_file(replaced);
        }
        let kind = Kind::File {
            content: Some(content),
        };
        let id = self.add(folder, &name, kind);
        self.contents.entry(content).or_default().push(id);
        Ok(id)
    }

    /// Takes back what `place` has done, after its bytes could not be kept.
    pub(crate) fn remove_file(&mut self, id: i64) {
        let Some(node) = self.nodes.remove(&id) else {
            return;
        };
        self.names.remove(&(node.parent, node.name));
        if let Kind::File {
            content: Some(content),
        } = node.kind
            && let Some(ids) = self.contents.get_mut(&content)
        {
            ids.retain(|&known| known != id);
            if ids.is_empty() {
                self.contents.remove(&content);
            }
        }
    }

    /// A file that has this content.
    pub(crate) fn file_with(&self, content: &Content) -> Option<i64> {
        self.contents.get(content)?.first().copied()
    }

    /// A file or folder that was there before the emulator.
    pub(crate) fn add_existing(&mut self, parent: i64, name: &str, is_folder: bool) -> i64 {
        let kind = if is_folder {
            Kind::Folder { settled: 0 }
        } else {
            Kind::File { content: None }
        };
        self.add(parent, name, kind)
    }

    /// Path components from the root, for a file or folder that exists.
    pub(crate) fn path(&self, id: i64) -> Vec<&str> {
        let mut path = Vec::new();
        let mut at = id;
        while let Some(node) = self.nodes.get(&at) {
            path.push(&*node.name);
            at = node.parent;
        }
        path.reverse();
        path
    }

    /// Files that were stored since the emulator began, by id.
    pub(crate) fn files(&self) -> Vec<(i64, Content)> {
        let stored = |(&id, node): (&i64, &Node)| match node.kind {
            Kind::File {
                content: Some(content),
            } => Some((id, content)),
            _ => None,
        };
        let mut files: Vec<_> = self.nodes.iter().filter_map(stored).collect();
        files.sort_unstable_by_key(|&(id, _)| id);
        files
    }

    fn check_folder(&self, id: i64) -> Result<(), Refusal> {
        let exists = id == ROOT
            || self
                .nodes
                .get(&id)
                .is_some_and(|node| matches!(node.kind, Kind::Folder { .. }));
        if exists {
            return Ok(());
        }
        Err(Refusal::business(format!("父级目录不存在: {id}")))
    }

    fn free_name(&self, folder: i64, name: &str) -> String {
        let (stem, extension) = match name.rfind('.') {
            Some(at) if at > 0 => name.split_at(at),
            _ => (name, ""),
        };
        let numbered = (1u32..).map(|n| format!("{stem}({n}){extension}"));
        std::iter::once(name.to_owned())
            .chain(numbered)
            .find(|candidate| self.child(folder, candidate).is_none())
            .expect("there are more numbers than files")
    }

    fn child(&self, parent: i64, name: &str) -> Option<i64> {
        self.names.get(&(parent, name.into())).copied()
    }

    fn add(&mut self, parent: i64, name: &str, kind: Kind) -> i64 {
        let id = self.next_id;
        self.next_id += 1;
        self.names.insert((parent, name.into()), id);
        let name = name.into();
        self.nodes.insert(id, Node { parent, name, kind });
        id
    }
}

/// The root folder's id.
pub(crate) const ROOT: i64 = 0;

/// The call that makes the folder is not answered yet.
const NOT_YET: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    fn content(n: u8) -> Content {
        Content {
            sum: [n; 16],
            size: 1,
        }
    }

    fn path(text: &str) -> Vec<String> {
        text.split('/').map(str::to_owned).collect()
    }

    #[test]
    fn taken_names() {
        let mut tree = Tree::new(100);
        let mut place = |name, duplicate, n| tree.place(ROOT, name, duplicate, content(n));
        assert_eq!(place("a.txt", Duplicate::Refuse, 1), Ok(100));
        let refused = place("a.txt", Duplicate::Refuse, 2).expect_err("taken");
        assert_eq!((refused.code, refused.http.as_u16()), (1, 200));
        assert_eq!(place("a.txt", Duplicate::KeepBoth, 3), Ok(101));
        assert_eq!(place("a.txt", Duplicate::KeepBoth, 4), Ok(102));
        assert_eq!(place("a.txt", Duplicate::Overwrite, 5), Ok(103));
        assert_eq!(place("b", Duplicate::KeepBoth, 6), Ok(104));
        assert_eq!(place("b", Duplicate::KeepBoth, 7), Ok(105));
        let names: Vec<_> = [101, 102, 103, 104, 105]
            .map(|id| tree.path(id).concat())
            .into();
        assert_eq!(names, ["a(1).txt", "a(2).txt", "a.txt", "b", "b(1)"]);
        assert_eq!(tree.file_with(&content(1)), None);
        assert_eq!(tree.file_with(&content(5)), Some(103));
        assert_eq!(tree.files().len(), 5);
    }

    #[test]
    fn folders_are_made_once_and_files_are_none() {
        let mut tree = Tree::new(1);
        let path_made = tree.ensure_folder(ROOT, &path("x/y"), 1).expect("made");
        assert_eq!((path_made.folder, path_made.made), (2, vec![1, 2]));
        tree.settle(&[1, 2], 2);
        let path_made = tree.ensure_folder(ROOT, &path("x/y"), 3).expect("there");
        let wanted = FolderPath {
            folder: 2,
            made: vec![],
            raced: false,
        };
        assert_eq!(path_made, wanted);
        tree.place(2, "f", Duplicate::Refuse, content(1))
            .expect("free");
        assert!(tree.ensure_folder(ROOT, &path("x/y/f"), 4).is_err());
        assert!(
            tree.ensure_folder(3, &[], 4).is_err(),
            "a file is no parent"
        );
        assert!(
            tree.ensure_folder(77, &[], 4).is_err(),
            "nothing is no parent"
        );
        let overwrite = tree.place(1, "y", Duplicate::Overwrite, content(1));
        assert!(overwrite.is_err(), "a file does not replace a folder");
    }

    #[test]
    fn a_race_is_an_overlap_over_a_missing_folder() {
        let mut tree = Tree::new(1);
        let made = tree.ensure_folder(ROOT, &path("x"), 1).expect("made").made;
        let unanswered = tree.ensure_folder(ROOT, &path("x"), 2).expect("there");
        assert!(unanswered.raced);
        tree.settle(&made, 3);
        assert!(
            tree.ensure_folder(ROOT, &path("x"), 2)
                .expect("there")
                .raced
        );
        assert!(
            !tree
                .ensure_folder(ROOT, &path("x"), 4)
                .expect("there")
                .raced
        );
    }
}
