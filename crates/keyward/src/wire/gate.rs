//! [`Gate`]: lets an injector's connections be made to the policy's hosts alone.

use std::sync::Arc;

use keyward_core::{Endpoint, KeyPolicy};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    PeerIncompatible, SignatureScheme,
};

use super::table::Table;

/// Verifies a server as the verifier inside does, and before that its name by the policy.
///
/// Every full handshake comes through here before the keys of its application data exist, and a
/// session can be resumed only by the name, and under the gate, that it was first made with.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) inner: Arc<dyn ServerCertVerifier>,
    pub(super) policy: KeyPolicy,
    /// A configuration keeps the table alive: the suites hold it weakly.
    pub(super) _table: Arc<Table>,
}

impl Gate {
    fn admit(&self, name: &ServerName<'_>) -> Result<(), Error> {
        let host = match name {
            ServerName::DnsName(name) => name.as_ref().to_owned(),
            ServerName::IpAddress(address) => match std::net::IpAddr::from(*address) {
                std::net::IpAddr::V4(address) => address.to_string(),
                std::net::IpAddr::V6(address) => format!("[{address}]"),
            },
            // A kind of name that this version does not know.
            _ => return Err(Error::InvalidCertificate(CertificateError::NotValidForName)),
        };
        self.policy.admit_endpoint(&Endpoint::new("https", &host)).map_err(|refusal| {
            Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refusal))))
        })
    }
}

impl ServerCertVerifier for Gate {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.admit(server_name)?;
        self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.inner.requires_raw_public_keys()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.inner.root_hint_subjects()
    }
}
