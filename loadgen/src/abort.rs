//! Why a run ends before its time, and how that is told.

use crate::world::Left;
use crate::world::layout::CLUSTER;
use crate::world::process::Departure;
use std::sync::Arc;
use tokio::sync::watch;
use verify::history::event::Phase;

/// Why a run ends before its time.
pub enum Abort {
    /// Somebody asked for it.
    Asked(&'static str),
    /// A threshold cannot be met any more, in a sentence.
    Unmeetable(String),
    /// A process of the cluster left.
    Left(Arc<str>, Departure),
    /// It cannot go on.
    Failed(String),
}

impl From<Left> for Abort {
    fn from((who, how): Left) -> Self {
        Self::Left(who, how)
    }
}

impl Abort {
    /// The cause, as the history has it.
    pub fn why(&self, phase: Phase) -> String {
        let phase = phase.words();
        // Where all nodes are one process, it has the name of a thing.
        let named = |who: &str| if who == CLUSTER { format!("the {who}") } else { who.to_owned() };
        match self {
            Self::Asked(who) => format!("{who} ({phase})"),
            Self::Unmeetable(why) => format!("{why} ({phase})"),
            Self::Left(who, Departure::Died) => format!(
                "{} exited on its own ({phase}), not because of a fault of the scenario",
                named(who)
            ),
            Self::Left(who, Departure::Asked) => format!(
                "something else stopped {} ({phase}): neither this load nor a fault of the scenario",
                named(who)
            ),
            Self::Failed(why) => why.clone(),
        }
    }
}

/// Waits until somebody asks for the end of the run.
pub async fn asked<T: Clone>(stop: &mut watch::Receiver<Option<T>>) -> T {
    let who = stop.wait_for(Option::is_some).await.ok().and_then(|who| who.clone());
    match who {
        Some(who) => who,
        // Nobody can ask any more.
        None => std::future::pending().await,
    }
}

/// Waits for ever if there is nothing to wait for.
pub async fn maybe<T>(event: Option<impl Future<Output = T>>) -> T {
    match event {
        Some(event) => event.await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_is_heard_and_nobody_is_not() {
        let soon = Duration::from_secs(1);
        let (sender, mut receiver) = watch::channel(None);
        assert!(timeout(soon, asked(&mut receiver)).await.is_err());
        sender.send_replace(Some("SIGTERM"));
        assert_eq!(timeout(soon, asked(&mut receiver)).await, Ok("SIGTERM"));
        assert_eq!(Abort::Asked("SIGTERM").why(Phase::Load), "SIGTERM (load)");
        let unmeetable = Abort::Unmeetable("accept_p99 cannot be met any more".to_owned());
        assert_eq!(unmeetable.why(Phase::Load), "accept_p99 cannot be met any more (load)");
        let left = |who: &str, how| Abort::from((who.into(), how)).why(Phase::Heal);
        let ended = left("cluster", Departure::Asked);
        assert!(ended.starts_with("something else stopped the cluster (heal)"), "{ended}");
        let died = left("store-1", Departure::Died);
        assert!(died.starts_with("store-1 exited on its own (heal)"), "{died}");

        let (sender, mut receiver) = watch::channel(None::<&str>);
        drop(sender);
        assert!(timeout(soon, asked(&mut receiver)).await.is_err());
    }
}
