//! panup for Python: `upload` and `hash`, thin over the library. In: paths and bytes. Out: outcomes as
//! Python objects. Never: the interpreter's lock held while the library works, or a decision of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use panup::{
    Client, Conflict, Credential, Event, HashOptions, Input, Item, Kind, Operation, Options, Run, Secret, Token,
    TokenSource, hash_files,
};
use pyo3::exceptions::{PyException, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};

pyo3::create_exception!(_panup, Error, PyException, "Why something was not done.");

/// How one file ended.
#[pyclass(frozen, get_all, module = "panup")]
struct Outcome {
    path: PathBuf,
    remote: String,
    status: &'static str,
    file_id: Option<i64>,
    md5: Option<String>,
    size: u64,
    sent: u64,
    error: Option<Py<PyAny>>,
}

#[pymethods]
impl Outcome {
    fn __repr__(&self) -> String {
        format!("<Outcome {} {:?} -> {:?}>", self.status, self.path, self.remote)
    }
}

/// How far a run is.
#[pyclass(frozen, get_all, module = "panup")]
struct Progress {
    files: u64,
    files_done: u64,
    bytes: u64,
    hashed: u64,
    acked: u64,
    sent: u64,
}

/// What is to be uploaded: see the stubs.
#[derive(FromPyObject)]
enum Source {
    #[pyo3(transparent)]
    NamedBytes((PyBackedStr, PyBackedBytes)),
    #[pyo3(transparent)]
    NamedPath((PyBackedStr, PathBuf)),
    #[pyo3(transparent)]
    Path(PathBuf),
}

#[derive(FromPyObject)]
enum Sources {
    #[pyo3(transparent)]
    One(Source),
    #[pyo3(transparent)]
    Many(Vec<Source>),
}

#[pyfunction]
#[pyo3(signature = (sources, *, dest="", token=None, client=None, api=None, parent_id=0, on_conflict="fail",
    concurrency=None, limit_rate=None, state_dir=None, progress=None, interval=0.25, raise_errors=true))]
#[allow(clippy::too_many_arguments, reason = "Python's own way to options")]
fn upload(
    py: Python<'_>,
    sources: Sources,
    dest: &str,
    token: Option<Bound<'_, PyAny>>,
    client: Option<(String, String)>,
    api: Option<String>,
    parent_id: i64,
    on_conflict: &str,
    concurrency: Option<usize>,
    limit_rate: Option<u64>,
    state_dir: Option<PathBuf>,
    progress: Option<Py<PyAny>>,
    interval: f64,
    raise_errors: bool,
) -> PyResult<Vec<Py<Outcome>>> {
    let mut options = Options::new(credential(token, client)?);
    options.on_conflict = conflict(on_conflict)?;
    options.api = api.unwrap_or(options.api);
    options.concurrency = concurrency;
    options.limit_rate = limit_rate;
    options.state_dir = state_dir;
    options.grace = GRACE;
    let folder = panup::remote_folder(dest).map_err(|error| raised(py, &error))?;
    let items: Vec<Item> = match sources {
        Sources::One(source) => vec![item(source, &folder, parent_id)],
        Sources::Many(all) => all.into_iter().map(|source| item(source, &folder, parent_id)).collect(),
    };
    let interval = Duration::try_from_secs_f64(interval).map_err(|_| PyValueError::new_err("interval is no time"))?;
    let outcomes = follow(py, (options, items), (progress.as_ref(), interval))?;
    let failed = outcomes.iter().find_map(|outcome| Some(outcome.get().error.as_ref()?.clone_ref(py)));
    match failed.filter(|_| raise_errors) {
        Some(error) => {
            error.setattr(py, "outcomes", outcomes)?;
            Err(PyErr::from_value(error.into_bound(py)))
        }
        None => Ok(outcomes),
    }
}

/// The MD5 of each file, by its path as it was given.
#[pyfunction]
#[pyo3(signature = (paths, *, threads=None))]
fn hash(py: Python<'_>, paths: Vec<PathBuf>, threads: Option<usize>) -> PyResult<BTreeMap<PathBuf, String>> {
    let mut options = HashOptions::default();
    options.threads = threads;
    let inputs: Vec<Input> = paths.into_iter().map(Input::File).collect();
    let sums = py.detach(|| hash_files(inputs, &options)).map_err(|error| raised(py, &error))?;
    // A file takes as long as it takes, and Ctrl-C is heard meanwhile.
    let (done, mut sums_done) = channel();
    std::thread::spawn(move || {
        // Where nobody listens any more it ends.
        let _ = sums.map(|sum| done.send(sum)).find(Result::is_err);
    });
    let mut all = BTreeMap::new();
    loop {
        py.check_signals()?;
        let next = &mut sums_done;
        let file = match py.detach(move || next.recv_timeout(BEAT)) {
            Ok(file) => file,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return Ok(all),
        };
        let sum = file.sum.map_err(|error| raised(py, &error))?;
        if let Input::File(path) = file.input {
            all.insert(path, sum.md5.to_string());
        }
    }
}

/// Follows a run to its end. Ctrl-C, or an exception of `progress`, lets what is in flight land and is then
/// raised; once more ends the run at once.
fn follow(
    py: Python<'_>,
    (options, items): (Options, Vec<Item>),
    (progress, interval): (Option<&Py<PyAny>>, Duration),
) -> PyResult<Vec<Py<Outcome>>> {
    let begun = py.detach(|| {
        let runtime = panup::runtime()?;
        let run = runtime.block_on(async { Client::new(options)?.start(items) })?;
        Ok((runtime, run))
    });
    let (runtime, mut run) = begun.map_err(|error: panup::Error| raised(py, &error))?;
    let (mut outcomes, mut raised_by) = (Vec::new(), None);
    let mut next = Instant::now();
    loop {
        let event = py.detach(|| runtime.block_on(async { tokio::time::timeout(BEAT, run.next()).await }));
        let taken = match event {
            Ok(Some(Event::File(outcome))) => ended(py, outcome).map(|outcome| outcomes.push(outcome)),
            Ok(Some(Event::Warning(warning))) => warn(py, &warning),
            Ok(Some(_)) | Err(_) => Ok(()),
            Ok(None) => break,
        };
        let heard = taken.and_then(|()| py.check_signals()).and_then(|()| match progress {
            Some(progress) if raised_by.is_none() && Instant::now() >= next => {
                next = Instant::now() + interval;
                progress.call1(py, (snapshot(&run),)).map(drop)
            }
            _ => Ok(()),
        });
        if let Err(error) = heard {
            if raised_by.is_some() {
                break;
            }
            run.interrupt();
            raised_by = Some(error);
        }
    }
    if let (None, Some(progress)) = (&raised_by, progress) {
        raised_by = progress.call1(py, (snapshot(&run),)).err();
    }
    py.detach(move || {
        drop(run);
        runtime.shutdown_background();
    });
    raised_by.map_or(Ok(outcomes), Err)
}

fn snapshot(run: &Run) -> Progress {
    let panup::Snapshot { files, files_done, bytes, hashed, acked, sent, .. } = run.snapshot();
    Progress { files, files_done, bytes, hashed, acked, sent }
}

fn ended(py: Python<'_>, outcome: panup::Outcome) -> PyResult<Py<Outcome>> {
    let error = outcome.status.error().map(|error| raised(py, error).into_value(py).into_any());
    let panup::Outcome { path, remote, status, md5, size, sent, .. } = outcome;
    let (status, file_id, md5) = (status.name(), status.file_id(), md5.map(|md5| md5.to_string()));
    Py::new(py, Outcome { path, remote, status, file_id, md5, size, sent, error })
}

/// The library's error as an exception, with what it says as attributes.
fn raised(py: Python<'_>, error: &panup::Error) -> PyErr {
    let exception = Error::new_err(error.to_string());
    let value = exception.value(py);
    let said = value
        .setattr("kind", error.kind().name())
        .and_then(|()| value.setattr("code", error.code()))
        .and_then(|()| value.setattr("http_status", error.status()))
        .and_then(|()| value.setattr("trace_id", error.trace_id()))
        .and_then(|()| value.setattr("path", error.path()))
        .and_then(|()| value.setattr("final", error.is_final()));
    said.err().unwrap_or(exception)
}

fn warn(py: Python<'_>, warning: &panup::Warning) -> PyResult<()> {
    py.import("warnings")?.call_method1("warn", (warning.to_string(),)).map(drop)
}

fn item(source: Source, folder: &str, parent_id: i64) -> Item {
    let (item, name) = match source {
        // Not copied: the object lives until the last slice of it was sent.
        Source::NamedBytes((name, bytes)) => (Item::bytes(&*name, Bytes::from_owner(bytes)), name.to_string()),
        Source::NamedPath((name, path)) => (Item::new(path), name.to_string()),
        Source::Path(path) => {
            let item = Item::new(path);
            let name = item.remote.clone();
            (item, name)
        }
    };
    match folder {
        "" => item.to(parent_id, name),
        folder => item.to(parent_id, format!("{folder}/{name}")),
    }
}

fn credential(token: Option<Bound<'_, PyAny>>, client: Option<(String, String)>) -> PyResult<Credential> {
    match (token, client) {
        (Some(token), None) => Ok(match token.extract::<String>() {
            Ok(pasted) => Credential::Token(Secret::new(&pasted)),
            Err(_) => Credential::Source(source(token.unbind())),
        }),
        (None, Some((id, secret))) => Ok(Credential::Client { id, secret: Secret::new(&secret) }),
        (None, None) => match std::env::var("PANUP_TOKEN") {
            Ok(token) => Ok(Credential::Token(Secret::new(token.trim()))),
            Err(_) => Err(PyTypeError::new_err("token=… or client=(id, secret) is needed, or PANUP_TOKEN")),
        },
        (Some(_), Some(_)) => Err(PyTypeError::new_err("token and client exclude each other")),
    }
}

/// A function of Python's that gives tokens: it is called with whether the last one was refused.
fn source(give: Py<PyAny>) -> TokenSource {
    let give = std::sync::Arc::new(give);
    TokenSource::new(move |request| {
        let (give, refused) = (std::sync::Arc::clone(&give), request.refused.is_some());
        async move {
            let call =
                move || Python::attach(|py| give.call1(py, (refused,))?.extract::<String>(py).map_err(PyErr::from));
            let why = match tokio::task::spawn_blocking(call).await {
                Ok(Ok(token)) => return Ok(Token::new(Secret::new(&token))),
                Ok(Err(error)) => format!("the token function raised {error}"),
                Err(error) => format!("the token function was cut off: {error}"),
            };
            Err(panup::Error::new(Kind::Auth, Operation::Login, why))
        }
    })
}

fn conflict(name: &str) -> PyResult<Conflict> {
    match name {
        "fail" => Ok(Conflict::Fail),
        "skip" => Ok(Conflict::Skip),
        "keep-both" => Ok(Conflict::KeepBoth),
        "overwrite" => Ok(Conflict::Overwrite),
        _ => Err(PyValueError::new_err("on_conflict is fail, skip, keep-both or overwrite")),
    }
}

#[pymodule]
fn _panup(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("Error", module.py().get_type::<Error>())?;
    module.add_class::<Outcome>()?;
    module.add_class::<Progress>()?;
    module.add_function(wrap_pyfunction!(upload, module)?)?;
    module.add_function(wrap_pyfunction!(hash, module)?)
}

/// Between two looks at signals.
const BEAT: Duration = Duration::from_millis(100);

/// After Ctrl-C: how long bodies in flight may take to land.
const GRACE: Duration = Duration::from_secs(10);
