//! Names that were looked at before: links, and files of others in the state folder.
