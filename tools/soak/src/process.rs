//! One process of panup: what it prints goes to files, it is waited for with a deadline, and one that
//! outlives it leaves its stacks.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A process that is killed when it goes.
pub struct Process {
    child: Child,
    out: PathBuf,
    errors: PathBuf,
}

/// How a process ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    /// `None` where it had to be killed because it did not end.
    pub status: Option<ExitStatus>,
    /// The files of which it said that they are there: path, MD5, `uploaded`, `reused` or `skipped`.
    pub done: Vec<Done>,
    /// The files that failed: path and message.
    pub failed: Vec<(PathBuf, String)>,
    /// Whether it has warned of anything.
    pub warned: bool,
    /// Standard error.
    pub errors: String,
}

/// A file of which a process said that it is there.
#[derive(Debug)]
pub struct Done {
    /// The local path.
    pub path: PathBuf,
    /// Its MD5.
    pub sum: String,
    /// `uploaded`, `reused` or `skipped`.
    pub status: String,
}

impl Process {
    /// Started, its output below `folder`.
    pub fn start(mut command: Command, folder: &Path, name: &str) -> Process {
        let (out, errors) = (
            folder.join(format!("{name}.out")),
            folder.join(format!("{name}.err")),
        );
        command.stdout(File::create(&out).expect("room"));
        command.stderr(File::create(&errors).expect("room"));
        fs::write(
            folder.join(format!("{name}.command")),
            format!("{command:?}"),
        )
        .expect("room");
        Process {
            child: command.spawn().expect("the binary is built"),
            out,
            errors,
        }
    }

    /// Sends it a signal, if it is still there: its number may be another's by now.
    pub fn signal(&mut self, signal: Signal) {
        if !self.has_ended() {
            let _ = kill_process(Pid::from_child(&self.child), signal);
        }
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("ours").is_some()
    }

    /// How it ends within `patience`; its stacks where it does not.
    pub fn end(mut self, patience: Duration) -> Ended {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("ours") {
                return self.told(Some(status));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let stacks = stacks(self.child.id());
        let mut ended = self.told(None);
        ended.errors.push_str(&stacks);
        ended
    }

    fn told(&self, status: Option<ExitStatus>) -> Ended {
        let errors = fs::read_to_string(&self.errors).unwrap_or_default();
        let mut ended = Ended {
            status,
            done: Vec::new(),
            failed: Vec::new(),
            warned: errors.lines().any(|line| line.starts_with("warning")),
            errors,
        };
        let out = fs::read_to_string(&self.out).unwrap_or_default();
        for event in out
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let path = PathBuf::from(text(&event["path"]));
            match (
                text(&event["event"]).as_str(),
                text(&event["status"]).as_str(),
            ) {
                ("warning", _) => ended.warned = true,
                ("file", "failed" | "interrupted") => {
                    ended.failed.push((path, text(&event["error"]["message"])));
                }
                ("file", status) => ended.done.push(Done {
                    path,
                    sum: text(&event["md5"]),
                    status: status.to_owned(),
                }),
                _ => {}
            }
        }
        ended
    }
}

impl Done {
    /// The file was named twice, and this is the second time: it goes with the first.
    pub fn is_another_name(&self) -> bool {
        self.status == "skipped" && self.sum.is_empty()
    }
}

impl Ended {
    /// It ended by itself, and had the time to say and to keep everything.
    pub fn by_itself(&self) -> bool {
        self.status.is_some_and(|status| status.code().is_some())
    }

    /// It panicked, or a signal ended it that we did not send.
    pub fn crashed(&self) -> Option<String> {
        let status = self.status?;
        let ours = [Signal::KILL, Signal::INT, Signal::TERM].map(Signal::as_raw);
        let by = status.signal().filter(|by| !ours.contains(by));
        if let Some(by) = by {
            return Some(format!("ended by signal {by}"));
        }
        let panicked = self.errors.contains("panicked at");
        let odd = status
            .code()
            .filter(|code| ![0, 1, 3, 4, 130].contains(code));
        match (panicked, odd) {
            (true, _) => Some("it panicked".to_owned()),
            (_, Some(code)) => Some(format!("exit code {code}")),
            _ => None,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Every thread's stack, where a debugger is at hand.
fn stacks(process: u32) -> String {
    let mut gdb = Command::new("gdb");
    gdb.args([
        "-batch",
        "-ex",
        "thread apply all bt 30",
        "-p",
        &process.to_string(),
    ]);
    match gdb.output() {
        Ok(told) => String::from_utf8_lossy(&told.stdout).into_owned(),
        Err(error) => format!("no stacks: gdb: {error}"),
    }
}
