//! Paths that lead to exactly the names that they are written with. In: a path. Out: the same, or one in
//! the form that the system takes as it is (`\\?\`). Never: a look at the disk, or another file than the
//! one that was named.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf, Prefix};

use crate::system::is_misread;

/// The system drops dots and blanks at the end of a name and takes some names for devices (`CON`). A
/// file may be called so all the same, and what is opened for it must not be another one.
pub(super) fn exact(path: &Path) -> Cow<'_, Path> {
    let misread = |part: Component<'_>| match part {
        Component::Normal(name) => is_misread(&name.to_string_lossy()),
        _ => false,
    };
    if !path.components().any(misread) {
        return Cow::Borrowed(path);
    }
    let whole = || verbatim(&std::env::current_dir().ok()?.join(path));
    whole().map_or(Cow::Borrowed(path), Cow::Owned)
}

/// An absolute path in that form.
fn verbatim(path: &Path) -> Option<PathBuf> {
    let mut parts = path.components();
    let Some(Component::Prefix(prefix)) = parts.next() else {
        return None;
    };
    let mut whole = match prefix.kind() {
        Prefix::Disk(letter) => OsString::from(format!(r"\\?\{}:\", char::from(letter))),
        Prefix::UNC(server, share) => {
            let mut unc = OsString::from(r"\\?\UNC\");
            unc.push(server);
            unc.push(r"\");
            unc.push(share);
            unc.push(r"\");
            unc
        }
        // It is so already, or a device.
        _ => return None,
    };
    let mut names: Vec<_> = Vec::new();
    for part in parts {
        match part {
            Component::Normal(name) => names.push(name),
            Component::ParentDir => drop(names.pop()),
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
    for (at, name) in names.into_iter().enumerate() {
        if at > 0 {
            whole.push(r"\");
        }
        whole.push(name);
    }
    Some(whole.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_would_be_misread_is_written_otherwise() {
        for path in [
            r"a\b",
            r"C:\a\..\b",
            r"\\server\share\a",
            r"\\?\C:\a.",
            "名",
        ] {
            assert_eq!(exact(Path::new(path)), Path::new(path));
        }
        for (path, whole) in [
            (r"C:\x\a.", r"\\?\C:\x\a."),
            (r"C:/x/../y /CON", r"\\?\C:\y \CON"),
            (r"\\server\share\aux.txt", r"\\?\UNC\server\share\aux.txt"),
        ] {
            assert_eq!(exact(Path::new(path)), Path::new(whole));
        }
        let here = exact(Path::new("nul")).into_owned();
        assert!(
            here.as_os_str().to_string_lossy().starts_with(r"\\?\"),
            "{here:?}"
        );
        assert!(here.ends_with("nul"));
    }
}
