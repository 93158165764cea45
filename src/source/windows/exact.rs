//! Paths that lead to exactly the names that they are written with. In: a path. Out: the same, or one in
//! the form that the system takes as it is (`\\?\`). Never: a look at the disk, or another file than the
//! one that was named.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf, Prefix};

use windows_sys::Win32::Foundation::ERROR_INVALID_NAME;

use crate::system::is_misread;

/// The system drops dots and blanks at the end of a name and takes some names for devices (`CON`). A
/// file may be called so all the same, and what is opened for it must not be another one.
///
/// # Errors
/// A name has a colon: no file is called so, and what would be opened is a stream beside the contents of
/// the file before it.
pub(super) fn exact(path: &Path) -> io::Result<Cow<'_, Path>> {
    let name = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    };
    if path
        .components()
        .filter_map(name)
        .any(|name| name.contains(':'))
    {
        return Err(io::Error::from_raw_os_error(
            ERROR_INVALID_NAME.cast_signed(),
        ));
    }
    if !path
        .components()
        .filter_map(name)
        .any(|name| is_misread(&name))
    {
        return Ok(Cow::Borrowed(path));
    }
    let whole = || verbatim(&std::env::current_dir().ok()?.join(path));
    Ok(whole().map_or(Cow::Borrowed(path), Cow::Owned))
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
            assert_eq!(exact(Path::new(path)).expect("a name"), Path::new(path));
        }
        for (path, whole) in [
            (r"C:\x\a.", r"\\?\C:\x\a."),
            (r"C:/x/../y /CON", r"\\?\C:\y \CON"),
            (r"\\server\share\aux.txt", r"\\?\UNC\server\share\aux.txt"),
        ] {
            assert_eq!(exact(Path::new(path)).expect("a name"), Path::new(whole));
        }
        let here = exact(Path::new("nul")).expect("a name").into_owned();
        assert!(
            here.as_os_str().to_string_lossy().starts_with(r"\\?\"),
            "{here:?}"
        );
        assert!(here.ends_with("nul"));
    }

    #[test]
    fn what_is_beside_the_contents_of_a_file_is_no_file() {
        for path in [r"a:b:c", "file:stream", r"C:\x\f::$DATA", r"\\s\t\名:2"] {
            assert!(exact(Path::new(path)).is_err(), "{path}");
        }
        assert!(exact(Path::new(r"C:a")).is_ok(), "a drive");
    }
}
