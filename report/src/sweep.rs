//! Runs of several values of a scenario's keys, side by side: one table, and one page that links them.

use crate::folder;
use crate::html;
use crate::measured::Recovery;
use crate::number;
use crate::text;
use crate::text::notes::within;
use crate::verdict_file::VerdictFile;
use std::io;
use std::path::Path;
use verify::verdict::Verdict;

/// The files that link the runs, beside their folders.
pub(crate) const PAGES: [&str; 2] = ["index.html", "index.md"];

/// All runs of a command, in rows.
#[derive(Clone, Debug, Default)]
pub struct Sweep {
    /// What was run: the scenario's file.
    pub title: String,
    /// The keys with several values; the first may be `scenario`.
    pub keys: Vec<String>,
    /// One row per combination.
    pub rows: Vec<Row>,
    /// The version of Fracas.
    pub version: String,
}

/// One combination of values.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// One per key.
    pub values: Vec<String>,
    /// Its runs, by seed.
    pub runs: Vec<SweepRun>,
}

/// A run of a row.
#[derive(Clone, Debug)]
pub struct SweepRun {
    /// The violation to look at first, as a sentence.
    pub first: Option<String>,
    /// Its seed.
    pub seed: u64,
    /// Its folder, seen from the page.
    pub folder: Option<String>,
    /// What it measured; `None`: it left no verdict.
    pub summary: Option<Summary>,
}

/// What the table shows of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    verdict: Verdict,
    /// Whether everything came out as the scenario expects.
    pub as_expected: bool,
    throughput: Option<f64>,
    /// p50 and p99 of accept, then of deliver.
    latencies_us: [Option<u64>; 4],
    refused: Option<f64>,
    recovery: Recovery,
}

/// The heads of the columns behind those of the keys.
pub(crate) const COLUMNS: [&str; 8] = [
    "verdict",
    "accepted/s",
    "accept p50",
    "accept p99",
    "deliver p50",
    "deliver p99",
    "refused",
    "recovery",
];

impl Summary {
    /// Of a run's verdict.
    pub fn of(file: &VerdictFile) -> Self {
        let measured = &file.measured;
        let (accept, deliver) = (&measured.accept.all, &measured.deliver.all);
        Self {
            verdict: file.verdict,
            as_expected: file.as_expected,
            throughput: measured.throughput(),
            latencies_us: [accept.p50_us, accept.p99_us, deliver.p50_us, deliver.p99_us],
            refused: measured.refused(),
            recovery: measured.recovery(),
        }
    }
}

impl Row {
    /// Whether every run came out as its scenario expects.
    pub(crate) fn as_expected(&self) -> bool {
        self.runs.iter().all(|run| run.summary.is_some_and(|summary| summary.as_expected))
    }

    /// Whether nothing came out otherwise, and something stays open.
    pub(crate) fn is_open(&self) -> bool {
        let is_open = |one: Summary| one.verdict == Verdict::Unknown;
        let is_fine =
            |run: &SweepRun| run.summary.is_some_and(|one| one.as_expected || is_open(one));
        !self.as_expected() && self.runs.iter().all(is_fine)
    }

    /// The cells behind those of the values: of several runs their medians.
    pub(crate) fn cells(&self) -> Vec<String> {
        let summaries = || self.runs.iter().filter_map(|run| run.summary);
        let latency = |which: usize| {
            let us = median(summaries().filter_map(|one| one.latencies_us[which]).collect());
            number::latency_or_dash(us)
        };
        let middle = |of: fn(Summary) -> Option<f64>| {
            // Rates and shares are not negative: their bits sort as they do.
            median(summaries().filter_map(of).map(f64::to_bits).collect()).map(f64::from_bits)
        };
        let dash = || "–".to_owned();
        let recovery = median(
            summaries()
                .filter_map(|one| match one.recovery {
                    Recovery::Unknown => None,
                    Recovery::After(us) => Some(us),
                    Recovery::Never => Some(u64::MAX),
                })
                .collect(),
        );
        vec![
            self.verdicts(),
            middle(|one| one.throughput).map_or_else(dash, number::three_digits),
            latency(0),
            latency(1),
            latency(2),
            latency(3),
            middle(|one| one.refused).map_or_else(dash, |share| format!("{:.2} %", share * 100.0)),
            match recovery {
                None => dash(),
                Some(u64::MAX) => "never".to_owned(),
                Some(us) => within(us),
            },
        ]
    }

    /// "valid", or of several runs "4 valid, 1 unknown".
    fn verdicts(&self) -> String {
        let of = |wanted: Option<Verdict>| {
            let verdict = |run: &&SweepRun| run.summary.map(|summary| summary.verdict) == wanted;
            self.runs.iter().filter(verdict).count()
        };
        let counts = [
            (of(Some(Verdict::Valid)), "valid"),
            (of(Some(Verdict::Violated)), "violated"),
            (of(Some(Verdict::Unknown)), "unknown"),
            (of(None), "without a verdict"),
        ];
        let told = counts.into_iter().filter(|(count, _)| *count > 0);
        let told = told.map(|(count, word)| match self.runs.len() {
            1 => word.to_owned(),
            _ => format!("{count} {word}"),
        });
        told.collect::<Vec<_>>().join(", ")
    }
}

/// The middle value; of an even number the lower one of both.
pub(crate) fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    let middle = values.len().checked_sub(1)? / 2;
    values.get(middle).copied()
}

impl Sweep {
    /// Adds a run to the row of its values.
    pub fn add(&mut self, values: Vec<String>, run: SweepRun) {
        match self.rows.iter_mut().find(|row| row.values == values) {
            Some(row) => row.runs.push(run),
            None => self.rows.push(Row { values, runs: vec![run] }),
        }
    }

    /// Whether rows have several runs, so that their cells are medians.
    pub(crate) fn has_medians(&self) -> bool {
        self.rows.iter().any(|row| row.runs.len() > 1)
    }

    /// The same for whom the folders are out of reach.
    #[must_use]
    pub fn without_links(mut self) -> Self {
        self.rows.iter_mut().flat_map(|row| &mut row.runs).for_each(|run| run.folder = None);
        self
    }

    /// The table as Markdown.
    pub fn markdown(&self) -> String {
        text::sweep::markdown(self)
    }

    /// Writes `index.html` and `index.md` into the folder of the runs' folders.
    ///
    /// # Errors
    /// The disk refused.
    pub fn write(&self, out: &Path) -> io::Result<()> {
        let [page, markdown] = PAGES;
        folder::put(&out.join(page), html::sweep::page(self))?;
        folder::put(&out.join(markdown), self.markdown())
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, Summary, Sweep, SweepRun, median};
    use crate::measured::Recovery;
    use crate::sample::Stage;
    use crate::verdict_file::VerdictFile;
    use verify::verdict::Verdict;

    fn run(seed: u64, verdict: Verdict, p50_us: u64) -> SweepRun {
        let mut stage = Stage::of(verdict);
        stage.measured.accept.all.p50_us = Some(p50_us);
        if p50_us > 9_000 {
            stage.measured.faults[0].recovery = Recovery::Never;
        }
        let file = VerdictFile::of(&stage.run());
        let summary = Some(Summary::of(&file));
        SweepRun { first: file.first, seed, folder: Some(format!("1/{seed}")), summary }
    }

    fn sweep() -> Sweep {
        let mut sweep = Sweep {
            title: "scenarios/a.toml".to_owned(),
            keys: vec!["cluster.gateways".to_owned()],
            version: "0.1.0".to_owned(),
            ..Sweep::default()
        };
        sweep.add(vec!["2".to_owned()], run(1, Verdict::Valid, 8_000));
        sweep.add(vec!["4".to_owned()], run(1, Verdict::Violated, 10_000));
        sweep.add(vec!["2".to_owned()], run(2, Verdict::Unknown, 9_000));
        sweep.add(
            vec!["2".to_owned()],
            SweepRun { first: None, seed: 3, folder: None, summary: None },
        );
        sweep
    }

    #[test]
    fn a_row_holds_the_medians_of_its_runs() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![9, 1, 5, 7]), Some(5));
        let sweep = sweep();
        let [two, four]: &[Row; 2] = sweep.rows.as_slice().try_into().expect("two rows");
        assert!(!two.as_expected() && !four.as_expected());
        let told = |row: &Row| row.cells().join(" | ");
        assert_eq!(
            told(two),
            "1 valid, 1 unknown, 1 without a verdict | 413 | 8.00 ms | 40.0 ms | 12.0 ms | 60.0 ms | 0.00 % | 2 s"
        );
        assert!(
            told(four).starts_with("violated | 413 | 10.0 ms") && told(four).ends_with("never")
        );
    }

    #[test]
    fn what_stays_open_is_no_failure() {
        let row = |verdicts: &[Verdict]| Row {
            values: Vec::new(),
            runs: verdicts.iter().map(|verdict| run(1, *verdict, 8_000)).collect(),
        };
        assert!(!row(&[Verdict::Valid]).is_open(), "it came out");
        assert!(row(&[Verdict::Valid, Verdict::Unknown]).is_open());
        assert!(!row(&[Verdict::Violated, Verdict::Unknown]).is_open());
        assert!(!sweep().rows[0].is_open(), "a run left no verdict");
    }

    #[test]
    fn a_page_links_every_run_and_holds_no_markup_of_others() {
        let mut sweep = sweep();
        sweep.rows[0].values[0] = "<script>alert(1)</script>|`".to_owned();
        let page = crate::html::sweep::page(&sweep);
        for link in ["href=\"1/1/report.html\"", "href=\"1/2/report.html\""] {
            assert!(page.contains(link), "{link}");
        }
        assert_eq!(page.matches("<script").count(), 1);
        // One run violates something, and a page of valid ones has no such part.
        assert!(page.contains("To look at first") && page.contains("is not in the store"));
        let mut valid = sweep.clone();
        valid.rows[1].runs.clear();
        assert!(!crate::html::sweep::page(&valid).contains("To look at first"));
        let markdown = crate::text::sweep::markdown(&sweep);
        assert!(markdown.contains("[1](1/1/report.md)"), "{markdown}");
        assert!(markdown.contains("| `<script>alert(1)</script>\\|'` |"), "{markdown}");
        let told = crate::sweep_table(&sweep, false, u16::MAX);
        assert!(told.contains("cluster.gateways") && told.lines().count() == 4, "{told}");
    }
}
