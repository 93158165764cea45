//! The system's own judgement of certificates, on Windows and macOS: it knows what an administrator trusts
//! or has revoked, and fetches what a server leaves out.

use std::io;
use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, ConfigBuilder, WantsVerifier};
use rustls_platform_verifier::Verifier;

use super::Given;
use super::either::Either;

/// Trusts what the system trusts, and the certificates that were given.
///
/// # Errors
/// The system cannot be asked.
pub(super) fn trusting(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    provider: Arc<CryptoProvider>,
    given: Given,
) -> io::Result<ConfigBuilder<ClientConfig, WantsClientCert>> {
    let system = Verifier::new(Arc::clone(&provider)).map_err(io::Error::other)?;
    let verifier: Arc<dyn ServerCertVerifier> = match given.0.is_empty() {
        true => Arc::new(system),
        false => {
            let either = Either::new(given.store(), Arc::new(system), provider);
            Arc::new(either.map_err(io::Error::other)?)
        }
    };
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(verifier))
}
