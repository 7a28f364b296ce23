//! Made-up judgements: the names and units of the catalogue, with counts that fit the stream. Only a
//! stream in which nothing happens goes to the real judge, who can tell such streams apart.

use verify::history::Header;
use verify::history::event::{Event, What};
use verify::verdict::{Evidence, Finding, Judgement, Verdict};
use verify::{CATALOGUE, Claim, Judge, JudgeOptions};

/// A judgement that fits the events, or the lack of them.
pub(crate) fn judgement(verdict: Verdict, header: &Header, events: &[Event]) -> Judgement {
    if verdict == Verdict::Unknown {
        let mut judge = Judge::new(header, JudgeOptions::default());
        for event in events {
            judge.observe(event);
        }
        return judge.finish();
    }
    let count = |wanted: fn(&What) -> bool| events.iter().filter(|e| wanted(&e.is)).count() as u64;
    let accepted = count(|what| matches!(what, What::Accepted { .. }));
    let shown = count(|what| matches!(what, What::Shown { .. }));
    let finding = |claim: &Claim| {
        let judged = match claim.name {
            "receipts_only_rise" => 0,
            _ if claim.unit.contains("shown") => shown,
            _ if claim.unit.contains("accepted") => accepted,
            _ => accepted / 17 + 3,
        };
        let own = if judged == 0 { Verdict::Unknown } else { Verdict::Valid };
        let (invariant, unit) = (claim.name.to_owned(), claim.unit.to_owned());
        Finding { invariant, verdict: own, judged, unit, violations: 0, evidence: Vec::new() }
    };
    let mut judgement = Judgement {
        verdict,
        doubts: Vec::new(),
        findings: CATALOGUE.iter().map(finding).collect(),
        events: events.len() as u64,
    };
    if verdict == Verdict::Violated {
        violate(&mut judgement, events);
    }
    judgement
}

fn violate(judgement: &mut Judgement, events: &[Event]) {
    let lost = |event: &&Event| matches!(event.is, What::Accepted { .. }) && event.at > 9_090_000;
    let faults = vec!["power_loss of store-1 (9.120 s to 10.400 s)".to_owned()];
    let evidence: Vec<Evidence> = events
        .iter()
        .filter(lost)
        .take(3)
        .filter_map(|accepted| {
            let What::Accepted { conversation, message, sequence, device, .. } = accepted.is else {
                return None;
            };
            let of = |event: &&Event| match &event.is {
                What::Sent { device: by, message: id, .. } => (*by, *id) == (device, message),
                What::Shown { entry, .. } => {
                    (entry.author, entry.message) == (device.user, message)
                }
                What::FaultBegan { .. } => true,
                _ => std::ptr::eq(*event, accepted),
            };
            let history = events.iter().filter(of).filter_map(|e| serde_json::to_string(e).ok());
            Some(Evidence {
                at: accepted.at,
                what: format!(
                    "message {} of user {} was accepted as {sequence} in conversation \
                     {conversation}, and the store holds no entry {sequence} at the end",
                    message.0 & 0xff_ffff,
                    device.user
                ),
                faults: faults.clone(),
                history: history.collect(),
            })
        })
        .collect();
    for (invariant, violations, shown) in
        [("accepted_message_survives", 7, 2), ("every_message_accounted", 1, 1)]
    {
        let finding = judgement.findings.iter_mut().find(|found| found.invariant == invariant);
        if let Some(finding) = finding {
            finding.verdict = Verdict::Violated;
            finding.violations = violations;
            finding.evidence = evidence.iter().take(shown).cloned().collect();
        }
    }
}
