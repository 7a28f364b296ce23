//! A node's directory of files, with the power of a file system to lose what was not synced.
//!
//! All calls of the two traits block: make them on a `Worker`, never on an async thread.

use crate::{Shutdown, with_causes};
use std::error::Error;
use std::io;
use std::time::Duration;

/// Pause before the same is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// One flat directory that belongs to one node.
pub trait Disk: Send + Sync {
    /// Opens a file for reading and writing, creating it if it is missing. A new file survives a
    /// power loss only after `sync_dir`.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// The names of all files, sorted.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Removes a file; durable after `sync_dir`.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes creations and removals durable.
    fn sync_dir(&self) -> io::Result<()>;
}

/// An open file.
pub trait DiskFile: Send + Sync {
    /// Fills `buffer` from `offset`; `UnexpectedEof` if the file is shorter.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
    /// Writes all of `data` at `offset`, extending the file if needed. Not durable before `sync_data`.
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()>;
    /// Makes all earlier writes and length changes of this file durable.
    fn sync_data(&self) -> io::Result<()>;
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether it is empty.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Cuts or extends (with zeros) the file.
    fn set_len(&self, len: u64) -> io::Result<()>;
}

/// Whether there was no room: that passes.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Opens what is on a disk, again and again while it cannot be opened for a reason that passes; `None`: the
/// shutdown was asked for meanwhile.
pub async fn until_open<T, E: Error + 'static, F: Future<Output = Result<T, E>>>(
    what: &'static str,
    shutdown: &Shutdown,
    open: impl Fn() -> F,
    passes: impl Fn(&E) -> bool,
) -> Result<Option<T>, E> {
    let mut is_told = false;
    while !shutdown.is_requested() {
        match open().await {
            Ok(opened) => {
                if is_told {
                    tracing::info!(what, "it opens again");
                }
                return Ok(Some(opened));
            }
            Err(error) if passes(&error) => {
                if !std::mem::replace(&mut is_told, true) {
                    let why = with_causes(&error);
                    tracing::error!(what, why, "it does not open: trying again until it does");
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
