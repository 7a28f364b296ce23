//! Made-up judgements: the names and units of the catalogue, with counts that fit the stream.

use verify::history::event::{Event, What};
use verify::verdict::{Evidence, Finding, Judgement, Verdict};

const INVARIANTS: [(&str, &str); 20] = [
    ("accepted_message_survives", "accepted messages"),
    ("no_phantom_message", "shown entries"),
    ("no_duplicate_delivery", "shown entries"),
    ("conversation_order_agrees", "shown entries"),
    ("no_gap_in_sequence", "shown entries"),
    ("sender_order_kept", "shown entries"),
    ("reply_after_parent", "replies"),
    ("own_message_visible", "reads"),
    ("reads_never_go_back", "reads"),
    ("only_members_receive", "shown entries"),
    ("edits_converge", "edited messages"),
    ("receipts_only_rise", "receipts"),
    ("every_message_accounted", "accepted messages"),
    ("only_authorised_accepted", "accepted messages"),
    ("one_owner_per_partition", "announcements"),
    ("sequence_agrees_with_ack", "accepted messages"),
    ("delivered_after_heal", "accepted messages"),
    ("no_stuck_session", "sessions"),
    ("recovers_to_baseline", "seconds"),
    ("queues_stay_bounded", "gauges"),
];

/// A judgement that fits the events, or the lack of them.
pub(crate) fn judgement(verdict: Verdict, events: &[Event]) -> Judgement {
    let count = |wanted: fn(&What) -> bool| events.iter().filter(|e| wanted(&e.is)).count() as u64;
    let accepted = count(|what| matches!(what, What::Accepted { .. }));
    let shown = count(|what| matches!(what, What::Shown { .. }));
    let finding = |(name, unit): (&str, &str)| {
        let judged = match (verdict, unit) {
            (Verdict::Unknown, "sessions" | "announcements") => 60,
            (Verdict::Unknown, _) | (_, "receipts") => 0,
            (_, "shown entries") => shown,
            (_, "accepted messages") => accepted,
            _ => accepted / 17 + 3,
        };
        let own = if judged == 0 { Verdict::Unknown } else { Verdict::Valid };
        let (invariant, unit) = (name.to_owned(), unit.to_owned());
        Finding { invariant, verdict: own, judged, unit, violations: 0, evidence: Vec::new() }
    };
    let mut judgement = Judgement {
        verdict,
        doubts: Vec::new(),
        findings: INVARIANTS.into_iter().map(finding).collect(),
        events: events.len() as u64,
    };
    match verdict {
        Verdict::Violated => violate(&mut judgement, events),
        Verdict::Unknown => {
            judgement.doubts = vec![
                "no message was accepted, so that nothing could be lost".to_owned(),
                "18 of 20 invariants judged nothing".to_owned(),
            ]
        }
        Verdict::Valid => {}
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
