//! Where the fault episodes are drawn, so that neither bars nor labels cover one another.

use super::scale::Scale;
use crate::measured::Band;

/// Lanes of labelled bars above the panels.
pub(crate) const LANES_MAX: usize = 6;
/// Width of a letter of a label, on average, in the chart's units.
const LETTER: f64 = 6.1;
/// Between a bar and its label, and between a label and the next bar.
const SPACE: f64 = 5.0;
/// The shortest episode is still seen.
const BAR_MIN: f64 = 2.5;

/// One episode on the chart.
#[derive(Debug)]
pub(crate) struct Bar<'a> {
    pub(crate) band: &'a Band,
    pub(crate) x: f64,
    pub(crate) width: f64,
    /// The lane, if one was free.
    pub(crate) lane: Option<usize>,
    /// Where the label begins, if there is room for one.
    pub(crate) label: Option<f64>,
}

impl Bar<'_> {
    pub(crate) fn text(&self) -> String {
        format!("{} {}", self.band.kind, self.band.target)
    }
}

/// Lays the episodes out, in the order in which they began.
pub(crate) fn lay_out<'a>(
    bands: &'a [Band],
    time: &Scale,
    ended_us: u64,
    right: f64,
) -> Vec<Bar<'a>> {
    let mut free_from = [f64::NEG_INFINITY; LANES_MAX];
    let mut bars = Vec::with_capacity(bands.len());
    for band in bands {
        let x = time.at(band.from_us as f64 / 1e6);
        let end = time.at(band.to_us.unwrap_or(ended_us) as f64 / 1e6);
        let width = (end - x).max(BAR_MIN);
        let mut bar = Bar { band, x, width, lane: None, label: None };
        let letters = bar.text().chars().count() as f64 * LETTER;
        // The label stands in the bar if it fits, otherwise to its right, otherwise to its left.
        let inside = letters + 2.0 * SPACE <= width;
        let right_of = x + width + SPACE + letters <= right;
        let (label, from, to) = if inside {
            (x + SPACE, x, x + width)
        } else if right_of {
            (x + width + SPACE, x, x + width + SPACE + letters)
        } else {
            (x - SPACE - letters, x - SPACE - letters, x + width)
        };
        if let Some(lane) = free_from.iter().position(|free| *free + SPACE <= from) {
            free_from[lane] = to;
            (bar.lane, bar.label) = (Some(lane), Some(label));
        } else if let Some(lane) = free_from.iter().position(|free| *free + 1.0 <= x) {
            free_from[lane] = x + width;
            bar.lane = Some(lane);
        }
        bars.push(bar);
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::{LANES_MAX, lay_out};
    use crate::html::chart::scale::Scale;
    use crate::measured::Band;
    use proptest::prelude::*;

    fn band(from_us: u64, length_us: u64) -> Band {
        Band {
            fault: 0,
            kind: "pause".into(),
            target: "store-1".into(),
            from_us,
            to_us: Some(from_us + length_us),
            effect: Some(1),
        }
    }

    proptest! {
        #[test]
        fn bars_and_labels_never_overlap(
            mut episodes in prop::collection::vec((0_u64..60_000_000, 0_u64..9_000_000), 0..80)
        ) {
            episodes.sort_unstable();
            let bands: Vec<Band> = episodes.iter().map(|(from, long)| band(*from, *long)).collect();
            let time = Scale::linear((0.0, 70.0), (60.0, 1000.0));
            let bars = lay_out(&bands, &time, 70_000_000, 1000.0);
            prop_assert_eq!(bars.len(), bands.len());
            for lane in 0..LANES_MAX {
                let mut taken: Vec<(f64, f64)> = Vec::new();
                for bar in bars.iter().filter(|bar| bar.lane == Some(lane)) {
                    let letters = bar.text().chars().count() as f64 * super::LETTER;
                    let (from, to) = bar.label.map_or((bar.x, bar.x + bar.width), |label| {
                        (bar.x.min(label), (bar.x + bar.width).max(label + letters))
                    });
                    prop_assert!(to <= 1000.0 + 1e-6);
                    for (other_from, other_to) in &taken {
                        prop_assert!(from >= *other_to || to <= *other_from);
                    }
                    taken.push((from, to));
                }
            }
        }
    }
}
