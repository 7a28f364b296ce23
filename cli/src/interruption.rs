//! Being asked to end: SIGINT, SIGTERM, SIGHUP. The first one is passed on, so that a run is
//! concluded cleanly; the second one ends this process where it stands.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Gets the name of the first signal.
pub type Receiver = watch::Receiver<Option<&'static str>>;

/// Begins to listen, on a thread that lasts as long as the process. The receiver gets the name of the
/// first signal.
pub fn listen() -> anyhow::Result<Receiver> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let mut signals = {
        // From here on, no signal ends this process by itself.
        let _within = runtime.enter();
        Signals::new().context("signals")?
    };
    let (sender, receiver) = watch::channel(None);
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            let (name, _) = signals.next().await;
            sender.send_replace(Some(name));
            let (_, number) = signals.next().await;
            // As a shell says it of a process that a signal has ended.
            std::process::exit(128 + number);
        });
    })?;
    Ok(receiver)
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Its name and its number.
    async fn next(&mut self) -> (&'static str, i32) {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => ("SIGINT", SignalKind::interrupt().as_raw_value()),
            _ = self.terminate.recv() => ("SIGTERM", SignalKind::terminate().as_raw_value()),
            _ = self.hangup.recv() => ("SIGHUP", SignalKind::hangup().as_raw_value()),
        }
    }
}
