//! A lead and those who are led, over real sockets.

use super::company::Company;
use super::{Agent, Meeting, Met, Part};
use crate::journal::Journal;
use crate::machine::machine;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use verify::history::event::Phase;

/// One of three.
struct One {
    company: Company,
    heard: Arc<Mutex<Vec<String>>>,
    met: Arc<Mutex<Option<Met>>>,
}

fn one(number: u32, lead: &str, plan: &str) -> One {
    let (heard, met) = (Arc::<Mutex<Vec<String>>>::default(), Arc::default());
    let (all, last) = (heard.clone(), Arc::<Mutex<Option<Met>>>::clone(&met));
    let part = Part {
        agent: Agent { number, of: 3 },
        lead: lead.to_owned(),
        patience: Duration::from_secs(20),
        plan: plan.to_owned(),
        here: 3,
        heard: Arc::new(move |meeting| match meeting {
            Meeting::Listens(at) => all.lock().unwrap().push(at.to_owned()),
            Meeting::Met(met) => *last.lock().unwrap() = Some(met),
        }),
    };
    let (journal, _) = Journal::new(1, Box::new(|_| {}));
    let machine = machine(&format!("agent-{number}"), u64::from(number), &Arc::default());
    One { company: Company::new(Some(part), machine, journal), heard, met }
}

/// A lead that listens, and the way to it.
async fn lead() -> (Company, String, tokio::task::JoinHandle<Result<(), String>>) {
    let lead = one(0, "127.0.0.1:0", "talk");
    let company = lead.company.clone();
    #[expect(clippy::disallowed_methods, reason = "the test's own task, on no simulated host")]
    let meeting = tokio::spawn(async move { company.meet().await });
    while lead.heard.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let at = lead.heard.lock().unwrap()[0].clone();
    (lead.company, at, meeting)
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), what).await.expect("within a while")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn phases_are_those_of_the_lead_and_everybody_finishes() {
    let (leads, at, meeting) = lead().await;
    let [first, second] = [1, 2].map(|number| one(number, &at, "talk"));
    first.company.meet().await.expect("it is welcome");
    second.company.meet().await.expect("it is welcome");
    assert_eq!(soon(meeting).await.unwrap(), Ok(()));
    let run = leads.met().map(|met| met.run);
    for agent in [&first, &second] {
        let met = (*agent.met.lock().unwrap()).expect("it has met the lead");
        assert_eq!(Some(met.run), run);
        // One machine, one clock.
        assert!(met.clock.error_us < 50_000 && met.clock.offset_us >= 0, "{met:?}");
        let member = agent.company.member().expect("it is led");
        leads.begin(&["127.0.0.1:1".to_owned()], Some("PEM"));
        let reached = soon(member.begins()).await;
        assert_eq!(
            (&*reached.gateways, reached.authority.as_deref()),
            (&["127.0.0.1:1".to_owned()][..], Some("PEM"))
        );
    }
    leads.enter(Phase::Load);
    let member = first.company.member().expect("it is led");
    soon(member.phase(Phase::WarmUp)).await;
    assert!(timeout(Duration::from_millis(50), member.phase(Phase::Heal)).await.is_err());
    leads.enter(Phase::End);
    soon(member.phase(Phase::End)).await;
    first.company.finish(Instant::now()).await;
    let late = leads.finish(Instant::now() + Duration::from_millis(300)).await;
    assert_eq!(late, ["agent 2 of 3 did not finish in time"]);
    second.company.finish(Instant::now()).await;
    assert!(soon(leads.finish(Instant::now() + Duration::from_secs(20))).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_runs_something_else_is_refused_and_who_leaves_ends_the_run() {
    let (leads, at, meeting) = lead().await;
    let refused = one(1, &at, "shout").company.meet().await;
    let told = format!("the lead at {at} refuses: it runs shout, but the lead runs talk");
    assert_eq!(refused, Err(told));
    let [first, second] = [1, 2].map(|number| one(number, &at, "talk"));
    first.company.meet().await.expect("it is welcome");
    let twice = one(1, &at, "talk").company.meet().await;
    assert!(twice.is_err_and(|why| why.ends_with("agent 1 of 3 is there already")));
    second.company.meet().await.expect("it is welcome");
    assert_eq!(soon(meeting).await.unwrap(), Ok(()));
    first.company.stop("SIGTERM (load)").await;
    assert_eq!(soon(leads.lost()).await, "agent 1 of 3 left: SIGTERM (load) (set up)");
    leads.stop("agent 1 of 3 left").await;
    assert_eq!(soon(second.company.lost()).await, "agent 1 of 3 left");
}
