//! The tree of remote files and folders. In come paths, contents and what to do about taken
//! names, out go ids and where each thing is; the one place that knows what exists. No I/O.

use std::collections::{BTreeSet, HashMap};
use std::time::SystemTime;

use crate::node::{Content, Kind, Listed, Node};
use crate::reply::Refusal;

/// Everything that exists.
#[derive(Debug)]
pub(crate) struct Tree {
    next_id: i64,
    nodes: HashMap<i64, Node>,
    /// What has a name; what is in the trash has none.
    names: HashMap<(i64, Box<str>), i64>,
    /// What is in each folder, by id, what was put to the trash there included.
    children: HashMap<i64, BTreeSet<i64>>,
    contents: HashMap<Content, Vec<i64>>,
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
            children: HashMap::new(),
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
                    Kind::File(_) => {
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
            self.remove(replaced);
        }
        let id = self.add(folder, &name, Kind::File(Some(content)));
        self.contents.entry(content).or_default().push(id);
        Ok(id)
    }

    /// Takes a file out, or a folder with all below it; their ids.
    pub(crate) fn remove(&mut self, id: i64) -> Vec<i64> {
        let mut gone = vec![id];
        let mut at = 0;
        while let Some(&id) = gone.get(at) {
            gone.extend(self.children.remove(&id).unwrap_or_default());
            at += 1;
        }
        for &id in &gone {
            self.forget_content(id);
            if let Some(node) = self.nodes.remove(&id) {
                self.forget_name(id, node.parent, node.name);
                if let Some(siblings) = self.children.get_mut(&node.parent) {
                    siblings.remove(&id);
                }
            }
        }
        gone
    }

    /// Puts a file or folder to the trash: it keeps its place in listings and loses its name.
    pub(crate) fn trash(&mut self, id: i64) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.trashed = true;
            node.updated = SystemTime::now();
            let (parent, name) = (node.parent, node.name.clone());
            self.forget_name(id, parent, name);
        }
    }

    /// Gives a file another content, or its first one.
    pub(crate) fn set_content(&mut self, id: i64, content: Content) {
        self.forget_content(id);
        if let Some(node) = self.nodes.get_mut(&id) {
            node.kind = Kind::File(Some(content));
            node.updated = SystemTime::now();
            self.contents.entry(content).or_default().push(id);
        }
    }

    /// Gives a file or folder the status of a review.
    pub(crate) fn set_status(&mut self, id: i64, status: i64) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.status = status;
        }
    }

    /// A new folder in `parent`; its id.
    pub(crate) fn make_folder(&mut self, parent: i64, name: &str) -> Result<i64, Refusal> {
        self.check_folder(parent)?;
        match self.child(parent, name) {
            None => Ok(self.add(parent, name, Kind::Folder { settled: 0 })),
            Some(_) => Err(Refusal::business("该目录下已经有同名文件夹")),
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
            Kind::File(None)
        };
        self.add(parent, name, kind)
    }

    /// Path components from the root, or from the folder in the trash that it is below.
    pub(crate) fn location(&self, id: i64) -> Location<'_> {
        let mut path = Vec::new();
        let mut at = id;
        let mut in_trash = None;
        while let Some(node) = self.nodes.get(&at) {
            if node.trashed {
                in_trash = Some(at);
                break;
            }
            path.push(&*node.name);
            at = node.parent;
        }
        path.reverse();
        Location { in_trash, path }
    }

    /// Names from the root, whether or not something of it is in the trash.
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

    /// Files whose content is known, by id.
    pub(crate) fn files(&self) -> Vec<(i64, Content)> {
        let stored = |(&id, node): (&i64, &Node)| match node.kind {
            Kind::File(Some(content)) => Some((id, content)),
            _ => None,
        };
        let mut files: Vec<_> = self.nodes.iter().filter_map(stored).collect();
        files.sort_unstable_by_key(|&(id, _)| id);
        files
    }

    /// The id at a remote path, without a leading `/`.
    pub(crate) fn at(&self, path: &str) -> Option<i64> {
        let names = path.split('/').filter(|name| !name.is_empty());
        let mut id = ROOT;
        for name in names {
            id = self.child(id, name)?;
        }
        (id != ROOT).then_some(id)
    }

    /// A file or folder as listings show it, also from the trash.
    pub(crate) fn entry(&self, id: i64) -> Option<Listed> {
        let mut entry = Listed::new(id, self.nodes.get(&id)?);
        entry.trashed = !self.is_there(id);
        Some(entry)
    }

    /// What was put to the trash, without what is below it.
    pub(crate) fn in_trash(&self) -> Vec<i64> {
        let trashed = self.nodes.iter().filter(|(_, node)| node.trashed);
        trashed.map(|(&id, _)| id).collect()
    }

    /// Whether a file or folder is neither in the trash nor below something that is.
    pub(crate) fn is_there(&self, id: i64) -> bool {
        self.nodes.contains_key(&id) && self.location(id).in_trash.is_none()
    }

    /// At most `limit` ids in `folder` above `after`, and whether there are more.
    pub(crate) fn page(
        &self,
        folder: i64,
        after: i64,
        limit: usize,
    ) -> Result<(Vec<i64>, bool), Refusal> {
        self.check_folder(folder)?;
        let above = self.children.get(&folder).into_iter();
        let mut above = above.flat_map(|ids| ids.range(after.saturating_add(1)..).copied());
        let page: Vec<i64> = above.by_ref().take(limit).collect();
        Ok((page, above.next().is_some()))
    }

    /// The same of everything whose name fits, wherever it is.
    pub(crate) fn search(
        &self,
        fits: impl Fn(&str) -> bool,
        after: i64,
        limit: usize,
    ) -> (Vec<i64>, bool) {
        let found = self.nodes.iter();
        let found = found.filter(|&(&id, node)| id > after && fits(&node.name));
        let mut found: Vec<i64> = found.map(|(&id, _)| id).collect();
        found.sort_unstable();
        let more = found.len() > limit;
        found.truncate(limit);
        (found, more)
    }

    fn check_folder(&self, id: i64) -> Result<(), Refusal> {
        let is_folder = |node: &Node| matches!(node.kind, Kind::Folder { .. });
        if id == ROOT || self.nodes.get(&id).is_some_and(is_folder) && self.is_there(id) {
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
        self.children.entry(parent).or_default().insert(id);
        self.nodes.insert(id, Node::new(parent, name, kind));
        id
    }

    /// The name is free, unless another has it by now.
    fn forget_name(&mut self, id: i64, parent: i64, name: Box<str>) {
        let key = (parent, name);
        if self.names.get(&key) == Some(&id) {
            self.names.remove(&key);
        }
    }

    fn forget_content(&mut self, id: i64) {
        let Some(Kind::File(Some(content))) = self.nodes.get(&id).map(|node| &node.kind) else {
            return;
        };
        if let Some(ids) = self.contents.get_mut(content) {
            ids.retain(|&known| known != id);
            if ids.is_empty() {
                self.contents.remove(content);
            }
        }
    }
}

/// Where a file or folder is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Location<'a> {
    /// What it is, or is below, in the trash.
    pub(crate) in_trash: Option<i64>,
    /// Names from the root, or from there.
    pub(crate) path: Vec<&'a str>,
}

/// The root folder's id.
pub(crate) const ROOT: i64 = 0;

/// The call that makes the folder is not answered yet.
const NOT_YET: u64 = u64::MAX;

#[cfg(test)]
mod tests;
