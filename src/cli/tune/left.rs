//! What a measurement leaves at the service: its files, by the ids that they were given. In: how each
//! upload ended. Out: a trash with them in it, and a word on what is not there. Never: a file whose id
//! this run was not told.

use std::time::Duration;

use panup::{Client, Delivery, Error, Options, Status};

use super::super::size::counted;
use super::complain;

/// The files so far.
#[derive(Debug, Default)]
pub struct Left {
    ids: Vec<i64>,
    /// Remote paths of what may have arrived: no id was told.
    unsure: Vec<String>,
}

impl Left {
    /// A file is about to be sent; until its end is known it may arrive.
    pub fn begun(&mut self, remote: &str) {
        self.unsure.push(remote.to_owned());
    }

    /// The file that was begun last has ended; without a status it was cut off, perhaps before all of it
    /// had left.
    pub fn ended(&mut self, status: Option<&Status>, is_part: bool) {
        let Some(remote) = self.unsure.pop() else {
            return;
        };
        let may_be_there = match status {
            None => !is_part,
            Some(status) => match (status.error(), status.file_id()) {
                (Some(error), _) => error.delivery() == Delivery::Unknown && !is_part,
                (None, Some(id)) => {
                    self.ids.push(id);
                    false
                }
                (None, None) => true,
            },
        };
        if may_be_there {
            self.unsure.push(remote);
        }
    }

    /// Moves the files to the trash.
    pub async fn clean_up(&self, options: &Options, dest: &str) {
        if !self.ids.is_empty() {
            match tokio::time::timeout(PATIENCE, self.trash(options)).await {
                Ok(Ok(())) => complain(&format!(
                    "{} of this run in the trash, where it may still take up room; the folder {dest:?} is left",
                    counted(self.ids.len() as u64, "file", "files")
                )),
                Ok(Err(error)) => self.remain(dest, &error.to_string()),
                Err(_) => self.remain(dest, "no answer came"),
            }
        }
        for remote in &self.unsure {
            complain(&format!(
                "{remote:?} may have arrived without an id; if it is there, delete it"
            ));
        }
    }

    async fn trash(&self, options: &Options) -> Result<(), Error> {
        Client::new(options.clone())?.trash(&self.ids).await
    }

    fn remain(&self, dest: &str, why: &str) {
        let ids: Vec<String> = self.ids.iter().map(i64::to_string).collect();
        complain(&format!(
            "warning   the files of this run stay in {dest:?}, please delete them (ids {}): {why}",
            ids.join(", ")
        ));
    }
}

/// For the calls that move them, repeats included.
const PATIENCE: Duration = Duration::from_secs(60);
