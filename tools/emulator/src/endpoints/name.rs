//! Names. In comes `filename` as it was sent, out go folders and a file name, or why they cannot
//! be; the documents' rules, and what no file system could keep.

use crate::reply::Refusal;

/// The folders and the name in `filename`, which is a path if `contain_dir`.
pub(crate) fn split(filename: &str, contain_dir: bool) -> Result<(Vec<String>, String), Refusal> {
    if !contain_dir {
        check(filename)?;
        return Ok((Vec::new(), filename.to_owned()));
    }
    let path = filename.strip_prefix('/').unwrap_or(filename);
    let mut names = Vec::new();
    for name in path.split('/') {
        check(name)?;
        names.push(name.to_owned());
    }
    let name = names.pop().expect("split yields at least one");
    Ok((names, name))
}

fn check(name: &str) -> Result<(), Refusal> {
    let refuse = |why: &str| Err(Refusal::business(format!("文件名不合法: {name:?} {why}")));
    if name.is_empty() {
        return refuse("is empty");
    }
    if name.chars().all(|c| c == ' ') {
        return refuse("is all spaces");
    }
    if name.chars().count() > LONGEST {
        return refuse("has more than 255 characters");
    }
    if let Some(c) = name.chars().find(|c| FORBIDDEN.contains(*c)) {
        return refuse(&format!("contains {c:?}"));
    }
    if name == "." || name == ".." || name.contains('\0') {
        return refuse("cannot be kept by any file system");
    }
    Ok(())
}

/// The documents forbid exactly these.
const FORBIDDEN: &str = "\"\\/:*?|><";

/// "Less than 256", counted in Unicode scalar values.
const LONGEST: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_by_the_documents() {
        for c in FORBIDDEN.chars() {
            assert!(split(&format!("a{c}b"), false).is_err(), "{c}");
        }
        for good in ["a", " a ", "测试 文件.mp4", "a%b", "..a", ".a", "…"] {
            assert_eq!(split(good, false), Ok((vec![], good.to_owned())));
        }
        for bad in ["", " ", "   ", ".", "..", "a\0b"] {
            assert!(split(bad, false).is_err(), "{bad:?}");
        }
        assert!(split(&"长".repeat(255), false).is_ok());
        assert!(split(&"长".repeat(256), false).is_err());
    }

    #[test]
    fn paths_are_split_and_every_component_is_checked() {
        let wanted = Ok((
            vec!["你好".to_owned(), "123".to_owned()],
            "测试.mp4".to_owned(),
        ));
        assert_eq!(split("/你好/123/测试.mp4", true), wanted);
        assert_eq!(split("你好/123/测试.mp4", true), wanted);
        assert_eq!(split("a", true), Ok((vec![], "a".to_owned())));
        for bad in ["/a/", "//a", "a//b", "/", "", "a/../b", "a/ /b", "a/b:c/d"] {
            assert!(split(bad, true).is_err(), "{bad}");
        }
        assert!(split(&"abc/".repeat(200), false).is_err());
        assert!(split(&format!("{}x", "abc/".repeat(200)), true).is_ok());
    }
}
