//! The documents' own samples, verbatim.

use serde_json::Value;

/// `create`, with `server` in place of the one in the sample, which is somebody else's.
pub fn create(server: &str) -> String {
    CREATE.replace("http://openapi-upload.123242.com", server)
}

/// `domain`, likewise.
pub fn domain(server: &str) -> String {
    DOMAIN.replace("https://openapi-upload.123pan.com", server)
}

/// A sample as JSON.
pub fn json(sample: &str) -> Value {
    serde_json::from_str(sample).expect("the samples are JSON")
}

/// The field names of a sample, or of an answer, and the types behind them.
pub fn shape(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(items) => format!("[{}]", items.first().map(shape).unwrap_or_default()),
        Value::Object(fields) => {
            let mut fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{name}: {}", shape(value)))
                .collect();
            fields.sort();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

/// 创建文件
pub const CREATE: &str = r#"{
  "code": 0,
  "message": "ok",
  "data": {
    "fileID": 0,
    "reuse": false,
    "preuploadID": "WvjyUgonimrlBq2PVJ3bSyjPVJYP4IGeSxGdSly...(过长省略)",
    "sliceSize": 16777216,
    "servers": [
      "http://openapi-upload.123242.com"
    ]
  },
  "x-traceID": "2f41bbb4-93ab-459b-8dab-2204d3b3ff66_kong-db-5898fdd8c6-wnv6h"
}"#;

/// The preuploadID of [`CREATE`].
pub const PREUPLOAD_ID: &str = "WvjyUgonimrlBq2PVJ3bSyjPVJYP4IGeSxGdSly...(过长省略)";

/// 创建文件, where the content is known: the table says which fields are absent.
pub const REUSED: &str = r#"{
  "code": 0,
  "message": "ok",
  "data": {
    "fileID": 11522655,
    "reuse": true
  },
  "x-traceID": ""
}"#;

/// 上传分片
pub const SLICE: &str = r#"{
	"code": 0,
	"message": "ok",
	"data": null,
	"x-traceID": ""
}"#;

/// 上传完毕
pub const COMPLETE: &str = r#"{
	"code": 0,
	"message": "ok",
	"data": {
		"completed": true,
		"fileID": 11522654
	},
	"x-traceID": "65562117-5c67-4d69-98cb-0f65201f83d3_test-kong-7787db5b5-wggzb"
}"#;

/// 获取上传域名
pub const DOMAIN: &str = r#"{
	"code": 0,
	"message": "ok",
	"data": [
		"https://openapi-upload.123pan.com"
	],
	"x-traceID": ""
}"#;

/// 单步上传
pub const SINGLE: &str = r#"{
	"code": 0,
	"message": "ok",
	"data": {
		"fileID": 11522653,
		"completed": true
	},
	"x-traceID": ""
}"#;

/// access_token, as the field notes have it.
pub const TOKEN: &str = r#"{
	"code": 0,
	"message": "ok",
	"data": {
		"accessToken": "eyJhbGciOi.J9",
		"expiredAt": "2099-03-23T15:48:37+08:00"
	},
	"x-traceID": ""
}"#;
