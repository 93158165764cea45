//! What was typed.

use clap::ArgMatches;
use clap::parser::ValueSource;

/// Whether the option was.
pub(super) fn is_typed(asked: &ArgMatches, id: &str) -> bool {
    let known = asked.try_contains_id(id).is_ok();
    known && asked.value_source(id) == Some(ValueSource::CommandLine)
}
