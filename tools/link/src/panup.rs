//! The program that is measured, as processes: the emulator, the client, and what happens to the
//! client's state. In come places and settings, out go children that die with their handles. It never
//! touches the user's own journal, token or proxy: every child starts with an empty environment.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::args::{Args, Http, Setting};
use crate::tun::{Namespace, SERVER};
use crate::wire::{FIRST_PORT, PORTS_EACH};

/// The program, a file to upload, and a state folder that knows the file's MD5s.
pub struct Panup {
    program: PathBuf,
    http: Http,
    yields: bool,
    servers: u64,
    clients: u16,
    log: Option<PathBuf>,
    folder: tempfile::TempDir,
}

impl Panup {
    /// Finds the program and makes the file, of which nothing is on disk: all its bytes are zero.
    ///
    /// # Errors
    /// `Unsupported` where the program is not there; where the file cannot be made.
    pub fn new(args: &Args) -> io::Result<Panup> {
        let program = args.panup.clone().map_or_else(beside, Ok)?;
        if !program.is_file() {
            let text = format!(
                "{} is missing: build it by `cargo build --release`",
                program.display()
            );
            return Err(io::Error::new(ErrorKind::Unsupported, text));
        }
        let own = Panup {
            program: program.canonicalize()?,
            http: args.http,
            yields: args.yields,
            servers: args.servers,
            clients: args.clients,
            log: args.log.as_deref().map(std::path::absolute).transpose()?,
            folder: tempfile::Builder::new().prefix("panup-link-").tempdir()?,
        };
        own.make_file(args.file_gib << 30)?;
        Ok(own)
    }

    /// Makes the file anew, with so many bytes.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn make_file(&self, bytes: u64) -> io::Result<()> {
        File::create(self.file())?.set_len(bytes)
    }

    /// Starts an emulator: on loopback, or in a namespace at its address, one for each client.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn emulator(&self, side: Option<(&Namespace, u16)>) -> io::Result<Emulator> {
        let mut command = self.command(side.map(|(side, _)| side));
        command.args(["emulate", "--discard", "--no-verify", "--polls=0"]);
        command.arg(format!("--servers={}", self.servers));
        command.arg(format!("--token={TOKEN}"));
        // What an earlier one has seen must not be taken for this one's.
        let client = side.map_or(0, |(_, client)| client);
        drop(fs::remove_file(self.stats(client)));
        command.arg("--stats").arg(self.stats(client));
        if side.is_some() {
            let port = FIRST_PORT + client * PORTS_EACH;
            command.arg(format!("--listen={SERVER}:{port}"));
            if self.http != Http::One {
                command
                    .arg("--tls")
                    .arg(format!("--h2-window={WINDOW}"))
                    .arg("--ca-out")
                    .arg(self.authority(client));
            }
        }
        let mut process = self.spawn(command.stdout(Stdio::piped()), ("emulator", client))?;
        let out = process.child.stdout.take().map(BufReader::new);
        let mut api = String::new();
        for line in out.into_iter().flat_map(BufRead::lines) {
            let line = line?;
            if let Some(base) = line.strip_prefix("api ") {
                base.clone_into(&mut api);
            } else if line.starts_with("token ") {
                // The last line: nothing more will want this pipe.
                return Ok(Emulator { api, process });
            }
        }
        Err(process.complaint("the emulator did not start"))
    }

    /// Starts the upload of the whole file, by a client that has a state of its own.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn upload(
        &self,
        side: Option<(&Namespace, u16)>,
        emulator: &Emulator,
        (setting, sockets): (Setting, &str),
    ) -> io::Result<Process> {
        let client = side.map_or(0, |(_, client)| client);
        let mut command = self.command(side.map(|(side, _)| side));
        command.args(["upload", "--quiet", "--force", "--on-conflict=overwrite"]);
        command.args(["--api", &emulator.api]).arg(self.file());
        command.arg(format!("--concurrency={setting}"));
        command.arg("--state-dir").arg(self.state(client));
        command.arg(format!("--congestion={sockets}"));
        if let Some(log) = &self.log {
            command.args(["-v", "--log-file"]).arg(log);
        }
        if side.is_some() {
            command.args(self.yields.then_some("--yield"));
            command.arg(format!("--http={}", self.http.name()));
            match self.http {
                Http::One => command.arg("--allow-http"),
                _ => command.arg("--ca-cert").arg(self.authority(client)),
            };
        }
        self.spawn(command.stdout(Stdio::null()), ("client", client))
    }

    /// Keeps what the first upload has learnt, which has gone through no link.
    ///
    /// # Errors
    /// Where it cannot be copied.
    pub fn keep(&self) -> io::Result<()> {
        copy(&self.state(0), &self.first_state())
    }

    /// Makes each client's state what was kept.
    ///
    /// # Errors
    /// Where it cannot be copied.
    pub fn unlearn(&self) -> io::Result<()> {
        let first = self.first_state();
        (0..self.clients).try_for_each(|client| copy(&first, &self.state(client)))
    }

    /// Drops what interrupted uploads left; the MD5s stay.
    ///
    /// # Errors
    /// Where the journal cannot be written.
    pub fn forget(&self) -> io::Result<()> {
        (0..self.clients).try_for_each(|client| self.forget_of(client))
    }

    fn forget_of(&self, client: u16) -> io::Result<()> {
        let mut command = self.command(None);
        command.args(["forget", "--unfinished", "--state-dir"]);
        command.arg(self.state(client)).stdout(Stdio::null());
        let mut process = self.spawn(&mut command, ("forget", client))?;
        match process.child.wait()?.success() {
            true => Ok(()),
            false => Err(process.complaint("the unfinished upload cannot be forgotten")),
        }
    }

    /// Slices that the emulators of so many clients, which were stopped last, did not get whole.
    ///
    /// # Errors
    /// Where its statistics cannot be read.
    pub fn retries(&self, clients: u16) -> io::Result<u64> {
        let each = (0..clients).map(|client| self.retries_of(client));
        each.sum()
    }

    fn retries_of(&self, client: u16) -> io::Result<u64> {
        let stats: serde_json::Value = serde_json::from_slice(&fs::read(self.stats(client))?)?;
        let slices = &stats["operations"]["slice"];
        let count = |name| slices.get(name).and_then(serde_json::Value::as_u64);
        let (calls, done) = (count("calls"), count("done"));
        Ok(calls.unwrap_or(0).saturating_sub(done.unwrap_or(0)))
    }

    fn command(&self, side: Option<&Namespace>) -> Command {
        let mut command = match side {
            Some(side) => {
                let mut command = side.command();
                command.arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        command.env_clear().env("PANUP_TOKEN", TOKEN);
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
    }

    /// In a process group of its own: Ctrl-C is for this program, which ends its children itself.
    fn spawn(&self, command: &mut Command, (name, client): (&str, u16)) -> io::Result<Process> {
        let log = self.own(name, client);
        let child = command
            .stdin(Stdio::null())
            .stderr(File::create(&log)?)
            .process_group(0)
            .spawn()?;
        Ok(Process { child, log })
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("zeros")
    }

    fn state(&self, client: u16) -> PathBuf {
        self.own("state", client)
    }

    fn first_state(&self) -> PathBuf {
        self.folder.path().join("first-state")
    }

    fn stats(&self, client: u16) -> PathBuf {
        self.own("stats", client)
    }

    fn authority(&self, client: u16) -> PathBuf {
        self.own("authority", client)
    }

    /// A place of one client, or of its service.
    fn own(&self, name: &str, client: u16) -> PathBuf {
        self.folder.path().join(format!("{name}-{client}"))
    }
}

/// An emulator that listens.
pub struct Emulator {
    api: String,
    process: Process,
}

impl Emulator {
    /// Ends it, so that it writes what it has seen.
    pub fn stop(mut self) {
        self.process.interrupt(FAREWELL);
    }
}

/// A process that is killed with SIGKILL, and waited for, when it goes.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Whether it ended well; nothing as long as it runs.
    ///
    /// # Errors
    /// With the last line that it said, where it failed.
    pub fn ended(&mut self) -> io::Result<bool> {
        match self.child.try_wait()? {
            None => Ok(false),
            Some(status) if status.success() => Ok(true),
            Some(status) => Err(self.complaint(&format!("the client ended with {status}"))),
        }
    }

    /// Asks it to end, and leaves it some time for that.
    pub fn interrupt(&mut self, patience: Duration) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::INT);
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn complaint(&self, what: &str) -> io::Error {
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        let last = said.lines().last().unwrap_or("it said nothing");
        io::Error::other(format!("{what}: {last}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Puts a copy of a folder of files in the place of another.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    drop(fs::remove_dir_all(to));
    fs::DirBuilder::new().mode(0o700).create(to)?;
    for file in fs::read_dir(from)? {
        let file = file?;
        fs::copy(file.path(), to.join(file.file_name()))?;
    }
    Ok(())
}

/// The program of the same build, which lies beside this one.
fn beside() -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.with_file_name("panup"))
}

/// What an nginx that keeps a body before it passes it on grants each stream of HTTP/2, the largest there is:
/// what a path carries is to be measured, and not a window.
const WINDOW: u32 = 0x7fff_ffff;

/// What the emulator takes.
const TOKEN: &str = "link-token";

/// What a process may take to end before it is killed: the emulator writes its statistics, the
/// client its journal.
pub const FAREWELL: Duration = Duration::from_secs(5);
