//! The session's token is replaced before it runs out.

use super::{Session, State};
use crate::core::output::{AccessToken, Output};
use protocol::ClientFrame;
use protocol::frames::client::Renew;

/// Before another token is asked for again, at least.
const RENEW_AGAIN_MS: u64 = 1_000;

impl Session {
    /// Another token was got: the session goes on with it. Without a session it is of use for the next.
    pub fn renewed(&mut self, now_ms: u64, access: AccessToken, out: &mut Vec<Output>) {
        if let State::Open(open) = &mut self.state {
            open.renew_ms = access.renew_in_ms.map(|in_ms| now_ms + in_ms.max(RENEW_AGAIN_MS));
            out.push(Output::Frame(ClientFrame::Renew(Renew { token: access.token })));
        }
    }

    /// No other token was got: it is asked for again soon. When the old one runs out the session ends,
    /// and the next one begins with a fresh token.
    pub fn renewal_failed(&mut self, now_ms: u64) {
        if let State::Open(open) = &mut self.state {
            let wait_ms = RENEW_AGAIN_MS + self.random.below(RENEW_AGAIN_MS);
            open.renew_ms = Some(now_ms + wait_ms);
        }
    }
}
