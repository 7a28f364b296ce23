//! The end of logins and of all tokens of a user, and what verifiers are told of it.

use super::{Decision, Issuer};
use crate::core::answers::{LoginRevocation, RevocationPage, UserRevocation};
use crate::core::oauth_error::{ErrorCode, OAuthError};
use crate::core::refresh_token::{FamilyId, RefreshToken};
use crate::core::request::RevocationRequest;
use crate::core::state::{EndedLogin, Record, Revocation, Revoked};
use crate::core::token;
use protocol::UserId;

impl Issuer {
    /// Answers the revocation endpoint (RFC 7009): a token of a user, and with it its whole login. An
    /// unknown token is no error: it is as good as revoked. Whether a login has ended by it.
    pub fn revoke(
        &mut self,
        request: &RevocationRequest,
        now_ms: u64,
    ) -> Decision<Result<bool, OAuthError>> {
        if let Err(error) = self.authenticate(request.client.as_ref()) {
            return (Err(error), Vec::new());
        }
        self.state.forget_ended(now_ms);
        let shown = request.token.expose();
        let login = if token::claimed_key(shown).is_some() {
            let claims = self.verify(shown, now_ms);
            if claims.as_ref().is_ok_and(|claims| claims.login.is_none()) {
                let error = OAuthError::new(
                    ErrorCode::UnsupportedTokenType,
                    "a service's token is not revoked: it runs out",
                );
                return (Err(error), Vec::new());
            }
            let number = claims.ok().and_then(|claims| claims.login);
            number.map(|number| FamilyId(number.to_be_bytes()))
        } else {
            RefreshToken::from_text(shown)
                .map(|token| token.family)
                .filter(|family| self.state.family(*family).is_some())
        };
        let records: Vec<Record> =
            login.map(|login| self.ending(login, now_ms)).into_iter().collect();
        self.apply(&records);
        (Ok(!records.is_empty()), records)
    }

    /// The end of a login. It is remembered until its last access token has run out.
    pub(super) fn ending(&self, login: FamilyId, now_ms: u64) -> Record {
        Record::LoginRevoked(login, self.state.next_ending(self.last_token_ends(now_ms)))
    }

    /// Revokes all tokens of a user; the new epoch, or `None` if there is no such user.
    pub fn revoke_user(&mut self, user: UserId) -> Decision<Option<u64>> {
        if self.user_named(&user.to_string()).is_none() {
            return (None, Vec::new());
        }
        let record = Record::UserRevoked(user, self.state.next_revocation(user));
        self.state.apply(&record);
        (Some(self.state.epoch(user)), vec![record])
    }

    /// Revocations behind a change.
    pub fn revocations(&self, after: u64) -> RevocationPage {
        let mut rest = self.state.revocations_after(after);
        let mut next = after.min(self.state.changes());
        let (mut revocations, mut logins) = (Vec::new(), Vec::new());
        for (change, revoked) in rest.by_ref().take(self.settings.limits.revocations_page) {
            match revoked {
                Revoked::User(user, Revocation { epoch, .. }) => {
                    revocations.push(UserRevocation { user, epoch });
                }
                Revoked::Login(login, EndedLogin { until_ms, .. }) => {
                    logins.push(LoginRevocation { login, until_ms });
                }
            }
            next = change;
        }
        RevocationPage {
            issuer: self.settings.issuer.clone(),
            key: self.signing.newest().kid.clone(),
            history: Some(self.state.history().to_owned()),
            revocations,
            logins,
            next,
            more: rest.next().is_some(),
        }
    }
}
