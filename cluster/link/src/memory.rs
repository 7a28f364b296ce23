//! A machine in memory, for the tests of crates that stand on the ports: streams are duplex pipes,
//! the disk is a map that knows what was synced, randomness is splitmix64, and the
//! wall clock follows tokio's (paused) time.
//!
//! Only behind the feature `memory`. It injects no faults beyond a refused or a silent host and a
//! power loss: that is `sim`'s business.

use ports::{
    BoxFuture, Disk, DiskFile, Listener, Machine, Network, Stream, Tasks, Telemetry, WallClock,
    Worker, entered, entropy::Seeded, tasks::Job,
};
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Everything behind a machine in memory; clones share it.
#[derive(Clone, Default)]
pub struct Memory {
    /// Who listens where.
    pub network: Arc<MemoryNetwork>,
    /// The files.
    pub disk: Arc<MemoryDisk>,
    /// What was counted.
    pub telemetry: Arc<MemoryTelemetry>,
}

impl Memory {
    /// A machine on this network and disk. Call it within a tokio runtime.
    pub fn machine(&self, name: &str) -> Machine {
        Machine {
            name: name.into(),
            network: self.network.clone(),
            disk: self.disk.clone(),
            clock: Arc::new(RuntimeClock { start: Instant::now(), start_ms: START_MS }),
            entropy: Arc::new(Seeded::new(u64::from(crc32fast::hash(name.as_bytes())))),
            tasks: Arc::new(RuntimeTasks),
            telemetry: self.telemetry.clone(),
        }
    }
}

/// The wall clock of a fresh machine: 2026-01-01, milliseconds since the Unix epoch.
pub const START_MS: u64 = 1_767_225_600_000;

struct RuntimeClock {
    start: Instant,
    start_ms: u64,
}

impl WallClock for RuntimeClock {
    fn now_ms(&self) -> u64 {
        self.start_ms + self.start.elapsed().as_millis() as u64
    }
}

struct RuntimeTasks;

impl Tasks for RuntimeTasks {
    #[allow(clippy::disallowed_methods, reason = "this is the adapter for tests")]
    fn spawn(&self, _name: &'static str, task: BoxFuture<'static, ()>) -> AbortHandle {
        tokio::spawn(task).abort_handle()
    }
    fn wrap(&self, task: BoxFuture<'static, ()>) -> BoxFuture<'static, ()> {
        task
    }
    fn worker(&self, _name: &'static str) -> Arc<dyn Worker> {
        Arc::new(InLine)
    }
}

struct InLine;

impl Worker for InLine {
    fn run(&self, job: Job) -> BoxFuture<'static, ()> {
        job();
        Box::pin(std::future::ready(()))
    }
}

/// Counts, summed by name.
#[derive(Default)]
pub struct MemoryTelemetry(Mutex<BTreeMap<&'static str, u64>>);

impl MemoryTelemetry {
    /// How often something was counted.
    pub fn counted(&self, name: &str) -> u64 {
        lock(&self.0).get(name).copied().unwrap_or(0)
    }
}

impl Telemetry for MemoryTelemetry {
    fn gauge(&self, name: &'static str, value: u64, _limit: u64) {
        lock(&self.0).insert(name, value);
    }
    fn count(&self, name: &'static str, by: u64) {
        *lock(&self.0).entry(name).or_default() += by;
    }
    fn time(&self, _name: &'static str, _took: Duration) {}
}

/// Pipes between names.
#[derive(Default)]
pub struct MemoryNetwork {
    listeners: Mutex<BTreeMap<String, mpsc::UnboundedSender<DuplexStream>>>,
    connections: AtomicU64,
}

impl MemoryNetwork {
    /// How many connections were made.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Nobody listens there any more.
    pub fn close(&self, at: &str) {
        lock(&self.listeners).remove(at);
    }
}

impl Network for MemoryNetwork {
    fn bind<'a>(&'a self, at: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let (sender, receiver) = mpsc::unbounded_channel();
            lock(&self.listeners).insert(at.to_owned(), sender);
            Ok(Box::new(MemoryListener(AsyncMutex::new(receiver))) as Box<dyn Listener>)
        })
    }
    fn connect<'a>(&'a self, to: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let (here, there) = tokio::io::duplex(64 * 1024);
            let refused = || io::Error::new(io::ErrorKind::ConnectionRefused, to.to_owned());
            let listener = lock(&self.listeners).get(to).cloned().ok_or_else(refused)?;
            listener.send(there).map_err(|_| refused())?;
            self.connections.fetch_add(1, Ordering::Relaxed);
            Ok(Box::new(here) as Box<dyn Stream>)
        })
    }
}

struct MemoryListener(AsyncMutex<mpsc::UnboundedReceiver<DuplexStream>>);

impl Listener for MemoryListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<(Box<dyn Stream>, SocketAddr)>> {
        Box::pin(async move {
            match self.0.lock().await.recv().await {
                Some(stream) => Ok((Box::new(stream) as Box<dyn Stream>, self.local_addr()?)),
                None => std::future::pending().await,
            }
        })
    }
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)))
    }
}

/// Files that know which of their bytes were synced.
#[derive(Default)]
pub struct MemoryDisk {
    files: Mutex<BTreeMap<String, Arc<Mutex<Bytes>>>>,
}

#[derive(Clone, Default)]
struct Bytes {
    written: Vec<u8>,
    synced: Vec<u8>,
}

impl MemoryDisk {
    /// The power fails: what was not synced is gone.
    pub fn lose_power(&self) {
        for file in lock(&self.files).values() {
            let mut bytes = lock(file);
            let bytes = &mut *bytes;
            bytes.written.clone_from(&bytes.synced);
        }
    }

    /// The bytes of a file.
    pub fn contents(&self, name: &str) -> Vec<u8> {
        lock(&self.files).get(name).map(|file| lock(file).written.clone()).unwrap_or_default()
    }

    /// Replaces the bytes of a file, synced.
    pub fn put(&self, name: &str, contents: &[u8]) {
        let bytes = Bytes { written: contents.to_vec(), synced: contents.to_vec() };
        lock(&self.files).insert(name.to_owned(), Arc::new(Mutex::new(bytes)));
    }
}

impl Disk for MemoryDisk {
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = lock(&self.files).entry(name.to_owned()).or_default().clone();
        Ok(Box::new(MemoryFile(file)))
    }
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(lock(&self.files).keys().cloned().collect())
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        let removed = lock(&self.files).remove(name);
        removed.map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
    fn sync_dir(&self) -> io::Result<()> {
        Ok(())
    }
}

struct MemoryFile(Arc<Mutex<Bytes>>);

impl DiskFile for MemoryFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let bytes = lock(&self.0);
        let from = bytes.written.get(offset as usize..offset as usize + buffer.len());
        buffer.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut bytes = lock(&self.0);
        let end = offset as usize + data.len();
        if bytes.written.len() < end {
            bytes.written.resize(end, 0);
        }
        bytes.written[offset as usize..end].copy_from_slice(data);
        Ok(())
    }
    fn sync_data(&self) -> io::Result<()> {
        let mut bytes = lock(&self.0);
        let bytes = &mut *bytes;
        bytes.synced.clone_from(&bytes.written);
        Ok(())
    }
    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.0).written.len() as u64)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        lock(&self.0).written.resize(len as usize, 0);
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    entered(mutex.lock())
}
