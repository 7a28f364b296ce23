//! The end of a cluster that was started for the run.

use super::Phases;
use crate::abort;
use crate::run::RealEnded;
use crate::world::Cluster;
use ports::with_causes;

impl Phases {
    /// Lets the cluster drain, or ends it at once.
    pub async fn end(&mut self, cluster: &mut Cluster, at_once: bool) {
        if at_once {
            cluster.kill_all().await;
            return;
        }
        let mut stop = self.run.stop.clone();
        let ended = tokio::select! {
            biased;
            who = abort::asked(&mut stop) => Err(who),
            ended = cluster.end() => Ok(ended),
        };
        let RealEnded { notes, doubts, .. } = &mut self.ended;
        match ended {
            Ok(Ok(unwell)) if unwell.is_empty() => {}
            Ok(Ok(_)) => notes.push("the cluster did not drain cleanly".to_owned()),
            Ok(Err(error)) => doubts.push(with_causes(&error)),
            // Everything is judged already, but nobody waits for the cluster any more.
            Err(who) => {
                notes.push(format!("{who} cut the cluster's draining short"));
                cluster.kill_all().await;
            }
        }
    }
}
