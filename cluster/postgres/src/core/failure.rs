//! What a failure of PostgreSQL means to whoever called.

use ports::message_store::StoreError;

/// How a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server answered with an error.
    Told {
        /// The `SQLSTATE`, five characters.
        state: String,
        /// Whether the session ended with it (`FATAL` or `PANIC`).
        ends_session: bool,
        /// What it said.
        message: String,
    },
    /// The connection was lost, or nothing was heard in time.
    Silent(String),
}

/// What the call would have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It changes nothing, so it can be done again in any case.
    Read,
    /// It changes rows, and is its own transaction.
    Write,
}

impl Failure {
    /// Whether something that was sent may still be carried out.
    pub fn is_open(&self) -> bool {
        match self {
            // An error rolls back. The end of a session may come between the commit and its answer.
            Self::Told { ends_session, .. } => *ends_session,
            Self::Silent(_) => true,
        }
    }

    /// Whether the connection is of no further use.
    pub fn spoils_connection(&self) -> bool {
        match self {
            Self::Told { ends_session, state, .. } => {
                *ends_session || OF_THE_SESSION.contains(&state.as_str())
            }
            Self::Silent(_) => true,
        }
    }

    /// As the port has it.
    pub fn told(self, purpose: Purpose) -> StoreError {
        let is_open = purpose == Purpose::Write && self.is_open();
        let (is_for_good, message) = match self {
            Self::Silent(message) => (false, message),
            Self::Told { state, message, ends_session } => {
                (!ends_session && is_for_good(&state), format!("{message} (SQLSTATE {state})"))
            }
        };
        match (is_open, is_for_good) {
            (true, _) => StoreError::Unknown(message),
            (false, true) => StoreError::Corrupt(message),
            (false, false) => StoreError::Unavailable(message),
        }
    }
}

/// What another session may not meet: `read_only_sql_transaction`, of a server that became a standby;
/// `feature_not_supported` and `invalid_sql_statement_name`, of statements that were prepared before a
/// migration, or on another server behind a pooler.
const OF_THE_SESSION: [&str; 3] = ["25006", "0A000", "26000"];
/// `insufficient_privilege`: whoever runs the database can grant it.
const NOT_GRANTED: &str = "42501";

/// Whether trying again cannot help: the rows or the tables are not what this version wrote.
fn is_for_good(state: &str) -> bool {
    // A value, a constraint, a name or a type; damage that the server found in its files.
    ["22", "23", "42", "XX001", "XX002"].iter().any(|it| state.starts_with(it))
        && state != NOT_GRANTED
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(state: &str, ends_session: bool) -> Failure {
        Failure::Told { state: state.to_owned(), ends_session, message: "it said".to_owned() }
    }

    /// The letter of what a write and a read are told.
    fn check(failure: &Failure, expected: [char; 2]) {
        let letter = |purpose| match failure.clone().told(purpose) {
            StoreError::Unavailable(_) => 'A',
            StoreError::Unknown(_) => '?',
            StoreError::Corrupt(_) => 'C',
        };
        assert_eq!([Purpose::Write, Purpose::Read].map(letter), expected, "{failure:?}");
    }

    #[test]
    fn only_what_may_be_done_is_unknown() {
        check(&Failure::Silent("connection closed".into()), ['?', 'A']);
        // Shut down by its administrator, maybe after the commit.
        check(&told("57P01", true), ['?', 'A']);
        check(&told("57P02", true), ['?', 'A']);
        // Cancelled: a statement's timeout never strikes after the commit has begun.
        check(&told("57014", false), ['A', 'A']);
        // A deadlock, a lock's timeout, a full disk, a standby.
        for state in ["40P01", "55P03", "53100", "25006", "42501"] {
            check(&told(state, false), ['A', 'A']);
        }
        // No such table, no such column, a damaged page.
        for state in ["42P01", "42703", "23505", "XX001"] {
            check(&told(state, false), ['C', 'C']);
        }
    }

    #[test]
    fn a_connection_is_kept_after_an_error_and_left_to_a_standby() {
        assert!(!told("40P01", false).spoils_connection());
        assert!(told("25006", false).spoils_connection());
        assert!(told("57P01", true).spoils_connection());
        assert!(Failure::Silent(String::new()).spoils_connection());
    }
}
