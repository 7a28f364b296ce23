//! The streaming judge: one event after the other, and a judgement at the end.
//!
//! It checks the form of the history (ranges, time, phases, faults, final reads) itself and leaves
//! everything else to the invariants. What is wrong with the form makes the verdict unknown.

use crate::history::event::{Event, Header, What};
use crate::invariants::{CATALOGUE, Checks, Claim, unknown_names};
use crate::part::{Part, Scope};
use crate::state::State;
use crate::tally::Tally;
use crate::verdict::{Finding, Judgement, Verdict};

/// Claims about users of whom no device is connected.
const OF_THE_AWAY: [&str; 2] = ["away_member_is_pushed", "nobody_present_is_pushed"];

/// The claim about strangers.
const OF_STRANGERS: &str = "strangers_are_refused";

/// How to judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgeOptions {
    /// Invariants that may judge nothing without making the verdict unknown.
    pub may_be_idle: Vec<String>,
    /// Evidence that is kept per invariant: the first so many violations.
    pub evidence_max: usize,
    /// How many entries of each conversation and sends of each device stay in memory at least, if that
    /// is not for the judge to choose. The fewer, the sooner is forgotten what everybody has.
    pub keep: Option<u32>,
}

impl Default for JudgeOptions {
    fn default() -> Self {
        Self { may_be_idle: Vec::new(), evidence_max: 5, keep: None }
    }
}

/// A run that is being judged.
pub struct Judge {
    options: JudgeOptions,
    pub(crate) state: State,
    checks: Checks,
    events: u64,
    /// Events that could not be judged: they name what the header does not have.
    misplaced: Oddity,
    /// Events that were earlier than the one before.
    backwards: Oddity,
}

/// Events that are wrong by themselves: the first, and how many.
#[derive(Default)]
struct Oddity {
    first: Option<(u64, String)>,
    count: u64,
}

impl Oddity {
    #[cold]
    fn note(&mut self, at: u64, what: impl FnOnce() -> String) {
        self.first.get_or_insert_with(|| (at, what()));
        self.count += 1;
    }

    fn merge(&mut self, other: Self) {
        self.first = self.first.take().into_iter().chain(other.first).min();
        self.count += other.count;
    }
}

impl Judge {
    /// Nothing is known but the header.
    pub fn new(header: &Header, options: JudgeOptions) -> Self {
        Self::of_part(header, options, Part::WHOLE)
    }

    /// As `new`, for a judge that sees a part of the run only: what `Part` says that it sees.
    pub fn of_part(header: &Header, options: JudgeOptions, part: Part) -> Self {
        let checks = Checks::new(options.evidence_max);
        let state = State::new(header, part, options.keep);
        let (misplaced, backwards) = (Oddity::default(), Oddity::default());
        Self { options, state, checks, events: 0, misplaced, backwards }
    }

    /// Takes over what the judge of another part knows. Both have seen all of theirs.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        let slots = self.state.merge(other.state);
        self.checks.merge(other.checks, &slots, &self.state);
        self.events += other.events;
        self.misplaced.merge(other.misplaced);
        self.backwards.merge(other.backwards);
        self
    }

    /// Takes in the next event of the history.
    pub fn observe(&mut self, event: &Event) {
        let subject = event.is.subject();
        let is_judged = self.state.part.judges(&event.is);
        self.events += u64::from(is_judged);
        let now = self.state.now;
        if event.at < now && is_judged {
            self.backwards.note(event.at, || format!("from {now} to {} us", event.at));
        }
        self.state.now = now.max(event.at);
        if let Some(what) = self.state.out_of_range(&event.is, subject) {
            if is_judged {
                self.misplaced
                    .note(event.at, || format!("an event at {} us names {what}", event.at));
            }
            return;
        }
        let step = self.state.observe(event, subject);
        let (device, conversation) = subject;
        self.state.keep(
            event,
            device.is_some().then_some(step.device),
            conversation.is_some().then_some(step.conversation),
        );
        if is_judged {
            self.checks.observe(&self.state, &step, event);
        } else {
            self.checks.follow(&self.state, &step, event);
        }
        if conversation.is_some() && self.state.is_due(step.conversation) {
            self.compact(step.conversation);
        }
        if matches!(event.is, What::Sent { .. }) && self.state.are_sends_due(step.device) {
            let compacted = self.state.compactable_records(step.device);
            self.checks.compact_records(&self.state, step.device, &compacted);
            self.state.ledger.compact(step.device, &compacted);
        }
    }

    /// Forgets what everybody has of a conversation.
    #[cold]
    fn compact(&mut self, conversation: usize) {
        if let Some(to) = self.state.compacts_to(conversation) {
            self.checks.compact(&self.state, conversation, to);
            self.state.compact(conversation, to);
        }
    }

    /// Violations that are certain already. Some invariants judge only at the end.
    pub fn violations_so_far(&self) -> u64 {
        self.checks.violations(&self.state)
    }

    /// The judgement: the history is complete.
    pub fn finish(mut self) -> Judgement {
        let mut tallies = self.checks.finish(&self.state);
        for tally in &mut tallies {
            tally.close(&self.state);
        }
        let mut doubts = self.state.run.take_doubts();
        if let Some((_, first)) = self.misplaced.first {
            doubts.push(first);
        }
        if self.misplaced.count > 1 {
            let count = self.misplaced.count;
            doubts.push(format!("{count} events name what there cannot be"));
        }
        if let Some((_, first)) = self.backwards.first {
            doubts.push(format!("time went backwards, {first}"));
        }
        if self.backwards.count > 1 {
            doubts.push(format!("time went backwards {} times", self.backwards.count));
        }
        for number in self.state.part.missing() {
            doubts.push(format!("part {number} of the run is missing"));
        }
        doubts.extend(unread(&self.state));
        for name in unknown_names(&self.options.may_be_idle) {
            doubts.push(format!("{name} may be idle, but there is no such invariant"));
        }
        for name in unknown_names(&self.state.header.unseen) {
            doubts.push(format!("{name} was not to be seen, but there is no such invariant"));
        }
        let mut findings = Vec::with_capacity(CATALOGUE.len());
        for (claim, mut tally) in CATALOGUE.iter().zip(tallies) {
            if is_unseen(&self.state.header, claim) {
                tally = Tally::new(0);
            }
            let idle = tally.judged == 0 && tally.violations == 0;
            let wanted = self.options.may_be_idle.iter().any(|name| name == claim.name);
            if let Scope::User(why) = claim.scope
                && self.state.part.splits_users()
            {
                let name = claim.name;
                doubts.push(format!("{name} was not judged, since the parts split users: {why}"));
            } else if idle && !wanted && !has_nothing_to_judge(&self.state.header, claim.name) {
                doubts.push(format!("{} judged nothing", claim.name));
            }
            doubts.extend(tally.doubts.drain(..).map(|why| format!("{}: {why}", claim.name)));
            findings.push(finding(claim.name, claim.unit, tally));
        }
        let violated = findings.iter().any(|finding| finding.verdict == Verdict::Violated);
        let verdict = match (violated, doubts.is_empty()) {
            (true, _) => Verdict::Violated,
            (false, false) => Verdict::Unknown,
            (false, true) => Verdict::Valid,
        };
        Judgement { verdict, doubts, findings, events: self.events }
    }
}

/// Whether a claim is about what the run could not see.
fn is_unseen(header: &Header, claim: &Claim) -> bool {
    header.unseen.iter().any(|name| name == claim.name)
}

/// Whether a claim judges nothing in such a run: the format lacks what it needs, the run could not see it, or
/// it is about users who are away or strangers who attack, and the scenario has none.
pub fn has_nothing_to_judge(header: &Header, name: &str) -> bool {
    CATALOGUE.iter().filter(|claim| claim.name == name).any(|claim| {
        header.format < claim.since_format
            || is_unseen(header, claim)
            || (OF_THE_AWAY.contains(&claim.name) && header.offline_users == Some(0))
            || (claim.name == OF_STRANGERS && !header.hostile)
    })
}

/// Conversations of which the final read is missing. Those that nobody ever mentioned do not count.
fn unread(state: &State) -> Option<String> {
    let mut unread =
        state.logs.iter().enumerate().filter(|(_, log)| log.recent != 0 && log.whole != Some(true));
    let (first, _) = unread.next()?;
    let count = unread.count() + 1;
    Some(format!(
        "the final read of {count} conversations is missing or incomplete, the first is {}",
        first + 1
    ))
}

fn finding(name: &str, unit: &str, tally: Tally) -> Finding {
    let verdict = match (tally.violations, tally.judged) {
        (1.., _) => Verdict::Violated,
        (0, 0) => Verdict::Unknown,
        _ => Verdict::Valid,
    };
    let unit = match tally.excuses() {
        none if none.is_empty() => unit.to_owned(),
        excuses => format!("{unit} (not judged: {excuses})"),
    };
    Finding {
        invariant: name.to_owned(),
        verdict,
        judged: tally.judged,
        unit,
        violations: tally.violations,
        evidence: tally.into_evidence(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::What;
    use crate::history::builder::{Builder, History};
    use crate::history::event::Phase;
    use crate::invariants::tests::judge;
    use protocol::Sequence;

    fn talk() -> Builder {
        Builder::new(2, 1).group(1, &[1, 2]).connect_all().say(1, 1)
    }

    fn doubts(history: &History) -> Vec<String> {
        let judgement = judge(history);
        assert_eq!(judgement.verdict, Verdict::Unknown, "{judgement:#?}");
        judgement.doubts
    }

    #[test]
    fn a_sound_run_is_valid() {
        let history = talk().fault(1, "pause", "store-1", 5_000).finish();
        let judgement = judge(&history);
        assert_eq!((judgement.verdict, judgement.doubts), (Verdict::Valid, Vec::new()));
        assert_eq!(judgement.events, history.events.len() as u64);
        let order: Vec<&str> = judgement.findings.iter().map(|f| f.invariant.as_str()).collect();
        assert_eq!(order, CATALOGUE.iter().map(|claim| claim.name).collect::<Vec<_>>());
    }

    #[test]
    fn what_judged_nothing_and_may_not_be_idle_makes_the_verdict_unknown() {
        let history = talk().finish();
        let mut judge = Judge::new(&history.header, JudgeOptions::default());
        history.events.iter().for_each(|event| judge.observe(event));
        let judgement = judge.finish();
        assert_eq!(judgement.verdict, Verdict::Unknown);
        assert!(judgement.doubts.contains(&"edits_converge judged nothing".to_owned()));
    }

    #[test]
    fn what_the_run_could_not_see_is_not_judged() {
        let mut history =
            Builder::new(3, 1).offline(1).group(1, &[1, 2, 3]).connect_all().say(1, 1).finish();
        assert_eq!(judge(&history).verdict, Verdict::Violated, "nobody was pushed");
        history.header.unseen = vec!["away_member_is_pushed".to_owned()];
        let judgement = judge(&history);
        assert_eq!(judgement.verdict, Verdict::Valid, "{judgement:#?}");
        let judged = judgement.findings.iter().find(|f| f.invariant == "away_member_is_pushed");
        assert_eq!(judged.map(|finding| finding.judged), Some(0));
        history.header.unseen.push("pushes".to_owned());
        assert_eq!(judge(&history).verdict, Verdict::Unknown);
    }

    #[test]
    fn a_fault_without_effect_or_end_is_doubtful() {
        let began = fault_began(1, false);
        let idle = talk().push(began.clone()).push(What::FaultEnded { fault: 1, effect: 0 });
        assert_eq!(doubts(&idle.finish()), ["fault 1 (cut on store-1) had no effect"]);
        assert_eq!(doubts(&talk().push(began).finish()), ["fault 1 (cut on store-1) never ended"]);
    }

    #[test]
    fn random_faults_are_doubtful_only_if_none_had_an_effect() {
        let with = |effects: [u64; 2]| {
            let drawn = (1..).zip(effects).fold(talk(), |talk, (fault, effect)| {
                talk.push(fault_began(fault, true)).push(What::FaultEnded { fault, effect })
            });
            judge(&drawn.finish()).doubts
        };
        assert_eq!(with([0, 7]), Vec::<String>::new());
        assert_eq!(with([0, 0]), ["none of the 2 random faults had an effect"]);
    }

    fn fault_began(fault: u32, drawn: bool) -> What {
        What::FaultBegan {
            fault,
            kind: "cut".into(),
            target: "store-1".into(),
            drawn,
            injected: None,
        }
    }

    #[test]
    fn missing_phases_and_final_reads_are_doubtful() {
        let mut cut = talk().finish();
        cut.events.retain(|e| e.is != What::Phase(Phase::End));
        assert_eq!(doubts(&cut), ["the history has no phase End"]);
        let mut unread = talk().finish();
        unread.events.retain(|e| !matches!(e.is, What::StoredAll { .. }));
        assert_eq!(
            doubts(&unread),
            ["the final read of 1 conversations is missing or incomplete, the first is 1"]
        );
    }

    #[test]
    fn time_that_goes_back_and_ids_out_of_range_are_doubtful() {
        let mut back = talk().finish();
        back.events[5].at = 0;
        assert!(doubts(&back)[0].starts_with("time went backwards"));
        let device = Builder::new(9, 1).device(9, 1);
        let strange = talk().push(What::ConnectFailed { device }).finish();
        let told = &doubts(&strange)[0];
        assert!(told.ends_with("names device 9/1, which the header does not have"), "{told}");
        let nowhere = talk().say(1, 1).finish().tampered(|events| {
            for event in events {
                if let What::Accepted { sequence, .. } = &mut event.is {
                    *sequence = Sequence(0);
                }
            }
        });
        // What was sent has no answer then.
        let judged = judge(&nowhere);
        assert_eq!(judged.verdict, Verdict::Violated);
        let told = &judged.doubts[0];
        assert!(told.ends_with("names sequence 0, and the first one is 1"), "{told}");
    }

    #[test]
    fn a_violation_names_the_faults_of_that_time() {
        let history = talk().fault(7, "pause", "store-2", 5_000).show(2, 1, 1, 3).finish();
        let judgement = judge(&history);
        assert_eq!(judgement.verdict, Verdict::Violated);
        let evidence: Vec<_> = judgement.findings.iter().flat_map(|f| &f.evidence).collect();
        assert!(evidence[0].faults[0].starts_with("fault 7: pause on store-2"), "{evidence:?}");
        assert!(evidence[0].history.len() >= 2, "both observations belong to it: {evidence:?}");
    }
}
