//! How many files and sockets this process may have open.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// More than any process of ours needs: some systems refuse "unlimited".
const MOST: u64 = 1 << 20;
/// Descriptors that whoever connects leaves to the process, or a quarter if it has few: for its files, and
/// for the connections that it makes itself: 64 for pushes, 32 for each gateway's logins. A node whose log
/// cannot open its next segment would stop the chat of everybody.
const RESERVED: u64 = 128;

/// Raises the soft limit to the hard one, also for processes that are started later, and tells it; `None`: the
/// system does not say. A low soft limit is for programs that use `select`, and most systems have one.
pub fn raise() -> Option<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    let wanted = hard.min(MOST.max(soft));
    if wanted > soft && setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok() {
        return Some(wanted);
    }
    Some(soft)
}

/// The soft limit of now.
pub(crate) fn most() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft)
}

/// How many of so many are kept back.
pub fn reserve(most: u64) -> u64 {
    RESERVED.min(most / 4)
}
