//! `panup upload --emulator`: the service inside this process, on real sockets, so that the main
//! job can be seen without an account.

use panup::Error;

use super::args::{Output, Upload};

#[cfg(feature = "emulator")]
pub use embedded::Local;
#[cfg(not(feature = "emulator"))]
pub use missing::Local;

#[cfg(feature = "emulator")]
mod embedded {
    use std::path::PathBuf;

    use panup::{Kind, Operation};
    use panup_emulator::{Config, Emulator, Store};

    use super::{Error, Output, Upload};
    use crate::cli::args::Choice;
    use crate::cli::size::counted;
    use crate::cli::{complain, say, usage};

    /// The emulator of one upload.
    pub struct Local {
        emulator: Emulator,
        folder: PathBuf,
    }

    impl Local {
        /// Starts it, if `--emulator` asks for it.
        ///
        /// # Errors
        /// Where the folder cannot be made or no port can be had.
        pub fn start(upload: &Upload) -> Result<Option<Local>, Error> {
            let Some(asked) = &upload.emulator else {
                return Ok(None);
            };
            let failed = |error: std::io::Error| {
                Error::new(
                    Kind::Invalid,
                    Operation::Configure,
                    format!("the emulator cannot start: {error}"),
                )
            };
            if let (Choice(None), [first, _, ..]) = (asked, &*upload.paths)
                && !first.exists()
            {
                let first = first.display();
                let message = format!(
                    "{first} is taken for a PATH, and is not there; for a folder of the emulator write --emulator={first}"
                );
                return Err(usage(message));
            }
            let folder = match asked {
                Choice(Some(folder)) => folder.clone(),
                Choice(None) => fresh_folder().map_err(failed)?,
            };
            let config = Config {
                store: Store::Dir(folder.clone()),
                // Nobody reads the calls of this one; a hundred thousand of them would be 15 MB.
                calls_kept: 1000,
                ..Config::default()
            };
            let emulator = Emulator::start(config).map_err(failed)?;
            Ok(Some(Local { emulator, folder }))
        }

        /// Its API base.
        pub fn api(&self) -> String {
            self.emulator.api()
        }

        /// A token that it takes.
        pub fn token(&self) -> String {
            self.emulator.token().to_owned()
        }

        /// Says where the files are, on standard error where standard output is for scripts.
        pub fn farewell(self, output: Output) {
            let servers = self.emulator.servers().len();
            let text = format!(
                "the emulator ({servers} upload servers) stored {} in {}",
                counted(self.emulator.files().len() as u64, "file", "files"),
                self.folder.display()
            );
            self.emulator.stop();
            match output {
                Output { quiet: true, .. } => {}
                Output { json: true, .. } => complain(&text),
                Output { .. } => say(&text),
            }
        }
    }

    /// A folder in the system's temporary one that nobody has made before, for us alone.
    fn fresh_folder() -> std::io::Result<PathBuf> {
        let name = format!("panup-emulator-{:016x}", fastrand::u64(..));
        let folder = std::env::temp_dir().join(name);
        super::super::system::fresh_folder(&folder)?;
        Ok(folder)
    }
}

#[cfg(not(feature = "emulator"))]
mod missing {
    use super::{Error, Output, Upload};

    /// Nothing: this build has no emulator.
    pub enum Local {}

    impl Local {
        /// There is no option that asks for it.
        ///
        /// # Errors
        /// None.
        pub fn start(_upload: &Upload) -> Result<Option<Local>, Error> {
            Ok(None)
        }

        /// Never there.
        pub fn api(&self) -> String {
            match *self {}
        }

        /// Never there.
        pub fn token(&self) -> String {
            match *self {}
        }

        /// Never there.
        pub fn farewell(self, _output: Output) {
            match self {}
        }
    }
}
