//! The operations of the service: its endpoints, by what they do.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The endpoints, by what they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// `POST /upload/v2/file/create`
    Create,
    /// `POST /upload/v2/file/slice`
    Slice,
    /// `POST /upload/v2/file/upload_complete`
    Complete,
    /// `GET /upload/v2/file/domain`
    Domain,
    /// `POST /upload/v2/file/single/create`
    Single,
    /// `POST /api/v1/access_token`
    AccessToken,
    /// `POST /api/v1/oauth2/access_token`
    #[serde(rename = "oauth")]
    OAuth,
    /// `GET /api/v2/file/list`
    List,
    /// `GET /api/v1/file/detail`
    Detail,
    /// `POST /api/v1/file/infos`
    Infos,
    /// `POST /upload/v1/file/mkdir`
    Mkdir,
    /// `POST /api/v1/file/trash`
    Trash,
    /// Any other call, which the service does not have.
    Unknown,
}

impl Operation {
    /// Every operation that the service has.
    pub const ALL: [Self; 12] = [
        Self::Create,
        Self::Slice,
        Self::Complete,
        Self::Domain,
        Self::Single,
        Self::AccessToken,
        Self::OAuth,
        Self::List,
        Self::Detail,
        Self::Infos,
        Self::Mkdir,
        Self::Trash,
    ];

    /// Those that an upload makes, and the login before it.
    pub const UPLOAD: [Self; 6] = [
        Self::Create,
        Self::Slice,
        Self::Complete,
        Self::Domain,
        Self::Single,
        Self::AccessToken,
    ];

    /// The name that scripts and statistics use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Slice => "slice",
            Self::Complete => "complete",
            Self::Domain => "domain",
            Self::Single => "single",
            Self::AccessToken => "access_token",
            Self::OAuth => "oauth",
            Self::List => "list",
            Self::Detail => "detail",
            Self::Infos => "infos",
            Self::Mkdir => "mkdir",
            Self::Trash => "trash",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
