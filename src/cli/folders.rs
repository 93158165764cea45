//! `--empty-dirs`: folders with nothing in them, made at the service when the files are there. In: what
//! the walk found. Out: how each ended. Never: two that are made at once, or a folder that a file of the
//! run may be making.

use std::collections::HashMap;
use std::path::PathBuf;

use panup::{Client, Error};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// A folder with nothing in it.
#[derive(Debug, Clone)]
pub struct Folder {
    /// Here.
    pub path: PathBuf,
    /// There.
    pub remote: String,
}

/// How one ended: whether it was made, or there already.
pub type Ended = (Folder, Result<bool, Error>);

/// Makes `folders` below the folder `parent`, one after the other, on `runtime`; each end is told.
/// Dropping the answer stops it.
pub fn make(
    client: &Client,
    parent: i64,
    folders: Vec<Folder>,
    runtime: &Handle,
) -> Receiver<Ended> {
    let (ended, told) = channel(1);
    let client = client.clone();
    runtime.spawn(make_all(client, parent, folders, ended));
    told
}

async fn make_all(client: Client, parent: i64, folders: Vec<Folder>, ended: Sender<Ended>) {
    let mut known = HashMap::new();
    let mut end: Option<Error> = None;
    for folder in folders {
        let made = match &end {
            Some(error) => Err(error.cuts_off(&folder.path)),
            None => make_one(&client, parent, &folder.remote, &mut known).await,
        };
        if let Err(error) = &made {
            end = end.or_else(|| error.is_of_the_run().then(|| error.clone()));
        }
        let made = made.map_err(|error| error.with_path(&folder.path));
        if ended.send((folder, made)).await.is_err() {
            return;
        }
    }
}

async fn make_one(
    client: &Client,
    parent: i64,
    remote: &str,
    known: &mut HashMap<String, i64>,
) -> Result<bool, Error> {
    let (above, name) = remote.rsplit_once('/').unwrap_or(("", remote));
    let mut at = parent;
    let mut so_far = String::new();
    for part in above.split('/').filter(|part| !part.is_empty()) {
        so_far.push('/');
        so_far.push_str(part);
        at = match known.get(&so_far) {
            Some(&id) => id,
            None => client.make_folder(at, part).await?,
        };
        if known.len() == KNOWN {
            known.clear();
        }
        known.insert(so_far.clone(), at);
    }
    client.ensure_folder(at, name).await
}

/// Folders whose ids are remembered, so that those beside each other are asked for once.
const KNOWN: usize = 10_000;

/// Empty folders of one run at most; a hundred bytes or some more each.
pub const MOST: usize = 1_000_000;
