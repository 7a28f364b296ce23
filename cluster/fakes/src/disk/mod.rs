//! A disk in memory: what a file system keeps, and what it forgets, when the power goes.
//!
//! Every file has two contents: what the running process reads (the page cache) and what would be
//! found after a power loss. A write reaches the second only through `sync_data`; a new or a removed
//! name only through `sync_dir`. Whatever was not forced may have reached the platter all the same, in
//! any combination:
//!
//! - kill: the page cache survives; a job under way is cut after some of its operations, as if the
//!   process had died there, and with it whatever came later on the same files.
//! - power loss: each unsynced write is kept, lost or torn at the borders of sectors by a draw of its
//!   own, so a later write can survive an earlier one that did not; so is each unsynced name.
//!
//! A file handle does not outlive the process that opened it.

mod file;
mod rot;
mod state;
mod under_way;

use ports::{Disk, DiskFile, entered};
pub use rot::Rot;
pub use state::{Failure, Losses, Step, Watch};
use state::{Running, State};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

/// A disk; clones are the same disk. It outlives the processes that use it.
#[derive(Clone, Debug, Default)]
pub struct FakeDisk(Arc<Mutex<State>>);

/// Draws a number below its argument: 0 for "it reached the disk".
type Draw<'a> = &'a mut dyn FnMut(u64) -> u64;

impl FakeDisk {
    /// An empty disk that tells `watch` each change.
    pub fn watched(watch: Watch) -> Self {
        let disk = Self::default();
        disk.state().watch = Some(watch);
        disk
    }

    /// A worker begins a job: what is written from now on belongs to it.
    pub fn begin_job(&self) -> u64 {
        self.state().begin_job()
    }

    /// The job's code has run; how many forced writes it asked for.
    pub fn end_job(&self, job: u64) -> u32 {
        self.state().end_job(job)
    }

    /// The job's disk time has passed: it can no longer be cut.
    pub fn settle_job(&self, job: u64) {
        self.state().settle_job(job);
    }

    /// The process dies; the operating system lives on.
    pub fn kill(&self, draw: Draw<'_>) -> Losses {
        self.state().kill(draw)
    }

    /// The machine loses its power. Failures end with it: the disk comes back sound.
    pub fn power_loss(&self, draw: Draw<'_>) -> Losses {
        self.state().power_loss(draw)
    }

    /// Another disk, as this one would be after a power loss; this one goes on.
    #[must_use]
    pub fn after_power_loss(&self, draw: Draw<'_>) -> Self {
        let copy = Self(Arc::new(Mutex::new(self.state().clone())));
        copy.power_loss(draw);
        copy
    }

    /// After this many more changes the power is off: every call fails, until the power loss.
    pub fn power_off_after(&self, changes: u64) {
        self.state().power_off_after = Some(changes);
    }

    /// What goes wrong from now on.
    pub fn fail(&self, failure: Option<Failure>) {
        self.state().failure = failure;
    }

    /// There is no room from now on, until `holder` frees it.
    pub fn fill(&self, holder: u32) {
        self.state().fill(holder);
    }

    /// There is room again, unless somebody else fills the disk; how many operations were refused.
    pub fn free(&self, holder: u32) -> u64 {
        self.state().free(holder)
    }

    /// How many operations were refused for want of room.
    pub fn refused(&self) -> u64 {
        self.state().refused
    }

    /// Writes, changes of lengths and names, and syncs so far.
    pub fn changes(&self) -> u64 {
        self.state().changes
    }

    /// Bytes in all files.
    pub fn size(&self) -> usize {
        let state = self.state();
        state.names.values().map(|file| state.files[*file].cache.len()).sum()
    }

    /// What is in a file; nothing, if there is none.
    pub fn contents(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        state.names.get(name).map_or_else(Vec::new, |file| state.files[*file].cache.clone())
    }

    /// Replaces a file, durably.
    pub fn put(&self, name: &str, contents: &[u8]) {
        self.state().put(name, contents);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        entered(self.0.lock())
    }
}

impl Disk for FakeDisk {
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        let file = state.open(name)?;
        Ok(Box::new(Handle { disk: self.clone(), file, running: state.running }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.state().remove(name)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.state().sync(None)
    }
}

struct Handle {
    disk: FakeDisk,
    file: usize,
    running: Running,
}

impl Handle {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        state.check(self.running)?;
        Ok(state)
    }
}

impl DiskFile for Handle {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let state = self.state()?;
        let start = offset as usize;
        let content = state.files[self.file].cache.get(start..start + buffer.len());
        buffer.copy_from_slice(content.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.state()?.write(self.file, offset, data)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.state()?.sync(Some(self.file))
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.state()?.files[self.file].cache.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.state()?.set_len(self.file, len)
    }
}

#[cfg(test)]
mod tests;
