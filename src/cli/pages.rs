//! What the command says of itself: pages of the manual, completions, its version.

use std::path::Path;

use clap::{Command, CommandFactory};
use panup::{Error, digest};

use super::args::Args;
use super::{say, say_bytes, usage};

/// `panup man`: every page on standard output, or each in a file of `folder`.
///
/// # Errors
/// A file cannot be written.
pub fn man(folder: Option<&Path>) -> Result<u8, Error> {
    let pages = pages();
    let Some(folder) = folder else {
        pages.iter().for_each(|(_, page)| say_bytes(page));
        return Ok(0);
    };
    let refused = |path: &Path, error| usage(format!("--dir {}: {error}", path.display()));
    std::fs::create_dir_all(folder).map_err(|error| refused(folder, error))?;
    for (name, page) in &pages {
        let path = folder.join(format!("{name}.1"));
        std::fs::write(&path, page).map_err(|error| refused(&path, error))?;
    }
    say(&format!("{} pages in {}", pages.len(), folder.display()));
    Ok(0)
}

/// The main page first, and one for each command.
fn pages() -> Vec<(String, Vec<u8>)> {
    let mut root = Args::command();
    root.build();
    let commands = root
        .get_subcommands()
        .filter(|command| command.get_name() != "help");
    let named = commands.map(|command| {
        let name = format!("panup-{}", command.get_name());
        (name.clone(), command.clone().display_name(name))
    });
    let all = std::iter::once(("panup".to_owned(), root.clone())).chain(named);
    all.map(|(name, command)| (name, page(command))).collect()
}

fn page(command: Command) -> Vec<u8> {
    let mut page = Vec::new();
    // Into memory: it cannot fail.
    drop(clap_mangen::Man::new(command).render(&mut page));
    page
}

/// `panup completions`
pub fn completions(shell: clap_complete::Shell) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "panup", &mut script);
    say_bytes(&script);
    0
}

/// `panup version`, and `panup --version -v`: what a report of a fault should have in it.
pub fn version() -> String {
    let kernels: Vec<&str> = digest::kernel::available()
        .map(digest::kernel::Kernel::name)
        .collect();
    let features = [("cli", true), ("emulator", cfg!(feature = "emulator"))];
    let features = features
        .iter()
        .filter(|(_, is_on)| *is_on)
        .map(|(name, _)| *name);
    let environment = match () {
        () if cfg!(target_env = "musl") => "-musl",
        () if cfg!(target_env = "gnu") => "-gnu",
        () => "",
    };
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    [
        format!("panup {}", env!("CARGO_PKG_VERSION")),
        format!(
            "target    {}-{}{environment}, {profile}",
            std::env::consts::ARCH,
            std::env::consts::OS
        ),
        format!("features  {}", features.collect::<Vec<_>>().join(", ")),
        format!(
            "MD5       {} (of {})",
            digest::kernel::best().name(),
            kernels.join(", ")
        ),
        "TLS       1.2 and 1.3 by rustls with ring; the system's certificates".to_owned(),
        "HTTP      1.1 and 2 by hyper; proxies by http_proxy, https_proxy, all_proxy, no_proxy"
            .to_owned(),
        "journal   SQLite, built in".to_owned(),
    ]
    .join("\n")
}
