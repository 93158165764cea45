//! The library's public items, held against `tests/api.txt`: a change of what callers build on is seen,
//! and meant. `PANUP_API=write cargo test --test api` writes the list anew.
//!
//! It reads the sources, as they are reached from `src/lib.rs`: names, fields, variants, signatures, and
//! what is implemented for them. It knows no types, so a change behind an alias is not seen.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use quote::ToTokens;
use syn::{Attribute, Fields, ImplItem, Item, Meta, TraitItem, Type, UseTree, Visibility};

use rust_files::rust_files;

#[path = "common/rust_files.rs"]
mod rust_files;

#[test]
fn the_public_items_are_those_of_the_list() {
    let now = Api::of_the_crate().lines;
    let path = Path::new("tests/api.txt");
    if std::env::var_os("PANUP_API").is_some_and(|asked| asked == "write") {
        let text: String = now.iter().map(|line| format!("{line}\n")).collect();
        fs::write(path, text).expect("writable");
    }
    let kept = fs::read_to_string(path).expect("readable");
    let kept: BTreeSet<String> = kept.lines().map(str::to_owned).collect();
    let gone = kept.difference(&now).map(|line| format!("- {line}"));
    let new = now.difference(&kept).map(|line| format!("+ {line}"));
    let changed: Vec<String> = gone.chain(new).collect();
    assert!(
        changed.is_empty(),
        "the public items changed; where that is meant, PANUP_API=write cargo test --test api\n{}",
        changed.join("\n")
    );
}

/// Of what has public fields or variants the next version may have more.
#[test]
fn what_may_grow_says_so() {
    let open = Api::of_the_crate().open;
    let finished: BTreeSet<String> = FINISHED.iter().map(|name| (*name).to_owned()).collect();
    let wrong: Vec<&String> = open.symmetric_difference(&finished).collect();
    assert!(
        wrong.is_empty(),
        "without #[non_exhaustive], or listed here in vain: {wrong:?}"
    );
}

#[test]
fn a_change_is_seen() {
    let lines = |text: &str| {
        let mut api = Api::default();
        let file = syn::parse_file(text).expect("Rust");
        file.items.iter().for_each(|item| api.item("", "A", item));
        file.items
            .iter()
            .for_each(|item| api.implemented("", "A", "A", item));
        api.lines
    };
    let before = "pub struct A { pub b: u8, c: u8 } impl A { pub fn d(&self) {} fn e(&self) {} }";
    let all: Vec<String> = lines(before).into_iter().collect();
    assert_eq!(all, ["A.b: u8", "A::fn d(&self)", "struct A"]);
    for (from, to, is_seen) in [
        ("b: u8", "b: u16", true),
        ("c: u8", "c: u16", false),
        ("d(&self)", "d(self)", true),
        ("fn e", "pub fn e", true),
        ("pub struct", "#[derive(Clone)] pub struct", true),
        ("pub struct", "#[non_exhaustive] pub struct", true),
    ] {
        let after = before.replace(from, to);
        assert_eq!(lines(&after) != lines(before), is_seen, "{from} to {to}");
    }
}

/// What is public.
#[derive(Default)]
struct Api {
    lines: BTreeSet<String>,
    /// Types whose fields or variants are public and that do not say that there may be more.
    open: BTreeSet<String>,
}

impl Api {
    fn of_the_crate() -> Api {
        let mut api = Api::default();
        api.module(&[], "");
        assert!(api.lines.len() > 200, "the search itself must work");
        api
    }

    /// All that the module at `path` makes public, under `prefix`.
    fn module(&mut self, path: &[String], prefix: &str) {
        for item in items(path) {
            if is_hidden(attributes(&item)) || !is_public(&item) {
                continue;
            }
            match &item {
                Item::Use(exported) => {
                    let said = words(&exported.tree);
                    assert!(!said.contains('*'), "a public glob names nothing: {said}");
                    for (from, name) in leaves(&exported.tree, Vec::new()) {
                        self.resolved(path, &from, prefix, &name);
                    }
                }
                Item::Mod(inner) if inner.content.is_none() => {
                    let name = inner.ident.to_string();
                    let below = [path, std::slice::from_ref(&name)].concat();
                    self.module(&below, &format!("{prefix}{name}::"));
                }
                _ => {
                    if let Some(name) = name(&item) {
                        self.resolved(path, std::slice::from_ref(&name), prefix, &name);
                    }
                }
            }
        }
    }

    /// What `from` means within the module at `path`, as `name`.
    fn resolved(&mut self, path: &[String], from: &[String], prefix: &str, name: &str) {
        let (below, original) = from.split_at(from.len() - 1);
        let original = &original[0];
        let home = home(path, below);
        let all = items(&home);
        let defines = |item: &&Item| self::name(item).as_ref() == Some(original);
        if let Some(item) = all.iter().find(defines) {
            self.item(prefix, name, item);
            for item in beside(&home, original) {
                self.implemented(prefix, name, original, &item);
            }
            return;
        }
        for item in &all {
            if let Item::Use(further) = item {
                for (from, exported) in leaves(&further.tree, Vec::new()) {
                    if exported == *original {
                        return self.resolved(&home, &from, prefix, name);
                    }
                }
            }
        }
        panic!("{} exports {original}, which is not found", home.join("::"));
    }

    fn item(&mut self, prefix: &str, name: &str, item: &Item) {
        let full = format!("{prefix}{name}");
        if let Some(what) = what(item) {
            let grows = match is_non_exhaustive(attributes(item)) {
                true => " #[non_exhaustive]",
                false => "",
            };
            self.line(format!("{what} {full}{grows}"));
            for derived in derives(attributes(item)) {
                self.line(format!("impl {derived} for {full}"));
            }
        }
        match item {
            Item::Struct(it) => self.fields(&full, &it.fields, item),
            Item::Enum(it) => {
                if !is_non_exhaustive(&it.attrs) {
                    self.open.insert(full.clone());
                }
                for variant in &it.variants {
                    let (ident, fields) = (&variant.ident, words(&variant.fields));
                    self.line(format!("{full}::{ident} {fields}"));
                }
            }
            Item::Trait(it) => {
                for part in &it.items {
                    let provided = matches!(part, TraitItem::Fn(f) if f.default.is_some());
                    let said = match part {
                        TraitItem::Fn(f) => words(&f.sig),
                        other => words(other),
                    };
                    let provided = if provided { " { … }" } else { "" };
                    self.line(format!("{full}::{said}{provided}"));
                }
            }
            Item::Fn(it) => self.line(format!("{prefix}{}", words(&it.sig))),
            Item::Const(it) => self.line(format!("const {full}: {}", words(&it.ty))),
            Item::Type(it) => self.line(format!("type {full} = {}", words(&it.ty))),
            _ => {}
        }
    }

    fn fields(&mut self, full: &str, fields: &Fields, item: &Item) {
        let public = |field: &&syn::Field| matches!(field.vis, Visibility::Public(_));
        for (number, field) in fields.iter().enumerate().filter(|(_, field)| public(field)) {
            let name = field
                .ident
                .as_ref()
                .map_or(number.to_string(), ToString::to_string);
            self.line(format!("{full}.{name}: {}", words(&field.ty)));
        }
        let all = !fields.is_empty() && fields.iter().all(|field| public(&field));
        if all && !is_non_exhaustive(attributes(item)) {
            self.open.insert(full.to_owned());
        }
    }

    /// What `item` implements for the type `original`.
    fn implemented(&mut self, prefix: &str, name: &str, original: &str, item: &Item) {
        let Item::Impl(it) = item else { return };
        let Type::Path(of) = &*it.self_ty else { return };
        let is_it = of
            .path
            .segments
            .last()
            .is_some_and(|last| last.ident == original);
        if !is_it || is_hidden(&it.attrs) {
            return;
        }
        let full = format!("{prefix}{name}");
        if let Some((_, implemented, _)) = &it.trait_ {
            return self.line(format!("impl {} for {full}", words(implemented)));
        }
        for part in &it.items {
            let (attributes, visibility, said) = match part {
                ImplItem::Fn(f) => (&f.attrs, &f.vis, words(&f.sig)),
                ImplItem::Const(c) => (
                    &c.attrs,
                    &c.vis,
                    format!("const {}: {}", c.ident, words(&c.ty)),
                ),
                _ => continue,
            };
            if matches!(visibility, Visibility::Public(_)) && !is_hidden(attributes) {
                self.line(format!("{full}::{said}"));
            }
        }
    }

    fn line(&mut self, line: String) {
        self.lines.insert(line.trim_end().to_owned());
    }
}

/// The items of the module at `path`, those of its tests left out.
fn items(path: &[String]) -> Vec<Item> {
    parsed(&file_of(path))
}

/// The module that `below` names within the one at `path`.
fn home(path: &[String], below: &[String]) -> Vec<String> {
    let Some((first, rest)) = below.split_first() else {
        return path.to_vec();
    };
    let inner = [path, std::slice::from_ref(first)].concat();
    match first.as_str() {
        "crate" => rest.to_vec(),
        "self" => [path, rest].concat(),
        _ if found(&inner).is_some() => [&inner, rest].concat(),
        // A module under another name: of those for several systems the first, as this list is Unix's.
        _ => {
            let uses = items(path).into_iter().filter_map(|item| match item {
                Item::Use(it) => Some(leaves(&it.tree, Vec::new())),
                _ => None,
            });
            let mut named = uses.flatten().filter(|(_, name)| name == first);
            let (from, _) = named.next().unwrap_or_else(|| panic!("what is {first}?"));
            [path, &from, rest].concat()
        }
    }
}

fn file_of(path: &[String]) -> PathBuf {
    found(path).unwrap_or_else(|| panic!("no file of the module {}", path.join("::")))
}

fn found(path: &[String]) -> Option<PathBuf> {
    let folder = path
        .iter()
        .fold(PathBuf::from("src"), |folder, name| folder.join(name));
    [
        folder.join("lib.rs"),
        folder.join("mod.rs"),
        folder.with_extension("rs"),
    ]
    .into_iter()
    .find(|file| file.is_file())
}

fn parsed(file: &Path) -> Vec<Item> {
    thread_local! {
        static READ: RefCell<HashMap<PathBuf, Vec<Item>>> = RefCell::default();
    }
    if let Some(items) = READ.with_borrow(|read| read.get(file).cloned()) {
        return items;
    }
    let items = read(file);
    READ.with_borrow_mut(|read| read.insert(file.to_owned(), items.clone()));
    items
}

fn read(file: &Path) -> Vec<Item> {
    let text = fs::read_to_string(file).expect("readable");
    let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    file.items
}

/// All items of the outermost module of `home` that may be about its `name`: those of files that define no
/// other type of that name.
fn beside(home: &[String], name: &str) -> Vec<Item> {
    let own = file_of(home);
    let mut files = match home.first() {
        Some(first) if Path::new("src").join(first).is_dir() => {
            rust_files(&Path::new("src").join(first))
        }
        _ => Vec::new(),
    };
    files.retain(|file| *file != own);
    let others = files.iter().map(|file| parsed(file));
    let others = others.filter(|items| {
        !items
            .iter()
            .any(|item| self::name(item).is_some_and(|n| n == name))
    });
    others.chain([parsed(&own)]).flatten().collect()
}

/// The paths that a `use` names, each with the name that it gives.
fn leaves(tree: &UseTree, mut path: Vec<String>) -> Vec<(Vec<String>, String)> {
    match tree {
        UseTree::Path(inner) => {
            path.push(inner.ident.to_string());
            leaves(&inner.tree, path)
        }
        UseTree::Name(leaf) => {
            let name = leaf.ident.to_string();
            path.push(name.clone());
            vec![(path, name)]
        }
        UseTree::Rename(leaf) => {
            path.push(leaf.ident.to_string());
            vec![(path, leaf.rename.to_string())]
        }
        UseTree::Group(group) => {
            let each = group.items.iter();
            each.flat_map(|tree| leaves(tree, path.clone())).collect()
        }
        UseTree::Glob(_) => Vec::new(),
    }
}

fn name(item: &Item) -> Option<String> {
    Some(match item {
        Item::Struct(it) => it.ident.to_string(),
        Item::Enum(it) => it.ident.to_string(),
        Item::Trait(it) => it.ident.to_string(),
        Item::Fn(it) => it.sig.ident.to_string(),
        Item::Const(it) => it.ident.to_string(),
        Item::Type(it) => it.ident.to_string(),
        _ => return None,
    })
}

fn what(item: &Item) -> Option<&'static str> {
    match item {
        Item::Struct(_) => Some("struct"),
        Item::Enum(_) => Some("enum"),
        Item::Trait(_) => Some("trait"),
        _ => None,
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Struct(it) => &it.attrs,
        Item::Enum(it) => &it.attrs,
        Item::Trait(it) => &it.attrs,
        Item::Fn(it) => &it.attrs,
        Item::Const(it) => &it.attrs,
        Item::Type(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        Item::Mod(it) => &it.attrs,
        _ => &[],
    }
}

fn is_public(item: &Item) -> bool {
    let visibility = match item {
        Item::Struct(it) => &it.vis,
        Item::Enum(it) => &it.vis,
        Item::Trait(it) => &it.vis,
        Item::Fn(it) => &it.vis,
        Item::Const(it) => &it.vis,
        Item::Type(it) => &it.vis,
        Item::Use(it) => &it.vis,
        Item::Mod(it) => &it.vis,
        _ => return false,
    };
    matches!(visibility, Visibility::Public(_))
}

/// For tests, or for those who look inside.
fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let said = words(attribute);
        said.contains("doc(hidden)")
            || (attribute.path().is_ident("cfg")
                && (said.contains("test") || said.contains("internals")))
    })
}

fn is_non_exhaustive(attributes: &[Attribute]) -> bool {
    attributes
        .iter()
        .any(|attribute| attribute.path().is_ident("non_exhaustive"))
}

fn derives(attributes: &[Attribute]) -> Vec<String> {
    let derived = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("derive"));
    let lists = derived.filter_map(|attribute| match &attribute.meta {
        Meta::List(list) => Some(list.tokens.to_string()),
        _ => None,
    });
    lists
        .flat_map(|list| {
            list.split(',')
                .map(|name| name.trim().to_owned())
                .collect::<Vec<_>>()
        })
        .filter(|name| !name.is_empty())
        .collect()
}

/// Tokens with the blanks that people write.
fn words(tokens: &impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    // Documentation of fields and variants.
    while let Some(start) = text.find("# [doc =") {
        let end = text[start..]
            .find("\"]")
            .map_or(text.len(), |end| start + end + 2);
        text.replace_range(start..end, "");
    }
    for (from, to) in [
        (" :: ", "::"),
        (" < ", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" (", "("),
        ("( ", "("),
        (" )", ")"),
        (" ,", ","),
        ("& ", "&"),
        (" :", ":"),
        (" ;", ";"),
        ("# [", "#["),
        ("' ", "'"),
        (" <", "<"),
    ] {
        text = text.replace(from, to);
    }
    text.replace("->(", "-> (")
        .replace(",)", ")")
        .trim()
        .to_owned()
}

/// Types that have all that they will ever have.
const FINISHED: &[&str] = &[
    "Account",
    "Delivery",
    "HttpVersion",
    "digest::End",
    "digest::Md5",
    "digest::lanes::End",
];
