//! `--rebase FROM=TO`: files that are elsewhere here.

use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A folder that is another one here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebase {
    from: PathBuf,
    to: PathBuf,
}

impl FromStr for Rebase {
    type Err = String;

    fn from_str(text: &str) -> Result<Rebase, String> {
        match text.split_once('=') {
            Some((from, to)) if !from.is_empty() && !to.is_empty() => Ok(Rebase {
                from: from.into(),
                to: to.into(),
            }),
            _ => Err("write FROM=TO, such as /srv/data=/mnt/data".to_owned()),
        }
    }
}

/// Where the first of `all` that fits puts `path`.
pub fn moved(all: &[Rebase], path: &Path) -> PathBuf {
    let place = |one: &Rebase| Some(one.to.join(path.strip_prefix(&one.from).ok()?));
    let place = all.iter().find_map(place);
    // Joined with nothing, a path ends in a slash.
    place.map_or_else(|| path.to_owned(), |place| place.components().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_fits_counts_by_whole_names() {
        let all: Vec<Rebase> = ["/a/b=/x", "/a=/y"]
            .map(|text| text.parse().expect("one"))
            .into();
        for (path, here) in [
            ("/a/b/c", "/x/c"),
            ("/a/b", "/x"),
            ("/a/bc", "/y/bc"),
            ("/b", "/b"),
            ("a/b", "a/b"),
        ] {
            assert_eq!(moved(&all, Path::new(path)), Path::new(here), "{path}");
        }
        for wrong in ["", "a", "=b", "a="] {
            assert!(wrong.parse::<Rebase>().is_err(), "{wrong}");
        }
    }
}
