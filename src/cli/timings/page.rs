//! A page of HTML with its data in it. In: an object. Out: a file that is there as a whole or not at all. Never:
//! a name that acts as HTML, or anything that a browser would have to fetch.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use panup::{Error, Kind, Operation};
use serde_json::Value;
use time::OffsetDateTime;

/// What a page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// A run.
    Run,
    /// Goodput by concurrency.
    Tune,
}

/// Where a page goes.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
}

impl Place {
    /// `asked`, or a name with the time in it in the working folder.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn new(asked: Option<&Path>) -> Result<Place, Error> {
        let path = match asked {
            Some(path) => path.to_owned(),
            None => PathBuf::from(format!("panup-timings-{}.html", compact(SystemTime::now()))),
        };
        let place = Place { path };
        // Better now than after hours.
        place.check().map_err(|error| place.failed(error))?;
        Ok(place)
    }

    fn check(&self) -> std::io::Result<()> {
        if self.path.is_dir() {
            return Err(std::io::ErrorKind::IsADirectory.into());
        }
        if !self.is_special() {
            let beside = self.beside();
            std::fs::File::create(&beside)?;
            std::fs::remove_file(beside)?;
        }
        Ok(())
    }

    /// Writes a page of `data`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, page: Page, data: &Value) -> Result<(), Error> {
        let html = html(page, data);
        self.put(html.as_bytes())
            .map_err(|error| self.failed(error))
    }

    fn put(&self, html: &[u8]) -> std::io::Result<()> {
        // A pipe or a device is not replaced by a file.
        if self.is_special() {
            return std::fs::OpenOptions::new()
                .write(true)
                .open(&self.path)?
                .write_all(html);
        }
        let beside = self.beside();
        let written =
            std::fs::write(&beside, html).and_then(|()| panup::replace_file(&beside, &self.path));
        if written.is_err() {
            drop(std::fs::remove_file(&beside));
        }
        written
    }

    fn is_special(&self) -> bool {
        self.path.metadata().is_ok_and(|facts| !facts.is_file())
    }

    /// A name in the same folder for what is not whole yet.
    fn beside(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{}.part", std::process::id()));
        PathBuf::from(name)
    }

    fn failed(&self, error: std::io::Error) -> Error {
        let message = format!("--timings {}: {error}", self.path.display());
        Error::new(Kind::Invalid, Operation::Configure, message)
    }

    /// Where it is.
    pub fn into_path(self) -> PathBuf {
        self.path
    }
}

fn html(page: Page, data: &Value) -> String {
    let (title, script) = match page {
        Page::Run => ("panup upload", include_str!("run.js")),
        Page::Tune => ("panup tune", include_str!("tune.js")),
    };
    // Inside a script nothing but `<` could end it.
    let data = data.to_string().replace('<', "\\u003c");
    let parts = [
        ("@STYLE@", include_str!("page.css")),
        ("@CHARTS@", include_str!("charts.js")),
        ("@SCRIPT@", script),
        ("@TITLE@", title),
    ];
    let mut html = include_str!("page.html").to_owned();
    for (place, part) in parts {
        html = html.replace(place, part);
    }
    // The data last: a name may read like one of the places.
    html.replacen("@DATA@", &data, 1)
}

/// `2026-11-26 04:05:06 UTC`
pub fn stamp(at: SystemTime) -> String {
    let at = OffsetDateTime::from(at);
    format!(
        "{}-{:02}-{:02} {:02}:{:02}:{:02} UTC",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

/// `20261126T040506Z`
fn compact(at: SystemTime) -> String {
    let at = OffsetDateTime::from(at);
    format!(
        "{}{:02}{:02}T{:02}{:02}{:02}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_name_ends_the_script() {
        let data = json!({"name": "</script><script>alert(1)</script><!-- @STYLE@ @DATA@"});
        let page = html(Page::Run, &data);
        assert!(!page.contains("alert(1)</script>"), "escaped");
        assert!(
            page.contains("\\u003c/script>\\u003cscript>alert(1)"),
            "and there"
        );
        assert_eq!(
            page.matches("</script>").count(),
            html(Page::Run, &json!({})).matches("</script>").count()
        );
        for fetched in ["src=", "href=", "@import", "url(", "fetch("] {
            assert!(!page.contains(fetched), "{fetched}");
        }
    }

    #[test]
    fn a_page_is_there_as_a_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("run.html");
        let place = Place::new(Some(&path)).expect("can be written");
        assert!(!path.exists(), "nothing before the end");
        place.write(Page::Run, &json!({})).expect("written");
        let names: Vec<_> = std::fs::read_dir(folder.path())
            .expect("a folder")
            .collect();
        assert_eq!(names.len(), 1);
        for wrong in [
            folder.path().to_owned(),
            folder.path().join("no/such/run.html"),
        ] {
            let error = Place::new(Some(&wrong)).expect_err("not there").to_string();
            assert!(error.contains("--timings"), "{error}");
        }
    }
}
