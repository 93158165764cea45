//! From the paths that were typed to what is hashed, found as it is asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use ignore::WalkBuilder;
use panup::{Error, Input};

use super::super::left_out::LeftOut;
use super::super::walk::unreadable;

/// The files at and below `paths`, sorted by name below each; standard input for `-` and for
/// nothing. Folders that cannot be read go to `refused`.
pub fn below(
    paths: &[PathBuf],
    refused: Sender<Error>,
    left_out: &Arc<LeftOut>,
) -> impl Iterator<Item = Input> + Send + 'static {
    let left_out = Arc::clone(left_out);
    let paths = match paths {
        [] => vec![PathBuf::from("-")],
        paths => paths.to_vec(),
    };
    paths
        .into_iter()
        .flat_map(move |path| -> Box<dyn Iterator<Item = Input> + Send> {
            if path.is_dir() {
                return Box::new(walk(&path, refused.clone(), Arc::clone(&left_out)));
            }
            Box::new(std::iter::once(typed(path)))
        })
}

/// What is missing is handed on too, so that it is reported in its place.
pub fn typed(path: PathBuf) -> Input {
    match path.as_os_str() == "-" {
        true => Input::Stdin,
        false => Input::File(path),
    }
}

fn walk(
    folder: &Path,
    refused: Sender<Error>,
    left_out: Arc<LeftOut>,
) -> impl Iterator<Item = Input> + Send + 'static {
    let mut builder = WalkBuilder::new(folder);
    builder
        .standard_filters(false)
        .sort_by_file_name(std::ffi::OsStr::cmp);
    let folder = folder.to_owned();
    builder.build().filter_map(move |entry| match entry {
        Ok(entry) => {
            let is_file = entry.file_type().is_some_and(|kind| kind.is_file());
            if !is_file {
                left_out.note(&entry);
                return None;
            }
            Some(Input::RegularFile(entry.into_path()))
        }
        Err(error) => {
            // After the last line there is no reader any more.
            refused.send(unreadable(error, &folder)).ok();
            None
        }
    })
}
