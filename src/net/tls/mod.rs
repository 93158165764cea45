//! Trust in servers. In: PEM files and whether the system's certificates count. Out: the two TLS
//! configurations, with HTTP/2 offered and without. Never: a connection, or the process's default
//! provider: ring is named here and nowhere else.

use std::io;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::settings::SystemRoots;
use crate::error::{Error, Kind, Operation, Result};

#[cfg(any(windows, target_vendor = "apple", test))]
mod either;
#[cfg(not(any(windows, target_vendor = "apple")))]
mod files;
#[cfg(not(any(windows, target_vendor = "apple")))]
use files as system;
#[cfg(any(windows, target_vendor = "apple"))]
mod verifier;
#[cfg(any(windows, target_vendor = "apple"))]
use verifier as system;

/// Certificates that the caller trusts.
#[derive(Debug, Clone, Default)]
pub(super) struct Given(Vec<CertificateDer<'static>>);

impl Given {
    fn store(&self) -> RootCertStore {
        let mut store = RootCertStore::empty();
        // Each was seen to be one when it was given.
        store.add_parsable_certificates(self.0.iter().cloned());
        store
    }
}

/// The certificates in `files`.
///
/// # Errors
/// [`Kind::Invalid`] for a file that holds none, or one that is not a certificate.
pub(super) fn given_roots(files: &[Vec<u8>]) -> Result<Given> {
    let refuse = |why: String| Error::new(Kind::Invalid, Operation::Configure, why);
    let (mut given, mut store) = (Given::default(), RootCertStore::empty());
    for file in files {
        let before = given.0.len();
        for certificate in CertificateDer::pem_slice_iter(file) {
            let certificate = certificate
                .map_err(|error| refuse(format!("the CA certificates cannot be read: {error}")))?;
            store
                .add(certificate.clone())
                .map_err(|error| refuse(format!("a CA certificate cannot be used: {error}")))?;
            given.0.push(certificate);
        }
        if given.0.len() == before {
            return Err(refuse("a CA file without a PEM certificate".to_owned()));
        }
    }
    Ok(given)
}

/// A configuration without ALPN; hyper-rustls adds the protocols.
///
/// # Errors
/// Where the system's trust cannot be known for the moment.
pub(super) fn client_config(given: Given, system: SystemRoots) -> io::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring has suites for TLS 1.2 and 1.3");
    let builder = match system {
        SystemRoots::Trusted => system::trusting(builder, provider, given)?,
        SystemRoots::Ignored => builder.with_root_certificates(given.store()),
    };
    Ok(builder.with_no_client_auth())
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
