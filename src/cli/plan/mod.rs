//! What an upload would do: `--dry-run`, and `panup plan`.

mod lines;
mod survey;
mod totals;

pub use lines::Lines;
pub use survey::Survey;
