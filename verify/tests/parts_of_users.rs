//! A run whose users fall into two groups that never meet, judged in these two parts: then every claim can
//! be judged in parts, also the one that needs all conversations of a user. And the list of those that do.

mod in_parts;

use protocol::{ConversationId, Sequence, UserId};
use std::collections::BTreeSet;
use verify::history::builder::{Builder, History};
use verify::history::event::{Said, What};
use verify::{CATALOGUE, Judge, JudgeOptions, Judgement, Scope, Verdict};

/// Users and conversations with odd numbers have nothing to do with the even ones.
fn history() -> History {
    let run = Builder::with_devices(6, 2, 2)
        .offline(2)
        .group(1, &[1, 3, 5])
        .group(2, &[2, 4, 6])
        .push(What::NodeStarted { node: "store-1".into() })
        .connect_all();
    let run = (0..2).fold(run, talk).fault(1, "cut", "store-1", 2_000).next_epoch();
    let run = run.lose(1, 1).lose(1, 2).goodbye(2, 1).heal().wait(100_000);
    let run = run.connect(1, 1).connect(1, 2).connect(2, 1).deliver(1).deliver(2);
    (2..5).fold(run, talk).push(What::InFlight { queue: "dead".into(), messages: 0 }).finish()
}

/// Both groups talk, in turns.
fn talk(run: Builder, round: u64) -> Builder {
    [1, 2].into_iter().fold(run, |run, conversation| {
        let (author, away) = (conversation + round % 2 * 2, conversation + 4);
        let run = run.say(author, conversation);
        let sequence = run.head(conversation);
        let run = run.pushed(away, conversation, sequence, sequence * 2 + conversation, true);
        let target = Sequence(sequence);
        let run = run.say_said(author, conversation, Said::Edit { target, hash: round });
        let device = run.device(author, 1);
        let (delivered, read) = (Sequence(run.head(conversation)), target);
        let id = ConversationId(conversation);
        let run = run.push(What::ReceiptSent { device, conversation: id, delivered, read });
        let user = UserId(author);
        run.read(author, 1, conversation, 0)
            .push(What::Revoked { user })
            .push(What::Granted { user })
    })
}

fn options() -> JudgeOptions {
    let may_be_idle = CATALOGUE.iter().map(|claim| claim.name.to_owned()).collect();
    JudgeOptions { may_be_idle, evidence_max: 1, keep: None }
}

fn whole(history: &History) -> Judgement {
    let mut judge = Judge::new(&history.header, options());
    history.events.iter().for_each(|event| judge.observe(event));
    judge.finish()
}

/// Without one event, or with one twice, or with two in the other order.
fn broken() -> impl Iterator<Item = History> {
    let sound = history();
    (0..sound.events.len() - 1).flat_map(move |at| {
        let without = sound.clone().tampered(|events| drop(events.remove(at)));
        let twice = sound.clone().tampered(|events| events.insert(at, events[at].clone()));
        let swapped = sound.clone().tampered(|events| {
            let first = events[at].is.clone();
            events[at].is = std::mem::replace(&mut events[at + 1].is, first);
        });
        [without, twice, swapped]
    })
}

#[test]
fn parts_that_share_no_user_find_together_what_one_judge_finds() {
    let parts = in_parts::parts(2, false);
    assert_eq!(whole(&history()).verdict, Verdict::Valid, "{:#?}", whole(&history()));
    let mut violated = BTreeSet::new();
    for history in std::iter::once(history()).chain(broken()) {
        let whole = whole(&history);
        let merged = in_parts::judge(&history, &parts, &options());
        assert_eq!(in_parts::differences(&whole, &merged, &parts), Vec::<String>::new());
        let bad = whole.findings.into_iter().filter(|finding| finding.violations > 0);
        violated.extend(bad.map(|finding| finding.invariant));
    }
    assert!(violated.len() > 10 && violated.contains("no_stuck_session"), "{violated:?}");
}

#[test]
fn a_part_that_is_missing_makes_the_verdict_unknown() {
    let judged = in_parts::judge(&history(), &in_parts::parts(3, true)[..2], &options());
    assert!(judged.doubts.contains(&"part 2 of the run is missing".to_owned()), "{judged:#?}");
}

#[test]
fn all_claims_but_these_are_judged_one_conversation_at_a_time() {
    let is_other = |scope| scope != Scope::Conversation;
    let others = CATALOGUE.iter().filter(|claim| is_other(claim.scope));
    let others: Vec<&str> = others.map(|claim| claim.name).collect();
    let expected =
        ["strangers_are_refused", "no_stuck_session", "no_node_panics", "queues_stay_bounded"];
    assert_eq!(others, expected);
    let parts = in_parts::parts(2, true);
    let left_out = others.into_iter().filter(|name| in_parts::is_left_out(name, &parts));
    assert_eq!(left_out.collect::<Vec<_>>(), ["no_stuck_session"]);
}
