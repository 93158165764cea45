//! The calls' messages: field names as the documents spell them, once.

use serde_json::json;

use super::envelope::Fields;
use super::name::Remote;
use crate::digest::Md5;
use crate::error::{Error, Kind, Operation, Result};

/// What happens when the remote name is taken. In every mode the same content there already (size and
/// MD5, as far as the service lists it) is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Conflict {
    /// The file fails, unless it is the same content that is there. The service's own default.
    #[default]
    Fail,
    /// What is there is left as it is, and the file is skipped.
    Skip,
    /// Both are kept; the service adds a suffix to the new one.
    KeepBoth,
    /// The new file takes the old one's place.
    Overwrite,
}

impl Conflict {
    /// The `duplicate` field, absent where the service is to refuse a name that is taken.
    #[must_use]
    pub fn duplicate(self) -> Option<u8> {
        match self {
            Conflict::Fail | Conflict::Skip => None,
            Conflict::KeepBoth => Some(1),
            Conflict::Overwrite => Some(2),
        }
    }
}

/// What `create` and `single/create` say about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFacts {
    /// Where it goes.
    pub remote: Remote,
    /// The whole file's MD5.
    pub etag: Md5,
    /// The file's size, in bytes.
    pub size: u64,
    /// What happens when the name is taken.
    pub conflict: Conflict,
}

/// `create` was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateReply {
    /// The service has these bytes already: done, not a byte sent. The file's id, where it is said.
    Reused(Option<i64>),
    /// The file is to be sent in slices.
    Created(Created),
}

/// An upload that the service waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Names the upload in slice and complete.
    pub preupload_id: String,
    /// The slice size, in bytes.
    pub slice_size: u64,
    /// The upload servers, as they came.
    pub servers: Vec<String>,
}

/// A file that the service has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its id.
    pub id: i64,
    /// The trace id of the answer that told so; empty where none was given.
    pub trace_id: String,
}

/// `upload_complete` was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completed {
    /// The file is there.
    Done(Made),
    /// Still verifying; ask again.
    Pending,
}

/// `single/create` was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SingleReply {
    /// The file is there.
    Done(Made),
    /// Not completed, and there is no id to ask for.
    Unfinished,
}

/// A fresh access token.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The token; a secret.
    pub token: String,
    /// When it ends, RFC 3339 as it came; empty where it was not said.
    pub expires: String,
}

/// The JSON body of `create`.
#[must_use]
pub fn create_body(facts: &FileFacts) -> Vec<u8> {
    let mut body = json!({
        "parentFileID": facts.remote.parent(),
        "filename": facts.remote.filename(),
        "etag": facts.etag.to_string(),
        "size": facts.size,
        "containDir": facts.remote.contains_folder(),
    });
    if let Some(duplicate) = facts.conflict.duplicate() {
        body["duplicate"] = json!(duplicate);
    }
    body.to_string().into_bytes()
}

/// Reads the reply to `create`.
///
/// # Errors
/// [`Kind::Protocol`] where a field that must be there is not.
pub fn create_reply(data: &Fields) -> Result<CreateReply> {
    if data.flag("reuse") {
        return Ok(CreateReply::Reused(data.id("fileID")?));
    }
    let slice_size = u64::try_from(data.number("sliceSize")?)
        .map_err(|_| data.missing("sliceSize", "positive"))?;
    let servers = data.names(Some("servers"));
    if slice_size == 0 {
        return Err(data.missing("sliceSize", "positive"));
    }
    if servers.is_empty() {
        return Err(data.missing("servers", "a list with an entry"));
    }
    Ok(CreateReply::Created(Created {
        preupload_id: data.bounded_text("preuploadID", LONGEST_ID)?,
        slice_size,
        servers,
    }))
}

/// The JSON body of `upload_complete`.
#[must_use]
pub fn complete_body(preupload_id: &str) -> Vec<u8> {
    json!({ "preuploadID": preupload_id })
        .to_string()
        .into_bytes()
}

/// Reads the reply to `upload_complete`: done only with both `completed` and an id.
///
/// # Errors
/// [`Kind::Protocol`] where the id is no number.
pub fn complete_reply(data: &Fields) -> Result<Completed> {
    Ok(match data.id("fileID")? {
        Some(id) if data.flag("completed") => {
            let trace_id = data.trace_id().to_owned();
            Completed::Done(Made { id, trace_id })
        }
        _ => Completed::Pending,
    })
}

/// Reads the reply to `single/create`.
///
/// # Errors
/// [`Kind::Protocol`] where the id is no number.
pub fn single_reply(data: &Fields) -> Result<SingleReply> {
    Ok(match complete_reply(data)? {
        Completed::Done(made) => SingleReply::Done(made),
        Completed::Pending => SingleReply::Unfinished,
    })
}

/// Reads the reply to `domain`: the upload servers for single/create.
///
/// # Errors
/// [`Kind::Protocol`] where there is none.
pub fn domain_reply(data: &Fields) -> Result<Vec<String>> {
    let servers = data.names(None);
    if servers.is_empty() {
        return Err(Error::new(
            Kind::Protocol,
            Operation::Domain,
            "the service named no upload server",
        ));
    }
    Ok(servers)
}

/// The JSON body of `access_token`.
#[must_use]
pub fn login_body(client_id: &str, client_secret: &str) -> Vec<u8> {
    json!({ "clientID": client_id, "clientSecret": client_secret })
        .to_string()
        .into_bytes()
}

/// Reads the reply to `access_token`.
///
/// # Errors
/// [`Kind::Protocol`] where the token is missing.
pub fn login_reply(data: &Fields) -> Result<Login> {
    Ok(Login {
        token: data.bounded_text("accessToken", LONGEST_TOKEN)?,
        // A token is worth more than a word on its end.
        expires: data
            .bounded_text("expiredAt", LONGEST_ID)
            .unwrap_or_default(),
    })
}

/// Bytes of a preuploadID at most: it goes into every slice. The service's own have some hundred.
const LONGEST_ID: usize = 4096;

/// Bytes of a token at most: it goes into the head of every request, of which servers take 16 KiB.
pub(super) const LONGEST_TOKEN: usize = 12 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Raw, open};

    fn data(operation: Operation, body: &str) -> Fields {
        open(Raw {
            operation,
            host: "h",
            status: 200,
            location: None,
            retry_after: None,
            body: body.as_bytes(),
        })
        .expect("code 0")
    }

    #[test]
    fn create_says_duplicate_only_where_it_is_meant() {
        let facts = |conflict| FileFacts {
            remote: Remote::new(0, "a").expect("fine"),
            etag: Md5([0; 16]),
            size: 1,
            conflict,
        };
        let body = |conflict| String::from_utf8(create_body(&facts(conflict))).expect("text");
        assert!(!body(Conflict::Fail).contains("duplicate"));
        assert!(body(Conflict::KeepBoth).contains("\"duplicate\":1"));
        assert!(body(Conflict::Overwrite).contains("\"duplicate\":2"));
    }

    #[test]
    fn reuse_needs_no_other_field() {
        let reply = create_reply(&data(
            Operation::Create,
            r#"{"code":0,"data":{"reuse":true}}"#,
        ));
        assert_eq!(reply, Ok(CreateReply::Reused(None)));
    }

    #[test]
    fn a_create_without_servers_is_unreadable() {
        let body =
            r#"{"code":0,"data":{"reuse":false,"preuploadID":"p","sliceSize":16,"servers":[]}}"#;
        assert_eq!(
            create_reply(&data(Operation::Create, body))
                .expect_err("no server")
                .kind(),
            Kind::Protocol
        );
    }

    #[test]
    fn what_the_service_names_is_bounded_in_number_and_length() {
        let create = |id: &str, servers: &[String]| {
            let body = json!({"code": 0, "data": {"preuploadID": id, "sliceSize": 16, "servers": servers}});
            create_reply(&data(Operation::Create, &body.to_string()))
        };
        let created = |id: &str, servers: &[String]| match create(id, servers) {
            Ok(CreateReply::Created(created)) => created,
            other => panic!("{other:?}"),
        };
        let long = format!("http://{}", "a".repeat(65_524));
        let many: Vec<String> = (0..30_000).map(|n| format!("http://s{n}")).collect();
        assert_eq!(created("p", &many).servers.len(), 1_024);
        let mixed = [long.clone(), "http://good".to_owned()];
        assert_eq!(created("p", &mixed).servers, ["http://good"]);
        let refused = [
            create("p", &[long]),
            create(&"p".repeat(900_000), &many),
            create("p\r\n--B", &many),
        ];
        for reply in refused {
            let error = reply.expect_err("not to be used");
            assert_eq!(error.kind(), Kind::Protocol);
            assert!(error.to_string().len() < 200, "{error}");
        }
        let login =
            json!({"code": 0, "data": {"accessToken": "t".repeat(900_000), "expiredAt": "x"}});
        let login = login_reply(&data(Operation::Login, &login.to_string()));
        assert!(login.is_err());
        let domain = json!({"code": 0, "data": many}).to_string();
        let domain = domain_reply(&data(Operation::Domain, &domain));
        assert_eq!(domain.expect("servers").len(), 1_024);
    }

    #[test]
    fn complete_needs_both_the_flag_and_an_id() {
        let reply = |body: &str| complete_reply(&data(Operation::Complete, body));
        let trace_id = "t-1".to_owned();
        assert_eq!(
            reply(r#"{"code":0,"data":{"completed":true,"fileId":"7"},"x-traceID":"t-1"}"#),
            Ok(Completed::Done(Made { id: 7, trace_id }))
        );
        assert_eq!(
            reply(r#"{"code":0,"data":{"completed":true,"fileID":0}}"#),
            Ok(Completed::Pending)
        );
        assert_eq!(
            reply(r#"{"code":0,"data":{"completed":false,"fileID":7}}"#),
            Ok(Completed::Pending)
        );
    }

    #[test]
    fn a_token_without_an_end_is_a_token() {
        for end in [
            json!(null),
            json!(""),
            json!({}),
            json!("x\u{7}"),
            json!("x".repeat(5_000)),
        ] {
            let reply = json!({"code": 0, "data": {"accessToken": "t", "expiredAt": end}});
            let data = data(Operation::Login, &reply.to_string());
            let login = login_reply(&data).expect("a token");
            assert_eq!((login.token.as_str(), login.expires.as_str()), ("t", ""));
        }
        let data = data(Operation::Login, r#"{"code":0,"data":{"accessToken":"t"}}"#);
        assert_eq!(login_reply(&data).expect("a token").expires, "");
    }
}
