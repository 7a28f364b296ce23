//! Why a run ends before its time, and how that is told.

use crate::world::process::Course;
use tokio::sync::watch;
use verify::history::event::Phase;

/// Why a run ends before its time.
pub enum Abort {
    /// Somebody asked for it.
    Asked(&'static str),
    /// The cluster did.
    Died,
    /// Somebody else asked the cluster to.
    Ended,
    /// It cannot go on.
    Failed(String),
}

impl From<Course> for Abort {
    fn from(course: Course) -> Self {
        if course == Course::Asked { Self::Ended } else { Self::Died }
    }
}

impl Abort {
    /// The cause, as the history has it.
    pub fn why(&self, phase: Phase) -> String {
        let phase = phase.words();
        match self {
            Self::Asked(who) => format!("{who} ({phase})"),
            Self::Died => {
                format!(
                    "the cluster exited on its own ({phase}), not because of a fault of the scenario"
                )
            }
            Self::Ended => format!(
                "something else stopped the cluster ({phase}): neither this load nor a fault of \
                 the scenario"
            ),
            Self::Failed(why) => why.clone(),
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
        let ended = Abort::from(Course::Asked).why(Phase::Heal);
        assert!(ended.starts_with("something else stopped the cluster (heal)"), "{ended}");

        let (sender, mut receiver) = watch::channel(None);
        drop(sender);
        assert!(timeout(soon, asked(&mut receiver)).await.is_err());
    }
}
