//! The system's certificates in files. In: where the system has them, or the variables `SSL_CERT_FILE` and
//! `SSL_CERT_DIR`. Out: trust in them. A build that is linked statically runs where there are none: it
//! brings Mozilla's along, for that case alone.

use std::io;
use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

use super::Given;
use crate::net::shortage;

/// Trusts the system's certificates and those that were given.
///
/// An empty or absent store is no error here: a plain server needs none, and the handshake that does
/// names it.
///
/// # Errors
/// Where the machine had no descriptors or memory to read them: what was read then is not all.
pub(super) fn trusting(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    _provider: Arc<CryptoProvider>,
    given: Given,
) -> io::Result<ConfigBuilder<ClientConfig, WantsClientCert>> {
    let mut roots = given.store();
    let loaded = rustls_native_certs::load_native_certs();
    if let Some(short) = loaded.errors.into_iter().find_map(shortage_in) {
        return Err(short);
    }
    match loaded.certs.is_empty() {
        true => add_bundled(&mut roots),
        false => drop(roots.add_parsable_certificates(loaded.certs)),
    }
    Ok(builder.with_root_certificates(roots))
}

#[cfg(target_env = "musl")]
fn add_bundled(roots: &mut RootCertStore) {
    tracing::info!("the system has no certificates, Mozilla's are trusted that came along");
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
}

#[cfg(not(target_env = "musl"))]
fn add_bundled(_roots: &mut RootCertStore) {}

fn shortage_in(error: rustls_native_certs::Error) -> Option<io::Error> {
    match error.kind {
        rustls_native_certs::ErrorKind::Io { inner, .. } => {
            Some(inner).filter(shortage::is_shortage)
        }
        _ => None,
    }
}

#[cfg(test)]
#[cfg(target_env = "musl")]
mod tests {
    use super::*;

    #[test]
    fn a_static_build_has_roots_of_its_own() {
        let mut roots = RootCertStore::empty();
        add_bundled(&mut roots);
        assert!(roots.len() > 50, "{}", roots.len());
    }
}
