//! `panup hash`: md5sum's output and verdicts, with the library's speed. In: paths, or lists of
//! MD5s. Out: lines in the order of the arguments. Never: a file that stops another.

mod bar;
mod check;
mod inputs;
mod line;
mod print;
mod quote;

use std::sync::Arc;
use std::sync::mpsc::channel;

use panup::{Error, FileSum, HashOptions, Input};

use super::args::Hash;
use super::{SOME_FAILED, USAGE, complain};
pub use line::{Entry, Reader};
use print::Printer;

/// Prints MD5s, or checks them.
///
/// # Errors
/// Wrong usage: nothing was hashed.
pub fn run(hash: &Hash) -> Result<u8, Error> {
    if let Some(misuse) = hash.misuse() {
        complain(&format!("panup: {misuse}"));
        complain("Try 'panup hash --help' for more information.");
        return Ok(USAGE);
    }
    let mut options = HashOptions::default();
    options.threads = hash.threads;
    options.slice_size = hash.slices.map(|size| size.0);
    options.maps = !hash.no_mmap;
    let well = match hash.check {
        true => check::run(&hash.paths, hash.checking, &options)?,
        false => print(hash, &options)?,
    };
    Ok(match well {
        true => 0,
        false => SOME_FAILED,
    })
}

/// Whether all could be read.
fn print(hash: &Hash, options: &HashOptions) -> Result<bool, Error> {
    let (refused, refusals) = channel();
    let left_out = Arc::default();
    let inputs = inputs::below(&hash.paths, refused, &left_out);
    let sums = panup::hash_files(inputs, options)?;
    let end = if hash.lines.zero { 0 } else { b'\n' };
    let mut printer = Printer::new(sums.progress(), end);
    let mut well = true;
    for FileSum { input, sum, .. } in sums {
        let name = name(&input);
        match sum {
            Ok(sum) => {
                printer.line(&line::written(&sum.md5, name, hash.lines));
                let slices = sum.slices.iter().flat_map(|slices| &slices.md5s);
                for (number, md5) in (1..).zip(slices) {
                    printer.line(&line::slice(number, md5, name, hash.lines));
                }
            }
            Err(error) => {
                well = false;
                printer.aside(|| refuse(&error));
            }
        }
    }
    let written = printer.end();
    for error in refusals {
        well = false;
        refuse(&error);
    }
    for line in left_out.lines("") {
        complain(&format!("panup: {line}"));
    }
    Ok(well && written)
}

/// As md5sum names it.
fn name(input: &Input) -> &std::path::Path {
    input.path().unwrap_or("-".as_ref())
}

/// `panup: path: why`, as every tool says it: without the system's number of the error.
fn refuse(error: &Error) {
    let path = error.path().unwrap_or("-".as_ref());
    complain(&format!(
        "panup: {}: {}",
        quote::quoted(path),
        bare(error.message())
    ));
}

fn bare(message: &str) -> &str {
    message
        .rsplit_once(" (os error ")
        .map_or(message, |(words, _)| words)
}
