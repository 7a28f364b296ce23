//! The broker as a node of its own: one link per client node.

use super::embedded::EmbeddedBroker;
use super::session;
use ports::{Listener, Machine, Shutdown};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::sleep;

/// Refused `accept`s in a row after which the listener counts as broken.
const REFUSALS: u32 = 20;
/// Pause after a refused `accept`, times the refusals in a row: out of files, say.
const PAUSE: Duration = Duration::from_millis(50);

/// Why a broker stopped serving.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener refuses again and again.
    #[error("accepting connections")]
    Accept(#[source] io::Error),
    /// The last records (settlements only) could not be written.
    #[error("writing the log at the end")]
    Flush,
}

/// Serves until the shutdown is asked for, then writes what is left and returns.
pub async fn serve(
    machine: Machine,
    listener: Box<dyn Listener>,
    broker: Arc<EmbeddedBroker>,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    let mut sessions = Sessions(Vec::new());
    let mut refusals = 0;
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.requested() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                refusals = 0;
                tracing::debug!(%peer, "a node has connected to the broker");
                let link = link::over(&machine, stream, broker.config().timing);
                let session = session::run(Arc::clone(broker.shared()), link);
                sessions.add(machine.spawn("broker session", session));
            }
            Err(error) => {
                refusals += 1;
                tracing::warn!(%error, refusals, "cannot accept a connection");
                if refusals >= REFUSALS {
                    return Err(ServeError::Accept(error));
                }
                sleep(PAUSE * refusals).await;
            }
        }
    }
    drop(sessions);
    if broker.flush().await { Ok(()) } else { Err(ServeError::Flush) }
}

/// The running sessions; they end with the server.
struct Sessions(Vec<AbortHandle>);

impl Sessions {
    fn add(&mut self, session: AbortHandle) {
        self.0.retain(|session| !session.is_finished());
        self.0.push(session);
    }
}

impl Drop for Sessions {
    fn drop(&mut self) {
        for session in &self.0 {
            session.abort();
        }
    }
}
