//! The program, run for a test: nothing of the machine's own settings reaches it, and it never runs
//! for longer than a test may. Every object that it prints is held against the schema.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::Command;
use panup_emulator::Emulator;
use serde_json::Value;

use super::{Scene, schema};

/// `panup` with a home of its own below `home`.
pub fn panup(home: &Path) -> Command {
    let mut command = Command::from_std(plain(home));
    command.timeout(LONGEST);
    command
}

/// The same as `std` has it, for tests that send signals.
pub fn plain(home: &Path) -> std::process::Command {
    let mut command = with_signals(env!("CARGO_BIN_EXE_panup"));
    bare(&mut command).env("HOME", home).current_dir(home);
    if cfg!(windows) {
        // The folders of its own that it would use are told by no variable there.
        command.env("PANUP_STATE_DIR", home.join(".local/state/panup"));
    }
    command.stdin(Stdio::null());
    command
}

/// Without the variables of this process, but for those that Windows cannot do without: no socket can be
/// had otherwise, and no temporary file.
pub fn bare(command: &mut std::process::Command) -> &mut std::process::Command {
    command.env_clear();
    if cfg!(windows) {
        let kept = ["SystemRoot", "TEMP", "TMP", "USERPROFILE", "PATH"];
        command.envs(
            kept.into_iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        );
    }
    command
}

/// A command for `program` to which no signal is ignored because it is here: a shell's background jobs
/// inherit that, and panup keeps it.
fn with_signals(program: &str) -> std::process::Command {
    if cfg!(windows) {
        return std::process::Command::new(program);
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // HUP, INT, QUIT and TERM.
    if mask.unwrap_or(0) & 0b100_0000_0000_0111 == 0 {
        return std::process::Command::new(program);
    }
    let mut command = std::process::Command::new("/usr/bin/env");
    command.args(["--default-signal=HUP,INT,QUIT,TERM", program]);
    command
}

/// `panup upload` to the scene's emulator, with its token in the environment.
pub fn upload(scene: &Scene) -> Command {
    let mut command = panup(scene.local.path());
    command.args(["upload", "--api", &scene.emulator.api()]);
    command.args(QUICK);
    command.env("PANUP_TOKEN", scene.emulator.token());
    command
}

/// Runs it to its end.
pub fn finish(command: &mut Command) -> Finished {
    Finished::from(command.output().expect("it can be started"))
}

/// A program that has ended.
#[derive(Debug)]
pub struct Finished {
    /// How.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl From<Output> for Finished {
    fn from(output: Output) -> Finished {
        let text = |bytes| String::from_utf8(bytes).expect("it prints UTF-8");
        let stdout = text(output.stdout);
        stdout.lines().for_each(schema::check);
        Finished {
            code: output.status.code().expect("no signal ended it"),
            stdout,
            stderr: text(output.stderr),
        }
    }
}

impl Finished {
    /// Sees that it ended with `code`.
    #[track_caller]
    pub fn exit(self, code: i32) -> Finished {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// Every line of standard output as an object.
    #[track_caller]
    pub fn events(&self) -> Vec<Value> {
        let parse = |line: &str| match serde_json::from_str::<Value>(line) {
            Ok(value) if value.is_object() => value,
            _ => panic!("no JSON object: {line:?}"),
        };
        self.stdout.lines().map(parse).collect()
    }

    /// The objects about files, and the summary, which is the last object.
    #[track_caller]
    pub fn report(&self) -> (Vec<Value>, Value) {
        let mut events = self.events();
        let summary = events.pop().expect("a summary");
        assert_eq!(summary["event"], "summary", "{self:?}");
        events.retain(|event| event["event"] == "file");
        (events, summary)
    }

    /// Sees that no output has `secret`.
    #[track_caller]
    pub fn hides(&self, secret: &str) -> &Finished {
        assert!(!self.stdout.contains(secret), "{secret} is printed");
        assert!(!self.stderr.contains(secret), "{secret} is printed");
        self
    }
}

/// A local path as this system writes it.
pub fn local(path: &str) -> String {
    path.replace('/', std::path::MAIN_SEPARATOR_STR)
}

/// What a variable is called where the system does not tell small letters from capitals.
pub fn variable(name: &str) -> String {
    match cfg!(windows) {
        true => name.to_uppercase(),
        false => name.to_owned(),
    }
}

/// What of a whole path is kept at the service: neither a drive nor the root.
pub fn below_root(path: &Path) -> String {
    let names = path.components().filter_map(|part| match part {
        std::path::Component::Normal(name) => name.to_str(),
        _ => None,
    });
    names.collect::<Vec<_>>().join("/")
}

/// What this system says of a file that is not there; it has the same number everywhere.
pub fn not_there() -> String {
    std::io::Error::from_raw_os_error(2).to_string()
}

/// Remote paths of everything that `emulator` stored, sorted.
pub fn stored(emulator: &Emulator) -> Vec<String> {
    let mut paths: Vec<String> = emulator.files().into_iter().map(|file| file.path).collect();
    paths.sort();
    paths
}

/// Call rates that a test does not wait for.
pub const QUICK: [&str; 2] = ["--call-rate", "create=10000,complete=10000,single=10000"];

/// Waits until something outside of the test has come about.
#[track_caller]
pub fn wait_until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONGEST;
    while !condition() {
        assert!(Instant::now() < deadline, "it did not come about");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A program that runs for longer has hung, in an emulated processor as well.
pub const LONGEST: Duration = Duration::from_secs(300);
