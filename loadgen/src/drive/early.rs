//! Why a run ends before its time, and how that is told.

use super::cluster::Cluster;
use std::time::Duration;
use tokio::sync::watch;
use verify::history::event::Phase;

/// Why a run ends before its time.
pub enum Early {
    /// Somebody asked for it.
    Asked(&'static str),
    /// The cluster did.
    Died,
    /// It cannot go on.
    Failed(String),
}

impl Early {
    /// The cause, in a few words.
    pub fn why(&self) -> &str {
        match self {
            Self::Asked(who) => who,
            Self::Died => "the cluster ended by itself",
            Self::Failed(why) => why,
        }
    }

    /// One sentence, with when it was.
    pub async fn told(
        &self,
        phase: Phase,
        elapsed: Duration,
        cluster: Option<&mut Cluster>,
    ) -> String {
        let (phase, seconds) = (word(phase), elapsed.as_secs());
        match (self, cluster) {
            (Self::Asked(who), _) => format!(
                "{who} ended the run after {seconds} s ({phase}); only what was seen until then is \
                 judged"
            ),
            (Self::Died, Some(cluster)) => format!(
                "the cluster ended by itself after {seconds} s ({phase}), not by a fault of the \
                 scenario: {}",
                cluster.cause_of_death().await
            ),
            (Self::Died, None) => "the cluster ended by itself".to_owned(),
            (Self::Failed(why), _) => why.clone(),
        }
    }
}

/// Waits until somebody asks for the end of the run.
pub async fn asked(stop: &mut watch::Receiver<Option<&'static str>>) -> &'static str {
    let who = stop.wait_for(Option::is_some).await.ok().and_then(|who| *who);
    match who {
        Some(who) => who,
        // Nobody can ask any more.
        None => std::future::pending().await,
    }
}

/// Waits for ever if there is nothing to wait for.
pub async fn maybe(event: Option<impl Future<Output = ()>>) {
    match event {
        Some(event) => event.await,
        None => std::future::pending().await,
    }
}

const fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::SetUp => "set up",
        Phase::WarmUp => "warm up",
        Phase::Load => "load",
        Phase::Heal => "heal",
        Phase::Settle => "settle",
        Phase::Judge => "judge",
        Phase::End => "end",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_is_heard_and_nobody_is_not() {
        let soon = Duration::from_secs(1);
        let (sender, mut receiver) = watch::channel(None);
        assert!(timeout(soon, asked(&mut receiver)).await.is_err());
        sender.send_replace(Some("SIGTERM"));
        assert_eq!(timeout(soon, asked(&mut receiver)).await, Ok("SIGTERM"));
        let told = Early::Asked("SIGTERM").told(Phase::Load, Duration::from_secs(7), None).await;
        assert!(told.starts_with("SIGTERM ended the run after 7 s (load)"), "{told}");

        let (sender, mut receiver) = watch::channel(None);
        drop(sender);
        assert!(timeout(soon, asked(&mut receiver)).await.is_err());
    }
}
