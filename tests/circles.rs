//! Inside a module's folder, files form no circle: each can be read, and tested, after those that it
//! stands on. A module may use its own children, which are parts of it. `tests/layers.rs` holds
//! the same between modules.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn files_of_one_folder_form_no_circle() {
    let circles = Tree::read(Path::new("src")).circles();
    assert!(circles.is_empty(), "circles:\n{}", circles.join("\n"));
}

#[test]
fn files_of_the_emulator_form_no_circle() {
    let circles = Tree::read(Path::new("tools/emulator/src")).circles();
    assert!(circles.is_empty(), "circles:\n{}", circles.join("\n"));
}

#[test]
fn the_search_sees_a_circle() {
    let folder = tempfile::tempdir().expect("a folder");
    let write =
        |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
    write("lib.rs", "mod a;\nmod b;\nmod c;\npub use c::Third;\n");
    write("a.rs", "use crate::{b::Second, Third};\n");
    write("b.rs", "use super::c::{self, Third};\n");
    write("c.rs", "fn third() { super::a::first() }\n");
    let found = Tree::read(folder.path()).circles();
    assert_eq!(
        found,
        ["a.rs b.rs c.rs"],
        "whichever way a file names another"
    );
    write("c.rs", "#[cfg(test)]\nmod tests { use super::super::a; }\n");
    assert!(
        Tree::read(folder.path()).circles().is_empty(),
        "tests look anywhere"
    );
}

/// The product files below a root, with the modules and names that each declares.
struct Tree {
    files: BTreeMap<Vec<String>, File>,
}

struct File {
    path: PathBuf,
    /// Names that the file takes from its children and passes on, by the path below it.
    passes_on: BTreeMap<String, Vec<String>>,
    imports: Vec<Vec<String>>,
}

impl Tree {
    fn read(root: &Path) -> Tree {
        let mut files = BTreeMap::new();
        collect(root, root, &mut files);
        Tree { files }
    }

    /// Every set of files that all reach each other, as a line.
    fn circles(&self) -> Vec<String> {
        let arrows: BTreeMap<&Vec<String>, BTreeSet<Vec<String>>> = self
            .files
            .iter()
            .map(|(module, file)| (module, self.arrows(module, file)))
            .collect();
        let reach = |from: &Vec<String>| {
            let mut seen = BTreeSet::new();
            let mut open: Vec<&Vec<String>> = arrows[from].iter().collect();
            while let Some(next) = open.pop() {
                if seen.insert(next.clone()) {
                    open.extend(&arrows[next]);
                }
            }
            seen
        };
        let reached: BTreeMap<&Vec<String>, BTreeSet<Vec<String>>> = self
            .files
            .keys()
            .map(|module| (module, reach(module)))
            .collect();
        let mut circles = BTreeSet::new();
        for (module, far) in &reached {
            let circle: Vec<String> = far
                .iter()
                .filter(|other| reached[other].contains(*module))
                .map(|other| self.files[other].path.display().to_string())
                .collect();
            if circle.len() > 1 {
                circles.insert(circle.join(" "));
            }
        }
        circles.into_iter().collect()
    }

    fn arrows(&self, module: &[String], file: &File) -> BTreeSet<Vec<String>> {
        let found = file
            .imports
            .iter()
            .filter_map(|path| self.resolve(module, path));
        found.filter(|target| !target.starts_with(module)).collect()
    }

    /// The module whose file a path leads to, through what modules on the way pass on.
    fn resolve(&self, from: &[String], path: &[String]) -> Option<Vec<String>> {
        let mut at = from.to_vec();
        let mut rest = path;
        while let Some((first, more)) = rest.split_first() {
            match first.as_str() {
                "crate" => at.clear(),
                "super" => drop(at.pop()),
                "self" => {}
                name => {
                    let child = [&at[..], &[name.to_owned()]].concat();
                    if self.files.contains_key(&child) {
                        at = child;
                    } else if let Some(on) = self.files.get(&at)?.passes_on.get(name) {
                        let target = self.resolve(&at, &[on, more].concat());
                        return target.or(Some(at));
                    } else {
                        break;
                    }
                }
            }
            rest = more;
        }
        // The crate's first page is a map, not a place that others stand on.
        (!at.is_empty()).then_some(at)
    }
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<Vec<String>, File>) {
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let below = path
                .strip_prefix(root)
                .expect("found there")
                .with_extension("");
            let mut module: Vec<String> = below
                .components()
                .map(|part| part.as_os_str().to_string_lossy().into_owned())
                .collect();
            if module
                .last()
                .is_some_and(|last| ["mod", "lib"].contains(&last.as_str()))
            {
                module.pop();
            }
            if module.iter().any(|part| part == "tests") || module == ["main"] {
                continue;
            }
            let text = product(&fs::read_to_string(&path).expect("readable"));
            let path = path.strip_prefix(root).expect("found there").to_owned();
            files.insert(module, File::read(path, &text));
        }
    }
}

/// The text without comments, strings' contents left as they are, and without inline tests.
fn product(text: &str) -> String {
    let tests = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let lines = text[..tests].lines();
    let code = lines.map(|line| line.split("//").next().unwrap_or_default());
    code.collect::<Vec<_>>().join("\n")
}

impl File {
    fn read(path: PathBuf, text: &str) -> File {
        let mut children = BTreeSet::new();
        for line in text.lines() {
            let line = line
                .trim()
                .trim_start_matches("pub ")
                .trim_start_matches("pub(crate) ");
            if let Some(name) = line
                .strip_prefix("mod ")
                .and_then(|rest| rest.strip_suffix(';'))
            {
                children.insert(name.to_owned());
            }
        }
        let (mut passes_on, mut imports) = (BTreeMap::new(), Vec::new());
        for statement in statements(text, "use ") {
            let public = statement.1;
            for path in trees(&statement.0) {
                let first = path.first().cloned().unwrap_or_default();
                let own = children.contains(&first) || first == "self";
                if public && own {
                    passes_on.insert(path.last().cloned().unwrap_or_default(), path);
                } else if own || first == "super" || first == "crate" {
                    imports.push(path);
                }
            }
        }
        for mark in ["super::", "crate::"] {
            for (at, _) in text.match_indices(mark) {
                let word = text[at..]
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || "_:".contains(*c));
                let word: String = word.collect();
                imports.push(segments(word.trim_end_matches(':')));
            }
        }
        for child in &children {
            for (at, _) in text.match_indices(&format!("{child}::")) {
                let before = text[..at].chars().next_back();
                let apart = before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':');
                let statement = text[..at]
                    .rfind(['\n', ';', '{', '}'])
                    .map_or(0, |start| start + 1);
                if apart && !text[statement..at].contains("pub") {
                    imports.push(vec![child.clone()]);
                }
            }
        }
        File {
            path,
            passes_on,
            imports,
        }
    }
}

/// Each `use …;` with whether it is public.
fn statements(text: &str, word: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(word).map(|start| at + start) {
        let line = text[..start].rfind('\n').map_or(0, |line| line + 1);
        let before = text[line..start].trim();
        let end = text[start..]
            .find(';')
            .map_or(text.len(), |end| start + end);
        if before.is_empty() || before.starts_with("pub") {
            found.push((text[start + word.len()..end].to_owned(), !before.is_empty()));
        }
        at = start + word.len();
    }
    found
}

/// The paths of a `use` tree, braces opened, `as` names kept as they were.
fn trees(tree: &str) -> Vec<Vec<String>> {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        return vec![segments(tree.split(" as ").next().unwrap_or_default())];
    };
    let prefix = segments(tree[..open].trim_end_matches("::"));
    let inside = tree.get(open + 1..tree.rfind('}').unwrap_or(tree.len()));
    let inside = inside.unwrap_or_default();
    let (mut parts, mut depth, mut part) = (Vec::new(), 0, String::new());
    for c in inside.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        part.push(c);
    }
    parts.push(part);
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    parts
        .flat_map(|part| trees(part))
        .map(|path| [&prefix[..], &path[..]].concat())
        .collect()
}

fn segments(path: &str) -> Vec<String> {
    let parts = path.split("::").map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}
