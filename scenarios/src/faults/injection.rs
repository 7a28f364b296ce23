//! A fault as it was injected: with the nodes and links that its targets were, so that it can be injected
//! again without asking where anybody is.

use crate::scenario::{FaultKind, Sides, Target};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use verify::history::event::Injected;

/// One injected fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Injection {
    /// Its id in the schedule.
    pub id: u32,
    /// When it began, counted from the beginning of the load.
    pub at: Duration,
    /// How long it lasts.
    pub lasts: Duration,
    /// What it is; whom it hits is said below.
    pub kind: FaultKind,
    /// By lot.
    pub drawn: bool,
    /// The nodes that it hits.
    pub nodes: Vec<Arc<str>>,
    /// The links that it hits, each from one node to another.
    pub links: Vec<(Arc<str>, Arc<str>)>,
}

/// Why a recorded fault cannot be injected again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReplayable {
    /// No kind has this name.
    #[error("fault {id}: unknown kind {kind:?}, expected one of {}", KINDS.join(", "))]
    Kind {
        /// The fault.
        id: u32,
        /// As it is recorded.
        kind: String,
    },
    /// The kind needs a number that is not there.
    #[error("fault {id}: a {kind} needs the parameter {name:?}")]
    Parameter {
        /// The fault.
        id: u32,
        /// Its kind.
        kind: String,
        /// What is missing, or too small.
        name: &'static str,
    },
    /// A range that ends before it begins.
    #[error("fault {id}: latency_min_us is above latency_max_us")]
    Latency {
        /// The fault.
        id: u32,
    },
}

const KINDS: [&str; 16] = [
    "blip",
    "cut",
    "flap",
    "reset",
    "corrupt",
    "slow_link",
    "narrow_link",
    "kill",
    "power_loss",
    "drain",
    "pause",
    "skew",
    "full_disk",
    "surge",
    "storm",
    "hostile",
];

impl Injection {
    /// For the history.
    pub fn recorded(&self) -> Injected {
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        let parameters: Vec<(&str, i64)> = match &self.kind {
            FaultKind::Cut { one_way, .. } => vec![("one_way", i64::from(*one_way))],
            FaultKind::Flap { down, up, .. } => {
                vec![("down_us", micros(*down)), ("up_us", micros(*up))]
            }
            FaultKind::SlowLink { latency_min, latency_max, .. } => vec![
                ("latency_min_us", micros(*latency_min)),
                ("latency_max_us", micros(*latency_max)),
            ],
            FaultKind::NarrowLink { bytes_per_second, .. } => {
                vec![("bytes_per_second", i64::try_from(*bytes_per_second).unwrap_or(i64::MAX))]
            }
            FaultKind::Skew { offset_ms, drift_ppm, .. } => {
                vec![("offset_ms", *offset_ms), ("drift_ppm", *drift_ppm)]
            }
            FaultKind::Surge { factor, more } => vec![
                ("factor", i64::from(*factor)),
                ("more", i64::try_from(*more).unwrap_or(i64::MAX)),
            ],
            FaultKind::Storm { share, reconnects } => vec![
                ("share_ppm", (share * 1e6).round() as i64),
                ("reconnects", i64::try_from(*reconnects).unwrap_or(i64::MAX)),
            ],
            FaultKind::Hostile { attacks } => vec![("attacks", i64::from(*attacks))],
            FaultKind::Blip { .. }
            | FaultKind::Reset { .. }
            | FaultKind::Corrupt { .. }
            | FaultKind::Kill { .. }
            | FaultKind::PowerLoss { .. }
            | FaultKind::Drain { .. }
            | FaultKind::Pause { .. }
            | FaultKind::FullDisk { .. } => Vec::new(),
        };
        Injected {
            at_us: micros(self.at).unsigned_abs(),
            for_us: micros(self.lasts).unsigned_abs(),
            nodes: self.nodes.clone(),
            links: self.links.clone(),
            parameters: parameters.into_iter().map(|(name, value)| (name.into(), value)).collect(),
        }
    }

    /// Whom it hits, for people; `hit`: those of its nodes that it really hits.
    pub fn described(&self, hit: &[Arc<str>]) -> String {
        if let Some(users) = self.kind.of_users() {
            return users;
        }
        match (&self.links[..], &self.nodes[..], hit) {
            ([], [], []) => "nobody".to_owned(),
            ([], down, []) => format!("{} (down already)", down.join(", ")),
            ([], _, hit) => hit.join(", "),
            (links, ..) => {
                let from: BTreeSet<&str> = links.iter().map(|(from, _)| &**from).collect();
                let to: BTreeSet<&str> = links.iter().map(|(_, to)| &**to).collect();
                let [from, to] =
                    [from, to].map(|side| side.into_iter().collect::<Vec<_>>().join(", "));
                let one_way = matches!(self.kind, FaultKind::Cut { one_way: true, .. });
                format!("{from} {} {to}", if one_way { "->" } else { "<->" })
            }
        }
    }

    /// From the history. The kind's own targets are empty.
    ///
    /// # Errors
    /// The kind is unknown, or lacks a parameter.
    pub fn read(id: u32, kind: &str, drawn: bool, of: &Injected) -> Result<Self, NotReplayable> {
        let of_kind = Parameters { id, kind, values: &of.parameters };
        Ok(Self {
            id,
            at: Duration::from_micros(of.at_us),
            lasts: Duration::from_micros(of.for_us),
            kind: of_kind.kind()?,
            drawn,
            nodes: of.nodes.clone(),
            links: of.links.clone(),
        })
    }
}

struct Parameters<'a> {
    id: u32,
    kind: &'a str,
    values: &'a BTreeMap<Arc<str>, i64>,
}

impl Parameters<'_> {
    fn kind(&self) -> Result<FaultKind, NotReplayable> {
        let between = Sides { from: Vec::new(), to: Vec::new() };
        let target = || Target::Node(String::new());
        Ok(match self.kind {
            "blip" => FaultKind::Blip { between },
            "reset" => FaultKind::Reset { between },
            "corrupt" => FaultKind::Corrupt { between },
            "cut" => FaultKind::Cut { between, one_way: self.number("one_way")? != 0 },
            "flap" => {
                FaultKind::Flap { between, down: self.time("down_us")?, up: self.time("up_us")? }
            }
            "slow_link" => {
                let latency_min = self.time("latency_min_us")?;
                let latency_max = self.time("latency_max_us")?;
                if latency_min > latency_max {
                    return Err(NotReplayable::Latency { id: self.id });
                }
                FaultKind::SlowLink { between, latency_min, latency_max }
            }
            "narrow_link" => FaultKind::NarrowLink {
                between,
                bytes_per_second: self.positive("bytes_per_second")?,
            },
            "kill" => FaultKind::Kill { target: target() },
            "power_loss" => FaultKind::PowerLoss { target: target() },
            "drain" => FaultKind::Drain { target: target() },
            "pause" => FaultKind::Pause { target: target() },
            "skew" => FaultKind::Skew {
                target: target(),
                offset_ms: self.number("offset_ms")?,
                drift_ppm: self.number("drift_ppm")?,
            },
            "full_disk" => FaultKind::FullDisk { target: target() },
            "surge" => FaultKind::Surge {
                factor: self.number("factor")?.try_into().unwrap_or(u32::MAX),
                more: self.number("more")?.unsigned_abs(),
            },
            "storm" => FaultKind::Storm {
                share: self.positive("share_ppm")? as f64 / 1e6,
                reconnects: self.number("reconnects")?.unsigned_abs(),
            },
            "hostile" => FaultKind::Hostile {
                attacks: self.positive("attacks")?.try_into().unwrap_or(u32::MAX),
            },
            other => {
                return Err(NotReplayable::Kind { id: self.id, kind: other.to_owned() });
            }
        })
    }

    fn number(&self, name: &'static str) -> Result<i64, NotReplayable> {
        let missing = || NotReplayable::Parameter { id: self.id, kind: self.kind.to_owned(), name };
        self.values.get(name).copied().ok_or_else(missing)
    }

    fn positive(&self, name: &'static str) -> Result<u64, NotReplayable> {
        let missing = || NotReplayable::Parameter { id: self.id, kind: self.kind.to_owned(), name };
        let number = u64::try_from(self.number(name)?).ok();
        number.filter(|number| *number > 0).ok_or_else(missing)
    }

    fn time(&self, name: &'static str) -> Result<Duration, NotReplayable> {
        let missing =
            |_| NotReplayable::Parameter { id: self.id, kind: self.kind.to_owned(), name };
        self.number(name)?.try_into().map(Duration::from_micros).map_err(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_its_record() {
        let seconds = Duration::from_secs;
        let between = || Sides { from: Vec::new(), to: Vec::new() };
        let target = || Target::Node(String::new());
        let kinds = [
            FaultKind::Blip { between: between() },
            FaultKind::Cut { between: between(), one_way: true },
            FaultKind::Flap { between: between(), down: seconds(1), up: seconds(2) },
            FaultKind::Reset { between: between() },
            FaultKind::Corrupt { between: between() },
            FaultKind::SlowLink {
                between: between(),
                latency_min: seconds(1),
                latency_max: seconds(3),
            },
            FaultKind::NarrowLink { between: between(), bytes_per_second: 65_536 },
            FaultKind::Kill { target: target() },
            FaultKind::PowerLoss { target: target() },
            FaultKind::Drain { target: target() },
            FaultKind::Pause { target: target() },
            FaultKind::Skew { target: target(), offset_ms: -5, drift_ppm: 7 },
            FaultKind::FullDisk { target: target() },
            FaultKind::Surge { factor: 4, more: 900 },
            FaultKind::Storm { share: 0.25, reconnects: 40 },
            FaultKind::Hostile { attacks: 120 },
        ];
        assert_eq!(kinds.each_ref().map(FaultKind::word), KINDS);
        for kind in kinds {
            let injection = Injection {
                id: 3,
                at: seconds(4),
                lasts: seconds(5),
                kind,
                drawn: true,
                nodes: vec!["store-1".into()],
                links: vec![("a".into(), "b".into())],
            };
            let recorded = injection.recorded();
            assert_eq!(Injection::read(3, injection.kind.word(), true, &recorded), Ok(injection));
        }
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        let nothing = Injected::default();
        let error = Injection::read(4, "flop", false, &nothing).expect_err("no such kind");
        assert!(error.to_string().contains("fault 4: unknown kind \"flop\", expected one of blip"));
        let parameters = [("latency_min_us".into(), 2), ("latency_max_us".into(), 1)].into();
        let reversed = Injected { parameters, ..Injected::default() };
        let error = Injection::read(4, "slow_link", false, &reversed).expect_err("no range");
        assert_eq!(error, NotReplayable::Latency { id: 4 });
        let error = Injection::read(4, "skew", false, &nothing).expect_err("by how much?");
        assert_eq!(error.to_string(), "fault 4: a skew needs the parameter \"offset_ms\"");
    }
}
