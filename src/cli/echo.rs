//! What a list says of a file and its line in the output says again, on its way through a run.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A file's tag, and what is to be known of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Echo {
    tag: Option<Value>,
    note: Option<String>,
    /// Which part of a larger file it is.
    part: Option<Part>,
}

/// A part of a file that is split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// Where the whole would be.
    pub of: String,
    /// Counted from 1; 0 is the list of the parts.
    pub number: u64,
    /// Bytes of every part but the last.
    pub split: u64,
}

impl Echo {
    /// Of a file with that tag.
    pub fn new(tag: Option<Value>, note: Option<String>) -> Echo {
        Echo {
            tag,
            note,
            part: None,
        }
    }

    /// The same of a part of its file.
    pub fn with_part(&self, part: Part) -> Echo {
        Echo {
            part: Some(part),
            ..self.clone()
        }
    }

    /// As the library takes it along; nothing for nothing.
    pub fn into_tag(self) -> Option<Arc<str>> {
        if self == Echo::default() {
            return None;
        }
        Some(json!([self.tag, self.note, self.part]).to_string().into())
    }

    /// What the library gives back.
    pub fn from_tag(tag: Option<&str>) -> Echo {
        let parsed = tag.and_then(|tag| serde_json::from_str(tag).ok());
        let (tag, note, part) = parsed.unwrap_or_default();
        Echo { tag, note, part }
    }

    /// Which part of a larger file it is.
    pub fn into_part(self) -> Option<Part> {
        self.part
    }

    /// The tag, what is to be known, and the part.
    pub fn into_parts(self) -> (Option<Value>, Option<String>, Option<Part>) {
        (self.tag, self.note, self.part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_as_it_went() {
        assert_eq!(Echo::default().into_tag(), None);
        assert_eq!(Echo::from_tag(None), Echo::default());
        for echo in [
            Echo::new(Some(json!({"a": [1, "x"]})), None),
            Echo::new(Some(json!(7)), Some("a note".to_owned())),
            Echo::new(None, Some("a note".to_owned())),
            Echo::new(Some(json!("x")), None).with_part(Part {
                of: "d/big".to_owned(),
                number: 3,
                split: 1 << 30,
            }),
        ] {
            let tag = echo.clone().into_tag();
            assert_eq!(Echo::from_tag(tag.as_deref()), echo);
        }
    }
}
