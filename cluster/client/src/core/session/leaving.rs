//! The application leaves the connection by its own wish, and comes back.

use super::{Session, State};
use crate::core::output::Output;

impl Session {
    /// Leaves this connection and connects anew at once.
    pub fn reconnect(&mut self, out: &mut Vec<Output>) {
        if self.leave(out) {
            out.push(Output::ConnectAfter { delay_ms: 0, fresh_token: self.needs_token });
        }
    }

    /// Leaves this connection for so long, and comes back with a token of another login; whether there
    /// was a connection to leave.
    pub fn log_out(&mut self, away_ms: u64, out: &mut Vec<Output>) -> bool {
        let left = self.leave(out);
        if left {
            self.needs_token = true;
            out.push(Output::ConnectAfter { delay_ms: away_ms, fresh_token: true });
        }
        left
    }

    /// Leaves this connection until the device is taken up again; whether there was one to leave.
    pub fn put_away(&mut self, out: &mut Vec<Output>) -> bool {
        self.leave(out)
    }

    /// Connects again at once, after the device was put away.
    pub fn take_up(&self, out: &mut Vec<Output>) {
        if matches!(self.state, State::Apart) {
            out.push(Output::ConnectAfter { delay_ms: 0, fresh_token: self.needs_token });
        }
    }
}
