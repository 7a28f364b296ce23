//! Rates: a number per second, or a shape of one over the time of a phase.

use super::time::FASTEST_RATE;
use crate::scenario::Rate;
use settings::duration;
use settings::mistake::Mistakes;
use settings::tree::{Is, Node};
use settings::value::{Value, wrong};

/// The most steps of a staircase.
const STEPS_MAX: u32 = 1_000;

impl Value for Rate {
    fn expected() -> String {
        "a rate above 0, such as \"500/s\" or \"30/min\", a number per second, or a shape: \
         \"ramp(0/s..500/s)\", \"staircase(100/s..500/s, 5)\", \"spike(50/s..500/s)\" or \
         \"diurnal(50/s..500/s)\""
            .into()
    }

    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        let rate = match &node.is {
            Is::Text(text) => from_text(text),
            Is::Whole(number) => Some(Self::Constant(*number as f64)),
            Is::Real(number) => Some(Self::Constant(*number)),
            _ => None,
        };
        let rate = rate.filter(|rate| rate.peak() > 0.0 && rate.peak() <= FASTEST_RATE);
        if rate.is_none() {
            wrong(node, Self::expected(), mistakes);
        }
        rate
    }

    fn write(&self) -> Option<toml::Value> {
        let span = |from: &f64, to: &f64| {
            format!("{}..{}", duration::rate_text(*from), duration::rate_text(*to))
        };
        Some(toml::Value::String(match self {
            Self::Constant(rate) => duration::rate_text(*rate),
            Self::Ramp(from, to) => format!("ramp({})", span(from, to)),
            Self::Staircase(from, to, steps) => format!("staircase({}, {steps})", span(from, to)),
            Self::Spike(rest, peak) => format!("spike({})", span(rest, peak)),
            Self::Diurnal(low, high) => format!("diurnal({})", span(low, high)),
        }))
    }

    fn schema() -> serde_json::Value {
        const RATE: &str = r"[0-9][0-9_.]*\s*/\s*(s|sec|m|min|h|hour)";
        let span = format!(r"{RATE}\s*\.\.\s*{RATE}");
        let pattern = format!(
            r"^({RATE}|(ramp|spike|diurnal)\({span}\)|staircase\({span},\s*[0-9][0-9_]*\))$"
        );
        serde_json::json!({ "anyOf": [
            { "type": "string", "pattern": pattern },
            { "type": "number", "exclusiveMinimum": 0 },
        ]})
    }
}

fn from_text(text: &str) -> Option<Rate> {
    let Some((shape, rest)) = text.trim().strip_suffix(')').and_then(|it| it.split_once('('))
    else {
        return duration::parse_rate(text).map(Rate::Constant);
    };
    let shape = shape.trim();
    let (rates, steps) = match rest.split_once(',') {
        Some((rates, steps)) => (rates, Some(steps.trim().replace('_', "").parse::<u32>().ok()?)),
        None => (rest, None),
    };
    let (from, to) = rates.split_once("..")?;
    let (from, to) = (duration::parse_rate(from)?, duration::parse_rate(to)?);
    match (shape, steps) {
        ("ramp", None) => Some(Rate::Ramp(from, to)),
        ("spike", None) => Some(Rate::Spike(from, to)),
        ("diurnal", None) => Some(Rate::Diurnal(from, to)),
        ("staircase", Some(steps)) => {
            (2..=STEPS_MAX).contains(&steps).then_some(Rate::Staircase(from, to, steps))
        }
        _ => None,
    }
}
