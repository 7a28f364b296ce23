//! The links of a cluster of our own, as far as faults may hit them: each leads through a proxy, which stalls,
//! cuts, changes or slows down what it carries.
//!
//! Every node reads a configuration of its own, in which a peer whose link may be hit is at the address of a
//! proxy, and users of a host reach gateways likewise. So a proxy knows who is at both of its ends, and a link
//! between two nodes can be hit without hitting the links of others to them.

mod board;
mod plan;
mod proxy;
#[cfg(test)]
mod tests;

pub use board::Board;
pub use plan::{Interposed, Reach, Unreachable};

use crate::limits::Limits;
use crate::limits::health::feel_lag;
use crate::run::thread;
use ports::Machine;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::channel;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use verify::history::event::Deadlines;

/// A link to be carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Who connects.
    pub from: Arc<str>,
    /// To whom.
    pub to: Arc<str>,
    /// `host:port` where it connects to.
    pub at: String,
    /// `host:port` where its peer listens.
    pub reaches: String,
}

/// By the address of a peer, where a host reaches it.
pub type Through = BTreeMap<String, String>;

/// Where a host reaches those of its peers whose links are carried.
pub fn through(carried: &[Carried], host: &str) -> Through {
    let own = carried.iter().filter(|link| *link.from == *host);
    own.map(|link| (link.reaches.clone(), link.at.clone())).collect()
}

/// Proxies under way; they end with this.
#[derive(Debug)]
pub struct Proxies {
    board: Arc<Board>,
    carried: Vec<Carried>,
    _stop: Option<oneshot::Sender<()>>,
}

impl Proxies {
    /// Carries these links from now on, on a thread of their own. That one is late makes everything late which it
    /// carries: it is a limit of the generator, as that users are late is.
    ///
    /// # Errors
    /// An address is taken.
    pub fn start(
        carried: &[Carried],
        machine: Machine,
        (limits, deadlines): (Arc<Limits>, Deadlines),
    ) -> io::Result<Self> {
        let (board, carried) = (Arc::new(Board::default()), carried.to_vec());
        if carried.is_empty() {
            return Ok(Self { board, carried, _stop: None });
        }
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = channel();
        let (for_links, links) = (board.clone(), carried.clone());
        thread("links", move || {
            runtime.block_on(async move {
                let _ = tell.send(proxy::serve_all(links, &machine, &for_links).await);
                tokio::select! {
                    biased;
                    // Whoever could stop it is gone, or says so.
                    _ = stopped => {}
                    never = feel_lag(&limits, deadlines) => match never {},
                }
            });
            runtime.shutdown_background();
        });
        let begun = tokio::task::block_in_place(|| told.recv());
        begun.map_err(|_| io::Error::other("the thread of the links has died"))??;
        Ok(Self { board, carried, _stop: Some(stop) })
    }

    /// Where the users of a client host reach gateways whose links are carried.
    pub fn through(&self, host: &str) -> Through {
        through(&self.carried, host)
    }

    /// Where faults are laid.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }
}
