//! `--token-command`: a token from a command of the user's. In: a command line for the shell. Out: the
//! token that it prints, with its end where it says one. Never: a word of its output in an error, a
//! wait without a limit, more of its output than a token can have.

use std::io::Read;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use panup::{Credential, Error, Kind, Operation, Secret, Token, TokenSource};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::system::{end_group, shell};
use super::{text, usage};

/// The credential that is a command. Its tokens are shared by all processes that run the same command
/// for the same account.
///
/// # Errors
/// The command is empty.
pub fn credential(command: &str, account: Option<&str>) -> Result<Credential, Error> {
    let command = command.trim().to_owned();
    if command.is_empty() {
        return Err(usage("the token command is empty".to_owned()));
    }
    let name = shared_name(&command, account.unwrap_or_default());
    let source = TokenSource::new(move |request| {
        let (command, renewal) = (command.clone(), request.refused.is_some());
        async move {
            let run = move || fetch(&command, renewal, LIMIT);
            let ended = tokio::task::spawn_blocking(run).await;
            ended.unwrap_or_else(|error| Err(failed(&format!("was cut off: {error}"), "")))
        }
    });
    // Its own limit comes first, since it says more.
    let source = source.within(LIMIT * 2).shared_as(name);
    Ok(Credential::Source(source))
}

/// A command that is named by a path from here is another one elsewhere.
fn shared_name(command: &str, account: &str) -> String {
    let is_relative = |word: &str| {
        let word = word.trim_start_matches(['"', '\'', '(', '$']);
        word.starts_with("./") || word.starts_with("../")
    };
    let here = match command.split_whitespace().any(is_relative) {
        true => std::env::current_dir().unwrap_or_default(),
        false => std::path::PathBuf::new(),
    };
    format!("{command}\n{account}\n{}", here.display())
}

/// Runs the command once.
fn fetch(command: &str, renewal: bool, limit: Duration) -> Result<Token, Error> {
    let mut shell = shell(command);
    if renewal {
        // For a command that has a cache of its own.
        shell.env("PANUP_TOKEN_REFUSED", "1");
    }
    shell.stdin(Stdio::null());
    shell.stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = shell.spawn();
    let mut child = started.map_err(|error| {
        let message = format!("the shell for the token command cannot be started: {error}");
        Error::new(Kind::Invalid, Operation::Login, message)
    })?;
    let out = Output::read(child.stdout.take());
    let words = Output::read(child.stderr.take());
    let ended = wait(&mut child, &out, limit);
    out.finish();
    words.finish();
    let (printed, words) = (out.first(), without(&words.last(), &out.first()));
    match ended {
        Some(_) if out.is_too_long() => Err(failed("prints more than a token", &words)),
        Some(status) if status.success() => token(printed, &words),
        Some(status) => Err(failed(&how_it_ended(status), &words)),
        None if out.is_too_long() => Err(failed("prints more than a token, and was ended", &words)),
        None => Err(failed(
            &format!("took longer than {limit:?} and was ended"),
            &words,
        )),
    }
}

/// Waits for the end; `None` where it was ended because of the time or of what it printed.
fn wait(child: &mut Child, out: &Output, limit: Duration) -> Option<ExitStatus> {
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if started.elapsed() < limit && !out.is_too_long() => {}
            Ok(None) | Err(_) => {
                end(child);
                return None;
            }
        }
        std::thread::sleep(BEAT);
    }
}

/// Ends the command and, where it has a process group of its own, what it started.
fn end(child: &mut Child) {
    end_group(child);
    drop(child.kill());
    drop(child.wait());
}

/// What a command writes, as it comes. What it started and left running may hold the pipe open: its end
/// is not waited for.
struct Output(Arc<Mutex<Written>>);

#[derive(Default)]
struct Written {
    first: Vec<u8>,
    last: Vec<u8>,
    length: usize,
    ended: bool,
}

impl Output {
    fn read(pipe: Option<impl Read + Send + 'static>) -> Output {
        let shared = Arc::new(Mutex::new(Written::default()));
        let written = Arc::clone(&shared);
        let read = move || {
            let mut block = [0; 4096];
            if let Some(mut pipe) = pipe {
                while let Ok(count @ 1..) = pipe.read(&mut block) {
                    locked(&written).add(&block[..count]);
                }
            }
            locked(&written).ended = true;
        };
        if std::thread::Builder::new().spawn(read).is_err() {
            locked(&shared).ended = true;
        }
        Output(shared)
    }

    /// Waits a moment for what is still in the pipe.
    fn finish(&self) {
        let started = Instant::now();
        while !locked(&self.0).ended && started.elapsed() < MOMENT {
            std::thread::sleep(BEAT);
        }
    }

    fn is_too_long(&self) -> bool {
        locked(&self.0).length > LONGEST
    }

    fn first(&self) -> Vec<u8> {
        locked(&self.0).first.clone()
    }

    fn last(&self) -> Vec<u8> {
        locked(&self.0).last.clone()
    }
}

impl Written {
    fn add(&mut self, bytes: &[u8]) {
        self.length = self.length.saturating_add(bytes.len());
        let room = LONGEST.saturating_sub(self.first.len());
        self.first
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.last.extend_from_slice(bytes);
        let over = self.last.len().saturating_sub(WORDS);
        self.last.drain(..over);
    }
}

fn locked(read: &Mutex<Written>) -> std::sync::MutexGuard<'_, Written> {
    read.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The token in what was printed: alone, as an object with its end, or in the service's envelope.
fn token(printed: Vec<u8>, words: &str) -> Result<Token, Error> {
    let refuse = |why: &str| failed(why, words);
    let printed = text::decoded(printed).map_err(|why| refuse(&format!("prints what {why}")))?;
    if printed.trim_ascii().is_empty() {
        return Err(refuse("printed no token"));
    }
    if !printed.trim_ascii_start().starts_with(b"{") {
        let word = word(printed).map_err(|why| refuse(&why))?;
        return Ok(Token::new(Secret::new(&word)));
    }
    let object: Value = serde_json::from_slice(printed.trim_ascii())
        .map_err(|_| refuse("begins as JSON and goes on as something else"))?;
    let field = |names: &[&str]| {
        let places = [&object["data"], &object];
        let mut all = places
            .into_iter()
            .flat_map(|place| names.iter().map(move |name| &place[*name]));
        all.find(|value| !value.is_null()).cloned()
    };
    let Some(Value::String(found)) = field(&["accessToken", "access_token"]) else {
        let code = object["code"].as_i64().filter(|&code| code != 0);
        let code = code.map_or(String::new(), |code| format!(" (its code is {code})"));
        return Err(refuse(&format!(
            "printed JSON without an accessToken{code}"
        )));
    };
    let token = word(found.into_bytes()).map_err(|why| refuse(&why))?;
    let token = Token::new(Secret::new(&token));
    let end = field(&["expiredAt", "expired_at"]).as_ref().and_then(date);
    let lasts = field(&["expires_in", "expiresIn"]).and_then(|value| value.as_u64());
    let lasts = lasts.and_then(|lasts| SystemTime::now().checked_add(Duration::from_secs(lasts)));
    Ok(match end.or(lasts) {
        Some(end) => token.until(end),
        None => token,
    })
}

fn word(printed: Vec<u8>) -> Result<String, String> {
    let word = text::secret("what it prints", printed);
    word.map_err(|error| format!("gave no token: {}", error.message()))
}

fn date(value: &Value) -> Option<SystemTime> {
    let date = OffsetDateTime::parse(value.as_str()?, &Rfc3339).ok()?;
    Some(SystemTime::from(date))
}

fn how_it_ended(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("failed with exit code {code}"),
        None => format!("failed: {status}"),
    }
}

fn failed(why: &str, words: &str) -> Error {
    let words = match words {
        "" => String::new(),
        words => format!("; it says: {words}"),
    };
    let message = format!("the token command {why}{words}");
    Error::new(Kind::Auth, Operation::Login, message)
}

/// What a command says on standard error, on one line, without what it prints on standard output: a
/// shell that shows what it does shows the token as well.
fn without(words: &[u8], printed: &[u8]) -> String {
    let mut words = String::from_utf8_lossy(words).into_owned();
    let printed = String::from_utf8_lossy(printed);
    let edges = |c: char| c.is_whitespace() || "{}[]\"',".contains(c);
    for secret in printed.split(edges).filter(|part| part.len() >= SHORTEST) {
        words = words.replace(secret, "…");
    }
    let line: Vec<&str> = words.split_whitespace().collect();
    line.join(" ")
}

/// How long a command may take: as long as one that asks somebody, and not for ever.
const LIMIT: Duration = Duration::from_secs(60);

/// How often it is looked after.
const BEAT: Duration = Duration::from_millis(5);

/// For what is still in a pipe when the command has ended.
const MOMENT: Duration = Duration::from_millis(500);

/// Bytes that it may print. A token has some hundred.
const LONGEST: usize = 64 << 10;

/// The last bytes of standard error that are told.
const WORDS: usize = 500;

/// Shorter words of the output are no secrets.
const SHORTEST: usize = 4;

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    const BRIEF: Duration = Duration::from_millis(300);

    fn run(command: &str) -> Result<Token, String> {
        fetch(command, false, Duration::from_secs(20)).map_err(|error| {
            assert_eq!(error.kind(), Kind::Auth);
            error.to_string()
        })
    }

    fn given(command: &str) -> (String, Option<SystemTime>) {
        let token = run(command).expect(command);
        (token.secret.expose().to_owned(), token.expires)
    }

    #[test]
    fn a_token_is_taken_in_every_form() {
        for command in [
            "echo t0k.en",
            "printf 't0k.en'",
            "printf '\\357\\273\\277\"t0k.en\"\\r\\n'",
            "echo 'Bearer t0k.en'",
            "echo 'Authorization: Bearer t0k.en'",
            r#"echo '{"accessToken":"t0k.en"}'"#,
            r#"echo '{"code":0,"message":"ok","data":{"accessToken":"Bearer t0k.en","expiredAt":""}}'"#,
            "cat; echo t0k.en",
            "sleep 30 & echo t0k.en",
        ] {
            assert_eq!(given(command), ("t0k.en".to_owned(), None), "{command}");
        }
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000);
        for command in [
            r#"echo '{"accessToken":"t","expiredAt":"2030-01-01T08:00:00+08:00"}'"#,
            r#"echo '{"code":0,"data":{"accessToken":"t","expiredAt":"2030-01-01T00:00:00Z"}}'"#,
        ] {
            assert_eq!(given(command), ("t".to_owned(), Some(end)), "{command}");
        }
        let (_, end) = given(r#"echo '{"access_token":"t","expires_in":7200}'"#);
        let left = end
            .expect("said")
            .duration_since(SystemTime::now())
            .expect("ahead");
        assert!((7000..=7200).contains(&left.as_secs()), "{left:?}");
    }

    #[test]
    fn a_command_that_fails_tells_why_and_not_what_it_printed() {
        for (command, words) in [
            (
                "echo s3cret; echo 'no vault' >&2; exit 7",
                "exit code 7; it says: no vault",
            ),
            ("kill -9 $$", "signal: 9"),
            ("no-such-program-here", "exit code 127"),
            ("true", "printed no token"),
            ("echo '  '", "printed no token"),
            ("echo s3cret s3cret", "U+0020 (a blank)"),
            ("echo one; echo s3cret", "a line end"),
            (r#"echo '{"accessToken":"s3cret"'"#, "begins as JSON"),
            (r#"echo '{"token":"s3cret"}'"#, "without an accessToken"),
            (
                r#"echo '{"code":401,"message":"s3cret"}'"#,
                "its code is 401",
            ),
            (r#"echo '{"accessToken":7}'"#, "without an accessToken"),
            ("printf '\\377\\376\\0'", "UTF-16"),
            ("set -x; T=s3cret; echo $T; exit 1", "exit code 1"),
        ] {
            let error = run(command).expect_err(command);
            assert!(error.contains(words), "{command}: {error}");
            assert!(!error.contains("s3cret"), "{command}: {error}");
        }
        let long = run("printf '%5000d' 1 >&2; echo the end >&2; exit 1").expect_err("long");
        assert!(long.len() < 700 && long.ends_with("the end"), "{long}");
    }

    #[test]
    fn a_command_that_does_not_end_is_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        let mark = folder.path().join("mark");
        let command = format!(
            "echo waiting >&2; (sleep 1.5; echo late > '{}') & wait",
            mark.display()
        );
        let started = Instant::now();
        let error = fetch(&command, false, BRIEF)
            .expect_err("too slow")
            .to_string();
        assert!(
            error.contains("took longer than 300ms") && error.contains("waiting"),
            "{error}"
        );
        assert!(started.elapsed() < Duration::from_secs(5));
        let endless = fetch("yes s3cret", false, Duration::from_secs(20));
        let error = endless.expect_err("no token is so long").to_string();
        assert!(
            error.contains("more than a token") && !error.contains("s3cret"),
            "{error}"
        );
        std::thread::sleep(Duration::from_secs(2));
        assert!(
            std::io::IsTerminal::is_terminal(&std::io::stderr()) || !mark.exists(),
            "what it started is ended too"
        );
    }

    #[test]
    fn a_command_is_told_that_its_token_was_refused() {
        let command = "echo t${PANUP_TOKEN_REFUSED:-0}";
        let token = |renewal| fetch(command, renewal, BRIEF * 60).expect("printed").secret;
        assert_eq!(token(false).expose(), "t0");
        assert_eq!(token(true).expose(), "t1");
    }

    #[test]
    fn the_same_command_for_the_same_account_is_one() {
        assert_eq!(shared_name("vault", ""), shared_name("vault", ""));
        assert_ne!(shared_name("vault", ""), shared_name("vault", "me"));
        let here = std::env::current_dir()
            .expect("there")
            .display()
            .to_string();
        assert!(!shared_name("cat /a/b", "").contains(&here));
        for relative in ["./vault", "sh ../vault", "echo \"$(./vault)\""] {
            assert!(shared_name(relative, "").contains(&here), "{relative}");
        }
    }
}
