//! The routes as the documents have them: which path is which operation, by which method and on
//! which host. In comes the head of a call, out goes whether it came to the right place.

use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use crate::network::Place;
use crate::operation::Operation;
use crate::reply::Refusal;
use crate::stats::Call;

/// One endpoint.
pub(crate) struct Route {
    pub(crate) operation: Operation,
    method: Method,
    path: &'static str,
    host: Host,
}

#[derive(Clone, Copy)]
enum Host {
    Api,
    Upload,
}

/// The endpoint at `path`.
pub(crate) fn find(path: &str) -> Option<&'static Route> {
    ROUTES.iter().find(|route| route.path == path)
}

/// Refuses a call that came by another method or to another host than its endpoint's.
pub(crate) fn check(call: &Call, head: &Parts) -> Result<(), Refusal> {
    let (method, path) = (&head.method, head.uri.path());
    let Some(route) = find(path) else {
        let said = format!("no Route matched with {method} {path}");
        return Err(Refusal::http(StatusCode::NOT_FOUND, said));
    };
    if *method != route.method {
        let said = format!("{path} takes {}, not {method}", route.method);
        return Err(Refusal::http(StatusCode::METHOD_NOT_ALLOWED, said));
    }
    let (right, wrong) = match (route.host, call.place) {
        (Host::Api, Place::Api) | (Host::Upload, Place::Server(_)) => return Ok(()),
        (Host::Api, _) => ("the API base", "an upload server"),
        (Host::Upload, _) => ("an upload server", "the API base"),
    };
    let said = format!("{path} is served by {right}; this is {wrong}");
    Err(Refusal::http(StatusCode::NOT_FOUND, said))
}

const fn route(operation: Operation, method: Method, host: Host, path: &'static str) -> Route {
    Route {
        operation,
        method,
        path,
        host,
    }
}

#[rustfmt::skip] // a table
static ROUTES: [Route; 12] = [
    route(Operation::Create, Method::POST, Host::Api, "/upload/v2/file/create"),
    route(Operation::Slice, Method::POST, Host::Upload, "/upload/v2/file/slice"),
    route(Operation::Complete, Method::POST, Host::Api, "/upload/v2/file/upload_complete"),
    route(Operation::Domain, Method::GET, Host::Api, "/upload/v2/file/domain"),
    route(Operation::Single, Method::POST, Host::Upload, "/upload/v2/file/single/create"),
    route(Operation::AccessToken, Method::POST, Host::Api, "/api/v1/access_token"),
    route(Operation::OAuth, Method::POST, Host::Api, "/api/v1/oauth2/access_token"),
    route(Operation::List, Method::GET, Host::Api, "/api/v2/file/list"),
    route(Operation::Detail, Method::GET, Host::Api, "/api/v1/file/detail"),
    route(Operation::Infos, Method::POST, Host::Api, "/api/v1/file/infos"),
    route(Operation::Mkdir, Method::POST, Host::Api, "/upload/v1/file/mkdir"),
    route(Operation::Trash, Method::POST, Host::Api, "/api/v1/file/trash"),
];
