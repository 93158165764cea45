//! Where the service is and whom to trust, from the options that all commands share.

use panup::{Error, Options};

use super::args::Account;
use super::usage;

/// The options that say where the service is and whom to trust.
///
/// # Errors
/// Where a certificate cannot be read.
pub fn account_options(options: &mut Options, account: &Account) -> Result<(), Error> {
    options.api.clone_from(&account.api);
    // An empty variable is one that is not set.
    options.account = account.account.clone().filter(|name| !name.is_empty());
    options.allow_http = account.allow_http;
    options.trusted_hosts.clone_from(&account.trust_host);
    for path in &account.ca_cert {
        let pem =
            std::fs::read(path).map_err(|error| Error::read(path, error).context("--ca-cert"))?;
        if !pem.windows(BEGIN.len()).any(|text| text == BEGIN) {
            let message = format!(
                "--ca-cert {}: there is no PEM certificate in it",
                path.display()
            );
            return Err(usage(message));
        }
        options.roots.push(pem);
    }
    Ok(())
}

/// How a certificate begins in PEM.
const BEGIN: &[u8] = b"-----BEGIN ";
