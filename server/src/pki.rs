//! The deployment's own certificates: a CA, the service's, the operator's, and one for each till.
//!
//! A caller is known by the SHA-256 of its certificate ([`Fingerprint`]), not by a name inside it; the CA only decides
//! who may open a connection at all. The only file that names the certificate crate. It writes no files.

use std::{fmt, str::FromStr, time::Duration};

use palm_proto::id::TillId;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use ring::digest::{SHA256, digest};
use zeroize::Zeroizing;

use crate::clock::Timestamp;

/// The name in a keyholder's certificate.
pub const KEYHOLDER_NAME: &str = "keyholder";
const CA_DAYS: u32 = 3_650;
const LEAF_DAYS: u32 = 825;
const DAY: Duration = Duration::from_hours(24);
/// Certificates are valid from this long before now, so that a machine whose clock is behind accepts them.
const LEEWAY: Duration = Duration::from_hours(1);

/// SHA-256 of a certificate (DER): who a caller is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a certificate in DER.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Self {
        let digest = digest(&SHA256, certificate);
        Self(
            digest
                .as_ref()
                .try_into()
                .expect("invariant: SHA-256 has 32 bytes"),
        )
    }

    /// The fingerprint with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// Reads 64 lower-case hex digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let lower =
            text.len() == 64 && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().as_chunks::<2>().0) {
            let digits = std::str::from_utf8(digits).ok()?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        lower.then_some(Self(bytes))
    }
}

/// 64 lower-case hex digits.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        Self::from_hex(text).ok_or(FingerprintError)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Text that is not a fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 lower-case hex digits")]
pub struct FingerprintError;

/// Why no certificate was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PkiError {
    /// The CA's certificate or key is not what `palmctl init` wrote.
    #[error(
        "the CA's certificate or key cannot be used: restore ca.pem and ca.key as `palmctl init` made them"
    )]
    Authority(#[source] rcgen::Error),
    /// A certificate could not be made.
    #[error("the certificate could not be made: check the host names given")]
    Issue(#[source] rcgen::Error),
}

/// A certificate and its private key.
pub struct Credential {
    /// The certificate, PEM.
    pub certificate: String,
    /// The private key (PKCS#8), PEM.
    pub key: Zeroizing<String>,
    /// The certificate's fingerprint.
    pub fingerprint: Fingerprint,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({})", self.fingerprint)
    }
}

/// The deployment's CA.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority")
    }
}

impl Authority {
    /// Makes a new CA, valid for ten years; the credential is what to keep of it.
    ///
    /// # Errors
    /// [`PkiError::Issue`].
    pub fn create(shop: &str, now: Timestamp) -> Result<(Self, Credential), PkiError> {
        let key = key_pair()?;
        let mut params = params(&format!("{shop} palm CA"), &[], now, CA_DAYS)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(PkiError::Issue)?;
        let credential = credential(&certificate, &key);
        Ok((
            Self {
                issuer: Issuer::new(params, key),
            },
            credential,
        ))
    }

    /// The CA whose certificate and key these are, PEM.
    ///
    /// # Errors
    /// [`PkiError::Authority`].
    pub fn read(certificate: &str, key: &str) -> Result<Self, PkiError> {
        let key = KeyPair::from_pem(key).map_err(PkiError::Authority)?;
        let issuer = Issuer::from_ca_cert_pem(certificate, key).map_err(PkiError::Authority)?;
        Ok(Self { issuer })
    }

    /// The service's certificate; `hosts` are names and addresses beside `localhost`, `127.0.0.1` and `::1`.
    ///
    /// # Errors
    /// [`PkiError::Issue`] when a host is neither a DNS name nor an IP address.
    pub fn server(&self, hosts: &[String], now: Timestamp) -> Result<Credential, PkiError> {
        let mut names = ["localhost", "127.0.0.1", "::1"]
            .map(str::to_owned)
            .to_vec();
        names.extend_from_slice(hosts);
        names.dedup();
        self.issue(
            params("palmd", &names, now, LEAF_DAYS)?,
            ExtendedKeyUsagePurpose::ServerAuth,
        )
    }

    /// The certificate of a keyholder of its own: whoever connects asks for [`KEYHOLDER_NAME`], wherever it listens.
    ///
    /// # Errors
    /// [`PkiError::Issue`].
    pub fn keyholder(&self, now: Timestamp) -> Result<Credential, PkiError> {
        let names = [KEYHOLDER_NAME.to_owned()];
        self.issue(
            params("palmd keyholder", &names, now, LEAF_DAYS)?,
            ExtendedKeyUsagePurpose::ServerAuth,
        )
    }

    /// The certificate that palmd shows to its keyholder.
    ///
    /// # Errors
    /// [`PkiError::Issue`].
    pub fn matcher(&self, now: Timestamp) -> Result<Credential, PkiError> {
        self.issue(
            params("palmd matcher", &[], now, LEAF_DAYS)?,
            ExtendedKeyUsagePurpose::ClientAuth,
        )
    }

    /// An operator's certificate.
    ///
    /// # Errors
    /// [`PkiError::Issue`].
    pub fn operator(&self, now: Timestamp) -> Result<Credential, PkiError> {
        self.issue(
            params("operator", &[], now, LEAF_DAYS)?,
            ExtendedKeyUsagePurpose::ClientAuth,
        )
    }

    /// A till's certificate.
    ///
    /// # Errors
    /// [`PkiError::Issue`].
    pub fn till(&self, till: &TillId, now: Timestamp) -> Result<Credential, PkiError> {
        let name = format!("till {}", till.as_str());
        self.issue(
            params(&name, &[], now, LEAF_DAYS)?,
            ExtendedKeyUsagePurpose::ClientAuth,
        )
    }

    fn issue(
        &self,
        mut params: CertificateParams,
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<Credential, PkiError> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let key = key_pair()?;
        let certificate = params
            .signed_by(&key, &self.issuer)
            .map_err(PkiError::Issue)?;
        Ok(credential(&certificate, &key))
    }
}

fn key_pair() -> Result<KeyPair, PkiError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(PkiError::Issue)
}

/// Each certificate gets a common name of its own: where CA and leaf share one, OpenSSL takes the leaf for self-signed.
fn params(
    common_name: &str,
    hosts: &[String],
    now: Timestamp,
    days: u32,
) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::new(hosts).map_err(PkiError::Issue)?;
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    let now = date_time_ymd(1970, 1, 1) + Duration::from_micros(now.micros());
    params.not_before = now - LEEWAY;
    params.not_after = now + DAY * days;
    Ok(params)
}

fn credential(certificate: &rcgen::Certificate, key: &KeyPair) -> Credential {
    Credential {
        certificate: certificate.pem(),
        key: Zeroizing::new(key.serialize_pem()),
        fingerprint: Fingerprint::of(certificate.der()),
    }
}

#[cfg(test)]
mod tests;
