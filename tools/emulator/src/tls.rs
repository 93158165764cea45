//! The emulator's own certificate authority. In come what ALPN shall offer and where the emulator
//! listens, out go an acceptor for `localhost`, 127.0.0.1 and that address, and the authority's
//! PEM that a client has to trust; keys live in memory only.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::config::Tls;

/// What TLS needs on both sides.
pub(crate) struct Identity {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) ca_pem: String,
}

/// A new authority and a certificate signed by it; nothing when sockets are plain.
pub(crate) fn identity(tls: Tls, listen: IpAddr) -> io::Result<Option<Identity>> {
    let alpn: &[&[u8]] = match tls {
        Tls::Off => return Ok(None),
        Tls::Both => &[b"h2", b"http/1.1"],
        Tls::Http1 => &[b"http/1.1"],
    };
    let (ca_pem, mut server) = certified(listen).map_err(io::Error::other)?;
    server.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    Ok(Some(Identity { acceptor, ca_pem }))
}

fn certified(listen: IpAddr) -> Result<(String, ServerConfig), Failure> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority
        .distinguished_name
        .push(DnType::CommonName, "panup emulator CA");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

    let mut leaf = CertificateParams::new(names(listen))?;
    leaf.use_authority_key_identifier_extension = true;
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.distinguished_name
        .push(DnType::CommonName, "panup emulator");
    let leaf_key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&leaf_key, &authority)?;

    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    Ok((authority.pem(), server))
}

/// What the certificate is good for. An unspecified address is no name.
fn names(listen: IpAddr) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let own = listen.to_string();
    if !listen.is_unspecified() && !names.contains(&own) {
        names.push(own);
    }
    names
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_names_where_the_emulator_listens() {
        for (listen, more) in [
            ("127.0.0.1", None),
            ("0.0.0.0", None),
            ("10.9.0.2", Some("10.9.0.2")),
            ("fd00::2", Some("fd00::2")),
        ] {
            let names = names(listen.parse().unwrap());
            assert_eq!(names.get(2).map(String::as_str), more);
            assert!(certified(listen.parse().unwrap()).is_ok());
        }
    }
}
