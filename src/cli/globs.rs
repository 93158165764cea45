//! The globs of a run. In: `--include` and `--exclude`, and each path as it is seen from
//! the PATH that it was found below. Out: whether it passes, and which globs never matched. Never: a verdict
//! that depends on the working folder.
//!
//! - A glob without `/` matches a name at any depth.
//! - A glob with `/` is rooted at the PATH that is walked; one that begins with `/` is compared with the
//!   absolute path as well. `./` in front says no more than that it is rooted.
//! - `/` at the end: folders only.
//! - The PATH itself is seen as if the folder that it is in were the root; a glob that spells its name out
//!   may go on below it, so that `PATH/sub` is what it looks like.
//! - `*` and `?` stop at `/`, `**` does not; `{a,b}`, `[a-z]` and `\` as usual; `#` and `!` are ordinary.
//! - On Windows `\` is another `/`, and what begins with a drive is absolute.
//! - A folder that matches takes all below it, and an exclude wins over an include.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use panup::Error;

use super::usage;

/// All globs of a run.
pub struct Globs {
    includes: Set,
    /// Of the option, and of each list.
    excludes: Vec<Set>,
}

/// A list of globs: its name, and its lines.
pub type GlobList = (String, Vec<String>);

/// A PATH that was typed or listed, as globs see it.
pub struct Root {
    /// Its own name, or the folders and the name that a list gives it; empty for `.` and `DIR/`.
    own: PathBuf,
    absolute: PathBuf,
}

/// A path below a root: the root's own name and what follows, and the absolute path.
struct Place<'a> {
    root: &'a Root,
    path: &'a Path,
    absolute: &'a Path,
    folder: bool,
}

impl Globs {
    /// Reads the globs.
    ///
    /// # Errors
    /// One is empty or cannot be read.
    pub fn new(
        includes: &[String],
        excludes: &[String],
        exclude_from: &[GlobList],
        ignore_case: bool,
    ) -> Result<Globs, Error> {
        let read = |option: &str, globs| Set::new(option, globs, ignore_case);
        let mut all = vec![read("--exclude", excludes)?];
        for (list, globs) in exclude_from {
            all.push(Set {
                is_list: true,
                ..read(&format!("--exclude-from {list}:"), globs)?
            });
        }
        Ok(Globs {
            includes: read("--include", includes)?,
            excludes: all,
        })
    }

    /// Whether the root itself, or a folder of its own name, is excluded.
    pub fn exclude_root(&self, root: &Root, folder: bool) -> bool {
        let places = || places(root, &root.own, &root.absolute, folder);
        any(self.excludes.iter().map(|set| set.match_any(places())))
    }

    /// Whether what is at `below` in the root is excluded by itself; its folders were asked before.
    pub fn exclude(&self, root: &Root, below: &Path, folder: bool) -> bool {
        let (path, absolute) = (root.own.join(below), root.absolute.join(below));
        let place = || places(root, &path, &absolute, folder).take(1);
        any(self.excludes.iter().map(|set| set.match_any(place())))
    }

    /// Whether the file at `below` in the root, or a folder that it is in, is included. The root itself
    /// is at the empty path.
    pub fn include(&self, root: &Root, below: &Path) -> bool {
        if self.includes.globs.is_empty() {
            return true;
        }
        let (path, absolute) = match below == Path::new("") {
            true => (root.own.clone(), root.absolute.clone()),
            false => (root.own.join(below), root.absolute.join(below)),
        };
        self.includes
            .match_any(places(root, &path, &absolute, false))
    }

    /// The globs that matched nothing so far, with their options; of a list, which may be for many
    /// runs, the list itself where none of it matched.
    pub fn unused(&self) -> Vec<String> {
        let sets = std::iter::once(&self.includes).chain(&self.excludes);
        sets.flat_map(Set::unused).collect()
    }
}

impl Root {
    /// The root's own name, and the folders that a list gives it.
    pub fn own(&self) -> &Path {
        &self.own
    }

    /// `own` is the name, or the folders and the name, that `path` has for a reader of the command line.
    pub fn new(path: &Path, own: &Path) -> Root {
        // Their contents are walked, whatever they are called.
        let contents = means_contents(path) || path.file_name().is_none();
        Root {
            own: match contents {
                true => PathBuf::new(),
                false => own.to_owned(),
            },
            absolute: absolute(path),
        }
    }
}

/// Whether the contents of the folder are meant: `DIR/` and `DIR/.`, with either separator of Windows there.
pub fn means_contents(path: &Path) -> bool {
    let bytes = path.as_os_str().as_encoded_bytes();
    let last = bytes.strip_suffix(b".").unwrap_or(bytes).last();
    last.is_some_and(|&last| std::path::is_separator(char::from(last)))
}

/// Whether any is true; all are looked at, so that each list knows what it matched.
fn any(answers: impl Iterator<Item = bool>) -> bool {
    answers.fold(false, |any, answer| any | answer)
}

/// The place itself, then the folders that it is in, up to and with the first one of the root's name.
fn places<'a>(
    root: &'a Root,
    path: &'a Path,
    absolute: &'a Path,
    folder: bool,
) -> impl Iterator<Item = Place<'a>> {
    let above = path.ancestors().zip(absolute.ancestors());
    let above = above.take_while(|(path, _)| *path != Path::new(""));
    above.enumerate().map(move |(up, (path, absolute))| Place {
        root,
        path,
        absolute,
        folder: folder || up > 0,
    })
}

/// The globs of one option, sorted by what they are compared with.
struct Set {
    option: String,
    is_list: bool,
    globs: Vec<Glob>,
    names: Matcher,
    rooted: Matcher,
    /// Those of `rooted` that begin with a plain name, which may be the root's.
    named: Matcher,
    absolute: Matcher,
}

struct Glob {
    text: String,
    folders_only: bool,
    used: AtomicBool,
}

/// Globs that are compared with the same thing, and their numbers in the set.
struct Matcher {
    set: GlobSet,
    numbers: Vec<usize>,
}

impl Set {
    fn new(option: &str, texts: &[String], ignore_case: bool) -> Result<Set, Error> {
        let mut globs = Vec::new();
        let [mut names, mut rooted, mut named, mut absolute] = [const { Vec::new() }; 4];
        let spelt: Vec<Spelt> = texts
            .iter()
            .map(|text| Spelt::new(text, cfg!(windows)))
            .collect();
        for (number, (text, spelt)) in texts.iter().zip(&spelt).enumerate() {
            let path = spelt.glob.trim_end_matches('/');
            let bare = path.trim_start_matches("./");
            let below = bare.trim_start_matches('/');
            if below.is_empty() || below == "." {
                let message = format!("{option} {text:?} names nothing; leave it out");
                return Err(usage(message));
            }
            match bare.contains('/') || bare.len() < path.len() {
                true => rooted.push((number, below)),
                false => names.push((number, below)),
            }
            let first = below.split('/').next().unwrap_or_default();
            if !first.contains(['*', '?', '[', '{', '\\']) {
                named.push((number, below));
            }
            if spelt.is_absolute {
                absolute.push((number, path));
            }
            globs.push(Glob {
                text: text.clone(),
                folders_only: spelt.glob.ends_with('/'),
                used: AtomicBool::new(false),
            });
        }
        Ok(Set {
            option: option.to_owned(),
            is_list: false,
            globs,
            names: Matcher::new(option, &names, ignore_case)?,
            rooted: Matcher::new(option, &rooted, ignore_case)?,
            named: Matcher::new(option, &named, ignore_case)?,
            absolute: Matcher::new(option, &absolute, ignore_case)?,
        })
    }

    fn unused(&self) -> Vec<String> {
        let is_used = |glob: &&Glob| glob.used.load(Ordering::Relaxed);
        if !self.is_list {
            let unused = self.globs.iter().filter(|glob| !is_used(glob));
            return unused
                .map(|glob| format!("{} {:?}", self.option, glob.text))
                .collect();
        }
        match self.globs.iter().any(|glob| is_used(&glob)) {
            true => Vec::new(),
            false => vec![format!("{} no glob of it", self.option)],
        }
    }

    fn match_any<'a>(&self, places: impl Iterator<Item = Place<'a>>) -> bool {
        if self.globs.is_empty() {
            return false;
        }
        let mut places = places;
        places.any(|place| self.matches(&place))
    }

    fn matches(&self, place: &Place<'_>) -> bool {
        let name = place.path.file_name().map_or(place.path, Path::new);
        let below = place.path.strip_prefix(&place.root.own).ok();
        let below = below.filter(|below| *below != Path::new(""));
        let (rooted, named) = match below {
            Some(below) => (self.rooted.numbers(below), self.named.numbers(place.path)),
            None => (self.rooted.numbers(place.path), Vec::new()),
        };
        let names = self.names.numbers(name);
        let absolute = self.absolute.numbers(place.absolute);
        let found = [names, rooted, named, absolute].into_iter();
        let mut any = false;
        for number in found.flatten() {
            let glob = &self.globs[number];
            if place.folder || !glob.folders_only {
                glob.used.store(true, Ordering::Relaxed);
                any = true;
            }
        }
        any
    }
}

/// A glob as it is compared.
#[derive(Debug, PartialEq)]
struct Spelt {
    glob: String,
    is_absolute: bool,
}

impl Spelt {
    /// On Windows a backslash parts names, as in the paths that people copy there, and escapes nothing; a
    /// drive's letter may be small.
    fn new(text: &str, windows: bool) -> Spelt {
        let glob = match windows {
            true => text.replace('\\', "/"),
            false => text.to_owned(),
        };
        match glob.as_bytes() {
            [letter, b':', b'/', ..] if windows && letter.is_ascii_alphabetic() => {
                let letter = char::from(*letter);
                let (small, large) = (letter.to_ascii_lowercase(), letter.to_ascii_uppercase());
                Spelt {
                    glob: format!("[{small}{large}]{}", &glob[1..]),
                    is_absolute: true,
                }
            }
            _ => Spelt {
                is_absolute: glob.starts_with('/'),
                glob,
            },
        }
    }
}

impl Matcher {
    fn new(option: &str, globs: &[(usize, &str)], ignore_case: bool) -> Result<Matcher, Error> {
        let mut builder = GlobSetBuilder::new();
        for (_, text) in globs {
            let glob = GlobBuilder::new(text)
                .literal_separator(true)
                .case_insensitive(ignore_case)
                .backslash_escape(true)
                .empty_alternates(true)
                .build();
            builder.add(glob.map_err(|error| {
                let why = error.kind();
                usage(format!("{option} {text:?} cannot be read: {why}"))
            })?);
        }
        let set = builder.build();
        Ok(Matcher {
            set: set.map_err(|error| usage(format!("{option}: {error}")))?,
            numbers: globs.iter().map(|(number, _)| *number).collect(),
        })
    }

    /// The numbers of the globs that match.
    fn numbers(&self, path: &Path) -> Vec<usize> {
        let found = self.set.matches(path).into_iter();
        found.map(|at| self.numbers[at]).collect()
    }
}

/// Without `.` and `..`, as it is written: links are not looked into.
pub fn absolute(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut clean = PathBuf::new();
    for part in whole.components() {
        match part {
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir => {}
            part => clean.push(<Component<'_> as AsRef<OsStr>>::as_ref(&part)),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files of a tree, seen from PATH `/home/me/proj` typed as `proj`, that go up.
    fn kept(includes: &[&str], excludes: &[&str]) -> Vec<&'static str> {
        kept_from(&root("proj"), includes, excludes)
    }

    fn root(own: &str) -> Root {
        Root {
            own: own.into(),
            absolute: "/home/me/proj".into(),
        }
    }

    fn kept_from(root: &Root, includes: &[&str], excludes: &[&str]) -> Vec<&'static str> {
        let globs = globs(includes, excludes);
        if globs.exclude_root(root, true) {
            return Vec::new();
        }
        let files = TREE.iter().copied().filter(|file| {
            let file = Path::new(file);
            let mut folders: Vec<&Path> = file.ancestors().skip(1).collect();
            folders.retain(|folder| *folder != Path::new(""));
            let pruned = |folder: &&Path| globs.exclude(root, folder, true);
            !folders.iter().rev().any(pruned)
                && !globs.exclude(root, file, false)
                && globs.include(root, file)
        });
        files.collect()
    }

    fn globs(includes: &[&str], excludes: &[&str]) -> Globs {
        let owned =
            |globs: &[&str]| -> Vec<String> { globs.iter().copied().map(str::to_owned).collect() };
        Globs::new(&owned(includes), &owned(excludes), &[], false).expect("sound")
    }

    const TREE: [&str; 6] = [
        "#notes",
        "!important",
        "code.c",
        "secret/key.pem",
        "src/code.c",
        "src/secret/x",
    ];

    const ALL_BUT_SECRET: [&str; 5] = [
        "#notes",
        "!important",
        "code.c",
        "src/code.c",
        "src/secret/x",
    ];

    #[test]
    fn a_glob_with_a_slash_is_rooted_at_the_path() {
        for glob in [
            "/secret",
            "/secret/",
            "./secret",
            "secret/*",
            "secret/**",
            "proj/secret",
            "./proj/secret",
            "/home/me/proj/secret",
            "/home/*/proj/secret/",
            "{secret,other}/key.pem",
        ] {
            assert_eq!(kept(&[], &[glob]), ALL_BUT_SECRET, "{glob}");
            let others: Vec<&str> = kept(&[glob], &[]);
            assert_eq!(others, ["secret/key.pem"], "{glob}");
        }
        assert_eq!(kept(&[], &["/code.c"]).len(), 5, "not src/code.c");
        assert_eq!(kept(&[], &["/home/me/other"]).len(), 6);
        assert_eq!(kept(&[], &["me/proj/secret"]).len(), 6, "as it was typed");
    }

    #[test]
    fn a_glob_without_a_slash_is_a_name_at_any_depth() {
        for glob in ["secret", "secret/", "s?cret", "[r-t]ecret", "{secret,x}"] {
            let left = ["#notes", "!important", "code.c", "src/code.c"];
            assert_eq!(kept(&[], &[glob]), left, "{glob}");
        }
        assert_eq!(kept(&["*.c"], &[]), ["code.c", "src/code.c"]);
        assert_eq!(kept(&["code.c/"], &[]), [""; 0], "no folder of this name");
        assert_eq!(kept(&["s*"], &["secret"]), ["src/code.c"], "excludes win");
    }

    #[test]
    fn hash_and_exclamation_marks_are_ordinary() {
        assert_eq!(kept(&["#*"], &[]), ["#notes"]);
        assert_eq!(kept(&["!*"], &[]), ["!important"]);
        assert_eq!(kept(&[], &["!important", "#notes"]).len(), 4);
        assert_eq!(kept(&["[!a-z]*"], &[]), ["#notes", "!important"]);
    }

    #[test]
    fn two_stars_cross_folders_and_one_does_not() {
        assert_eq!(
            kept(&["**/secret/**"], &[]),
            ["secret/key.pem", "src/secret/x"]
        );
        assert_eq!(kept(&["src/**"], &[]), ["src/code.c", "src/secret/x"]);
        assert_eq!(kept(&["src/*.c"], &[]), ["src/code.c"]);
        assert_eq!(kept(&["*/code.c"], &[]), ["src/code.c"], "not proj/code.c");
        assert_eq!(kept(&["/**/x"], &[]), ["src/secret/x"]);
    }

    #[test]
    fn the_path_has_a_name_of_its_own_unless_its_contents_are_meant() {
        assert_eq!(kept(&[], &["proj"]), [""; 0]);
        assert_eq!(kept(&["pro*"], &[]).len(), 6);
        assert_eq!(kept_from(&root(""), &[], &["proj"]).len(), 6);
        for path in [".", "..", "proj/", "proj/.", "/"] {
            assert_eq!(
                Root::new(Path::new(path), Path::new("x")).own,
                PathBuf::new()
            );
        }
        let listed = Root {
            own: "a/b/c.jpg".into(),
            absolute: "/home/a/b/c.jpg".into(),
        };
        for glob in [
            "a",
            "b/",
            "*.jpg",
            "a/b",
            "/a/b/c.jpg",
            "/home/a/b",
            "a/*/c.jpg",
        ] {
            assert!(globs(&[], &[glob]).exclude_root(&listed, false), "{glob}");
            assert!(
                globs(&[glob], &[]).include(&listed, Path::new("")),
                "{glob}"
            );
        }
        for glob in ["c", "b/c.jpg", "c.jpg/", "/home", "/b"] {
            assert!(!globs(&[], &[glob]).exclude_root(&listed, false), "{glob}");
        }
    }

    #[test]
    fn what_names_nothing_is_wrong_and_what_matched_nothing_is_known() {
        for wrong in ["", "/", "./", "//", "[", "{a", "a[", "a/[z-a]"] {
            for (include, exclude) in [
                (vec![wrong.to_owned()], vec![]),
                (vec![], vec![wrong.to_owned()]),
            ] {
                assert!(
                    Globs::new(&include, &exclude, &[], false).is_err(),
                    "{wrong:?}"
                );
            }
        }
        let globs = globs(&["*.c", "*.h"], &["gone/"]);
        let root = root("proj");
        assert!(globs.include(&root, Path::new("code.c")));
        assert!(!globs.exclude(&root, Path::new("gone"), false));
        assert_eq!(globs.unused(), ["--include \"*.h\"", "--exclude \"gone/\""]);
    }

    #[test]
    fn a_path_of_windows_is_absolute_and_its_backslashes_part_names() {
        let spelt = |text: &str, windows| {
            let spelt = Spelt::new(text, windows);
            (spelt.glob, spelt.is_absolute)
        };
        let of = |glob: &str, is_absolute| (glob.to_owned(), is_absolute);
        assert_eq!(
            spelt(r"C:\Users\me\secret", true),
            of("[cC]:/Users/me/secret", true)
        );
        assert_eq!(spelt("d:/x/*.tmp", true), of("[dD]:/x/*.tmp", true));
        assert_eq!(
            spelt(r"\\nas\photos\old", true),
            of("//nas/photos/old", true)
        );
        assert_eq!(spelt(r"secret\*", true), of("secret/*", false));
        assert_eq!(spelt("C:", true), of("C:", false));
        assert_eq!(spelt(r"C:\x", false), of(r"C:\x", false));
        assert_eq!(spelt("C:/x", false), of("C:/x", false));
        assert_eq!(spelt(r"/a/b\*c", false), of(r"/a/b\*c", true));
    }

    #[test]
    fn absolute_paths_are_clean() {
        let root = if cfg!(windows) { "C:/" } else { "/" };
        let long = absolute(Path::new(&format!("{root}a/./b/../c/")));
        assert_eq!(long, Path::new(&format!("{root}a/c")));
        let here = std::env::current_dir().expect("somewhere");
        assert_eq!(absolute(Path::new("x/../y")), here.join("y"));
    }
}
