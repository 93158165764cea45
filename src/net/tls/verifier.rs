//! The system's own judgement of certificates, on Windows and macOS: it knows what an administrator trusts
//! or has revoked, and fetches what a server leaves out.

use std::io;
use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, ConfigBuilder, WantsVerifier};
use rustls_platform_verifier::Verifier;

use super::Given;

/// Trusts what the system trusts, and the certificates that were given.
///
/// # Errors
/// The system cannot be asked.
pub(super) fn trusting(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    provider: Arc<CryptoProvider>,
    given: Given,
) -> io::Result<ConfigBuilder<ClientConfig, WantsClientCert>> {
    let verifier = match given.0.is_empty() {
        true => Verifier::new(provider),
        false => Verifier::new_with_extra_roots(given.0, provider),
    };
    let verifier = Arc::new(verifier.map_err(io::Error::other)?);
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(verifier))
}
