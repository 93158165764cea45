//! Trust in servers. In: PEM files and whether the system's certificates count. Out: the two TLS
//! configurations, with HTTP/2 offered and without. Never: a connection, or the process's default
//! provider: ring is named here and nowhere else.

use std::io;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::settings::SystemRoots;
use super::shortage;
use crate::error::{Error, Kind, Operation, Result};

/// The certificates in `files`.
///
/// # Errors
/// [`Kind::Invalid`] for a file that holds none, or one that is not a certificate.
pub(super) fn given_roots(files: &[Vec<u8>]) -> Result<RootCertStore> {
    let refuse = |why: String| Error::new(Kind::Invalid, Operation::Configure, why);
    let mut store = RootCertStore::empty();
    for file in files {
        let before = store.len();
        for certificate in CertificateDer::pem_slice_iter(file) {
            let certificate = certificate
                .map_err(|error| refuse(format!("the CA certificates cannot be read: {error}")))?;
            store
                .add(certificate)
                .map_err(|error| refuse(format!("a CA certificate cannot be used: {error}")))?;
        }
        if store.len() == before {
            return Err(refuse("a CA file without a PEM certificate".to_owned()));
        }
    }
    Ok(store)
}

/// A configuration without ALPN; hyper-rustls adds the protocols.
///
/// An empty or absent system store is no error here: a plain server needs none, and the handshake
/// that does names it.
///
/// # Errors
/// Where the machine had no descriptors or memory to read them: what was read then is not all.
pub(super) fn client_config(
    mut roots: RootCertStore,
    system: SystemRoots,
) -> io::Result<ClientConfig> {
    if let SystemRoots::Trusted = system {
        let loaded = rustls_native_certs::load_native_certs();
        if let Some(short) = loaded.errors.into_iter().find_map(shortage) {
            return Err(short);
        }
        roots.add_parsable_certificates(loaded.certs);
    }
    let config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has suites for TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
    Ok(config)
}

fn shortage(error: rustls_native_certs::Error) -> Option<io::Error> {
    match error.kind {
        rustls_native_certs::ErrorKind::Io { inner, .. } => {
            Some(inner).filter(shortage::is_shortage)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused() {
        for file in [
            "",
            "hello",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            let error = given_roots(&[file.as_bytes().to_vec()]).expect_err(file);
            assert_eq!(error.kind(), Kind::Invalid, "{file:?}");
        }
    }
}
