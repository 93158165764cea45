//! The service's grammar. In: what panup wants to say, and the bytes of replies. Out: request
//! bodies framed byte by byte, and replies as typed values or as an [`crate::Error`]. Never: I/O.

mod envelope;
mod message;
mod multipart;
mod name;
mod oauth;
mod remote;

pub use envelope::{Fields, Raw, is_name_taken, is_queued, is_verifying, open};
pub use message::{
    Completed, Conflict, CreateReply, Created, FileFacts, Login, Made, SingleReply, complete_body,
    complete_reply, create_body, create_reply, domain_reply, login_body, login_reply, single_reply,
};
pub use multipart::{Framed, boundary, content_type, single_frame, slice_frame};
pub use name::{Remote, check_size, remote_folder};
pub use oauth::{Refresh, Refreshed};
pub use remote::{
    Entry, EntryKind, ListPage, PAGE, detail_path, detail_reply, infos_body, infos_reply,
    is_folder_there, is_unknown_file, list_path, list_reply, mkdir_body, mkdir_reply, trash_body,
};

/// Paths of the endpoints, as the documents spell them.
pub mod path {
    /// Creates a file at the API base.
    pub const CREATE: &str = "/upload/v2/file/create";
    /// Takes one slice at an upload server.
    pub const SLICE: &str = "/upload/v2/file/slice";
    /// Ends an upload at the API base.
    pub const COMPLETE: &str = "/upload/v2/file/upload_complete";
    /// Names the upload servers for [`SINGLE`], at the API base.
    pub const DOMAIN: &str = "/upload/v2/file/domain";
    /// Takes a whole small file at an upload server.
    pub const SINGLE: &str = "/upload/v2/file/single/create";
    /// Trades client credentials for a token, at the API base.
    pub const TOKEN: &str = "/api/v1/access_token";
    /// Trades a refresh token for an access token and the next refresh token, at the API base.
    pub const OAUTH: &str = "/api/v1/oauth2/access_token";
    /// Lists a folder, at the API base.
    pub const LIST: &str = "/api/v2/file/list";
    /// Tells of one file, at the API base.
    pub const DETAIL: &str = "/api/v1/file/detail";
    /// Tells of many files, at the API base.
    pub const INFOS: &str = "/api/v1/file/infos";
    /// Makes a folder, at the API base.
    pub const MKDIR: &str = "/upload/v1/file/mkdir";
    /// Moves files to the trash, at the API base.
    pub const TRASH: &str = "/api/v1/file/trash";
}
