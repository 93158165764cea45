//! Two judges of one certificate. In: the certificates that the caller gave, and the system's verifier. Out:
//! trust where either of them has it. Never: what was given judged otherwise than on other systems, which
//! know them as anchors whether they are an authority's, one between or the server's own.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};

/// Asks the given certificates first, which takes no system and no network.
#[derive(Debug)]
pub(super) struct Either {
    given: Arc<dyn ServerCertVerifier>,
    system: Arc<dyn ServerCertVerifier>,
}

impl Either {
    /// # Errors
    /// `given` has no certificate.
    pub(super) fn new(
        given: RootCertStore,
        system: Arc<dyn ServerCertVerifier>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Either, Error> {
        let given = WebPkiServerVerifier::builder_with_provider(Arc::new(given), provider).build();
        let given = given.map_err(|error| Error::Other(OtherError(Arc::new(error))))?;
        Ok(Either { given, system })
    }
}

impl ServerCertVerifier for Either {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let ask = |verifier: &dyn ServerCertVerifier| {
            verifier.verify_server_cert(end_entity, intermediates, name, ocsp, now)
        };
        let refused = match ask(&*self.given) {
            Ok(trusted) => return Ok(trusted),
            Err(refused) => refused,
        };
        ask(&*self.system).map_err(|of_the_system| match refused {
            // It is none of theirs: the system knows better why not.
            Error::InvalidCertificate(CertificateError::UnknownIssuer) => of_the_system,
            refused => refused,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.given
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.given
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.given.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    use super::*;

    /// An authority of that name, and what it signed for `localhost`.
    fn signed(name: &str) -> (CertificateDer<'static>, CertificateDer<'static>) {
        let mut authority = CertificateParams::new(Vec::new()).expect("fine");
        let names = &mut authority.distinguished_name;
        names.push(DnType::CommonName, name);
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let root = authority.self_signed(&key).expect("signed");
        let issuer = Issuer::new(authority, key);
        let key = KeyPair::generate().expect("a key");
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let leaf = leaf.signed_by(&key, &issuer).expect("signed");
        (root.der().clone(), leaf.der().clone())
    }

    fn store(roots: &[&CertificateDer<'static>]) -> RootCertStore {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots.iter().map(|&root| root.clone()));
        store
    }

    fn judge(
        verifier: &Either,
        leaf: &CertificateDer<'_>,
        name: &'static str,
    ) -> Result<(), Error> {
        let name = ServerName::try_from(name).expect("a name");
        let judged = verifier.verify_server_cert(leaf, &[], &name, &[], UnixTime::now());
        judged.map(drop)
    }

    #[test]
    fn what_either_trusts_is_trusted_and_nothing_else() {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let [given, system, none] = ["given", "system", "none"].map(signed);
        let of_the_system = WebPkiServerVerifier::builder_with_provider(
            Arc::new(store(&[&system.0])),
            Arc::clone(&provider),
        );
        let of_the_system = of_the_system.build().expect("a root");
        // A server's own certificate is an anchor too, as it is where files alone are trusted.
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("signed");
        let own = own.cert.der();
        let either = Either::new(store(&[&given.0, own]), of_the_system, provider).expect("roots");
        for leaf in [&given.1, &system.1, own] {
            judge(&either, leaf, "localhost").expect("one of them trusts it");
        }
        let refused = judge(&either, &none.1, "localhost").expect_err("nobody trusts it");
        let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        assert_eq!(refused, unknown);
        let refused = judge(&either, &given.1, "elsewhere").expect_err("another's name");
        assert!(
            matches!(
                refused,
                Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. })
            ),
            "{refused:?}"
        );
    }
}
