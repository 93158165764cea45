//! Remote names and sizes, judged before 10 GB are hashed in vain. Only what the documents and
//! the field agree on is refused here; the service judges the rest.

use crate::error::{Error, Kind, Operation, Result};

/// A single file's limit: the documents say 10 GB and not which; between the decimal and the
/// binary reading the service judges.
const MAX_FILE: u64 = 10 << 30;

/// The documents say "< 256" and "< 255"; 256 and over is refused by both readings.
const MAX_NAME: usize = 255;

const FORBIDDEN: &[char] = &['"', '\\', '/', ':', '*', '?', '|', '>', '<'];

/// Where a file goes: a folder's id and a name, or a path below that folder.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Remote {
    parent: i64,
    path: String,
}

impl Remote {
    /// A file under folder `parent` (0 is the root). `path` is `name` or `folder/…/name`,
    /// with or without slashes at either end; empty components and `.` are left out.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for an empty path, an all-space component, `..`, a forbidden character, or a
    /// component of 256 characters and more.
    pub fn new(parent: i64, path: &str) -> Result<Remote> {
        let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
        let parts: Vec<&str> = parts.collect();
        if parts.is_empty() {
            return Err(invalid("the remote name is empty".to_owned()));
        }
        parts.iter().try_for_each(|part| check_component(part))?;
        Ok(Remote {
            parent,
            path: parts.join("/"),
        })
    }

    /// The folder's id; 0 is the root.
    #[must_use]
    pub fn parent(&self) -> i64 {
        self.parent
    }

    /// The path below the folder, without a leading slash.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The folders of the path, without the file's name; empty where there are none.
    #[must_use]
    pub fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// The file's name, without its folders.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path
            .rsplit_once('/')
            .map_or(&self.path, |(_, name)| name)
    }

    /// Whether the name is a path, so that `containDir` must be said.
    #[must_use]
    pub fn contains_folder(&self) -> bool {
        self.path.contains('/')
    }

    /// The `filename` field: a bare name, or `/folder/name` as in the documents' example.
    #[must_use]
    pub fn filename(&self) -> String {
        if self.contains_folder() {
            format!("/{}", self.path)
        } else {
            self.path.clone()
        }
    }
}

/// A remote folder below another, cleaned: `a/b`, or nothing where `path` is that folder itself.
///
/// # Errors
/// [`Kind::Invalid`], as for a file's path: a component that no remote folder can have.
pub fn remote_folder(path: &str) -> Result<String> {
    let itself = |part: &str| matches!(part, "" | ".");
    if path.split('/').all(itself) {
        return Ok(String::new());
    }
    Remote::new(0, path).map(|remote| remote.path)
}

/// Refuses what no service state could accept: empty files, and more than 10 GiB.
///
/// # Errors
/// [`Kind::Invalid`], with the size.
pub fn check_size(size: u64) -> Result<()> {
    match size {
        0 => Err(invalid(
            "the file is empty, and the service refuses empty files".to_owned(),
        )),
        1..=MAX_FILE => Ok(()),
        _ => Err(invalid(format!(
            "the file has {size} bytes, and the service takes at most 10 GiB ({MAX_FILE})"
        ))
        .advice("send it as parts, with `Item::part`")),
    }
}

fn check_component(name: &str) -> Result<()> {
    if name.chars().all(|character| character == ' ') {
        return Err(invalid("the remote name is all spaces".to_owned()));
    }
    if name == ".." {
        let message = "\"..\" is no remote name: remote paths do not go up";
        return Err(invalid(message.to_owned()).advice("name the folder itself"));
    }
    if let Some(character) = name.chars().find(|character| FORBIDDEN.contains(character)) {
        return Err(invalid(format!(
            "the remote name {name:?} has the forbidden character {character}"
        ))
        .advice("rename the file"));
    }
    let length = name.chars().count();
    if length > MAX_NAME {
        return Err(invalid(format!(
            "a remote name of {length} characters, and at most {MAX_NAME} are allowed"
        ))
        .advice("rename the file"));
    }
    Ok(())
}

fn invalid(message: String) -> Error {
    Error::new(Kind::Invalid, Operation::Check, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths() {
        let bare = Remote::new(7, "a b.bin").expect("fine");
        assert_eq!(
            (
                bare.filename().as_str(),
                bare.folder(),
                bare.contains_folder()
            ),
            ("a b.bin", "", false)
        );
        for path in ["./x/y", "x/./y/", "/x//y"] {
            assert_eq!(Remote::new(0, path).expect("fine").path(), "x/y", "{path}");
        }
        let deep = Remote::new(0, "/你好/123/测试文件.mp4").expect("fine");
        assert_eq!(
            (deep.filename().as_str(), deep.folder()),
            ("/你好/123/测试文件.mp4", "你好/123")
        );
    }

    #[test]
    fn refusals() {
        for bad in [
            "", "/", ".", "./", "..", "../x", "a/../b", "   ", "a/ /b", "a\"b", "a\\b", "a:b",
            "a*b", "a?b", "a|b", "a>b", "a<b",
        ] {
            let error = Remote::new(0, bad).expect_err(bad);
            assert_eq!(error.kind(), Kind::Invalid, "{bad:?}");
            assert_eq!(error.operation(), Operation::Check, "it is about the file");
        }
        assert!(Remote::new(0, &"é".repeat(255)).is_ok());
        assert!(Remote::new(0, &"é".repeat(256)).is_err());
    }

    #[test]
    fn sizes() {
        assert!(check_size(0).is_err());
        assert!(check_size(1).is_ok());
        assert!(check_size(10 << 30).is_ok());
        assert!(check_size((10 << 30) + 1).is_err());
    }
}
