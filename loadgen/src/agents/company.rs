//! What a run knows of the other generators: nothing if it is alone.

use super::lead::Lead;
use super::member::Member;
use super::message::FromLead;
use super::{Clock, Meeting, Met, Part};
use crate::journal::Journal;
use ports::Machine;
use std::sync::Arc;
use tokio::time::Instant;
use verify::history::event::Phase;

/// The others, as one generator sees them.
#[derive(Clone)]
pub enum Company {
    /// There are none.
    Alone,
    /// It leads them.
    Leads(Lead, Part),
    /// It is led.
    IsLed(Member),
}

impl Company {
    /// Nobody has met yet.
    pub fn new(part: Option<Part>, machine: Machine, journal: Arc<Journal>) -> Self {
        match part {
            None => Self::Alone,
            Some(part) if part.agent.number == 0 => {
                Self::Leads(Lead::new(part.clone(), machine, journal), part)
            }
            Some(part) => Self::IsLed(Member::new(part, machine, journal)),
        }
    }

    /// Meets the others; why that does not succeed.
    pub async fn meet(&self) -> Result<(), String> {
        match self {
            Self::Alone => Ok(()),
            Self::IsLed(member) => member.join().await,
            Self::Leads(lead, part) => {
                let at = &part.lead;
                let listening = lead.listen().await;
                let listening =
                    listening.map_err(|error| format!("nothing can listen at {at}: {error}"))?;
                (part.heard)(Meeting::Listens(&listening));
                lead.all_here().await?;
                (part.heard)(Meeting::Met(own(lead)));
                Ok(())
            }
        }
    }

    /// The run that all of them make, if it is not alone and they have met.
    pub fn met(&self) -> Option<Met> {
        match self {
            Self::Alone => None,
            Self::Leads(lead, _) => Some(own(lead)),
            Self::IsLed(member) => member.met(),
        }
    }

    /// Itself, if it is led.
    pub fn member(&self) -> Option<Member> {
        match self {
            Self::IsLed(member) => Some(member.clone()),
            Self::Alone | Self::Leads(..) => None,
        }
    }

    /// The conversations are made.
    pub fn begin(&self, gateways: &[String], authority: Option<&str>) {
        if let Self::Leads(lead, _) = self {
            let (gateways, authority) = (gateways.to_vec(), authority.map(str::to_owned));
            lead.tell(FromLead::Begin { gateways, authority });
        }
    }

    /// A phase has begun.
    pub fn enter(&self, phase: Phase) {
        if let Self::Leads(lead, _) = self {
            lead.tell(FromLead::Phase(phase));
        }
    }

    /// Sessions that are connected, and events, of the others.
    pub fn reached(&self) -> (u64, u64) {
        match self {
            Self::Leads(lead, _) => lead.reached(),
            Self::Alone | Self::IsLed(_) => (0, 0),
        }
    }

    /// Waits until the others end the run before its time: why.
    pub async fn lost(&self) -> String {
        match self {
            Self::Alone => std::future::pending().await,
            Self::Leads(lead, _) => lead.lost().await,
            Self::IsLed(member) => member.stopped().await,
        }
    }

    /// The run ends before its time.
    pub async fn stop(&self, why: &str) {
        match self {
            Self::Alone => {}
            Self::Leads(lead, _) => lead.tell(FromLead::Stop { why: why.to_owned() }),
            Self::IsLed(member) => member.leave(why).await,
        }
    }

    /// All that happened here is written down. The lead waits for the others: who is not ready in time.
    pub async fn finish(&self, deadline: Instant) -> Vec<String> {
        match self {
            Self::Alone => Vec::new(),
            Self::Leads(lead, _) => lead.all_finished(deadline).await,
            Self::IsLed(member) => {
                member.finish().await;
                Vec::new()
            }
        }
    }
}

/// The lead's clock is the measure.
fn own(lead: &Lead) -> Met {
    Met { run: lead.run(), clock: Clock { is_shared: true, ..Clock::default() } }
}
