//! What a failure of the driver means to whoever called.

use ports::message_store::StoreError;
use scylla::errors::{DbError, ExecutionError, RequestAttemptError};

/// Why a request brought no answer that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Whether it may have been carried out, or may still be.
    pub is_open: bool,
    /// Whether trying again cannot help.
    pub is_for_good: bool,
    /// What was said.
    pub message: String,
}

impl From<ExecutionError> for Failure {
    fn from(error: ExecutionError) -> Self {
        // Nothing that a server says is taken for certain: it may give up in the middle, and others go on
        // with a transaction that it began. Whoever must know reads the state.
        let is_open = match &error {
            ExecutionError::LastAttemptError(attempt) => !matches!(
                attempt,
                RequestAttemptError::SerializationError(_)
                    | RequestAttemptError::CqlRequestSerialization(_)
                    | RequestAttemptError::UnableToAllocStreamId
            ),
            ExecutionError::RequestTimeout(_) => true,
            _ => false,
        };
        let is_for_good = matches!(
            &error,
            ExecutionError::LastAttemptError(RequestAttemptError::DbError(
                DbError::SyntaxError | DbError::Invalid | DbError::ConfigError,
                _
            )) | ExecutionError::BadQuery(_)
        );
        Self { is_open, is_for_good, message: ports::with_causes(&error) }
    }
}

impl Failure {
    /// Of a request that changes nothing, or may be made again in any case.
    pub fn of_read(self) -> StoreError {
        if self.is_for_good {
            StoreError::Corrupt(self.message)
        } else {
            StoreError::Unavailable(self.message)
        }
    }
}

/// What cannot be read as what it should be.
#[expect(clippy::needless_pass_by_value, reason = "so that it can be given to map_err")]
pub fn corrupt(what: impl ToString) -> StoreError {
    StoreError::Corrupt(what.to_string())
}
