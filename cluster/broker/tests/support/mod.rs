//! A machine in memory: tokio's paused clock, duplex pipes for a network, and a disk that loses what
//! was not synced.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod crash_disk;
pub mod either;
pub mod takeover;

use crash_disk::CrashDisk;
use ports::{
    BoxFuture, Disk, Listener, Machine, Network, Stream, Tasks, Telemetry, WallClock, Worker,
    entropy::Seeded, tasks::Job,
};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// A machine on these surroundings.
pub fn machine(name: &str, network: &Arc<Pipes>, disk: &Arc<CrashDisk>) -> Machine {
    Machine {
        name: name.into(),
        network: Arc::new(Wire(Arc::clone(network))),
        disk: Arc::clone(disk) as Arc<dyn Disk>,
        clock: Arc::new(Clock),
        entropy: Arc::new(Seeded::default()),
        tasks: Arc::new(TokioTasks),
        telemetry: Arc::new(Numbers::default()),
    }
}

/// The same with a telemetry to look at.
pub fn machine_with(numbers: &Arc<Numbers>, disk: &Arc<CrashDisk>) -> Machine {
    let telemetry = Arc::clone(numbers) as Arc<dyn Telemetry>;
    Machine { telemetry, ..machine("broker-1", &Arc::default(), disk) }
}

/// Starts in 2026 and follows tokio's clock.
struct Clock;

impl WallClock for Clock {
    fn now_ms(&self) -> u64 {
        thread_local! {
            static START: tokio::time::Instant = tokio::time::Instant::now();
        }
        1_780_000_000_000 + START.with(|start| start.elapsed().as_millis() as u64)
    }
}

/// Tasks on the current runtime; jobs run in line and take a millisecond.
struct TokioTasks;

impl Tasks for TokioTasks {
    #[allow(clippy::disallowed_methods, reason = "this is the adapter")]
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
        Box::pin(tokio::time::sleep(Duration::from_millis(1)))
    }
}

/// Remembers what it was told.
#[derive(Default)]
pub struct Numbers {
    counts: Mutex<BTreeMap<&'static str, u64>>,
    gauges: Mutex<BTreeMap<&'static str, (u64, u64)>>,
}

impl Numbers {
    pub fn count_of(&self, name: &str) -> u64 {
        self.counts.lock().unwrap().get(name).copied().unwrap_or(0)
    }

    pub fn gauge_of(&self, name: &str) -> Option<(u64, u64)> {
        self.gauges.lock().unwrap().get(name).copied()
    }
}

impl Telemetry for Numbers {
    fn gauge(&self, name: &'static str, value: u64, limit: u64) {
        self.gauges.lock().unwrap().insert(name, (value, limit));
    }

    fn count(&self, name: &'static str, by: u64) {
        *self.counts.lock().unwrap().entry(name).or_default() += by;
    }

    fn time(&self, _name: &'static str, _took: Duration) {}
}

/// A network of duplex pipes, whose connections can be cut.
#[derive(Default)]
pub struct Pipes {
    listeners: Mutex<BTreeMap<String, mpsc::UnboundedSender<Box<dyn Stream>>>>,
    cut: tokio::sync::Notify,
}

impl Pipes {
    /// Every connection ends, as if both processes' kernels had said so.
    pub fn cut(&self) {
        self.cut.notify_waiters();
    }
}

/// One machine's end of the network.
struct Wire(Arc<Pipes>);

impl Network for Wire {
    fn bind<'a>(&'a self, at: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.0.listeners.lock().unwrap().insert(at.to_owned(), sender);
        let listener = PipeListener(tokio::sync::Mutex::new(receiver));
        Box::pin(std::future::ready(Ok(Box::new(listener) as Box<dyn Listener>)))
    }

    fn connect<'a>(&'a self, to: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        let pipes = Arc::clone(&self.0);
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let connected = (|| {
            let (near, mut far) = tokio::io::duplex(64 * 1024);
            let (mut middle, end) = tokio::io::duplex(64 * 1024);
            let listener = pipes.listeners.lock().unwrap().get(to).cloned().ok_or_else(refused)?;
            listener.send(Box::new(end)).map_err(|_| refused())?;
            carry(async move {
                tokio::select! {
                    biased;
                    () = pipes.cut.notified() => {}
                    // However it ends, both pipes end with it.
                    _ = tokio::io::copy_bidirectional(&mut far, &mut middle) => {}
                }
            });
            Ok(Box::new(near) as Box<dyn Stream>)
        })();
        Box::pin(std::future::ready(connected))
    }
}

#[allow(clippy::disallowed_methods, reason = "the network's own task, not a node's")]
fn carry(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}

struct PipeListener(tokio::sync::Mutex<mpsc::UnboundedReceiver<Box<dyn Stream>>>);

impl Listener for PipeListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<(Box<dyn Stream>, SocketAddr)>> {
        Box::pin(async move {
            match self.0.lock().await.recv().await {
                Some(stream) => Ok((stream, ([127, 0, 0, 1], 1).into())),
                None => std::future::pending().await,
            }
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(([127, 0, 0, 1], 1).into())
    }
}
