//! Claims about how violations are told, on evidence of the judge.

use super::diagram::{Course, Diagram, diagram};
use super::fixture::{after_power_loss, judged, lost, replaced};
use super::{causes, earlier, grouped, leading, sentence};
use crate::sample;
use verify::history::builder::{Builder, History};
use verify::history::event::{Event, What};
use verify::verdict::{Evidence, Judgement, Verdict};

fn evidence<'a>(judgement: &'a Judgement, invariant: &str) -> &'a Evidence {
    let mut findings = judgement.findings.iter();
    let found = findings.find(|found| found.invariant == invariant).expect("in the catalogue");
    found.evidence.first().expect("it is violated")
}

fn told(history: &History, invariant: &str) -> String {
    let (judgement, measured) = judged(history);
    sentence(evidence(&judgement, invariant), &measured.faults)
}

fn drawn(history: &History, invariant: &str) -> Diagram {
    let (judgement, measured) = judged(history);
    let shown = evidence(&judgement, invariant);
    diagram(&history.header, shown, &measured.faults, &[]).expect("there is something to draw")
}

#[test]
fn a_lost_message_is_told_in_the_order_of_events() {
    let lost = told(&after_power_loss(lost), "accepted_message_survives");
    let expected = "Message user 2's #1 was accepted at 0.022 s as sequence 5 of conversation 1; \
                    store-3, which had accepted it, lost power 13.0 ms later and started again at 1.036 s; \
                    the store has nothing there.";
    assert_eq!(lost, expected);
}

#[test]
fn without_a_fault_none_is_named() {
    let history = Builder::new(3, 1).group(1, &[1, 2, 3]).connect_all().say(1, 1).say(2, 1);
    let lost = told(&history.finish().tampered(lost), "accepted_message_survives");
    assert!(lost.ends_with("No fault was active then or shortly before."), "{lost}");
}

#[test]
fn a_fault_elsewhere_does_not_take_the_place_of_one_on_the_owner() {
    let talk = Builder::new(3, 1).group(1, &[1, 2, 3]).connect_all().say(1, 1).say(2, 1);
    let owner = format!("store-{}", talk.log(1)[4].owner);
    let history = talk
        .fault(1, "kill", "gateway-7", 1_000)
        .fault(2, "kill", &owner, 1_000)
        .finish()
        .tampered(lost);
    let lost = told(&history, "accepted_message_survives");
    assert!(lost.contains(&format!("{owner}, which had accepted it, was killed")), "{lost}");
    assert!(!lost.contains("gateway-7"), "{lost}");
}

#[test]
fn a_fault_that_came_before_is_told_as_before() {
    let talk = Builder::new(3, 1).group(1, &[1, 2, 3]).connect_all().say(1, 1);
    let history = talk.fault(1, "pause", "gateway-1", 5_000).say(2, 1).show(3, 1, 1, 4).finish();
    let again = told(&history, "no_duplicate_delivery");
    assert!(again.starts_with("At 0.0"), "{again}");
    assert!(again.contains(". Before, gateway-1 was paused at 0."), "{again}");
}

#[test]
fn a_fault_that_began_later_is_told_with_its_own_time() {
    let faults = sample::measured().faults;
    let shown = Evidence {
        at: 1_000_000,
        what: "message 1/1 #1 was sent at 1.000 s and has no answer, after 3.000 s".to_owned(),
        faults: vec!["fault 0: power_loss on store-1 from 2.000 s, until 2.500 s".to_owned()],
        history: Vec::new(),
    };
    let expected = "Message 1/1 #1 was sent at 1.000 s and has no answer, after 3.000 s. Later, store-1 lost \
                    power at 2.000 s and started again at 2.500 s.";
    assert_eq!(sentence(&shown, &faults), expected);
}

#[test]
fn faults_of_links_say_between_whom() {
    let told = |target: &str| {
        let talk = Builder::new(3, 1).group(1, &[1, 2, 3]).connect_all().say(1, 1).say(2, 1);
        told(
            &talk.fault(1, "cut", target, 1_000).finish().tampered(lost),
            "accepted_message_survives",
        )
    };
    for (target, words) in [
        (
            "gateway-1 <-> broker-1",
            "; the network between gateway-1 and broker-1 was cut 4.00 ms later,",
        ),
        ("gateway-1, gateway-2 -> clients-1", "from gateway-1 and gateway-2 to clients-1 was cut"),
        ("store-1 <-> auth-1, broker-1, clients-1", "; the network of store-1 was cut"),
    ] {
        let sentence = told(target);
        assert!(sentence.contains(words), "{sentence}");
    }
}

#[test]
fn a_resend_at_the_moment_of_a_violation_is_not_the_violation() {
    let talk = Builder::new(3, 1).group(1, &[1, 2, 3]).connect_all().say(1, 1);
    let shown = Evidence {
        at: 2_000_000,
        what: "device 2/1 waited 5.000 s for word of user 2's #1".to_owned(),
        faults: Vec::new(),
        history: Vec::new(),
    };
    let waiting = talk.send(2, 1).finish();
    let What::Sent { device, conversation, message, .. } = waiting
        .events
        .iter()
        .map(|event| &event.is)
        .rfind(|is| matches!(is, What::Sent { .. }))
        .expect("it was sent")
    else {
        unreachable!("it was looked for")
    };
    let resent = |at| Event {
        at,
        is: What::Resent { device: *device, conversation: *conversation, message: *message },
    };
    let line = |event| serde_json::to_string(&event).expect("a plain structure");
    let history = vec![line(resent(1_000_000)), line(resent(2_000_000))];
    let drawn =
        diagram(&waiting.header, &Evidence { history, ..shown }, &[], &[]).expect("two steps");
    let last = drawn.steps.last().expect("it has steps");
    assert!(last.is_violation && last.what.starts_with("device 2/1 waited"), "{drawn:?}");
    assert_eq!(drawn.steps.iter().filter(|step| step.is_violation).count(), 1);
}

#[test]
fn a_diagram_shows_what_took_the_place_of_a_message() {
    let drawn = drawn(&after_power_loss(replaced), "accepted_message_survives");
    let lanes: Vec<String> =
        drawn.lanes.iter().map(|lane| format!("{} {}", lane.kind, lane.name)).collect();
    assert_eq!(lanes, ["device 2/1", "device 3/1", "store 3", "final read"]);
    let steps: Vec<&str> = drawn.steps.iter().map(|step| &*step.what).collect();
    let expected = [
        "user 2's #1 is sent",
        "user 2's #1 is accepted as sequence 5",
        "3/1 shows 5, user 2's #1",
        "store-3 lost power",
        "store-3 started again",
        "the final read has 5, user 3's #1",
    ];
    assert_eq!(steps, expected);
    let violations: Vec<bool> = drawn.steps.iter().map(|step| step.is_violation).collect();
    assert_eq!(violations, [false, false, false, false, false, true]);
    let since: Vec<Option<usize>> = drawn.steps.iter().map(|step| step.since).collect();
    assert_eq!(since, [None, Some(0), Some(0), None, None, None], "the final read is later");
    let [shade] = drawn.shades[..] else { panic!("{:?}", drawn.shades) };
    assert_eq!((shade.lane, shade.from, shade.to, shade.is_outage), (2, 3, Some(4), true));
}

#[test]
fn a_second_sequence_has_an_origin_of_its_own() {
    let talk = Builder::new(3, 1).group(1, &[1, 2, 3]).connect_all().say(1, 1).say(2, 1);
    let twice = talk.commit_message(2, 1).accept_message(2, 1).deliver(1).finish();
    let drawn = drawn(&twice, "no_duplicate_delivery");
    let violation = drawn.steps.last().expect("it has steps");
    assert!(violation.is_violation && violation.since.is_none(), "{drawn:?}");
    assert!(drawn.steps.iter().any(|step| step.since.is_some()), "{drawn:?}");
}

#[test]
fn what_is_missing_is_the_last_step() {
    let drawn = drawn(&after_power_loss(lost), "accepted_message_survives");
    let last = drawn.steps.last().expect("it has steps");
    assert_eq!((&*last.what, last.at, last.line), ("the store has nothing there", None, None));
    assert!(
        last.is_violation && matches!(&last.course, Course::Point(lane) if lane.kind == "store")
    );
    assert_eq!(drawn.steps.iter().filter(|step| step.is_violation).count(), 1);
}

#[test]
fn a_lost_join_is_drawn_from_its_answer_alone() {
    let talk = Builder::new(3, 1).group(1, &[1, 2, 3]).connect_all().say(1, 1);
    let history = talk.finish().tampered(|events| {
        events
            .retain(|event| !matches!(&event.is, What::Stored { entry } if entry.sequence.0 == 1));
    });
    let drawn = drawn(&history, "accepted_message_survives");
    let steps: Vec<&str> = drawn.steps.iter().map(|step| &*step.what).collect();
    assert_eq!(steps, ["user 1 is a member from 1 on", "the store does not have it there"]);
    assert!(drawn.lanes.iter().any(|lane| lane.kind == "store"), "{drawn:?}");
}

#[test]
fn every_step_of_the_history_names_its_line() {
    let (judgement, measured) = judged(&after_power_loss(replaced));
    let history = after_power_loss(replaced);
    for found in judgement.findings.iter().filter(|found| found.violations > 0) {
        for shown in &found.evidence {
            let Some(drawn) = diagram(&history.header, shown, &measured.faults, &[]) else {
                continue;
            };
            for step in &drawn.steps {
                let Some(line) = step.line else { continue };
                let at = format!("{{\"at\":{},", step.at.expect("an event has a time"));
                assert!(shown.history[line].starts_with(&at), "{step:?} {shown:?}");
            }
            let faults: Vec<_> = drawn.steps.iter().filter(|step| step.line.is_none()).collect();
            assert!(faults.len() <= 7, "{faults:?}");
        }
    }
}

#[test]
fn evidence_without_events_has_no_diagram() {
    let judgement = sample::judgement_of(Verdict::Violated);
    let shown = evidence(&judgement, "accepted_message_survives");
    assert!(diagram(&sample::header(3, 2), shown, &[], &[]).is_none());
}

#[test]
fn consequences_are_told_under_their_likely_cause() {
    let (judgement, _) = judged(&after_power_loss(replaced));
    let groups = grouped(&judgement);
    let first = groups.first().expect("it is violated");
    assert_eq!(first.first.invariant, "accepted_message_survives");
    let with: Vec<&str> = first.consequences.iter().map(|found| &*found.invariant).collect();
    assert!(with.contains(&"conversation_order_agrees"), "{with:?}");
    let violated = judgement.findings.iter().filter(|found| found.violations > 0).count();
    let told: usize = groups.iter().map(|group| 1 + group.consequences.len()).sum();
    assert_eq!(told, violated, "each once");
}

#[test]
fn what_a_device_never_showed_is_no_loss_of_the_store() {
    let hidden = Builder::new(3, 1).group(1, &[1, 2, 3]).connect_all().say(1, 1).say(2, 1);
    let hidden = hidden.finish().tampered(|events| {
        events.retain(|event| {
            !matches!(&event.is, What::Shown { device, entry }
                if device.user.0 == 3 && entry.sequence.0 == 5)
        });
    });
    let (judgement, _) = judged(&hidden);
    let groups = grouped(&judgement);
    let with = groups[0].consequences.iter().map(|found| &*found.invariant);
    assert_eq!(groups[0].first.invariant, "no_stuck_session");
    assert!(with.collect::<Vec<_>>().contains(&"accepted_message_survives"));
}

#[test]
fn an_earlier_violation_than_the_likeliest_cause_is_mentioned() {
    let mut judgement = judged(&after_power_loss(replaced)).0;
    let (found, shown) = leading(&judgement).expect("it is violated");
    assert_eq!((&*found.invariant, shown.at), ("accepted_message_survives", 22_000));
    assert!(earlier(&judgement).is_none());
    let order =
        judgement.findings.iter_mut().find(|one| one.invariant == "conversation_order_agrees");
    order.expect("in the catalogue").evidence[0].at = 21_999;
    let first = earlier(&judgement).map(|(found, _)| &*found.invariant);
    assert_eq!(first, Some("conversation_order_agrees"));
}

#[test]
fn the_causes_are_invariants() {
    for name in causes::names() {
        assert!(verify::CATALOGUE.iter().any(|claim| claim.name == name), "{name}");
    }
}
