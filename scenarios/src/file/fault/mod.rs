//! `[[fault]]`: one thing that goes wrong, by schedule.

mod kind;
mod written;

use super::load::positive;
use super::targets;
use crate::scenario::{self, ClusterShape, Target};
use crate::value::bandwidth::Bandwidth;
use crate::value::time::{ClockDrift, ClockOffset, DurationRange};
use crate::value::word::FaultWord;
use kind::keys_of;
use settings::mistake::{Mistakes, Origin, Problem};
use settings::section;
use settings::section::Field;
use settings::value::TextForm;
use settings::value::number::{Share, Whole};
use std::time::Duration;

section! {
    /// A scheduled fault.
    Fault {
        /// When it begins, counted from the beginning of the load.
        at: Duration,
        /// How often it repeats, until the load ends.
        every: Option<Duration> = None,
        /// How long it lasts; for `kill`, `power_loss` and `drain`, until the restart.
        r#for: Duration,
        /// The kind of fault.
        kind: FaultWord,
        /// For `kill`, `power_loss`, `drain`, `pause`, `skew` and `full_disk`: which node.
        target: Option<Target> = None,
        /// For link faults: two lists of nodes. One list alone means: against all others.
        between: Option<Vec<Vec<Target>>> = None,
        /// Instead of `between`: from these nodes.
        from: Option<Vec<Target>> = None,
        /// Instead of `between`: to these nodes; without it, to all others.
        to: Option<Vec<Target>> = None,
        /// For `cut`: only packets from the first to the second list are lost.
        one_way: Option<bool> = None,
        /// For `flap`: how long the links are down.
        down: Option<Duration> = None,
        /// For `flap`: how long they are up in between.
        up: Option<Duration> = None,
        /// For `slow_link`: the latency, one way.
        latency: Option<DurationRange> = None,
        /// For `narrow_link`: what it carries, each way.
        bandwidth: Option<Bandwidth> = None,
        /// For `skew`: how far the wall clock is off.
        offset: Option<ClockOffset> = None,
        /// For `skew`: how much too fast it runs.
        drift: Option<ClockDrift> = None,
        /// For `surge`: how many times as much the users do.
        factor: Option<Whole<u32, 2, 1_000>> = None,
        /// For `storm`: the share of the sessions that are left, and come back.
        share: Option<Share> = None,
        /// For `hostile`: how many attacks, spread evenly over its time.
        attacks: Option<Whole<u32, 1, 1_000_000>> = None,
    }
}

/// What a fault must fit to; what had mistakes of its own is missing.
pub struct Surroundings<'a> {
    /// The cluster.
    pub cluster: Option<&'a ClusterShape>,
    /// The users.
    pub users: Option<&'a scenario::Users>,
    /// The load.
    pub load: Option<&'a scenario::Load>,
}

impl Fault {
    /// The validated fault.
    pub fn validated(
        &self,
        surroundings: &Surroundings<'_>,
        mistakes: &mut Mistakes,
    ) -> Option<scenario::Fault> {
        let in_time = self.fits_in_time(surroundings.load, mistakes);
        let kind = self.kind.get()?;
        let no_strangers = self.has_no_strangers(kind, mistakes);
        let targets_exist = self.targets_exist(surroundings, mistakes);
        let kind = self.valid_kind(kind, mistakes);
        let fault = scenario::Fault {
            at: self.at.get()?,
            every: self.every.get()?,
            lasts: self.r#for.get()?,
            kind: kind?,
        };
        (in_time && no_strangers && targets_exist).then_some(fault)
    }

    fn fits_in_time(&self, load: Option<&scenario::Load>, mistakes: &mut Mistakes) -> bool {
        let mut fits = positive(&self.r#for, mistakes);
        let (Some(at), Some(lasts)) = (self.at.get(), self.r#for.get()) else {
            return fits;
        };
        if let Some(load) = load
            && at + lasts > load.lasts()
        {
            let [at, lasts, load] = [at, lasts, load.lasts()].map(|time| time.text());
            let what =
                format!("from {at} for {lasts} is not within the load, which ends at {load}");
            self.at.conflict(mistakes, what);
            fits = false;
        }
        if let Some(Some(every)) = self.every.get()
            && every <= lasts
        {
            let [every, lasts] = [every, lasts].map(|time| time.text());
            let what = format!("every {every} begins again before the previous {lasts} are over");
            self.every.conflict(mistakes, what);
            fits = false;
        }
        fits
    }

    /// Notes the keys that do not go with the kind.
    fn has_no_strangers(&self, kind: FaultWord, mistakes: &mut Mistakes) -> bool {
        let takes = keys_of(kind);
        let mut there: Vec<(&str, &Origin, &str)> = Vec::new();
        note_if_there(&self.target, "target", &mut there);
        note_if_there(&self.between, "between", &mut there);
        note_if_there(&self.from, "from", &mut there);
        note_if_there(&self.to, "to", &mut there);
        note_if_there(&self.one_way, "one_way", &mut there);
        note_if_there(&self.down, "down", &mut there);
        note_if_there(&self.up, "up", &mut there);
        note_if_there(&self.latency, "latency", &mut there);
        note_if_there(&self.bandwidth, "bandwidth", &mut there);
        note_if_there(&self.offset, "offset", &mut there);
        note_if_there(&self.drift, "drift", &mut there);
        note_if_there(&self.factor, "factor", &mut there);
        note_if_there(&self.share, "share", &mut there);
        note_if_there(&self.attacks, "attacks", &mut there);
        there.retain(|(name, ..)| !takes.contains(name));
        for (name, origin, key) in &there {
            let kind = kind.text();
            let what = format!("a {kind} takes {}, not \"{name}\"", takes.join(", "));
            let key = (*key).to_owned();
            mistakes.note(origin, Problem::Conflict { key, what });
        }
        there.is_empty()
    }

    fn targets_exist(&self, surroundings: &Surroundings<'_>, mistakes: &mut Mistakes) -> bool {
        let mut all_exist = true;
        let mut check = |targets: &[Target], origin: &Origin, key: &str| {
            for target in targets {
                let missing = targets::missing(target, surroundings.cluster, surroundings.users);
                if let Some(what) = missing {
                    let key = key.to_owned();
                    mistakes.note(origin, Problem::Conflict { key, what });
                    all_exist = false;
                }
            }
        };
        if let Some(Some(target)) = self.target.get() {
            check(&[target], &self.target.origin, &self.target.key);
        }
        if let Some(Some(lists)) = self.between.get() {
            check(&lists.concat(), &self.between.origin, &self.between.key);
        }
        for side in [&self.from, &self.to] {
            if let Some(Some(list)) = side.get() {
                check(&list, &side.origin, &side.key);
            }
        }
        all_exist
    }
}

fn note_if_there<'a, T: Clone>(
    field: &'a Field<Option<T>>,
    name: &'static str,
    there: &mut Vec<(&'static str, &'a Origin, &'a str)>,
) {
    if !matches!(field.value, Some(None)) {
        there.push((name, &field.origin, &field.key));
    }
}
