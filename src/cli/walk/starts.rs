//! What a path that was typed or listed is called, remotely and by globs.

use std::path::{Component, Path, PathBuf};

use super::super::globs::absolute;

pub use super::super::globs::means_contents;

/// `.` and `..` are called what they are.
pub fn own_name(path: &Path) -> PathBuf {
    let named = path.file_name().map(PathBuf::from);
    let real = || {
        path.canonicalize()
            .ok()
            .and_then(|real| real.file_name().map(PathBuf::from))
    };
    named.or_else(real).unwrap_or_default()
}

/// A listed path keeps its folders: all that it is written with but for `.`, `..` and the root, or those
/// below `base`.
///
/// # Errors
/// It is not below `base`.
pub fn kept_path(path: &Path, base: Option<&Path>) -> Result<PathBuf, String> {
    if let Some(base) = base {
        let below = absolute(path)
            .strip_prefix(absolute(base))
            .map(Path::to_owned);
        return below.map_err(|_| format!("is not below --base {}", base.display()));
    }
    let mut kept = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => kept.push(name),
            // As tar does: what is above the working folder has no name of its own.
            Component::ParentDir => drop(kept.pop()),
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
    match kept.as_os_str().is_empty() {
        true => Ok(own_name(path)),
        false => Ok(kept),
    }
}

/// `folder/a/b` with slashes, whatever the platform's separator; `None` where it is not Unicode.
pub fn join(folder: &str, below: impl AsRef<Path>) -> Option<String> {
    let parts = below
        .as_ref()
        .components()
        .map(|part| part.as_os_str().to_str());
    let parts = std::iter::once(Some(folder))
        .filter(|folder| *folder != Some(""))
        .chain(parts);
    parts
        .collect::<Option<Vec<_>>>()
        .map(|parts| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remote_paths() {
        let typed = |folder, path| join(folder, own_name(Path::new(path)));
        assert_eq!(typed("", "a/b.txt").as_deref(), Some("b.txt"));
        assert_eq!(typed("x/y", "a/名 1").as_deref(), Some("x/y/名 1"));
        assert_ne!(own_name(Path::new(".")), PathBuf::new(), "its own name");
    }

    #[test]
    fn listed_paths_keep_their_folders() {
        for (path, kept) in [
            ("./a/b.txt", "a/b.txt"),
            ("/a/b.txt", "a/b.txt"),
            ("../b.txt", "b.txt"),
            ("../../x/b.txt", "x/b.txt"),
            ("a/../c/b.txt", "c/b.txt"),
            ("a/b/", "a/b"),
        ] {
            assert_eq!(kept_path(Path::new(path), None), Ok(kept.into()), "{path}");
        }
        let below = |path: &str, base: &str| kept_path(Path::new(path), Some(Path::new(base)));
        assert_eq!(below("/a/b/c", "/a"), Ok("b/c".into()));
        assert_eq!(below("/a/b/c", "/a/"), Ok("b/c".into()));
        assert_eq!(below("a/b", "./a"), Ok("b".into()));
        assert_eq!(below("a/../b/c", "b"), Ok("c".into()));
        assert!(below("/ab/c", "/a").is_err());
        assert!(below("b", "a").is_err());
    }

    #[test]
    fn contents() {
        for path in ["a/", "a/.", "./", "../", "/"] {
            assert!(means_contents(Path::new(path)), "{path}");
        }
        for path in ["a", ".", "..", "a/..", "a."] {
            assert!(!means_contents(Path::new(path)), "{path}");
        }
    }
}
