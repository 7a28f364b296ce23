//! Comparing and fingerprinting secrets.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The SHA-256 digest of a secret.
pub fn fingerprint(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// Whether two secrets are equal, in a time that tells neither where they differ nor how long the
/// expected one is: their digests are compared, all bytes of them.
pub fn same(given: &[u8], expected: &[u8]) -> bool {
    fingerprint(given).ct_eq(&fingerprint(expected)).into()
}

/// Whether a secret has this fingerprint, in constant time.
pub fn has_fingerprint(given: &[u8], expected: &[u8; 32]) -> bool {
    fingerprint(given).ct_eq(expected).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_secret_is_the_same() {
        for (given, expected, equal) in
            [("", "", true), ("a", "a", true), ("a", "b", false), ("a", "aa", false)]
        {
            assert_eq!(same(given.as_bytes(), expected.as_bytes()), equal, "{given} {expected}");
            assert_eq!(has_fingerprint(given.as_bytes(), &fingerprint(expected.as_bytes())), equal);
        }
    }
}
