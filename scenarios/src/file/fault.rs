//! `[[fault]]`: one thing that goes wrong, by schedule.

use super::load::positive;
use super::targets;
use crate::mistake::{Mistakes, Origin};
use crate::scenario::{self, ClusterShape, FaultKind, Sides, Target};
use crate::section::{Field, section};
use crate::value::time::{ClockDrift, ClockOffset, DurationRange};
use crate::value::word::FaultWord;
use crate::value::{TextForm, Value};
use std::time::Duration;

section! {
    /// One thing that goes wrong, by schedule.
    Fault {
        /// When it begins, counted from the beginning of the load.
        at: Duration,
        /// It begins again after each such time, until the load ends.
        every: Option<Duration> = None,
        /// How long it lasts; for `kill` and `power_loss`, until the restart.
        r#for: Duration,
        /// What it is.
        kind: FaultWord,
        /// For `kill`, `power_loss`, `pause` and `skew`: which node.
        target: Option<Target> = None,
        /// For faults of links: two lists of nodes. One list alone means: against all others.
        between: Option<Vec<Vec<Target>>> = None,
        /// The same in other words: from these nodes
        from: Option<Vec<Target>> = None,
        /// to these; without it, to all others.
        to: Option<Vec<Target>> = None,
        /// For `cut`: only packets from the first to the second list are lost.
        one_way: Option<bool> = None,
        /// For `flap`: how long the links are down,
        down: Option<Duration> = None,
        /// and then up.
        up: Option<Duration> = None,
        /// For `slow_link`: the latency, one way.
        latency: Option<DurationRange> = None,
        /// For `skew`: how far the wall clock is off.
        offset: Option<ClockOffset> = None,
        /// For `skew`: how much too fast it goes.
        drift: Option<ClockDrift> = None,
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
            line: match &self.kind.origin {
                Origin::File(from, _) => mistakes.line_of(*from) as u32,
                Origin::Set(_) | Origin::Whole => 0,
            },
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
            let what = format!("every {every} begins before the {lasts} of the last time are over");
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
        note_if_there(&self.offset, "offset", &mut there);
        note_if_there(&self.drift, "drift", &mut there);
        there.retain(|(name, ..)| !takes.contains(name));
        for (name, origin, key) in &there {
            let kind = kind.text();
            let what = format!("a {kind} takes {}, not \"{name}\"", takes.join(", "));
            let key = (*key).to_owned();
            mistakes.note(origin, crate::mistake::Problem::Conflict { key, what });
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
                    mistakes.note(origin, crate::mistake::Problem::Conflict { key, what });
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

    fn valid_kind(&self, kind: FaultWord, mistakes: &mut Mistakes) -> Option<FaultKind> {
        Some(match kind {
            FaultWord::Blip => FaultKind::Blip { between: self.sides(mistakes)? },
            FaultWord::Cut => FaultKind::Cut {
                between: self.sides(mistakes)?,
                one_way: self.one_way.get()?.unwrap_or(false),
            },
            FaultWord::Flap => {
                let between = self.sides(mistakes);
                let down = self.needed(&self.down, "down", mistakes);
                let up = self.needed(&self.up, "up", mistakes);
                self.flap(between?, down?, up?, mistakes)?
            }
            FaultWord::SlowLink => {
                let between = self.sides(mistakes);
                let latency = self.needed(&self.latency, "latency", mistakes)?;
                FaultKind::SlowLink {
                    between: between?,
                    latency_min: latency.0,
                    latency_max: latency.1,
                }
            }
            FaultWord::Kill => FaultKind::Kill { target: self.one_target(mistakes)? },
            FaultWord::PowerLoss => FaultKind::PowerLoss { target: self.one_target(mistakes)? },
            FaultWord::Pause => FaultKind::Pause { target: self.one_target(mistakes)? },
            FaultWord::Skew => {
                let target = self.one_target(mistakes)?;
                let offset_ms = self.offset.get()?.map_or(0, |offset| offset.0);
                let drift_ppm = self.drift.get()?.map_or(0, |drift| drift.0);
                if offset_ms == 0 && drift_ppm == 0 {
                    self.kind.conflict(mistakes, "a skew needs an offset or a drift".into());
                    return None;
                }
                FaultKind::Skew { target, offset_ms, drift_ppm }
            }
        })
    }

    fn flap(
        &self,
        between: Sides,
        down: Duration,
        up: Duration,
        mistakes: &mut Mistakes,
    ) -> Option<FaultKind> {
        let lasts = self.r#for.get()?;
        if down.is_zero() || up.is_zero() || down + up > lasts {
            let [down, up, lasts] = [down, up, lasts].map(|time| time.text());
            let what = format!("down {down} and up {up} must both be there within {lasts}");
            self.kind.conflict(mistakes, what);
            return None;
        }
        Some(FaultKind::Flap { between, down, up })
    }

    fn needed<T: Value>(
        &self,
        field: &Field<Option<T>>,
        name: &str,
        mistakes: &mut Mistakes,
    ) -> Option<T> {
        let value = field.get()?;
        if value.is_none() {
            let kind = self.kind.get()?.text();
            self.kind.conflict(mistakes, format!("a {kind} needs \"{name}\": {}", T::expected()));
        }
        value
    }

    fn one_target(&self, mistakes: &mut Mistakes) -> Option<Target> {
        self.needed(&self.target, "target", mistakes)
    }

    fn sides(&self, mistakes: &mut Mistakes) -> Option<Sides> {
        let (between, from, to) = (self.between.get()?, self.from.get()?, self.to.get()?);
        let one_way = self.one_way.get()?.unwrap_or(false);
        match (between, from, to) {
            (Some(mut lists), None, None) => {
                if one_way {
                    let what =
                        "with one_way, say \"from\" and \"to\" instead of \"between\"".into();
                    self.between.conflict(mistakes, what);
                    return None;
                }
                if lists.is_empty() || lists.len() > 2 || lists.iter().any(Vec::is_empty) {
                    let what = "expected one or two lists of targets, none of them empty".into();
                    self.between.conflict(mistakes, what);
                    return None;
                }
                let to = if lists.len() == 2 { lists.remove(1) } else { Vec::new() };
                Some(Sides { from: lists.remove(0), to })
            }
            (None, Some(from), to) if !from.is_empty() => {
                Some(Sides { from, to: to.unwrap_or_default() })
            }
            _ => {
                let kind = self.kind.get()?.text();
                let what = format!("a {kind} needs \"between\", or \"from\" (and \"to\")");
                self.kind.conflict(mistakes, what);
                None
            }
        }
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

/// The keys that go with a kind, beside at, every, for and kind.
fn keys_of(kind: FaultWord) -> &'static [&'static str] {
    match kind {
        FaultWord::Blip => &["between", "from", "to"],
        FaultWord::Cut => &["between", "from", "to", "one_way"],
        FaultWord::Flap => &["between", "from", "to", "down", "up"],
        FaultWord::SlowLink => &["between", "from", "to", "latency"],
        FaultWord::Kill | FaultWord::PowerLoss | FaultWord::Pause => &["target"],
        FaultWord::Skew => &["target", "offset", "drift"],
    }
}

impl From<&scenario::Fault> for Fault {
    fn from(fault: &scenario::Fault) -> Self {
        let kind = FaultWord::from_text(fault.kind.word()).expect("every kind has its word");
        let mut raw = Self {
            at: Field::of(fault.at),
            every: Field::of(fault.every),
            r#for: Field::of(fault.lasts),
            kind: Field::of(kind),
            target: Field::of(None),
            between: Field::of(None),
            from: Field::of(None),
            to: Field::of(None),
            one_way: Field::of(None),
            down: Field::of(None),
            up: Field::of(None),
            latency: Field::of(None),
            offset: Field::of(None),
            drift: Field::of(None),
        };
        raw.fill(&fault.kind);
        raw
    }
}

impl Fault {
    fn fill(&mut self, kind: &FaultKind) {
        match kind {
            FaultKind::Blip { between } => self.fill_sides(between),
            FaultKind::Cut { between, one_way } => {
                self.fill_sides(between);
                self.one_way = Field::of(one_way.then_some(true));
            }
            FaultKind::Flap { between, down, up } => {
                self.fill_sides(between);
                (self.down, self.up) = (Field::of(Some(*down)), Field::of(Some(*up)));
            }
            FaultKind::SlowLink { between, latency_min, latency_max } => {
                self.fill_sides(between);
                self.latency = Field::of(Some(DurationRange(*latency_min, *latency_max)));
            }
            FaultKind::Kill { target }
            | FaultKind::PowerLoss { target }
            | FaultKind::Pause { target } => self.target = Field::of(Some(target.clone())),
            FaultKind::Skew { target, offset_ms, drift_ppm } => {
                self.target = Field::of(Some(target.clone()));
                self.offset = Field::of((*offset_ms != 0).then_some(ClockOffset(*offset_ms)));
                self.drift = Field::of((*drift_ppm != 0).then_some(ClockDrift(*drift_ppm)));
            }
        }
    }

    fn fill_sides(&mut self, sides: &Sides) {
        self.from = Field::of(Some(sides.from.clone()));
        self.to = Field::of((!sides.to.is_empty()).then(|| sides.to.clone()));
    }
}
