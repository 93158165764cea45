//! What an upload would do: `--dry-run`, `panup plan`, and uploads of what was planned.

mod analysis;
mod balance;
mod chosen;
mod command;
mod entry;
mod file;
mod lines;
mod survey;
mod totals;

pub use chosen::Choice;
pub use command::{run, settings};
pub use entry::path_of;
pub use file::PlanFile;
pub use lines::Lines;
pub use survey::Survey;
