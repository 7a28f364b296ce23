//! What a verifier knows of its issuer: keys and revocations.

use crate::core::answers::RevocationPage;
use crate::core::key::{Jwk, JwkSet, PublicKey};
use crate::core::token;
use ports::{Claims, TokenError};
use protocol::UserId;
use std::collections::BTreeMap;

/// Keys and revocations of one history of an issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keyring {
    issuer: String,
    /// Names the history of revocations.
    history: String,
    keys: BTreeMap<String, PublicKey>,
    /// The name of the issuer's newest key.
    newest: String,
    revoked: BTreeMap<UserId, u64>,
    /// Logins that were revoked by themselves, and when their last token has run out.
    ended: BTreeMap<u128, u64>,
    next: u64,
    complete: bool,
}

/// How much a keyring knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    issuer: String,
    history: String,
    key: String,
    next: u64,
}

/// What to ask the issuer next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// Nothing, until the next poll.
    Everything,
    /// The next page.
    MoreRevocations,
    /// The keys: the issuer has a key that is not known.
    KeysMissing,
}

impl Keyring {
    /// Where to go on asking for revocations.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Takes the issuer's keys in: all that a living token may be signed with. Others are forgotten.
    pub fn learn_keys(&mut self, set: &JwkSet) {
        let good = |key: &Jwk| Some((key.kid.clone(), key.verifying()?));
        self.keys = set.keys.iter().filter_map(good).collect();
    }

    /// Takes a page in. A page of another history (the issuer has lost its disk) starts a keyring
    /// afresh: epochs of the two histories cannot be compared, and its keys are new anyway.
    pub fn learn_revocations(&mut self, page: &RevocationPage, now_ms: u64) -> Learned {
        let history = page.history.as_ref().unwrap_or(&page.key);
        if *history != self.history {
            // The page was asked for behind a change of the old history, so the new one is read from
            // its beginning, and `self` counts as complete only when that is done.
            *self =
                Self { issuer: page.issuer.clone(), history: history.clone(), ..Self::default() };
            return Learned::KeysMissing;
        }
        for revocation in &page.revocations {
            let epoch = self.revoked.entry(revocation.user).or_default();
            *epoch = revocation.epoch.max(*epoch);
        }
        for ended in &page.logins {
            self.ended.insert(ended.login.number(), ended.until_ms);
        }
        if !page.logins.is_empty() {
            self.ended.retain(|_, until_ms| *until_ms > now_ms);
        }
        self.issuer.clone_from(&page.issuer);
        self.newest.clone_from(&page.key);
        self.next = page.next;
        if !self.keys.contains_key(&page.key) {
            Learned::KeysMissing
        } else if page.more {
            Learned::MoreRevocations
        } else {
            self.complete = true;
            Learned::Everything
        }
    }

    /// Whether tokens can be judged.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Changes whenever something was learned.
    pub fn version(&self) -> Version {
        let (issuer, history) = (self.issuer.clone(), self.history.clone());
        Version { issuer, history, key: self.newest.clone(), next: self.next }
    }

    /// What a token says, if it is to be honoured now.
    pub fn verify(&self, text: &str, now_ms: u64) -> Result<Claims, TokenError> {
        self.of(|issuer| token::open(text, issuer, now_ms, |name| self.keys.get(name)))
    }

    /// As `verify`, without a look at the signature.
    pub fn believe(&self, text: &str, now_ms: u64) -> Result<Claims, TokenError> {
        self.of(|issuer| token::believe(text, issuer, now_ms))
    }

    fn of(
        &self,
        read: impl FnOnce(&str) -> Result<Claims, TokenError>,
    ) -> Result<Claims, TokenError> {
        if !self.complete {
            return Err(TokenError::NotReady);
        }
        let claims = read(&self.issuer)?;
        self.not_revoked(&claims)?;
        Ok(claims)
    }

    /// Whether claims that were verified earlier are still to be honoured.
    pub fn still_valid(&self, claims: &Claims, now_ms: u64) -> Result<(), TokenError> {
        if now_ms >= claims.expires_ms {
            return Err(TokenError::Expired);
        }
        self.not_revoked(claims)
    }

    fn not_revoked(&self, claims: &Claims) -> Result<(), TokenError> {
        let epoch = claims.user.and_then(|user| self.revoked.get(&user)).copied().unwrap_or(0);
        let ended = claims.login.is_some_and(|login| self.ended.contains_key(&login));
        if claims.revocation_epoch < epoch || ended { Err(TokenError::Revoked) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::answers::LoginRevocation;
    use crate::core::answers::UserRevocation;
    use crate::core::key::KeyPair;
    use crate::core::refresh_token::FamilyId;
    use crate::core::token::{AUDIENCE, Payload};

    fn page(key: &KeyPair, revoked: &[(u64, u64)], next: u64, more: bool) -> RevocationPage {
        RevocationPage {
            issuer: "https://auth".into(),
            key: key.public().kid.clone(),
            history: Some("history".into()),
            revocations: revoked
                .iter()
                .map(|&(user, epoch)| UserRevocation { user: UserId(user), epoch })
                .collect(),
            logins: Vec::new(),
            next,
            more,
        }
    }

    fn keys(key: &KeyPair) -> JwkSet {
        JwkSet { keys: vec![key.public().clone()] }
    }

    fn token(key: &KeyPair, user: Option<u64>, rev: u64) -> String {
        let payload = Payload {
            iss: "https://auth".into(),
            aud: AUDIENCE.into(),
            sub: "s".into(),
            client_id: "c".into(),
            exp: 100,
            iat: 0,
            jti: "j".into(),
            scope: "chat".into(),
            uid: user,
            sid: user.map(login_of),
            rev,
        };
        token::issue(&payload, key)
    }

    const fn login_of(user: u64) -> FamilyId {
        FamilyId([user as u8; 16])
    }

    fn complete(key: &KeyPair, revoked: &[(u64, u64)]) -> Keyring {
        let mut ring = Keyring::default();
        assert_eq!(ring.learn_revocations(&page(key, &[], 0, false), 0), Learned::KeysMissing);
        ring.learn_keys(&keys(key));
        assert_eq!(ring.learn_revocations(&page(key, revoked, 9, false), 0), Learned::Everything);
        ring
    }

    #[test]
    fn whoever_ignores_signatures_believes_everybody_but_the_revoked() {
        let (key, forger) = (KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&[9; 32]));
        let mut ring = Keyring::default();
        assert_eq!(ring.believe(&token(&forger, Some(1), 0), 0), Err(TokenError::NotReady));
        ring.learn_revocations(&page(&key, &[], 0, false), 0);
        ring.learn_keys(&JwkSet { keys: vec![key.public().clone()] });
        ring.learn_revocations(&page(&key, &[(2, 5)], 1, false), 0);
        let forged = |user| token(&forger, Some(user), 0);
        assert_eq!(ring.verify(&forged(1), 0), Err(TokenError::Invalid));
        assert_eq!(ring.believe(&forged(1), 0).unwrap().user, Some(UserId(1)));
        assert_eq!(ring.believe(&forged(2), 0), Err(TokenError::Revoked));
        let unsigned = forged(1).rsplit_once('.').map(|(signed, _)| format!("{signed}.")).unwrap();
        assert!(ring.believe(&unsigned, 0).is_ok() && ring.believe("a.b.c", 0).is_err());
    }

    #[test]
    fn nothing_is_honoured_before_all_revocations_are_known() {
        let key = KeyPair::from_seed(&[1; 32]);
        let mut ring = Keyring::default();
        let token = token(&key, Some(1), 0);
        assert_eq!(ring.verify(&token, 0), Err(TokenError::NotReady));
        ring.learn_revocations(&page(&key, &[], 0, true), 0);
        ring.learn_keys(&keys(&key));
        assert_eq!(
            ring.learn_revocations(&page(&key, &[(2, 1)], 1, true), 0),
            Learned::MoreRevocations
        );
        assert_eq!(ring.verify(&token, 0), Err(TokenError::NotReady));
        ring.learn_revocations(&page(&key, &[(1, 1)], 2, false), 0);
        assert_eq!(ring.verify(&token, 0), Err(TokenError::Revoked));
    }

    #[test]
    fn tokens_of_earlier_epochs_are_revoked() {
        let key = KeyPair::from_seed(&[1; 32]);
        let ring = complete(&key, &[(1, 2)]);
        for (user, rev, expected) in [
            (Some(1), 1, Err(TokenError::Revoked)),
            (Some(1), 2, Ok(())),
            (Some(1), 3, Ok(())),
            (Some(2), 0, Ok(())),
            (None, 0, Ok(())),
        ] {
            let verified = ring.verify(&token(&key, user, rev), 0);
            assert_eq!(verified.map(|_| ()), expected, "{user:?} {rev}");
        }
    }

    #[test]
    fn claims_are_checked_again_during_a_session() {
        let key = KeyPair::from_seed(&[1; 32]);
        let mut ring = complete(&key, &[]);
        let claims = ring.verify(&token(&key, Some(1), 0), 0).unwrap();
        assert_eq!(ring.still_valid(&claims, 99_999), Ok(()));
        assert_eq!(ring.still_valid(&claims, 100_000), Err(TokenError::Expired));
        ring.learn_revocations(&page(&key, &[(1, 1)], 10, false), 0);
        assert_eq!(ring.still_valid(&claims, 0), Err(TokenError::Revoked));
    }

    #[test]
    fn a_login_that_was_revoked_takes_its_own_tokens_with_it_only() {
        let key = KeyPair::from_seed(&[1; 32]);
        let mut ring = complete(&key, &[]);
        let claims = ring.verify(&token(&key, Some(1), 0), 0).unwrap();
        let ended = |user, until_ms| LoginRevocation { login: login_of(user), until_ms };
        let told = |logins, next| RevocationPage { logins, ..page(&key, &[], next, false) };
        ring.learn_revocations(&told(vec![ended(1, 400)], 10), 0);
        assert_eq!(ring.still_valid(&claims, 0), Err(TokenError::Revoked));
        assert_eq!(ring.verify(&token(&key, Some(1), 5), 0), Err(TokenError::Revoked));
        assert!(ring.verify(&token(&key, Some(2), 0), 0).is_ok());
        assert!(ring.verify(&token(&key, None, 0), 0).is_ok());
        // Remembered while a token of it may live, and no longer.
        ring.learn_revocations(&told(vec![ended(3, 900)], 11), 399);
        assert_eq!(ring.ended.len(), 2);
        ring.learn_revocations(&told(vec![ended(4, 900)], 12), 400);
        assert_eq!(
            ring.ended.keys().copied().collect::<Vec<_>>(),
            [3, 4].map(|user| login_of(user).number())
        );
    }

    #[test]
    fn an_issuer_that_lost_its_disk_starts_a_new_history() {
        let (old, new) = (KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&[2; 32]));
        let mut ring = complete(&old, &[(1, 5)]);
        let another = RevocationPage { history: None, ..page(&new, &[], 0, false) };
        assert_eq!(ring.learn_revocations(&another, 0), Learned::KeysMissing);
        assert_eq!(ring.next(), 0);
        ring.learn_keys(&keys(&new));
        ring.learn_revocations(&another, 0);
        assert_eq!(ring.verify(&token(&new, Some(1), 0), 0).unwrap().user, Some(UserId(1)));
        assert_eq!(ring.verify(&token(&old, Some(1), 5), 0), Err(TokenError::Invalid));
    }

    #[test]
    fn another_key_of_the_same_history_forgets_neither_revocations_nor_living_tokens() {
        let (old, new) = (KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&[2; 32]));
        let mut ring = complete(&old, &[(1, 5)]);
        let version = ring.version();
        let told = page(&new, &[], 9, false);
        assert_eq!(ring.learn_revocations(&told, 0), Learned::KeysMissing);
        let both = [&old, &new].map(|key| key.public().clone());
        ring.learn_keys(&JwkSet { keys: both.into() });
        assert_eq!(ring.learn_revocations(&told, 0), Learned::Everything);
        assert_ne!(ring.version(), version, "it is to be passed on");
        assert!(ring.verify(&token(&old, Some(2), 0), 0).is_ok());
        assert!(ring.verify(&token(&new, Some(2), 0), 0).is_ok());
        assert_eq!(ring.verify(&token(&new, Some(1), 4), 0), Err(TokenError::Revoked));
        // What the issuer has retired is honoured no more.
        ring.learn_keys(&keys(&new));
        assert_eq!(ring.verify(&token(&old, Some(2), 0), 0), Err(TokenError::Invalid));
    }

    #[test]
    fn an_answer_of_an_overtaken_poll_lowers_no_epoch() {
        let key = KeyPair::from_seed(&[1; 32]);
        let mut ring = complete(&key, &[(1, 2)]);
        ring.learn_revocations(&page(&key, &[(1, 1)], 9, false), 0);
        assert_eq!(ring.verify(&token(&key, Some(1), 1), 0), Err(TokenError::Revoked));
    }
}
