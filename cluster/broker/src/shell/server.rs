//! The broker as a node of its own: one link per client node.

use super::embedded::EmbeddedBroker;
use super::session;
use link::accept::{Acceptor, CONNECTIONS_MAX};
use ports::{Listener, Machine, Shutdown};
use std::io;
use std::sync::Arc;
use tokio::task::AbortHandle;

/// Why a broker stopped serving.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener is broken.
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
    let mut acceptor = Acceptor::new(&machine, listener, CONNECTIONS_MAX);
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.requested() => break,
            accepted = acceptor.next() => accepted,
        };
        let (stream, place) = accepted.map_err(ServeError::Accept)?;
        let link = link::over(&machine, stream, broker.config().timing);
        let session = session::run(Arc::clone(broker.shared()), link);
        sessions.add(machine.spawn("broker session", async move {
            session.await;
            drop(place);
        }));
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
