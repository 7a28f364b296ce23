//! A validated fault as a section again.

use super::Fault;
use crate::scenario::{self, FaultKind, Sides};
use crate::value::bandwidth::Bandwidth;
use crate::value::time::{ClockDrift, ClockOffset, DurationRange};
use crate::value::word::FaultWord;
use settings::section::Field;
use settings::value::TextForm;
use settings::value::number::{Share, Whole};

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
            bandwidth: Field::of(None),
            offset: Field::of(None),
            drift: Field::of(None),
            factor: Field::of(None),
            share: Field::of(None),
            attacks: Field::of(None),
        };
        raw.fill(&fault.kind);
        raw
    }
}

impl Fault {
    fn fill(&mut self, kind: &FaultKind) {
        match kind {
            FaultKind::Blip { between }
            | FaultKind::Reset { between }
            | FaultKind::Corrupt { between } => self.fill_sides(between),
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
            FaultKind::NarrowLink { between, bytes_per_second } => {
                self.fill_sides(between);
                self.bandwidth = Field::of(Some(Bandwidth(*bytes_per_second)));
            }
            FaultKind::Kill { target }
            | FaultKind::PowerLoss { target }
            | FaultKind::Drain { target }
            | FaultKind::Pause { target }
            | FaultKind::FullDisk { target } => self.target = Field::of(Some(target.clone())),
            FaultKind::Surge { factor, .. } => self.factor = Field::of(Some(Whole(*factor))),
            FaultKind::Storm { share, .. } => self.share = Field::of(Some(Share(*share))),
            FaultKind::Hostile { attacks } => self.attacks = Field::of(Some(Whole(*attacks))),
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
