//! The public keys of an outside issuer, and the one algorithm that each of them is good for.
//!
//! The mathematics are those of aws-lc, which rustls brings anyway, and of ed25519-dalek, which checks our own
//! tokens.

use crate::core::key::PublicKey;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use std::fmt;

/// The smallest RSA key (RFC 7518 section 3.3).
const RSA_BITS_MIN: usize = 2_048;

/// How a token may be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// By its name in headers and keys; nothing else is taken, least of all `none` or a shared secret.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

/// A key that checks signatures of its own algorithm, and of no other (RFC 8725 section 3.1).
#[derive(Clone)]
pub struct VerifyingKey(Material);

#[derive(Clone)]
enum Material {
    Rsa(ParsedPublicKey),
    P256(ParsedPublicKey),
    Ed25519(PublicKey),
}

impl VerifyingKey {
    /// An RSA key of a modulus and an exponent, both big-endian; `None` if it is small or none.
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let [n, e] = [modulus, exponent].map(without_leading_zeros);
        // The library rounds up to whole bytes.
        let bits = n.len() * 8 - n.first()?.leading_zeros() as usize;
        if bits < RSA_BITS_MIN {
            return None;
        }
        let key = RsaPublicKeyComponents { n, e };
        let key = key.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok()?;
        Some(Self(Material::Rsa(key)))
    }

    /// A point of P-256; `None` if it is not on the curve.
    pub fn p256(x: &[u8; 32], y: &[u8; 32]) -> Option<Self> {
        // Uncompressed (SEC 1 section 2.3.3).
        let point = [&[4], x.as_slice(), y].concat();
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok()?;
        Some(Self(Material::P256(key)))
    }

    /// A point of Ed25519; `None` if it is none or weak.
    pub fn ed25519(x: &[u8; 32]) -> Option<Self> {
        PublicKey::of(x).map(|key| Self(Material::Ed25519(key)))
    }

    /// What it is good for.
    pub fn algorithm(&self) -> Algorithm {
        match self.0 {
            Material::Rsa(_) => Algorithm::Rs256,
            Material::P256(_) => Algorithm::Es256,
            Material::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// Whether a signature is this key's.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Material::Rsa(key) | Material::P256(key) => key.verify_sig(message, signature).is_ok(),
            Material::Ed25519(key) => {
                signature.try_into().is_ok_and(|signature| key.verifies(message, signature))
            }
        }
    }
}

impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Material::Rsa(one), Material::Rsa(two))
            | (Material::P256(one), Material::P256(two)) => one.as_ref() == two.as_ref(),
            (Material::Ed25519(one), Material::Ed25519(two)) => one == two,
            _ => false,
        }
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("VerifyingKey").field(&self.algorithm()).finish()
    }
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPONENT: [u8; 3] = [1, 0, 1];

    #[test]
    fn small_rsa_keys_are_refused_to_the_bit() {
        let modulus = |first: u8| {
            let mut modulus = vec![0xff; 256];
            modulus[0] = first;
            modulus
        };
        assert!(VerifyingKey::rsa(&modulus(0x80), &EXPONENT).is_some());
        assert!(VerifyingKey::rsa(&[vec![0], modulus(0x80)].concat(), &EXPONENT).is_some());
        for small in [modulus(0x7f), vec![0xff; 128], vec![0; 256], vec![]] {
            assert!(VerifyingKey::rsa(&small, &EXPONENT).is_none(), "{}", small.len());
        }
        assert!(VerifyingKey::rsa(&modulus(0xff), &[]).is_none());
    }

    #[test]
    fn a_point_that_is_not_on_the_curve_is_refused() {
        assert!(VerifyingKey::p256(&[1; 32], &[2; 32]).is_none());
        assert!(VerifyingKey::p256(&[0; 32], &[0; 32]).is_none());
        assert!(VerifyingKey::ed25519(&[0; 32]).is_none());
    }

    #[test]
    fn no_other_algorithm_has_a_name_here() {
        for name in ["none", "None", "", "HS256", "RS512", "PS256", "ES384", "rs256", "RS256 "] {
            assert_eq!(Algorithm::named(name), None, "{name}");
        }
    }
}
