//! Several generators of one run on the command line.

pub mod here;
pub mod part;

use crate::lifeline::Lifeline;
use crate::whole::whole;
use clap::Args;
use loadgen::Share;
use loadgen::agents::Agent;

/// How a run is shared between several generators.
#[derive(Debug, Default, Args)]
pub struct AgentArguments {
    /// Generate the load with so many processes on this machine. Each drives its share of the users; their
    /// histories (in `agents` of the folder) are merged and judged as one.
    #[arg(long, value_name = "N", value_parser = whole(1..=999_u32))]
    #[arg(conflicts_with_all = ["metrics", "agent", "lead"])]
    pub agents: Option<u32>,
    /// Be one of several generators, which an orchestrator starts on one or more machines: K of N, from 0.
    /// Agent 0 leads. Each leaves its part in --out; `fracas merge` judges all parts together.
    #[arg(long, value_name = "K/N", value_parser = agent)]
    #[arg(requires_all = ["lead", "out"], conflicts_with = "metrics")]
    pub agent: Option<Agent>,
    /// Where agent 0 listens, and the others find it.
    #[arg(long, value_name = "HOST:PORT", requires = "agent")]
    pub lead: Option<String>,
    /// Agents on this machine, which share its processors.
    #[arg(long, value_name = "N", hide = true, default_value_t = 1, value_parser = whole(1..=999_u32))]
    pub agents_here: u32,
    #[command(flatten)]
    pub lifeline: Lifeline,
}

impl AgentArguments {
    /// Whether it is led by another one.
    pub fn is_led(&self) -> bool {
        self.agent.is_some_and(|agent| agent.number > 0)
    }

    /// The share of the users that this machine drives, or this process of it. `is_all_here`: a cluster that
    /// is started is on one machine with all its users.
    pub fn share(&self, is_all_here: bool) -> Share {
        match (self.agents, self.agent) {
            (Some(of), _) => Share { number: 0, of, here: of },
            (None, Some(Agent { number, of })) => {
                let here = if is_all_here { of } else { self.agents_here };
                Share { number, of, here }
            }
            (None, None) => Share::WHOLE,
        }
    }
}

/// `K/N`.
fn agent(text: &str) -> Result<Agent, String> {
    let expected = "expected K/N, such as 0/3 for the first of three";
    let (number, of) = text.split_once('/').ok_or(expected)?;
    let number: u32 = number.trim().parse().map_err(|_| expected)?;
    let of: u32 = of.trim().parse().map_err(|_| expected)?;
    match of.checked_sub(1) {
        Some(last) if of <= 999 && number <= last => Ok(Agent { number, of }),
        Some(last) if of <= 999 => Err(format!("agents are counted from 0: 0/{of} to {last}/{of}")),
        _ => Err("there can be 1 to 999 agents".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_counted_from_zero() {
        assert_eq!(agent("2/3"), Ok(Agent { number: 2, of: 3 }));
        assert!(agent("3/3").is_err_and(|why| why.contains("0/3 to 2/3")));
        for bad in ["", "1", "/", "a/2", "0/0", "0/1000", "-1/2"] {
            assert!(agent(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_cluster_on_this_machine_has_all_its_users_here() {
        let of = |number| AgentArguments {
            agent: Some(Agent { number, of: 4 }),
            agents_here: 1,
            ..AgentArguments::default()
        };
        assert_eq!(of(1).share(true), Share { number: 1, of: 4, here: 4 });
        assert_eq!(of(1).share(false), Share { number: 1, of: 4, here: 1 });
        assert_eq!((of(0).is_led(), of(3).is_led()), (false, true));
        assert_eq!(AgentArguments::default().share(true), Share::WHOLE);
    }
}
