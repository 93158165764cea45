//! An emulator that keeps nothing, in this process, for commands that only look.

#[cfg(feature = "emulator")]
pub use embedded::Service;
#[cfg(not(feature = "emulator"))]
pub use missing::Service;

#[cfg(feature = "emulator")]
mod embedded {
    use panup::{Credential, Error, Options, Secret};
    use panup_emulator::{Config, Emulator};

    use crate::cli::usage;

    /// It runs for as long as this lives.
    pub struct Service(Emulator);

    impl Service {
        /// Starts it, where that is asked for.
        ///
        /// # Errors
        /// No port can be had.
        pub fn start(is_asked: bool) -> Result<Option<Service>, Error> {
            if !is_asked {
                return Ok(None);
            }
            let started = Emulator::start(Config::default());
            let failed = |error| usage(format!("the emulator cannot start: {error}"));
            started.map(Service).map(Some).map_err(failed)
        }

        /// Options for it.
        pub fn options(&self) -> Options {
            let mut options = Options::new(Credential::Token(Secret::new(self.0.token())));
            options.api = self.0.api();
            options.environment_proxies = false;
            options
        }
    }
}

#[cfg(not(feature = "emulator"))]
mod missing {
    use panup::{Error, Options};

    /// Nothing: this build has no emulator.
    pub enum Service {}

    impl Service {
        /// There is no option that asks for it.
        ///
        /// # Errors
        /// None.
        pub fn start(_is_asked: bool) -> Result<Option<Service>, Error> {
            Ok(None)
        }

        /// Never there.
        pub fn options(&self) -> Options {
            match *self {}
        }
    }
}
