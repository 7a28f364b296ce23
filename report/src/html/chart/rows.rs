//! Where the fault episodes are drawn, so that neither bars nor labels cover one another.
//!
//! A few episodes get a label each; many share one row per kind, named once at its left end.

use super::scale::Scale;
use crate::measured::Band;

/// Rows above the panels.
const ROWS_MAX: usize = 8;
/// Rows for labelled bars.
const LABELLED_ROWS_MAX: usize = 6;
/// More episodes than this cannot be labelled one by one in a way that anybody would read.
const LABELLED_MAX: usize = 20;
/// Width of a letter of a label, on average, in the chart's units.
const LETTER: f64 = 6.3;
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
    /// The row, if one was free.
    pub(crate) row: Option<usize>,
    /// Where the label begins, if there is room for one.
    pub(crate) label: Option<f64>,
}

impl Bar<'_> {
    pub(crate) fn text(&self) -> String {
        format!("{} {}", self.band.kind, self.band.target)
    }

    fn letters(&self) -> f64 {
        self.text().chars().count() as f64 * LETTER
    }
}

/// All episodes on the chart.
pub(crate) struct Rows<'a> {
    pub(crate) bars: Vec<Bar<'a>>,
    /// How many rows there are.
    pub(crate) count: usize,
    /// The name of each row, where rows have names.
    pub(crate) names: Vec<String>,
}

impl<'a> Rows<'a> {
    /// Lays the episodes out, which come in the order in which they began.
    pub(crate) fn of(bands: &'a [Band], time: &Scale, ended_us: u64, right: f64) -> Self {
        let bar = |band: &'a Band| {
            let x = time.at(band.from_us as f64 / 1e6);
            let end = time.at(band.to_us.unwrap_or(ended_us) as f64 / 1e6);
            Bar { band, x, width: (end - x).max(BAR_MIN), row: None, label: None }
        };
        let mut bars: Vec<Bar> = bands.iter().map(bar).collect();
        let names =
            if bars.len() > LABELLED_MAX { by_kind(&mut bars) } else { labelled(&mut bars, right) };
        let count = bars.iter().filter_map(|bar| bar.row).max().map_or(0, |row| row + 1);
        Self { bars, count, names }
    }
}

/// One row per kind, in which bars may overlap; says their names.
fn by_kind(bars: &mut [Bar]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for bar in bars {
        let kind = &*bar.band.kind;
        let row = names.iter().position(|name| name == kind).unwrap_or_else(|| {
            names.push(kind.to_owned());
            names.len() - 1
        });
        bar.row = (row < ROWS_MAX).then_some(row);
    }
    names.truncate(ROWS_MAX);
    names
}

/// A label for each bar, in the first row with room for both.
fn labelled(bars: &mut [Bar], right: f64) -> Vec<String> {
    let mut free_from = [f64::NEG_INFINITY; LABELLED_ROWS_MAX];
    for bar in bars {
        let (letters, end) = (bar.letters(), bar.x + bar.width);
        // The label stands in the bar if it fits, otherwise to its right, otherwise to its left.
        let (label, from, to) = if letters + 2.0 * SPACE <= bar.width {
            (bar.x + SPACE, bar.x, end)
        } else if end + SPACE + letters <= right {
            (end + SPACE, bar.x, end + SPACE + letters)
        } else {
            (bar.x - SPACE - letters, bar.x - SPACE - letters, end)
        };
        if let Some(row) = free_from.iter().position(|free| *free + SPACE <= from) {
            free_from[row] = to;
            (bar.row, bar.label) = (Some(row), Some(label));
        } else if let Some(row) = free_from.iter().position(|free| *free + 1.0 <= bar.x) {
            free_from[row] = end;
            bar.row = Some(row);
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::{LABELLED_MAX, ROWS_MAX, Rows};
    use crate::html::chart::scale::Scale;
    use crate::measured::{Band, Recovery};
    use proptest::prelude::*;

    const RIGHT: f64 = 1000.0;

    fn band(from_us: u64, length_us: u64) -> Band {
        let kind = ["pause", "cut", "kill"][from_us as usize % 3];
        Band {
            fault: 0,
            kind: kind.into(),
            target: "store-1".into(),
            from_us,
            to_us: Some(from_us + length_us),
            effect: Some(1),
            recovery: Recovery::Unknown,
        }
    }

    fn time() -> Scale {
        Scale::linear((0.0, 70.0), (60.0, RIGHT))
    }

    proptest! {
        #[test]
        fn labelled_bars_never_overlap(
            mut episodes in
                prop::collection::vec((0_u64..60_000_000, 0_u64..9_000_000), 0..=LABELLED_MAX)
        ) {
            episodes.sort_unstable();
            let bands: Vec<Band> = episodes.iter().map(|(from, long)| band(*from, *long)).collect();
            let rows = Rows::of(&bands, &time(), 70_000_000, RIGHT);
            prop_assert_eq!(rows.bars.len(), bands.len());
            for row in 0..ROWS_MAX {
                let mut taken: Vec<(f64, f64)> = Vec::new();
                for bar in rows.bars.iter().filter(|bar| bar.row == Some(row)) {
                    let end = bar.x + bar.width;
                    let (from, to) = bar.label.map_or((bar.x, end), |label| {
                        (bar.x.min(label), end.max(label + bar.letters()))
                    });
                    prop_assert!(to <= RIGHT + 1e-6);
                    for (other_from, other_to) in &taken {
                        prop_assert!(from >= *other_to || to <= *other_from);
                    }
                    taken.push((from, to));
                }
            }
        }
    }

    #[test]
    fn many_episodes_share_a_row_per_kind() {
        let bands: Vec<Band> = (0..60).map(|n| band(n * 1_000_001, 900_000)).collect();
        let rows = Rows::of(&bands, &time(), 70_000_000, RIGHT);
        assert_eq!((rows.count, rows.names.len()), (3, 3));
        for bar in &rows.bars {
            let row = bar.row.expect("there are few kinds");
            assert_eq!(rows.names[row], *bar.band.kind);
            assert!(bar.label.is_none());
        }
    }
}
