//! An option that is set, and where.

use std::ffi::OsString;

use super::catalogue::Known;
use super::origin::Origin;

/// An option's values, and where they come from; a list may come from several places, the strongest last.
#[derive(Debug, Clone)]
pub struct Setting {
    pub(super) known: Known,
    pub(super) values: Vec<OsString>,
    pub(super) origins: Vec<(Origin, usize)>,
}

impl Setting {
    /// As clap knows the option.
    pub fn id(&self) -> &str {
        &self.known.id
    }

    /// Where it comes from.
    pub fn origins(&self) -> impl DoubleEndedIterator<Item = &Origin> {
        self.origins.iter().map(|(origin, _)| origin)
    }

    /// Where one of its values comes from.
    pub(super) fn origin_of(&self, value: &str) -> Option<&Origin> {
        let at = self
            .values
            .iter()
            .position(|one| one.to_string_lossy() == value)?;
        let mut end = 0;
        let found = self.origins.iter().find(|(_, count)| {
            end += count;
            at < end
        });
        found.map(|(origin, _)| origin)
    }

    /// Whether a variable says it.
    pub(super) fn is_from_environment(&self) -> bool {
        self.origins()
            .any(|origin| matches!(origin, Origin::Variable(_)))
    }
}
