//! From a kind's word and the keys that go with it to the kind, with nothing missing.

use super::Fault;
use crate::scenario::{FaultKind, Sides, Target};
use crate::value::word::FaultWord;
use settings::mistake::Mistakes;
use settings::section::Field;
use settings::value::{TextForm, Value};
use std::time::Duration;

/// The keys that go with a kind, beside at, every, for and kind.
pub(super) fn keys_of(kind: FaultWord) -> &'static [&'static str] {
    match kind {
        FaultWord::Blip | FaultWord::Reset | FaultWord::Corrupt => &["between", "from", "to"],
        FaultWord::Cut => &["between", "from", "to", "one_way"],
        FaultWord::Flap => &["between", "from", "to", "down", "up"],
        FaultWord::SlowLink => &["between", "from", "to", "latency"],
        FaultWord::NarrowLink => &["between", "from", "to", "bandwidth"],
        FaultWord::Kill
        | FaultWord::PowerLoss
        | FaultWord::Drain
        | FaultWord::Pause
        | FaultWord::FullDisk => &["target"],
        FaultWord::Skew => &["target", "offset", "drift"],
        FaultWord::Surge => &["factor"],
        FaultWord::Storm => &["share"],
        FaultWord::Hostile => &["attacks"],
    }
}

impl Fault {
    pub(super) fn valid_kind(&self, kind: FaultWord, mistakes: &mut Mistakes) -> Option<FaultKind> {
        Some(match kind {
            FaultWord::Blip => FaultKind::Blip { between: self.sides(mistakes)? },
            FaultWord::Reset => FaultKind::Reset { between: self.sides(mistakes)? },
            FaultWord::Corrupt => FaultKind::Corrupt { between: self.checked_sides(mistakes)? },
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
            FaultWord::NarrowLink => {
                let between = self.sides(mistakes);
                let bandwidth = self.needed(&self.bandwidth, "bandwidth", mistakes)?;
                FaultKind::NarrowLink { between: between?, bytes_per_second: bandwidth.0 }
            }
            FaultWord::Kill => FaultKind::Kill { target: self.possible_target(mistakes)? },
            FaultWord::PowerLoss => {
                FaultKind::PowerLoss { target: self.possible_target(mistakes)? }
            }
            FaultWord::Drain => FaultKind::Drain { target: self.possible_target(mistakes)? },
            FaultWord::Pause => FaultKind::Pause { target: self.possible_target(mistakes)? },
            FaultWord::Surge => {
                let factor = self.needed(&self.factor, "factor", mistakes)?;
                FaultKind::Surge { factor: factor.0, more: 0 }
            }
            FaultWord::Storm => {
                let share = self.needed(&self.share, "share", mistakes)?;
                // It is recorded in millionths.
                if share.0 * 1e6 < 1.0 {
                    self.share.conflict(mistakes, "a storm of nobody is none".into());
                    return None;
                }
                FaultKind::Storm { share: share.0, reconnects: 0 }
            }
            FaultWord::Hostile => {
                let attacks = self.needed(&self.attacks, "attacks", mistakes)?;
                FaultKind::Hostile { attacks: attacks.0 }
            }
            FaultWord::FullDisk => FaultKind::FullDisk { target: self.possible_target(mistakes)? },
            FaultWord::Skew => {
                let target = self.possible_target(mistakes)?;
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
            let what = format!("down {down} and up {up} must both fit into {lasts}");
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

    fn possible_target(&self, mistakes: &mut Mistakes) -> Option<Target> {
        let target = self.needed(&self.target, "target", mistakes)?;
        let kind = self.kind.get()?;
        let Some(why) = kind.spares(target.role()) else { return Some(target) };
        let what = format!("{} cannot hit {}: {why}", kind.text(), target.text());
        self.target.conflict(mistakes, what);
        None
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
                self.possible_side(&lists.concat(), &self.between, mistakes)?;
                let to = if lists.len() == 2 { lists.remove(1) } else { Vec::new() };
                Some(Sides { from: lists.remove(0), to })
            }
            (None, Some(from), to) if !from.is_empty() => {
                let to = to.unwrap_or_default();
                self.possible_side(&from, &self.from, mistakes)?;
                self.possible_side(&to, &self.to, mistakes)?;
                Some(Sides { from, to })
            }
            _ => {
                let kind = self.kind.get()?.text();
                let what = format!("a {kind} needs \"between\", or \"from\" (and \"to\")");
                self.kind.conflict(mistakes, what);
                None
            }
        }
    }

    /// Two sides of which both are said: among all others are hosts whose links nothing checks.
    fn checked_sides(&self, mistakes: &mut Mistakes) -> Option<Sides> {
        let sides = self.sides(mistakes)?;
        if sides.to.is_empty() {
            let what = "a corrupt needs both sides, since among all others are auth and clients, which it \
                        cannot hit";
            self.kind.conflict(mistakes, what.into());
            return None;
        }
        Some(sides)
    }

    /// Whether such a fault can hit all of these; `written`: where they are said.
    fn possible_side<T: Clone>(
        &self,
        side: &[Target],
        written: &Field<T>,
        mistakes: &mut Mistakes,
    ) -> Option<()> {
        let kind = self.kind.get()?;
        for target in side {
            if let Some(why) = kind.spares(target.role()) {
                let what = format!("{} cannot hit {}: {why}", kind.text(), target.text());
                written.conflict(mistakes, what);
                return None;
            }
        }
        Some(())
    }
}
