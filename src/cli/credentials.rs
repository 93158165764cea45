//! Who uploads: what is typed first, then the environment, then what `panup login` keeps.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use panup::{
    Client, Credential, Error, Kind, Operation, Options, Secret, private_folder, read_private,
    read_secret, write_private,
};

use super::account::account_options;
use super::args::{Account, KEYS, Login, Logout};
use super::signals::Signals;
use super::{INTERRUPTED, complain, say, state_dir, text, token_command, usage};

/// The credential that the environment and the options name. Where an option here was not typed, no
/// stronger credential is set.
///
/// # Errors
/// Where there is none, or half of one, or a file that cannot be used.
pub fn find(account: &Account) -> Result<Credential, Error> {
    let message = "no credentials: set PANUP_TOKEN, or PANUP_CLIENT_ID and PANUP_CLIENT_SECRET, or give --token-command, or \
                   run `panup login`, which says where keys come from";
    known(account)?.ok_or_else(|| {
        Error::new(Kind::Invalid, Operation::Configure, message)
            .advice("to try panup without an account, add --emulator")
    })
}

/// The same, or nothing where nothing names one.
///
/// # Errors
/// Where there is half of one, or a file that cannot be used.
pub fn known(account: &Account) -> Result<Option<Credential>, Error> {
    if let Some(path) = &account.token_file {
        return from_file(path).map(Some);
    }
    let name = account.account.as_deref();
    if let Some(command) = &account.token_command {
        return token_command::credential(command, name).map(Some);
    }
    if let Some(token) = variable("PANUP_TOKEN")? {
        return Ok(Some(Credential::Token(Secret::new(&token))));
    }
    if let Some(credential) = client_variables()? {
        return Ok(Some(credential));
    }
    if let Some(credential) = oauth_variables()? {
        return Ok(Some(credential));
    }
    let kept = state_dir(account.state_dir.as_deref()).map(|folder| folder.join(KEPT));
    Ok(kept.map(|path| read_kept(&path)).transpose()?.flatten())
}

/// Where [`find`] takes the credential from; nothing is read.
pub fn origin(account: &Account) -> Option<String> {
    if let Some(path) = &account.token_file {
        return Some(format!("token-file {}", path.display()));
    }
    if account.token_command.is_some() {
        return Some("token-command".to_owned());
    }
    let variables = [
        ["PANUP_TOKEN"; 2],
        ["PANUP_CLIENT_ID", "PANUP_CLIENT_SECRET"],
        ["PANUP_OAUTH_CLIENT_ID", "PANUP_OAUTH_REFRESH_TOKEN"],
    ];
    for [first, second] in variables {
        if plain_variable(first).is_some() || plain_variable(second).is_some() {
            return Some(first.to_owned());
        }
    }
    let kept = state_dir(account.state_dir.as_deref())?.join(KEPT);
    kept.exists()
        .then(|| format!("`panup login`, in {}", kept.display()))
}

/// What `panup login` keeps, 0600: client id and secret, each a line; of OAuth the refresh token, as it
/// was first got, is a third.
const KEPT: &str = "credentials";

/// `panup login`: asks for credentials, sees that the service takes them, and keeps them.
///
/// # Errors
/// Where the service refuses them or they cannot be written.
pub fn login(login: &Login) -> Result<u8, Error> {
    let folder = state_dir(login.account.state_dir.as_deref()).ok_or_else(no_folder)?;
    // Before anything is asked, and before a token is fetched in vain.
    private_folder(&folder)?;
    let known = match login.oauth {
        true => oauth_variables()?,
        false => client_variables()?,
    };
    let credential = match known {
        Some(known) => known,
        None => ask_for(login.oauth)?,
    };
    let (id, kept) = as_kept(&credential);
    let mut options = Options::new(credential.clone());
    account_options(&mut options, &login.account)?;
    options.state_dir = Some(folder.clone());
    let runtime = panup::runtime()?;
    let logged_in = runtime.block_on(log_in(options));
    runtime.shutdown_background();
    logged_in?;
    write_private(&folder.join(KEPT), &kept)?;
    say(&format!(
        "logged in as {id}; the credentials are kept in {}",
        folder.join(KEPT).display()
    ));
    Ok(0)
}

fn ask_for(oauth: bool) -> Result<Credential, Error> {
    KEYS.lines().for_each(complain);
    let (id, secret) = (ask("client id: ")?, ask_hidden("client secret: ")?);
    let secret = Secret::new(&secret);
    if !oauth {
        return Ok(Credential::Client { id, secret });
    }
    let refresh_token = Secret::new(&ask_hidden("refresh token: ")?);
    Ok(Credential::OAuth {
        id,
        secret,
        refresh_token,
    })
}

/// The name that is said, and the file's text.
fn as_kept(credential: &Credential) -> (&str, String) {
    match credential {
        Credential::Client { id, secret } => (id, format!("{id}\n{}\n", secret.expose())),
        Credential::OAuth {
            id,
            secret,
            refresh_token,
        } => {
            let (secret, refresh_token) = (secret.expose(), refresh_token.expose());
            (id, format!("{id}\n{secret}\n{refresh_token}\n"))
        }
        _ => unreachable!("asked for"),
    }
}

/// Says meanwhile what there is to say, such as that another panup is logging in.
async fn log_in(options: Options) -> Result<(), Error> {
    let client = Client::new(options)?;
    let mut login = std::pin::pin!(client.login());
    let mut beat = tokio::time::interval(Duration::from_millis(100));
    let warn = || {
        while let Some(warning) = client.next_warning() {
            complain(&format!("warning   {warning}"));
        }
    };
    loop {
        tokio::select! {
            done = &mut login => {
                warn();
                return done;
            }
            _ = beat.tick() => warn(),
        }
    }
}

/// `panup logout`: drops the kept credentials and every cached token.
///
/// # Errors
/// Where they cannot be removed.
pub fn logout(logout: &Logout) -> Result<u8, Error> {
    let folder = state_dir(logout.state_dir.as_deref()).ok_or_else(no_folder)?;
    let mut dropped = remove(&folder.join(KEPT))?;
    for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // What was being written when a run was killed holds a secret as well.
        let unfinished = name.contains(".new-");
        let token = name.starts_with("token-") && (name.ends_with(".json") || unfinished);
        if token || (name.starts_with(KEPT) && unfinished) {
            dropped |= remove(&entry.path())?;
        }
    }
    say(if dropped {
        "logged out"
    } else {
        "not logged in"
    });
    Ok(0)
}

fn remove(path: &Path) -> Result<bool, Error> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => {
            Err(Error::new(Kind::State, Operation::Login, error.to_string()).with_path(path))
        }
    }
}

/// One that is empty is not set: that is how some launchers unset it.
fn plain_variable(name: &str) -> Option<Vec<u8>> {
    let value = std::env::var_os(name)?;
    let value = Some(panup::name_bytes(&value).into_owned());
    value.filter(|value| !value.trim_ascii().is_empty())
}

fn variable(name: &str) -> Result<Option<String>, Error> {
    let value = plain_variable(name);
    value.map(|value| text::secret(name, value)).transpose()
}

fn client_variables() -> Result<Option<Credential>, Error> {
    let Some([id, secret]) = together(["PANUP_CLIENT_ID", "PANUP_CLIENT_SECRET"])? else {
        return Ok(None);
    };
    let secret = Secret::new(&secret);
    Ok(Some(Credential::Client { id, secret }))
}

fn oauth_variables() -> Result<Option<Credential>, Error> {
    let names = [
        "PANUP_OAUTH_CLIENT_ID",
        "PANUP_OAUTH_CLIENT_SECRET",
        "PANUP_OAUTH_REFRESH_TOKEN",
    ];
    Ok(
        together(names)?.map(|[id, secret, refresh_token]| Credential::OAuth {
            id,
            secret: Secret::new(&secret),
            refresh_token: Secret::new(&refresh_token),
        }),
    )
}

/// Variables of which each is of no use without the others; `None` where none is set.
fn together<const N: usize>(names: [&str; N]) -> Result<Option<[String; N]>, Error> {
    let mut values = Vec::with_capacity(N);
    let mut missing = Vec::new();
    for name in names {
        match variable(name)? {
            Some(value) => values.push(value),
            None => missing.push(name),
        }
    }
    if values.is_empty() {
        return Ok(None);
    }
    <[String; N]>::try_from(values).map(Some).map_err(|_| {
        let (names, missing) = (names.join(", "), missing.join(" and "));
        usage(format!("{names} belong together, and {missing} is not set"))
    })
}

fn from_file(path: &Path) -> Result<Credential, Error> {
    let bytes = read_secret(path)?.ok_or_else(|| {
        Error::new(
            Kind::Invalid,
            Operation::Configure,
            "the token file is not there",
        )
        .with_path(path)
    })?;
    let token = text::secret("the token file", bytes).map_err(|error| error.with_path(path))?;
    Ok(Credential::Token(Secret::new(&token)))
}

fn read_kept(path: &Path) -> Result<Option<Credential>, Error> {
    let Some(kept) = read_private(path)? else {
        return Ok(None);
    };
    let again = |error: Error| error.with_path(path).advice("run `panup login` again");
    let kept = text::decoded(kept.into_bytes()).map_err(|why| again(usage(why)))?;
    let mut lines = text::lines(&kept, |_| false).map(<[u8]>::to_vec);
    let word =
        |what, line: Option<Vec<u8>>| text::secret(what, line.unwrap_or_default()).map_err(again);
    let id = word("the kept client id", lines.next())?;
    let secret = Secret::new(&word("the kept client secret", lines.next())?);
    let Some(third) = lines.next() else {
        return Ok(Some(Credential::Client { id, secret }));
    };
    let refresh_token = Secret::new(&word("the kept refresh token", Some(third))?);
    Ok(Some(Credential::OAuth {
        id,
        secret,
        refresh_token,
    }))
}

fn ask(prompt: &str) -> Result<String, Error> {
    drop(write!(std::io::stderr(), "{prompt}"));
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    match read {
        Ok(_) if !line.trim().is_empty() => {
            text::secret(prompt.trim_end_matches(": "), line.into_bytes())
        }
        _ => Err(Error::new(
            Kind::Invalid,
            Operation::Configure,
            format!("no {}", prompt.trim_end_matches(": ")),
        )),
    }
}

/// The secret is not echoed on a terminal.
fn ask_hidden(prompt: &str) -> Result<String, Error> {
    let terminal = std::io::stdin().is_terminal();
    if terminal {
        // After an interrupt the terminal must echo again.
        Signals::new().at_first(|_| {
            let _ = echo("echo");
            std::process::exit(i32::from(INTERRUPTED));
        });
    }
    let quiet = terminal && echo("-echo");
    let answer = ask(prompt);
    if quiet {
        let _ = echo("echo");
        complain("");
    }
    answer
}

/// `stty` is on every Unix and knows every terminal; a crate would be another dependency for one bit.
fn echo(setting: &str) -> bool {
    std::process::Command::new("stty")
        .arg(setting)
        .status()
        .is_ok_and(|status| status.success())
}

fn no_folder() -> Error {
    let message = "no state folder is known here; name one with --state-dir";
    Error::new(Kind::Invalid, Operation::Configure, message)
}
